/** Experiment files: YAML, one sweep or several cases of it that differ in a few fields. docs/predict.md shows all. */
import { z } from 'zod';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../../collectives/names.ts';
import { parseSize } from '../../common/bytes.ts';
import { SLOTS_DEFAULT } from '../sweep.ts';
import type { NetworkChange } from '../topology/changes.ts';
import {
  type Experiment,
  type ExperimentCase,
  LIMITS,
  MODEL_WORDS,
  type ModelWord,
} from './experiment.ts';
import { LIST_LENGTH_MAX, multiplied, parseCounts, parseSlow } from './lists.ts';
import { readYaml, type YamlPath } from './read-yaml.ts';

const CASES_MAX = 256;
const CHANGES_MAX = 1024;
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

function wholeNumber(from: number, to: number): z.ZodNumber {
  const expected = `a whole number from ${from} to ${to}`;
  return z.number({ error: expected }).int(expected).min(from, expected).max(to, expected);
}

/** Text or number, read by `read`. */
function readBy<T>(expected: string, read: (text: string) => T | undefined) {
  return z.union([z.string(), z.number()], { error: expected }).transform((given, context): T => {
    const value = read(String(given));
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });
}

function oneOf<const Word extends string>(words: readonly [Word, ...Word[]]) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

const sizeOf = (min: number, max: number) =>
  readBy(`a size such as 8, 64K, 16M or 1G, from ${min} bytes to ${max}`, (text) => {
    const bytes = parseSize(text);
    return bytes !== undefined && bytes >= min && bytes <= max ? bytes : undefined;
  });

const text = (what: string) => z.string({ error: what }).min(1, what).max(1000, what);
const nameOfCase = z
  .string({ error: 'a name of small letters, digits and -' })
  .regex(NAME, 'a name of small letters, digits and -, at most 63 of them');

const words = Object.keys(COLLECTIVE_WORDS) as [CollectiveWord, ...CollectiveWord[]];
const modelWords = Object.keys(MODEL_WORDS) as [ModelWord, ...ModelWord[]];

const boxList = `numbers of boxes from 1 to ${LIMITS.boxes} such as 1,2,4..256`;
const size = sizeOf(1, LIMITS.bytes);
const sizes = z.union(
  [
    z.strictObject({ from: size, to: size, factor: wholeNumber(2, 1024).default(2) }),
    z.array(size).min(1).max(LIST_LENGTH_MAX),
  ],
  { error: 'the fields from, to, factor, or a list of sizes such as 1K or 16M' },
);
const share = z
  .number({ error: 'a number above 0, at most 1' })
  .gt(0, 'a number above 0, at most 1')
  .max(1, 'a number above 0, at most 1');

const fields = {
  collective: oneOf(words),
  topology: text('hls1, dl1, hls2, hls3 or the path of a topology file'),
  boxes: z.union(
    [
      readBy(boxList, (given) => parseCounts(given, LIMITS.boxes)),
      z.array(wholeNumber(1, LIMITS.boxes)).min(1).max(LIST_LENGTH_MAX),
    ],
    { error: boxList },
  ),
  cards: wholeNumber(1, LIMITS.cards),
  root: wholeNumber(0, LIMITS.boxes * 8),
  sizes,
  algorithms: z.union([oneOf(['auto', 'all']), z.array(text('the name of an algorithm')).min(1)], {
    error: 'auto, all, or a list of names of algorithms',
  }),
  schedule: text('the path of an MSCCL XML file'),
  models: z.array(oneOf(modelWords), { error: 'a list of models' }).min(1).max(modelWords.length),
  exact: z.boolean({ error: 'true or false' }),
  sliceBytes: sizeOf(4, LIMITS.bytes),
  slots: wholeNumber(1, LIMITS.slots),
  channels: wholeNumber(1, LIMITS.channels),
  chunks: wholeNumber(1, LIMITS.chunks),
  parameters: text('the path of a parameter file, as hlsim calibrate writes it'),
  path: oneOf(['direct', 'bounce']),
  stragglers: z
    .array(
      z.strictObject({
        rank: wholeNumber(0, LIMITS.boxes * 8),
        slow: readBy('how many times as slow, such as 2x', parseSlow),
      }),
      { error: 'a list of rank and slow' },
    )
    .max(CHANGES_MAX),
  degrade: z
    .array(z.strictObject({ link: text('a pattern of links'), rate: share }), {
      error: 'a list of link and rate',
    })
    .max(CHANGES_MAX),
  fail: z
    .array(z.strictObject({ link: text('a pattern of links') }), { error: 'a list of link' })
    .max(CHANGES_MAX),
  jitter: z.strictObject(
    {
      fraction: share,
      seed: wholeNumber(0, 2 ** 31 - 1).default(1),
      runs: wholeNumber(1, LIMITS.runs).default(100),
    },
    { error: 'the fields fraction, seed, runs' },
  ),
  explain: z.boolean({ error: 'true or false' }),
} as const;

const settings = z.strictObject(fields).partial();
const schema = z.strictObject({
  name: nameOfCase,
  description: text('a text').optional(),
  ...settings.shape,
  cases: z
    .array(z.strictObject({ name: nameOfCase, ...settings.shape }), { error: 'a list of cases' })
    .min(1, 'a list of at least one case')
    .max(CASES_MAX, `a list of at most ${CASES_MAX} cases`)
    .optional(),
});

type Settings = z.output<typeof settings>;
type Refuse = (path: YamlPath, problem: string) => never;

/** Sizes where a file says nothing. */
const SIZES_DEFAULT = { from: 1024, to: 2 ** 30, factor: 4 } as const;

/** @throws HlsimError `HLSIM_CONFIG` for the first thing that is wrong, with its line */
export function readExperiment(content: string, fileName: string): Experiment {
  const file = { text: content, what: 'an experiment', fileName, code: 'HLSIM_CONFIG' } as const;
  const { value, refuse } = readYaml(schema, file);
  const { name, description, cases, ...shared } = value;
  const listed = cases ?? [{ name }];
  const names = new Map<string, number>();
  for (const [index, { name: own }] of listed.entries()) {
    if (names.has(own))
      refuse(['cases', index, 'name'], `to be unlike the others but found ${own}`);
    names.set(own, index);
  }
  return {
    name,
    ...(description === undefined ? {} : { description }),
    cases: listed.map(({ name: own, ...changed }, index) => {
      const at = cases === undefined ? [] : ['cases', index];
      return caseOf(own, { ...shared, ...changed }, at, refuse);
    }),
  };
}

function caseOf(name: string, given: Settings, at: YamlPath, refuse: Refuse): ExperimentCase {
  const { collective, topology, schedule, algorithms } = given;
  if (collective === undefined) return refuse(at, 'to have the field collective but found none');
  if (topology === undefined) return refuse(at, 'to have the field topology but found none');
  if (schedule !== undefined && algorithms !== undefined) {
    refuse([...at, 'schedule'], 'to be there without algorithms, which it decides, but found both');
  }
  const { boxes, cards, sliceBytes, channels, chunks, jitter } = given;
  return {
    name,
    collective,
    topology,
    root: given.root ?? 0,
    sizes: sizesOf(given.sizes, at, refuse),
    algorithms: schedule === undefined ? (algorithms ?? 'auto') : undefined,
    schedule,
    models: (given.models ?? ['flow']).map((word) => MODEL_WORDS[word]),
    exact: given.exact ?? false,
    slots: given.slots ?? SLOTS_DEFAULT,
    parameters: given.parameters,
    path: given.path ?? 'direct',
    changes: changesOf(given),
    explain: given.explain ?? false,
    boxes,
    cards,
    sliceBytes,
    channels,
    chunks,
    jitter,
  };
}

function sizesOf(given: Settings['sizes'], at: YamlPath, refuse: Refuse): readonly number[] {
  if (Array.isArray(given)) return given;
  const { from, to, factor } = given ?? SIZES_DEFAULT;
  if (from > to)
    refuse([...at, 'sizes'], `to have a to of at least from, ${from}, but found ${to}`);
  return multiplied(from, to, factor);
}

function changesOf({
  stragglers = [],
  degrade = [],
  fail = [],
}: Settings): readonly NetworkChange[] {
  return [
    ...stragglers.map(({ rank, slow }) => ({ kind: 'straggler' as const, rank, slow })),
    ...degrade.map(({ link, rate }) => ({ kind: 'degrade' as const, link, rate })),
    ...fail.map(({ link }) => ({ kind: 'fail' as const, link })),
  ];
}

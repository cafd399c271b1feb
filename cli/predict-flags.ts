/** The flags of `hlsim predict`, and the one case of an experiment that they describe. */
import type { CollectiveWord } from '../collectives/names.ts';
import { COLLECTIVE_WORDS } from '../collectives/names.ts';
import {
  type ExperimentCase,
  LIMITS,
  MODEL_WORDS,
  type ModelWord,
} from '../timing/experiment/experiment.ts';
import { multiplied, stepped } from '../timing/experiment/lists.ts';
import { SLOTS_DEFAULT } from '../timing/sweep.ts';
import { jsonFileFlag } from './common-flags.ts';
import { type FlagValues, optional, toggle, usageError } from './flags.ts';
import { partFlags } from './part-flags.ts';
import {
  algorithmList,
  degradations,
  failures,
  fraction,
  stragglers,
  wordList,
} from './predict-readers.ts';
import { integer, oneOf, size, text } from './readers.ts';

const MIN_BYTES_DEFAULT = 1024;
const MAX_BYTES_DEFAULT = 2 ** 30;
const FACTOR_DEFAULT = 4;
const RUNS_DEFAULT = 100;
const SEED_DEFAULT = 1;
const SEED_MAX = 2 ** 31 - 1;

const bytes = size(1, { max: LIMITS.bytes });

/** All are optional: with an experiment file none may be given, as it says everything itself. */
export const sweepFlags = {
  topology: optional({
    name: 'topology',
    value: '<name|file>',
    description: 'the boxes: hls1, dl1, hls2, hls3, flat, or a topology file (hlsim topo)',
    reader: text('the name of a topology or a file'),
  }),
  ...partFlags,
  minBytes: optional({
    name: 'minbytes',
    short: 'b',
    value: '<size>',
    description: 'smallest size; 1K unless given',
    reader: bytes,
  }),
  maxBytes: optional({
    name: 'maxbytes',
    short: 'e',
    value: '<size>',
    description: 'largest size; 1G unless given',
    reader: bytes,
  }),
  stepBytes: optional({
    name: 'stepbytes',
    short: 'i',
    value: '<size>',
    description: 'add this from size to size',
    reader: bytes,
  }),
  stepFactor: optional({
    name: 'stepfactor',
    short: 'f',
    value: '<n>',
    description: 'multiply by this from size to size; 4 unless -i is given',
    reader: integer(2, 1024),
  }),
  root: optional({
    name: 'root',
    short: 'r',
    value: '<rank>',
    description: 'root of a collective that has one; 0 unless given',
    reader: integer(0, LIMITS.cards - 1),
  }),
  algorithm: optional({
    name: 'algorithm',
    value: '<names>',
    description:
      "names with commas between; all: each that is possible; auto, unless given: HCCL's own where it has one and cards share boxes, else what the tuner chooses",
    reader: algorithmList,
  }),
  schedule: optional({
    name: 'schedule',
    value: '<file>',
    description: 'predict this MSCCL XML file instead',
    reader: text('a file name'),
  }),
  model: optional({
    name: 'model',
    value: '<names>',
    description: `how messages share links: ${Object.keys(MODEL_WORDS).join(', ')}; flow unless given`,
    reader: wordList(Object.keys(MODEL_WORDS) as ModelWord[]),
  }),
  exact: toggle({
    name: 'exact',
    description: 'simulate every rank, also those that are alike by symmetry',
  }),
  sliceBytes: optional({
    name: 'slice-size',
    value: '<size>',
    description: 'largest piece that is moved at once; 512K, or what the tuner says, unless given',
    reader: size(4, { max: LIMITS.bytes }),
  }),
  slots: optional({
    name: 'slots',
    value: '<n>',
    description: `slices of a connection that are under way or not yet taken; ${SLOTS_DEFAULT} unless given`,
    reader: integer(1, LIMITS.slots),
  }),
  channels: optional({
    name: 'channels',
    value: '<n>',
    description: 'copies of the algorithm side by side; 1, or what the tuner says, unless given',
    reader: integer(1, LIMITS.channels),
  }),
  chunks: optional({
    name: 'chunks',
    value: '<n>',
    description: "chunks of a block; the algorithm's own number unless given",
    reader: integer(1, LIMITS.chunks),
  }),
  parameters: optional({
    name: 'parameters',
    value: '<file>',
    description: "numbers in place of the topology's own, as hlsim calibrate writes them",
    reader: text('a file name'),
  }),
  path: optional({
    name: 'path',
    value: '<kind>',
    description:
      'direct: card to card; bounce: by way of host memory and host NIC; direct unless given',
    reader: oneOf(['direct', 'bounce']),
  }),
  straggler: optional({
    name: 'straggler',
    value: '<what>',
    description: 'a slow card: rank=3,slow=2x; several with ; between',
    reader: stragglers,
  }),
  degrade: optional({
    name: 'degrade',
    value: '<what>',
    description:
      'slow links: link=scaleOut,rate=0.5 (a class, or a name with *); several with ; between',
    reader: degradations,
  }),
  fail: optional({
    name: 'fail',
    value: '<what>',
    description: 'broken links: link=box0/card0>card1; several with ; between',
    reader: failures,
  }),
  jitter: optional({
    name: 'jitter',
    value: '<fraction>',
    description:
      'random delays of messages and steps, on average this part of their own; gives percentiles',
    reader: fraction,
  }),
  seed: optional({
    name: 'seed',
    value: '<n>',
    description: `of the first of the random runs; ${SEED_DEFAULT} unless given`,
    reader: integer(0, SEED_MAX),
    environment: 'HLSIM_PREDICT_SEED',
  }),
  runs: optional({
    name: 'runs',
    value: '<n>',
    description: `random runs; ${RUNS_DEFAULT} unless given`,
    reader: integer(1, LIMITS.runs),
  }),
  explain: toggle({
    name: 'explain',
    description: 'say why, for the last row: critical path, parts, busiest links, what would help',
  }),
} as const;

/** Where the results go besides stdout. */
export const resultFlags = {
  json: jsonFileFlag,
  svg: optional({
    name: 'svg',
    value: '<file>',
    description: 'draw time and bandwidth over size, and efficiency over boxes',
    reader: text('a file name'),
  }),
  trace: optional({
    name: 'trace',
    value: '<file>',
    description: 'write what happens in the last row as a Perfetto trace',
    reader: text('a file name'),
  }),
} as const;

export const experimentFlags = {
  experiment: optional({
    name: 'experiment',
    value: '<file>',
    description: 'do what this YAML file says instead (docs/predict.md)',
    reader: text('a file name'),
  }),
  output: optional({
    name: 'output',
    value: '<folder>',
    description: "where an experiment's results and manifest go",
    reader: text('a folder'),
    environment: 'HLSIM_PREDICT_OUTPUT',
  }),
} as const;

export const predictFlags = { ...sweepFlags, ...resultFlags, ...experimentFlags } as const;

export type PredictFlagValues = FlagValues<typeof predictFlags>;
type SweepFlagValues = FlagValues<typeof sweepFlags>;

/** @throws HlsimError `HLSIM_USAGE` for flags that do not fit together */
export function caseOfFlags(word: string, flags: SweepFlagValues): ExperimentCase {
  const { topology, boxes, cards, sliceBytes, channels, chunks, schedule } = flags;
  if (topology === undefined) {
    throw usageError(
      'Expected --topology <name|file>, such as hls2 or boxes.yaml, but found none: add it, or see hlsim topo',
    );
  }
  if (schedule !== undefined)
    expectNoneOf(flags, ['algorithm', 'channels', 'chunks'], '--schedule');
  return {
    name: '',
    collective: collectiveOf(word),
    topology,
    root: flags.root ?? 0,
    sizes: sizesOf(flags),
    algorithms: schedule === undefined ? (flags.algorithm ?? 'auto') : undefined,
    schedule,
    models: (flags.model ?? ['flow']).map((model) => MODEL_WORDS[model]),
    exact: flags.exact,
    slots: flags.slots ?? SLOTS_DEFAULT,
    parameters: flags.parameters,
    path: flags.path ?? 'direct',
    changes: [...(flags.straggler ?? []), ...(flags.degrade ?? []), ...(flags.fail ?? [])],
    explain: flags.explain,
    boxes,
    cards,
    sliceBytes,
    channels,
    chunks,
    jitter: jitterOf(flags),
  };
}

/** Throws `HLSIM_USAGE` for the first flag that is given though `decider` says what it would. */
export function expectNoneOf(
  flags: SweepFlagValues,
  names: readonly (keyof SweepFlagValues)[],
  decider: string,
): void {
  const given = names.find((name) => flags[name] !== undefined && flags[name] !== false);
  if (given === undefined) return;
  throw usageError(
    `Expected ${decider} without --${sweepFlags[given].name}, which it decides, but found both`,
  );
}

function collectiveOf(word: string): CollectiveWord {
  const words = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];
  const known = words.find((name) => name === word);
  if (known !== undefined) return known;
  throw usageError(
    `Expected the collective to be one of ${words.join(', ')} but found ${JSON.stringify(word)}`,
  );
}

function sizesOf({
  minBytes,
  maxBytes,
  stepBytes,
  stepFactor,
}: SweepFlagValues): readonly number[] {
  const from = minBytes ?? Math.min(MIN_BYTES_DEFAULT, maxBytes ?? MIN_BYTES_DEFAULT);
  const to = maxBytes ?? Math.max(MAX_BYTES_DEFAULT, from);
  if (from > to) {
    throw usageError(
      `Expected -e, --maxbytes to be at least -b, --minbytes ${from} but found ${to}`,
    );
  }
  if (stepBytes === undefined) return multiplied(from, to, stepFactor ?? FACTOR_DEFAULT);
  if (stepFactor !== undefined) {
    throw usageError('Expected either -i, --stepbytes or -f, --stepfactor but found both');
  }
  const sizes = stepped(from, to, stepBytes);
  if (sizes !== undefined) return sizes;
  throw usageError(
    `Expected -i, --stepbytes to give at most 256 sizes from ${from} to ${to} but found ${stepBytes}`,
  );
}

function jitterOf({ jitter, seed, runs }: SweepFlagValues): ExperimentCase['jitter'] {
  if (jitter !== undefined) {
    return { fraction: jitter, seed: seed ?? SEED_DEFAULT, runs: runs ?? RUNS_DEFAULT };
  }
  const unused = seed === undefined ? runs : seed;
  if (unused === undefined) return undefined;
  throw usageError('Expected --seed and --runs only with --jitter but found them without');
}

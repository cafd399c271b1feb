/** `hlsim cost`: what a collective costs by the alpha-beta-gamma model, without running it. */
import { Command } from 'commander';
import type { CollectiveName } from '../../collectives/collective.ts';
import type { AlphaBetaGamma } from '../../collectives/critical-path.ts';
import { wordOfCollective } from '../../collectives/names.ts';
import { algorithmsFor } from '../../collectives/table.ts';
import { possibleAlgorithms } from '../../collectives/tuner.ts';
import { verify } from '../../collectives/verify.ts';
import { HlsimError } from '../../common/errors.ts';
import { jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { CLOCK_NOTE, comparisonTable, costJson, costLines, modelLine } from '../cost-report.ts';
import { type CostSettings, type Priced, priceAlgorithm, pricePrograms } from '../cost-run.ts';
import {
  addFlags,
  type FlagValues,
  optional,
  readFlags,
  usageError,
  withDefault,
} from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { rate, shortTime } from '../model-readers.ts';
import { oneOf, size, text } from '../readers.ts';
import { readScheduleFile } from '../schedule-file.ts';
import {
  algorithmFlag,
  COLLECTIVES_HELP,
  readCollective,
  scheduleFlags,
  scheduleRequest,
} from '../schedule-flags.ts';
import { counted } from '../wording.ts';

/** Of no machine in particular: between one rack's network and the next. */
const BANDWIDTH_DEFAULT = 10e9;
/** A schedule in which nothing is a multiple of more is rounded down by less than this. */
const SIZE_MAX = 2 ** 40;

/** Of the flags without a default, those that say what a schedule file says already. */
const SCHEDULE_DECIDES = ['algorithm', 'boxes', 'chunks'] as const;

const costFlags = {
  ...scheduleFlags,
  algorithm: optional({ ...algorithmFlag, description: 'this algorithm alone, in detail' }),
  size: withDefault('1M', {
    name: 'size',
    value: '<size>',
    description: 'size of the call, as nccl-tests counts it',
    reader: size(0, { max: SIZE_MAX }),
  }),
  alpha: withDefault('5us', {
    name: 'alpha',
    value: '<time>',
    description: 'α: time to start a message',
    reader: shortTime,
  }),
  beta: optional({
    name: 'beta',
    value: '<time>',
    description: 'β: time to send a byte; 0.1ns unless --bandwidth is given',
    reader: shortTime,
  }),
  bandwidth: optional({
    name: 'bandwidth',
    value: '<rate>',
    description: 'instead of β: what a rank sends in a second',
    reader: rate,
  }),
  gamma: withDefault('0.01ns', {
    name: 'gamma',
    value: '<time>',
    description: 'γ: time to reduce a byte',
    reader: shortTime,
  }),
  ports: optional({
    name: 'ports',
    value: '<kind>',
    description:
      'single: one message at a time leaves a rank and one reaches it; full: start-up times overlap; ' +
      "the closed form's own unless given",
    reader: oneOf(['single', 'full']),
  }),
  schedule: optional({
    name: 'schedule',
    value: '<file>',
    description: 'price this MSCCL XML file instead',
    reader: text('a file name'),
  }),
  json: jsonFileFlag,
} as const;

type CostFlagValues = FlagValues<typeof costFlags>;

export function costCommand(context: CommandContext): Command {
  const command = new Command('cost')
    .description(
      'Predict what a collective costs (virtual time of a model), beside the closed form',
    )
    .argument('[collective]', COLLECTIVES_HELP);
  addFlags(command, costFlags).addHelpText(
    'after',
    `
The model: a message costs α to start and β a byte, and a byte costs γ to reduce. Of each rank's steps it
takes what waits for what, and finds the chain of steps that decides the end. Without --algorithm it
compares all algorithms of the collective. Nothing is run or measured.

Examples:
  hlsim cost all_reduce --ranks 8 --size 64M
  hlsim cost all_reduce --algorithm ring --ranks 8 --alpha 2us --bandwidth 37.5GB/s
  hlsim cost --schedule allreduce.xml --size 1M --json cost.json`,
  );
  return command.action(async (word: string | undefined) => {
    const flags = readFlags(command, costFlags);
    const file = flags.json === undefined ? undefined : openJsonFile(flags.json);
    const found = await costs(word, flags, context);
    const { size: bytes, ports = null } = flags;
    file?.write({ clock: 'virtual', model: modelOf(flags), ports, bytes, ...found });
  });
}

/** Prints what was asked for; returns it for the JSON file. */
async function costs(
  word: string | undefined,
  flags: CostFlagValues,
  context: CommandContext,
): Promise<object> {
  const settings = { model: modelOf(flags), ports: flags.ports, bytes: flags.size };
  if ((word === undefined) === (flags.schedule === undefined)) {
    const both = word === undefined ? 'neither' : 'both';
    throw usageError(`Expected a collective or --schedule but found ${both}`);
  }
  if (flags.schedule !== undefined) {
    const decided = SCHEDULE_DECIDES.find((name) => flags[name] !== undefined);
    if (decided !== undefined) {
      throw usageError(
        `Expected --schedule without --${decided}, which it decides, but found both`,
      );
    }
    return await costOfFile(flags.schedule, settings, context);
  }
  const collective = readCollective(word ?? '');
  return flags.algorithm === undefined
    ? compare(collective, flags, settings, context)
    : costOfAlgorithm(collective, flags.algorithm, flags, settings, context);
}

function costOfAlgorithm(
  collective: CollectiveName,
  algorithm: string,
  flags: CostFlagValues,
  settings: CostSettings,
  context: CommandContext,
): object {
  const request = { ...scheduleRequest(collective, flags), algorithm };
  const priced = priceAlgorithm(request, settings);
  heading(`${algorithm} ${wordOfCollective(collective)}`, request.topology, settings, context);
  tell(priced, context);
  return { collective, ...request.topology, results: [costJson(priced)] };
}

function compare(
  collective: CollectiveName,
  flags: CostFlagValues,
  settings: CostSettings,
  context: CommandContext,
): object {
  const { ports = 'single' } = settings;
  const request = scheduleRequest(collective, flags);
  const { topology, chunks } = request;
  const possible = possibleAlgorithms(collective, topology, chunks);
  const priced = possible.map((algorithm) =>
    priceAlgorithm({ ...request, algorithm }, { ...settings, ports }),
  );
  heading(wordOfCollective(collective), topology, settings, context);
  context.terminal.result(`\n${comparisonTable(priced)}`);
  const impossible = algorithmsFor(collective).filter((name) => !possible.includes(name));
  if (impossible.length > 0) {
    context.terminal.result(`\nNot for these ranks and chunks: ${impossible.join(', ')}`);
  }
  return { collective, ...topology, results: priced.map(costJson), impossible };
}

/** The file's steps are what is priced: only if they are right does their price mean anything. */
async function costOfFile(
  path: string,
  settings: CostSettings,
  context: CommandContext,
): Promise<object> {
  const { name, collective, nranks, programs, placements, equalChunks } =
    await readScheduleFile(path);
  for (const placement of placements) {
    const inPlace = placement === 'inPlace';
    const { findings } = verify(programs, { inPlace, equalChunks, order: 'messages' });
    const [finding] = findings;
    if (finding === undefined) continue;
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a schedule that is right but found in ${path}: ${finding.message}; see hlsim verify ${path}`,
    );
  }
  const chunks = Math.max(1, programs[0]?.chunks ?? 1);
  const priced = pricePrograms(name, programs, settings, equalChunks ? chunks : 1);
  const words = `${name === '' ? path : name}: ${wordOfCollective(collective)}`;
  heading(words, { boxes: nranks, ranksPerBox: 1 }, settings, context);
  tell(priced, context);
  return { collective, schedule: path, nranks, results: [costJson(priced)] };
}

function heading(
  what: string,
  { boxes, ranksPerBox }: { readonly boxes: number; readonly ranksPerBox: number },
  { model, bytes }: CostSettings,
  { terminal }: CommandContext,
): void {
  const ranks = counted(boxes * ranksPerBox, 'rank');
  terminal.result(`${what}, ${ranks} in ${counted(boxes, 'box', 'boxes')}, ${bytes} bytes`);
  terminal.result(modelLine(model));
  terminal.result(CLOCK_NOTE);
}

function tell(priced: Priced, { terminal }: CommandContext): void {
  terminal.result('');
  for (const line of costLines(priced)) terminal.result(line);
}

function modelOf({ alpha, beta, bandwidth, gamma }: CostFlagValues): AlphaBetaGamma {
  if (beta !== undefined && bandwidth !== undefined) {
    throw usageError('Expected either --beta or --bandwidth but found both');
  }
  return {
    alphaSeconds: alpha,
    betaSecondsPerByte: beta ?? 1 / (bandwidth ?? BANDWIDTH_DEFAULT),
    gammaSecondsPerByte: gamma,
  };
}

/** `hlsim bench`: nccl-tests' sweeps, flags and table. */
import { Argument, Command } from 'commander';
import type { BenchOptions } from '../../bench/options.ts';
import { benchJson } from '../../bench/render.ts';
import { algorithmsFor } from '../../collectives/table.ts';
import { checkSweep, runSweep } from '../bench-run.ts';
import { withCluster } from '../cluster-session.ts';
import { clusterFlags, jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import {
  addFlags,
  type FlagValues,
  optional,
  readFlags,
  usageError,
  withDefault,
} from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { hlsimVersion } from '../package-files.ts';
import { integer, oneOf, size, text } from '../readers.ts';

const COLLECTIVES = ['all_reduce', 'all_gather'] as const;
/** nccl-tests' names, and ours. */
const COLLECTIVE_OF = { all_reduce: 'allReduce', all_gather: 'allGather' } as const;
/** nccl-tests' default step when neither -i nor -f is given. */
const STEP_BYTES_DEFAULT = 1024 * 1024;

const benchFlags = {
  minBytes: withDefault('32M', {
    name: 'minbytes',
    short: 'b',
    value: '<size>',
    description: 'smallest size',
    reader: size(1),
  }),
  maxBytes: withDefault('32M', {
    name: 'maxbytes',
    short: 'e',
    value: '<size>',
    description: 'largest size',
    reader: size(1),
  }),
  stepBytes: optional({
    name: 'stepbytes',
    short: 'i',
    value: '<size>',
    description: 'add this from size to size (1M if -f is not given either)',
    reader: size(1),
  }),
  stepFactor: optional({
    name: 'stepfactor',
    short: 'f',
    value: '<n>',
    description: 'multiply by this from size to size',
    reader: integer(2, 1024),
  }),
  iterations: withDefault('20', {
    name: 'iters',
    short: 'n',
    value: '<n>',
    description: 'timed iterations of each size',
    reader: integer(1, 1_000_000),
  }),
  warmupIterations: withDefault('1', {
    name: 'warmup_iters',
    short: 'w',
    value: '<n>',
    description: 'iterations before those, not timed',
    reader: integer(0, 1_000_000),
  }),
  dataType: withDefault('float', {
    name: 'datatype',
    short: 'd',
    value: '<type>',
    description: 'element type',
    reader: oneOf(['float']),
  }),
  reduceOp: withDefault('sum', {
    name: 'op',
    short: 'o',
    value: '<op>',
    description: 'reduction',
    reader: oneOf(['sum']),
  }),
  check: withDefault('1', {
    name: 'check',
    short: 'c',
    value: '<0|1>',
    description: 'compare every element of every result',
    reader: oneOf(['0', '1']),
  }),
  algorithm: optional({
    name: 'algorithm',
    value: '<name>',
    description: 'use this algorithm instead of the one picked for each size',
    reader: text('the name of an algorithm'),
  }),
  json: jsonFileFlag,
  ...clusterFlags,
} as const;

type BenchFlagValues = FlagValues<typeof benchFlags>;

export function benchCommand(context: CommandContext): Command {
  const command = new Command('bench')
    .description('Measure a collective over a range of sizes (wall clock of this machine)')
    .addArgument(new Argument('<collective>', COLLECTIVES.join(' or ')));
  addFlags(command, benchFlags).addHelpText(
    'after',
    `
Examples:
  hlsim bench all_reduce --hosts 4 -b 8 -e 64M -f 8
  hlsim bench all_gather --hosts 2 --devices 2 -b 1M -e 16M -i 1M -n 5 --json gather.json
  hlsim bench all_reduce --coordinator ws://127.0.0.1:7700 -b 8 -e 1M -f 2

Sizes are binary: K = 1024. The exit code is 1 if any element is wrong.`,
  );
  return command.action(async (collective: string) => {
    context.exitCode = await bench(collective, readFlags(command, benchFlags), context);
  });
}

async function bench(
  collective: string,
  flags: BenchFlagValues,
  context: CommandContext,
): Promise<number> {
  const options = benchOptions(collective, flags);
  const file = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const startTime = new Date(context.scheduler.clock.unixMs());
  const job = { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout };
  await withCluster(flags, context, async (client) => {
    const sweep = await runSweep(client, options, job, context);
    const endTime = new Date(context.scheduler.clock.unixMs());
    const run = {
      devices: sweep.devices,
      args: context.argv,
      startTime,
      endTime,
      version: hlsimVersion(),
    };
    file?.write(benchJson(sweep.results, run));
    checkSweep(sweep, options);
  });
  return 0;
}

/** The wrong combinations, which no single flag can see. */
function benchOptions(collective: string, flags: BenchFlagValues): BenchOptions {
  const known = COLLECTIVES.find((name) => name === collective);
  if (known === undefined) {
    throw usageError(
      `Expected the collective to be one of ${COLLECTIVES.join(', ')} but found ${JSON.stringify(collective)}`,
    );
  }
  const { minBytes, maxBytes, stepBytes, stepFactor, algorithm } = flags;
  const algorithms = algorithmsFor(COLLECTIVE_OF[known]);
  if (algorithm !== undefined && !algorithms.includes(algorithm)) {
    throw usageError(
      `Expected --algorithm to be one of ${algorithms.join(', ')} but found ${JSON.stringify(algorithm)}`,
    );
  }
  if (minBytes > maxBytes) {
    throw usageError(
      `Expected -e, --maxbytes to be at least -b, --minbytes ${minBytes} but found ${maxBytes}`,
    );
  }
  if (stepBytes !== undefined && stepFactor !== undefined) {
    throw usageError('Expected either -i, --stepbytes or -f, --stepfactor but found both');
  }
  const step =
    stepFactor === undefined ? { stepBytes: stepBytes ?? STEP_BYTES_DEFAULT } : { stepFactor };
  return {
    collective: known,
    minBytes,
    maxBytes,
    ...step,
    iterations: flags.iterations,
    warmupIterations: flags.warmupIterations,
    dataType: flags.dataType,
    reduceOp: flags.reduceOp,
    check: flags.check === '1',
    ...(algorithm === undefined ? {} : { algorithm }),
  };
}

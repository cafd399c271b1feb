/** `hlsim tune`: measures this machine and writes a tuning table. */
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { CollectiveWord } from '../../collectives/names.ts';
import { writeTuningFile } from '../../collectives/tuning-file.ts';
import { tuningFromMeasurements } from '../../collectives/tuning-measurements.ts';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { withCluster } from '../cluster-session.ts';
import { clusterFlags, hostsWithDefault } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, readFlags, usageError, withDefault } from '../flags.ts';
import { expectWritable } from '../json-file.ts';
import { integer, size, text } from '../readers.ts';
import { measureCandidates, tunableCollectives } from '../tune-run.ts';

/** A cluster that runs already is not measured: what else it does would count. */
const { coordinator: _, ...ownClusterFlags } = clusterFlags;

const tuneFlags = {
  output: withDefault('tuning.yaml', {
    name: 'output',
    value: '<file>',
    description: 'where to write the table',
    reader: text('the name of a file'),
  }),
  collectives: withDefault('all', {
    name: 'collectives',
    value: '<names>',
    description: 'which collectives to measure, with commas between them, or all',
    reader: text('names such as all_reduce,all_gather'),
  }),
  minBytes: withDefault('8', {
    name: 'minbytes',
    short: 'b',
    value: '<size>',
    description: 'smallest size',
    reader: size(1),
  }),
  maxBytes: withDefault('4M', {
    name: 'maxbytes',
    short: 'e',
    value: '<size>',
    description: 'largest size',
    reader: size(1),
  }),
  channels: withDefault('2', {
    name: 'channels',
    value: '<n>',
    description: 'try 1, 2, 4 ... channels up to this',
    reader: integer(1, 32),
  }),
  iterations: withDefault('10', {
    name: 'iters',
    short: 'n',
    value: '<n>',
    description: 'timed iterations of each size',
    reader: integer(1, 100_000),
  }),
  ...ownClusterFlags,
  hosts: hostsWithDefault,
} as const;

type TuneFlagValues = FlagValues<typeof tuneFlags>;

export function tuneCommand(context: CommandContext): Command {
  const command = new Command('tune').description(
    'Measure which algorithm is fastest for which size, and write a table of it',
  );
  addFlags(command, tuneFlags).addHelpText(
    'after',
    `
Examples:
  hlsim tune --hosts 4
  hlsim tune --hosts 2 --devices 4 --collectives all_reduce,alltoall -e 16M --output eight.yaml
  hlsim bench all_reduce --hosts 4 -b 8 -e 4M -f 8 --tuning tuning.yaml

The table holds for as many ranks and hosts as were measured (wall clock of this machine); it is
YAML, to be read and changed by hand. What it says nothing about, the built-in table decides.`,
  );
  return command.action(async () => {
    await tune(readFlags(command, tuneFlags), context);
  });
}

async function tune(flags: TuneFlagValues, context: CommandContext): Promise<void> {
  const collectives = collectivesOf(flags.collectives);
  if (flags.minBytes > flags.maxBytes) {
    throw usageError(
      `Expected -e, --maxbytes to be at least -b, --minbytes ${flags.minBytes} but found ${flags.maxBytes}`,
    );
  }
  const topology = { boxes: flags.hosts, ranksPerBox: flags.devices ?? 1 };
  // A name that cannot be written is told now, and a table that is there stays until there is a better one.
  expectWritable('output', flags.output);
  const { minBytes, maxBytes, iterations } = flags;
  const request = {
    ...{ collectives, topology, minBytes, maxBytes, iterations },
    channels: doublings(flags.channels),
    job: { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout },
  };
  await withCluster({ ...flags, coordinator: undefined }, context, async (client) => {
    const points = await measureCandidates(client, request, context);
    const table = writeTuningFile(tuningFromMeasurements(points));
    await writeTable(flags.output, table);
    context.terminal.result(table.trimEnd());
    context.terminal.note(`${points.length} measurements, written to ${flags.output}`);
  });
}

function collectivesOf(names: string): readonly CollectiveWord[] {
  if (names === 'all') return tunableCollectives();
  const known = tunableCollectives();
  return names.split(',').map((name) => {
    const word = known.find((candidate) => candidate === name);
    if (word !== undefined) return word;
    throw usageError(
      `Expected --collectives to name some of ${known.join(', ')} but found ${JSON.stringify(name)}`,
    );
  });
}

function doublings(most: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count <= most; count *= 2) counts.push(count);
  return counts;
}

/** A table that was measured, and that the system does not take after all: a full disk, for one. */
async function writeTable(path: string, table: string): Promise<void> {
  try {
    await writeFile(path, table);
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected --output to name a file that can be written but found ${JSON.stringify(path)}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** `hlsim bench`: nccl-tests' sweeps, flags and table. */
import { Argument, Command } from 'commander';
import { compareDigests } from '../../bench/digests.ts';
import { benchJson } from '../../bench/render.ts';
import { COLLECTIVE_WORDS } from '../../collectives/names.ts';
import { HlsimError } from '../../common/errors.ts';
import { type BenchFlagValues, benchFlags } from '../bench-flags.ts';
import { type BenchRun, checkSweep, runSweep } from '../bench-run.ts';
import { type Sweep, sweepOf } from '../bench-sweep.ts';
import { checkClusterFlags, withCluster } from '../cluster-session.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags } from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { hlsimVersion } from '../package-files.ts';
import { type TraceWish, traced, traceWishOf } from '../trace-file.ts';

export function benchCommand(context: CommandContext): Command {
  const words = Object.keys(COLLECTIVE_WORDS).join(', ');
  const command = new Command('bench')
    .description('Measure a collective over a range of sizes (wall clock of this machine)')
    .addArgument(new Argument('<collective>', words));
  addFlags(command, benchFlags).addHelpText(
    'after',
    `
Examples:
  hlsim bench all_reduce --hosts 4 -b 8 -e 64M -f 8
  hlsim bench all_gather --hosts 2 --devices 2 -b 1M -e 16M -i 1M -n 5 --json gather.json
  hlsim bench reduce_scatter --hosts 4 -b 1K -e 1M -f 4 -d all -o avg --algorithm recursiveHalving
  hlsim bench all_reduce --hosts 8 --schedule my.xml -b 1M -e 16M -f 2
  hlsim bench all_reduce --hosts 4 -b 1M -e 1M --bitwise 100
  hlsim bench all_reduce --hosts 4 -b 1M -e 1M -n 3 --trace trace.json
  hlsim bench all_reduce --coordinator ws://127.0.0.1:7700 -b 8 -e 1M -f 2

Sizes are binary: K = 1024. The exit code is 1 if any element is wrong, or any bit differs.
hlsim show, verify and cost say more about an algorithm or a schedule file.`,
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
  checkClusterFlags(flags);
  const sweep = await sweepOf(collective, flags);
  const file = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const trace = traceWishOf(flags);
  const startTime = new Date(context.scheduler.clock.unixMs());
  const runs = await launches(sweep, flags, trace, context);
  const endTime = new Date(context.scheduler.clock.unixMs());
  const [first] = runs;
  if (first === undefined) return 0;
  const run = { devices: first.devices, args: context.argv, startTime, endTime };
  const json = benchJson(first.results, { ...run, version: hlsimVersion() });
  const comparison = flags.bitwise === undefined ? undefined : compareDigests(runs.map(rowsOf));
  file?.write({ ...json, ...(comparison === undefined ? {} : { bitwise: comparison }) });
  for (const one of runs) checkSweep(one, sweep.options);
  if (comparison === undefined) return 0;
  if (comparison.differing.length > 0) {
    throw new HlsimError(
      'HLSIM_JOB_FAILED',
      `Expected the same bits from ${comparison.launches} launches but found others in ${comparison.differing.join('; ')}`,
      { fields: { ...comparison } },
    );
  }
  context.terminal.result(
    `# Bitwise: ${comparison.results} results were the same to the bit in ${comparison.launches} launches`,
  );
  return 0;
}

/**
 * One run, or as many as are to be compared, each on a cluster of its own unless one is named. A trace is of
 * the first.
 */
async function launches(
  { options, environment }: Sweep,
  flags: BenchFlagValues,
  trace: TraceWish | undefined,
  context: CommandContext,
): Promise<readonly BenchRun[]> {
  const runs: BenchRun[] = [];
  const job = { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout, environment };
  for (let launch = 0; launch < (flags.bitwise ?? 1); launch++) {
    await withCluster(flags, context, async (client) => {
      const output = launch === 0 ? 'table' : 'quiet';
      const wish = launch === 0 ? trace : undefined;
      const run = () => runSweep(client, options, job, context, output);
      runs.push(await traced(wish, client, `hlsim bench ${options.collective}`, context, run));
    });
    if (launch > 0) context.terminal.progress(`launch ${launch + 1} of ${flags.bitwise}`);
  }
  return runs;
}

function rowsOf({ results }: BenchRun): BenchRun['results']['rows'] {
  return results.rows;
}

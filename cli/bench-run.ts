/** A sweep over message sizes as a job: its table while it runs, its results afterwards. */
import { type BenchOptions, benchJob } from '../bench/options.ts';
import { type BenchDevice, renderFooter, renderHeader, renderRow } from '../bench/render.ts';
import { BenchResults } from '../bench/results.ts';
import { HlsimError } from '../common/errors.ts';
import type { HostEntry } from '../coordinator/hlcp/messages.ts';
import { failureOfJob, runJob } from './cluster-session.ts';
import type { CommandContext } from './context.ts';
import type { ClusterClient } from './job-client.ts';

export interface BenchRun {
  readonly results: BenchResults;
  readonly devices: readonly BenchDevice[];
}

export interface SweepJob {
  readonly hosts: number | undefined;
  readonly joinTimeoutMs: number;
  /** Variables of the job. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs the sweep and prints its table.
 *
 * @throws HlsimError why it failed, or `HLSIM_JOB_FAILED` if any element of any result was wrong
 */
export async function runSweep(
  client: ClusterClient,
  options: BenchOptions,
  { environment = {}, ...job }: SweepJob,
  context: CommandContext,
  output: 'table' | 'quiet' = 'table',
): Promise<BenchRun> {
  const { terminal } = context;
  const print = (text: string): void => {
    if (output === 'table') terminal.result(text);
  };
  let devices: BenchDevice[] = [];
  let results: BenchResults | undefined;
  const request = { spec: benchJob(options, environment), ...job };
  const outcome = await runJob(
    client,
    request,
    {
      accepted(hosts) {
        devices = benchDevices(hosts);
        results = new BenchResults(options, devices.length);
        print(renderHeader(options, devices));
        terminal.progress(`${options.collective} on ${devices.length} ranks`);
      },
      report(rank, report) {
        const row = results?.add(rank, report);
        if (row === undefined) return;
        print(renderRow(row));
        terminal.progress(`${options.collective} on ${devices.length} ranks: ${row.size} B done`);
      },
      output: (rank, _stream, text) => terminal.note(`[${rank}] ${text.trimEnd()}`),
    },
    context,
  );
  const failure = failureOfJob(outcome);
  if (failure !== undefined) throw failure;
  if (results?.complete !== true) {
    throw new HlsimError('HLSIM_INTERNAL', 'Expected a row for every size but the job ended early');
  }
  print(renderFooter(results));
  return { results, devices };
}

/** @throws HlsimError `HLSIM_JOB_FAILED` if any element of any rank's result was wrong */
export function checkSweep({ results }: BenchRun, { collective }: BenchOptions): void {
  if (results.outOfBounds === 0) return;
  throw new HlsimError(
    'HLSIM_JOB_FAILED',
    `Expected every element of every ${collective} to be right but found ${results.outOfBounds} wrong values`,
  );
}

/** Ranks in order: those of the first host, then those of the next. The pid is the host process's. */
function benchDevices(hosts: readonly HostEntry[]): BenchDevice[] {
  return hosts
    .flatMap(({ pid, hostname, devices }) =>
      Array.from({ length: devices }, (_, device) => ({ group: 0, pid, hostname, device })),
    )
    .map((place, rank) => ({ rank, ...place }));
}

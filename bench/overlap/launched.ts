/** Ranks in hosts of their own, started as anybody starts a program: with `hlsim run`. */
import process from 'node:process';
import { HlsimError } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { PROGRESS_VARIABLE, PROVIDER_VARIABLE } from '../../node/hccl/settings.ts';
import { runChildren } from '../peers/children.ts';
import { projectFile } from '../peers/project-files.ts';
import { type OverlapOptions, type RankReport, rankReport } from './options.ts';
import { pacedEnvironment } from './pacing.ts';

/** One device each. */
export const HOSTS = 2;
/** One launched job: far above what the default rounds take. */
const JOB_LIMIT_MS = 600_000;
/** hlsim shows a rank's output behind its number. */
const LINE = /^\[\d+\] (\{.*\})$/gm;

/**
 * Runs all rounds in one job of a cluster made for it. `bytesPerSecond`: of each direction of each
 * link; absent: whatever the machine gives.
 *
 * @throws HlsimError `HLSIM_JOB_FAILED`
 */
export async function runLaunched(
  options: OverlapOptions,
  bytesPerSecond: number | undefined,
  { scheduler, signal }: { readonly scheduler: Scheduler; readonly signal: AbortSignal },
): Promise<readonly RankReport[]> {
  const program = projectFile('dist/bench/overlap/program.js');
  const command = {
    program: process.execPath,
    args: [
      projectFile('bin/hlsim.js'),
      ...['run', program, '--hosts', String(HOSTS), '--', JSON.stringify(options)],
    ],
    environment: {
      // What is in question is a link, and what goes on beside the program: its host moves the bytes.
      ...{ HLSIM_TRANSPORT: 'tcp', [PROVIDER_VARIABLE]: 'ws', [PROGRESS_VARIABLE]: 'auto' },
      ...(bytesPerSecond === undefined ? {} : pacedEnvironment(bytesPerSecond)),
    },
  };
  const children = { scheduler, signal, deadlineMs: JOB_LIMIT_MS };
  const { stdout, stderr, failure } = await runChildren([command], children);
  const reports = [...(stdout[0] ?? '').matchAll(LINE)].map(([, json = '']) =>
    rankReport.parse(JSON.parse(json)),
  );
  if (failure === undefined && reports.length === HOSTS) return reports;
  throw new HlsimError(
    'HLSIM_JOB_FAILED',
    `Expected reports of ${HOSTS} ranks but the job ${failure ?? `gave ${reports.length}`}: ${stderr.trim()}`,
  );
}

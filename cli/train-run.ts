/** A training as a job: a line for each epoch while it runs, its summary afterwards. */
import { HlsimError } from '../common/errors.ts';
import type { ProgressMode, ProviderChoice } from '../node/hccl/settings.ts';
import type { Overlap } from '../training/gradient-step.ts';
import { type TrainOptions, trainJob } from '../training/options.ts';
import { renderEpoch, renderSummary } from '../training/render.ts';
import { TrainResults, type TrainSummary } from '../training/results.ts';
import { failureOfJob, runJob } from './cluster-session.ts';
import type { CommandContext } from './context.ts';
import type { ClusterClient } from './job-client.ts';
import { progressEnvironment } from './progress.ts';
import { providerEnvironment } from './provider.ts';

/** Where a training runs. */
export interface TrainingJob {
  readonly hosts: number | undefined;
  readonly joinTimeoutMs: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What flags say to every rank. With overlap the host moves the bytes: the program's thread computes meanwhile. */
export function trainEnvironment({
  provider,
  progress,
  overlap,
}: {
  readonly provider: ProviderChoice | undefined;
  readonly progress: ProgressMode | undefined;
  readonly overlap: Overlap;
}): Record<string, string> {
  const chosen = progress ?? (overlap === 'on' ? 'auto' : undefined);
  return { ...providerEnvironment({ provider }), ...progressEnvironment({ progress: chosen }) };
}

/**
 * Trains and prints the epochs and the summary.
 *
 * @throws HlsimError why the job failed
 */
export async function runTraining(
  client: ClusterClient,
  options: TrainOptions,
  { environment = {}, ...job }: TrainingJob,
  context: CommandContext,
): Promise<TrainSummary> {
  const { terminal } = context;
  let results: TrainResults | undefined;
  const request = { spec: { ...trainJob(options), environment }, ...job };
  const outcome = await runJob(
    client,
    request,
    {
      accepted(hosts) {
        const nranks = hosts.reduce((total, { devices }) => total + devices, 0);
        results = new TrainResults(options, nranks);
        terminal.progress(`Training on ${nranks} ranks`);
      },
      report(rank, report) {
        const event = results?.add(rank, report);
        if (event === undefined) return;
        const line = renderEpoch(event);
        terminal.result(line);
        terminal.progress(`Training: ${line.trim()}`);
      },
      output: (rank, _stream, text) => terminal.note(`[${rank}] ${text.trimEnd()}`),
    },
    context,
  );
  const failure = failureOfJob(outcome);
  if (failure !== undefined) throw failure;
  const summary = results?.summary();
  if (summary === undefined) {
    throw new HlsimError(
      'HLSIM_INTERNAL',
      'Expected results of every rank but the job ended early',
    );
  }
  terminal.result(renderSummary(summary));
  return summary;
}

/**
 * What must hold of any training: equal weights, and exactly the formula's bytes on the wire.
 *
 * @throws HlsimError `HLSIM_JOB_FAILED`
 */
export function checkTraining({
  weightsIdentical,
  wireBytes,
  wireBytesFormula,
}: TrainSummary): void {
  if (!weightsIdentical) {
    throw new HlsimError(
      'HLSIM_JOB_FAILED',
      'Expected bit-identical weights on all ranks but found different ones',
    );
  }
  if (wireBytes !== wireBytesFormula) {
    throw new HlsimError(
      'HLSIM_JOB_FAILED',
      `Expected ${wireBytesFormula} payload bytes on the wire, by the algorithms' formulas, but found ${wireBytes}`,
    );
  }
}

/**
 * Measures every algorithm that fits on the cluster at hand, one sweep each, for a tuning table. Only
 * algorithms whose restrictions hold for so many ranks are tried; every result is checked.
 */
import type { BenchOptions } from '../bench/options.ts';
import type { BenchRow } from '../bench/results.ts';
import { ALGORITHMS } from '../collectives/algorithms.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../collectives/names.ts';
import { optionsOf } from '../collectives/table.ts';
import type { Topology } from '../collectives/topology.ts';
import type { TuningMeasurement } from '../collectives/tuning-measurements.ts';
import { checkSweep, runSweep } from './bench-run.ts';
import type { CommandContext } from './context.ts';
import type { ClusterClient } from './job-client.ts';

export interface TuneRequest {
  readonly collectives: readonly CollectiveWord[];
  readonly topology: Topology;
  /** Numbers of channels to try. */
  readonly channels: readonly number[];
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly iterations: number;
  readonly job: { readonly hosts: number | undefined; readonly joinTimeoutMs: number };
}

/** One way of carrying a collective out. */
interface Candidate {
  readonly collective: CollectiveWord;
  readonly algorithm: string;
  readonly channels: number;
}

/** @throws HlsimError why a sweep failed, or `HLSIM_JOB_FAILED` if a result was wrong */
export async function measureCandidates(
  client: ClusterClient,
  request: TuneRequest,
  context: CommandContext,
): Promise<readonly TuningMeasurement[]> {
  const candidates = candidatesOf(request);
  const points: TuningMeasurement[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const { collective, algorithm, channels } = candidate;
    context.terminal.progress(
      `${index + 1} of ${candidates.length}: ${collective} ${algorithm} on ${channels} channels`,
    );
    const options = sweepOptions(request, candidate);
    const sweep = await runSweep(client, options, request.job, context, 'quiet');
    checkSweep(sweep, options);
    for (const row of sweep.results.rows) points.push(...pointOf(request, candidate, row));
  }
  return points;
}

/** Every algorithm of every collective, as far as it can be built for these ranks. */
export function candidatesOf({
  collectives,
  topology,
  channels,
}: Pick<TuneRequest, 'collectives' | 'topology' | 'channels'>): readonly Candidate[] {
  return collectives.flatMap((word) => {
    const collective = COLLECTIVE_WORDS[word];
    const fitting = ALGORITHMS.filter((row) => {
      if (!row.collectives.includes(collective)) return false;
      const options = optionsOf({ collective, algorithm: row.name, topology });
      return row.restrictions.every(({ holds }) => holds(options));
    });
    return fitting.flatMap(({ name }) =>
      channels.map((count) => ({ collective: word, algorithm: name, channels: count })),
    );
  });
}

function sweepOptions(
  { minBytes, maxBytes, iterations }: TuneRequest,
  { collective, algorithm, channels }: Candidate,
): BenchOptions {
  return {
    ...{ collective, algorithm, channels, minBytes, maxBytes, iterations },
    stepFactor: 8,
    warmupIterations: 1,
    dataTypes: ['float'],
    reduceOps: ['sum'],
    root: 0,
    check: true,
    digest: false,
    countMultiple: 1,
    places: ['outOfPlace'],
  };
}

function pointOf(
  { topology }: TuneRequest,
  { collective: word, algorithm, channels }: Candidate,
  { size, outOfPlace }: BenchRow,
): TuningMeasurement[] {
  if (outOfPlace === null) return [];
  const { boxes, ranksPerBox } = topology;
  const measured = { bytes: size, seconds: outOfPlace.timeUs / 1e6 };
  const collective = COLLECTIVE_WORDS[word];
  return [{ collective, algorithm, channels, nranks: boxes * ranksPerBox, boxes, ...measured }];
}

/**
 * The collectives that a table has rules for: not messages between two ranks, nor what no rank knows the
 * size of as a whole.
 */
export function tunableCollectives(): readonly CollectiveWord[] {
  const words = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];
  return words.filter((word) => word !== 'sendrecv' && word !== 'alltoall_v');
}

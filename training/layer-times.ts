/**
 * How long each layer computes on this machine. In the steps of a training a submission holds jobs of
 * several layers, so layers are timed by themselves, after the training: one submission at a time, from
 * its call to its end. What a submission costs is in every time. The gradients are all-reduced as in a step, so
 * that a layer meets threads and caches as they are then.
 */
import { defined } from '../common/assert.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../node/device/job.ts';
import type { RankDevice } from './rank-device.ts';
import type { LayerTimes } from './report.ts';
import type { LayerJobs } from './step.ts';
import { submissionsOf } from './submissions.ts';

/** Steps that are timed; the median counts. */
export const TIMED_STEPS = 21;
/** Steps before them, which count for nothing. */
const WARMUP_STEPS = 3;

/** What a rank without rows does while the others time their layers: its part of their all-reduces. */
export async function reduceWithOthers(reduce: LayerTimesInit['reduce']): Promise<void> {
  for (let step = 0; step < WARMUP_STEPS + TIMED_STEPS; step++) await reduce();
}

export interface LayerTimesInit {
  readonly device: Pick<RankDevice, 'run'>;
  readonly clock: Clock;
  readonly layers: LayerJobs;
  readonly update: readonly Job[];
  /** What a step of the training does after the backward pass and before the update; not timed. */
  reduce(): Promise<unknown>;
}

/** Runs forward, backward and update again and again; gradients and parameters are of no use afterwards. */
export async function measureLayers({
  device,
  clock,
  layers: { forward, backward },
  update,
  reduce,
}: LayerTimesInit): Promise<LayerTimes> {
  const order = [...forward, ...backward.toReversed(), update];
  const samples = order.map((): number[] => []);
  for (let step = 0; step < WARMUP_STEPS + TIMED_STEPS; step++) {
    for (const [index, jobs] of order.entries()) {
      if (jobs === update) await reduce();
      const startMs = clock.now();
      for (const part of submissionsOf(jobs)) await device.run(part);
      if (step >= WARMUP_STEPS) samples[index]?.push(clock.now() - startMs);
    }
  }
  const medians = samples.map(medianOf);
  const backwards = medians.slice(forward.length, -1).toReversed();
  return {
    layers: backwards.map((backwardMs, index) => ({
      forwardMs: defined(medians[index], `the time of layer ${index}`),
      backwardMs,
    })),
    updateMs: defined(medians.at(-1), 'the time of the update'),
  };
}

/** Of at least one: the middle one, or the lower of two. */
export function medianOf(values: readonly number[]): number {
  const ascending = values.toSorted((a, b) => a - b);
  return defined(ascending[Math.ceil(ascending.length / 2) - 1], 'a value');
}

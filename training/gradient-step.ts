/**
 * The gradients of one step, computed and summed over the ranks. The device always has the next
 * submissions in its queue; a bucket whose last one has ended is all-reduced:
 *
 *     overlap on     device  | bucket 0 | bucket 1 | bucket 2 |
 *                    stream             | reduce 0 | reduce 1 | reduce 2 |
 *
 *     overlap off    device  | bucket 0 | bucket 1 | bucket 2 |
 *                    stream                                   | reduce 0 | reduce 1 | reduce 2 |
 *
 * Both make the same calls on the same ranges in the same order, and so give the same bits.
 */
import { defined } from '../common/assert.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../node/device/job.ts';
import type { BucketReducer } from './bucket-reducer.ts';
import type { RankDevice } from './rank-device.ts';
import { submissionsOf } from './submissions.ts';

/** Whether buckets are reduced while later ones are computed. */
export const OVERLAPS = ['on', 'off'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** Where the time of steps went, in milliseconds of one rank. */
export interface StepTimes {
  /** From the submission of work to the end of the last of it. */
  readonly computeMs: number;
  /** While the communication stream had something to do; beside computing or not. */
  readonly communicationMs: number;
  /** Of it, what was left when there was nothing to compute any more: the wait. */
  readonly exposedMs: number;
}

export interface StepInit {
  readonly device: Pick<RankDevice, 'submit' | 'wait'>;
  readonly reducer: Pick<BucketReducer, 'begin' | 'finish'>;
  readonly clock: Clock;
}

/** Enough that the device never waits for the program, few enough that others get their turns. */
const SUBMISSIONS_AHEAD = 2;

/** One submission; `bucket` is complete after it. */
interface Part {
  readonly jobs: readonly Job[];
  readonly bucket: number | undefined;
}

/**
 * Runs the jobs of each bucket and reduces it. Throws the first failure of the device or of a reduction;
 * the gradients are of no use then.
 */
export async function summedGradients(
  { device, reducer, clock }: StepInit,
  jobsOfBuckets: readonly (readonly Job[])[],
  overlap: Overlap,
): Promise<StepTimes> {
  const startMs = clock.now();
  const parts = jobsOfBuckets.flatMap(partsOf);
  const submitted: Promise<number>[] = [];
  for (const [index, { bucket }] of parts.entries()) {
    for (const { jobs } of parts.slice(submitted.length, index + 1 + SUBMISSIONS_AHEAD)) {
      submitted.push(submitQuietly(device, jobs));
    }
    const sequence = await defined(submitted[index], `submission ${index}`);
    if (bucket === undefined) continue;
    await device.wait(sequence);
    if (overlap === 'on') reducer.begin(bucket);
  }
  const computedMs = clock.now();
  if (overlap === 'off') for (const index of jobsOfBuckets.keys()) reducer.begin(index);
  const communicationMs = await reducer.finish();
  return {
    computeMs: computedMs - startMs,
    communicationMs,
    exposedMs: clock.now() - computedMs,
  };
}

function partsOf(jobs: readonly Job[], bucket: number): Part[] {
  const submissions = submissionsOf(jobs);
  return submissions.map((part, index) => ({
    jobs: part,
    bucket: index === submissions.length - 1 ? bucket : undefined,
  }));
}

/** When one before it fails nobody asks for this one any more. */
function submitQuietly(device: StepInit['device'], jobs: readonly Job[]): Promise<number> {
  const submission = device.submit(jobs);
  submission.catch(() => undefined);
  return submission;
}

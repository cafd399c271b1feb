/**
 * Chunks made as large as the largest, so that ranks are alike: what makes sizes that the chunks do not divide
 * predictable on thousands of ranks.
 */
import { isSchedule } from '../engine/prepare.ts';
import { evenChunk } from '../engine/slice-sizes.ts';
import type { PredictionRequest } from '../prediction.ts';
import type { WorkSizes } from './work-size.ts';

/** Steps of all ranks from which on unlike ranks are made alike: building and simulating them takes tens of seconds. */
export const STEPS_OF_UNLIKE_MAX = 500_000;

/**
 * `request` with every chunk as large as the largest, where its ranks are unlike for the sizes of chunks alone and
 * too many for each to be simulated; else as it is. Chunks of a call differ by an element at most, so none
 * becomes larger by more.
 */
export function padded(request: PredictionRequest, sizes: WorkSizes): PredictionRequest {
  const { work, counts, ranks } = request;
  const isLeft = ranks === 'exact' || !isSchedule(work) || work.alike === undefined;
  if (isLeft || typeof counts !== 'number' || evenChunk(work, counts) !== undefined) return request;
  if (sizes.of(request).stepsBuilt <= STEPS_OF_UNLIKE_MAX) return request;
  const unit = work.chunks * (work.collective === 'allToAll' ? work.nranks : 1);
  return { ...request, counts: Math.ceil(counts / unit) * unit };
}

/**
 * The time of one step of data-parallel training on one of many equal ranks:
 *
 *     overlap on     device  | forward | backward 2 | backward 1 | backward 0 |         | update |
 *                    stream                         | reduce 2   | reduce 1 | reduce 0 |
 *                                                                           | exposed |
 *
 * All ranks compute equally long. Buckets go one after the other on one stream, in the order in which they
 * are complete, and an all-reduce takes no time from computing, nor computing from it.
 */
import { defined } from '../../common/assert.ts';
import type { StepBucket } from './step-buckets.ts';
import type { TrainingModel } from './training-model.ts';

export interface StepRequest {
  readonly model: TrainingModel;
  readonly buckets: readonly StepBucket[];
  readonly overlap: boolean;
  /** Seconds of an all-reduce of so many elements. */
  readonly reduceSeconds: (elements: number) => number;
}

export interface BucketTime {
  readonly elements: number;
  /** When its gradients are complete; all times from the beginning of the step. */
  readonly readySeconds: number;
  readonly beginSeconds: number;
  readonly endSeconds: number;
}

export interface StepTime {
  readonly stepSeconds: number;
  /** Forward, backward, update: the step on one rank alone. */
  readonly computeSeconds: number;
  /** Of all all-reduces, beside computing or not. */
  readonly communicationSeconds: number;
  /** Of it, what is left when there is nothing to compute any more. */
  readonly exposedSeconds: number;
  /** `computeSeconds` by `stepSeconds`: what part of its time a rank computes. 1 for a step that takes none. */
  readonly efficiency: number;
  readonly buckets: readonly BucketTime[];
}

export function stepTime({ model, buckets, overlap, reduceSeconds }: StepRequest): StepTime {
  const { layers, updateSeconds } = model;
  const forward = layers.reduce((sum, { forwardSeconds }) => sum + forwardSeconds, 0);
  const readyAt = readyTimes(model, forward);
  const computed = readyAt.end;
  let streamFree = 0;
  let communicationSeconds = 0;
  const times = buckets.map(({ layers: own, elements }): BucketTime => {
    const ready = own.map((layer) => defined(readyAt.layers[layer], `layer ${layer}`));
    const readySeconds = overlap ? Math.max(...ready) : computed;
    const beginSeconds = Math.max(readySeconds, streamFree);
    const seconds = reduceSeconds(elements);
    communicationSeconds += seconds;
    streamFree = beginSeconds + seconds;
    return { elements, readySeconds, beginSeconds, endSeconds: streamFree };
  });
  const exposedSeconds = Math.max(0, streamFree - computed);
  const computeSeconds = computed + updateSeconds;
  const stepSeconds = computeSeconds + exposedSeconds;
  return {
    stepSeconds,
    computeSeconds,
    communicationSeconds,
    exposedSeconds,
    efficiency: stepSeconds === 0 ? 1 : computeSeconds / stepSeconds,
    buckets: times,
  };
}

/** When the gradients of each layer are complete, and when the backward pass ends. */
function readyTimes(
  { layers }: TrainingModel,
  forward: number,
): { readonly layers: readonly number[]; readonly end: number } {
  const ready = new Array<number>(layers.length).fill(0);
  let now = forward;
  for (const [index, { backwardSeconds }] of [...layers.entries()].reverse()) {
    now += backwardSeconds;
    ready[index] = now;
  }
  const end = now;
  return { layers: layers.map(({ overlap }, index) => (overlap ? (ready[index] ?? 0) : end)), end };
}

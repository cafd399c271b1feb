/**
 * Gradient buckets as `training/buckets.ts` forms them: the layers from the last one on, cut into pieces that
 * are all-reduced as soon as they are complete (Li et al., "PyTorch Distributed", VLDB 2020, section 3.2).
 */
import { ELEMENT_TYPES } from '../../collectives/arithmetic.ts';
import type { TrainingModel } from './training-model.ts';

export interface StepBucket {
  /** Numbers of its layers in the model, downwards. */
  readonly layers: readonly number[];
  /** What is all-reduced in one call. */
  readonly elements: number;
}

/**
 * In the order in which they are complete. A bucket takes layers while it has at most `bucketBytes`, and at
 * least one; the first has the metrics too.
 */
export function stepBuckets(model: TrainingModel, bucketBytes: number): readonly StepBucket[] {
  const { bytes } = ELEMENT_TYPES[model.elementType];
  const buckets: StepBucket[] = [];
  let layers: number[] = [];
  let elements = model.metrics;
  for (const [index, { parameters }] of [...model.layers.entries()].reverse()) {
    const isFull = (elements + parameters) * bytes > bucketBytes;
    if (isFull && layers.length > 0) {
      buckets.push({ layers, elements });
      layers = [];
      elements = 0;
    }
    layers.push(index);
    elements += parameters;
  }
  return [...buckets, { layers, elements }];
}

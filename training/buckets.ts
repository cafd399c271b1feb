/**
 * Gradient buckets: the gradients in the order in which a backward pass finds them, the last layer's
 * first, cut into pieces that are all-reduced as soon as they are complete while the pass goes on with
 * earlier layers (Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
 * VLDB 2020, section 3.2). Pure: every rank cuts alike.
 */
import { METRIC_COUNT, type Model } from './model.ts';

/** Bytes of a float32. */
export const FLOAT_BYTES = 4;

/** A range of the gradients' buffer that is all-reduced in one call. */
export interface Bucket {
  /** Numbers of its layers in the model, in the order of the backward pass: downwards. */
  readonly layers: readonly number[];
  /** Elements before it. */
  readonly offset: number;
  /** Elements in it. */
  readonly count: number;
}

/**
 * The buckets in the order in which they are complete. A layer's weights and bias stay together; a bucket
 * takes layers while it holds at most `bucketBytes`, and at least one. The first has the metrics too,
 * which the forward pass leaves behind.
 */
export function gradientBuckets(model: Model, bucketBytes: number): readonly Bucket[] {
  const buckets: Bucket[] = [];
  let layers: number[] = [];
  let end = model.gradientCount;
  let offset = end - METRIC_COUNT;
  for (const [index, { weights }] of [...model.layers.entries()].reverse()) {
    const isFull = (end - weights.offset) * FLOAT_BYTES > bucketBytes;
    if (isFull && layers.length > 0) {
      buckets.push({ layers, offset, count: end - offset });
      layers = [];
      end = offset;
    }
    layers.push(index);
    ({ offset } = weights);
  }
  return [...buckets, { layers, offset, count: end - offset }];
}

/**
 * Test data of a sweep as jobs for the device: inputs that differ by rank and by element, and the
 * comparison of every element of a result. Pure.
 */
import type { KernelJob, Tensor } from '../node/device/job.ts';
import type { BenchBuffers } from './buffers.ts';
import type { BenchCollective } from './busbw.ts';
import { ELEMENT_BYTES } from './sizes.ts';

export type Place = 'outOfPlace' | 'inPlace';

/** What one rank's input holds: `pattern_f32` of (rank, seed), elements 0 to `count`. */
export interface Pattern {
  readonly collective: BenchCollective;
  /** Elements of the vector (all_reduce) or of one rank's block (all_gather). */
  readonly count: number;
  readonly place: Place;
  readonly seed: number;
  readonly rank: number;
  readonly nranks: number;
}

/** In no pattern and in no sum of patterns: an element that nobody wrote is wrong. */
const UNWRITTEN = -1e30;

/** Fills the input with the pattern, the rest of the result with what is always wrong. */
export function prepareJobs(buffers: BenchBuffers, pattern: Pattern): KernelJob[] {
  const { collective, count, place, seed, rank, nranks } = pattern;
  if (count === 0) return [];
  const blocks = collective === 'all_gather' ? nranks : 1;
  const result = floats(buffers.recv, blocks * count);
  const ownBlock = collective === 'all_gather' ? rank : 0;
  const input = place === 'inPlace' ? block(buffers, ownBlock, count) : floats(buffers.send, count);
  return [
    kernel('fill_f32', [result], [UNWRITTEN]),
    kernel('pattern_f32', [input], [rank, seed, 0]),
  ];
}

/** Counts, into the counter, the elements that are not bit for bit what they must be. */
export function checkJobs(buffers: BenchBuffers, pattern: Pattern): KernelJob[] {
  const { collective, count, seed, nranks } = pattern;
  const counter = floats(buffers.counter, 1);
  // The bits of 0 are the same as an integer and as a float.
  const clear = kernel('fill_f32', [counter], [0]);
  if (count === 0) return [clear];
  if (collective === 'all_reduce') {
    const sum = block(buffers, 0, count);
    return [clear, kernel('check_sum_pattern_f32', [sum, counter], [nranks, seed, 0])];
  }
  const blocks = Array.from({ length: nranks }, (_, rank) =>
    kernel('check_pattern_f32', [block(buffers, rank, count), counter], [rank, seed, 0]),
  );
  return [clear, ...blocks];
}

/** Block `index` of the result. */
function block({ recv }: BenchBuffers, index: number, count: number): Tensor {
  return floats(recv + index * count * ELEMENT_BYTES, count);
}

function floats(address: number, count: number): Tensor {
  return { address, bytes: count * ELEMENT_BYTES };
}

function kernel(
  name: KernelJob['kernel'],
  tensors: readonly Tensor[],
  scalars: readonly number[],
): KernelJob {
  return { kind: 'kernel', kernel: name, tensors, scalars };
}

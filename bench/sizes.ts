/** The sizes of a sweep, stepped and rounded as nccl-tests does (src/common.cu, src/all_gather.cu). */
import { assert } from '../common/assert.ts';
import type { BenchOptions } from './options.ts';

/** Bytes of a float32, the one element type. */
export const ELEMENT_BYTES = 4;
/** all_gather keeps every rank's block a multiple of this, as nccl-tests does. */
const BLOCK_ALIGNMENT_BYTES = 16;

export interface BenchSize {
  /** Of the whole array: everything that is gathered, for all_gather. */
  readonly bytes: number;
  /** Elements that the call is given: of the vector, or of one rank's block. */
  readonly count: number;
}

type SweepOptions = Pick<
  BenchOptions,
  'collective' | 'minBytes' | 'maxBytes' | 'stepFactor' | 'stepBytes'
>;

/**
 * Every size from `minBytes` to `maxBytes`. A size that is no whole number of elements (for all_gather:
 * of 16-byte blocks on each rank) is rounded down, to 0 if need be: then nothing moves and the time is
 * that of the call alone.
 */
export function benchSizes(options: SweepOptions, nranks: number): readonly BenchSize[] {
  const sizes: BenchSize[] = [];
  for (let bytes = options.minBytes; bytes <= options.maxBytes; bytes = next(bytes, options)) {
    sizes.push(roundedSize(options.collective, bytes, nranks));
  }
  return sizes;
}

function next(bytes: number, { stepFactor, stepBytes }: SweepOptions): number {
  const following = stepFactor === undefined ? bytes + (stepBytes ?? 0) : bytes * stepFactor;
  assert(following > bytes, `Expected a step that makes ${bytes} larger`);
  return following;
}

function roundedSize(
  collective: BenchOptions['collective'],
  bytes: number,
  nranks: number,
): BenchSize {
  const elements = Math.floor(bytes / ELEMENT_BYTES);
  if (collective === 'all_reduce') return { bytes: elements * ELEMENT_BYTES, count: elements };
  const alignment = BLOCK_ALIGNMENT_BYTES / ELEMENT_BYTES;
  const count = Math.floor(elements / nranks / alignment) * alignment;
  return { bytes: count * nranks * ELEMENT_BYTES, count };
}

/**
 * The two bandwidths of nccl-tests (doc/PERFORMANCE.md there). S is the size of the whole array: of the
 * vector for all_reduce, of everything that is gathered for all_gather. n is the number of ranks.
 *
 *     algbw = S / t              how fast the caller sees the operation
 *     busbw = algbw x factor     the least bandwidth that each rank's link must have had for it
 */

/** nccl-tests counts in powers of ten: 1 GB = 1e9 B. */
const BYTES_PER_GB = 1e9;
const MICROSECONDS_PER_SECOND = 1e6;

export type BenchCollective = 'all_reduce' | 'all_gather';

/**
 * What busbw is in terms of algbw, from the bytes that must cross the n ranks' links of bandwidth B.
 *
 * - all_reduce: of each element, n - 1 inputs must reach the place where they are added and the sum
 *   must reach n - 1 others: 2(n - 1) transfers of S bytes over n links, so t >= 2(n - 1)/n x S/B.
 * - all_gather: each of the n blocks of S/n bytes must reach n - 1 others: (n - 1) x S bytes over n
 *   links, so t >= (n - 1)/n x S/B.
 *
 * Solved for B. One rank moves nothing: factor 0.
 */
export function busBandwidthFactor(collective: BenchCollective, nranks: number): number {
  const transfersPerElement = { all_reduce: 2 * (nranks - 1), all_gather: nranks - 1 };
  return transfersPerElement[collective] / nranks;
}

/** GB/s; 0 for an operation of no bytes. */
export function algorithmBandwidth(bytes: number, timeUs: number): number {
  if (bytes === 0) return 0;
  return bytes / BYTES_PER_GB / (timeUs / MICROSECONDS_PER_SECOND);
}

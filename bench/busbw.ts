/**
 * The two bandwidths of nccl-tests (doc/PERFORMANCE.md there). S is the size of the whole array: of the
 * vector for all_reduce, of everything that is gathered for all_gather. n is the number of ranks.
 *
 *     algbw = S / t              how fast the caller sees the operation
 *     busbw = algbw x factor     the least bandwidth that each rank's link must have had for it
 */
import type { CollectiveWord } from '../collectives/names.ts';

/** nccl-tests counts in powers of ten: 1 GB = 1e9 B. */
const BYTES_PER_GB = 1e9;
const MICROSECONDS_PER_SECOND = 1e6;

/** Times that each element crosses a link, all ranks together, for n ranks. */
const TRANSFERS_PER_ELEMENT: Readonly<Record<CollectiveWord, (nranks: number) => number>> = {
  all_reduce: (n) => 2 * (n - 1),
  all_gather: (n) => n - 1,
  all_gather_v: (n) => n - 1,
  reduce_scatter: (n) => n - 1,
  reduce_scatter_v: (n) => n - 1,
  alltoall: (n) => n - 1,
  alltoall_v: (n) => n - 1,
  gather: (n) => n - 1,
  scatter: (n) => n - 1,
  broadcast: (n) => n,
  reduce: (n) => n,
  sendrecv: (n) => n,
  barrier: () => 0,
};

/**
 * What busbw is in terms of algbw, from the bytes that must cross the n ranks' links of bandwidth B.
 *
 * - all_reduce: of each element, n - 1 inputs must reach the place where they are added and the sum
 *   must reach n - 1 others: 2(n - 1) transfers of S bytes over n links, so t >= 2(n - 1)/n x S/B.
 * - all_gather, reduce_scatter, alltoall: each of the n blocks of S/n bytes must reach, or be made of
 *   what comes from, n - 1 others: (n - 1) x S bytes over n links, so t >= (n - 1)/n x S/B.
 * - gather, scatter: n - 1 blocks of S/n bytes cross the root's link.
 * - broadcast, reduce, sendrecv: S bytes cross one link, so t >= S/B.
 *
 * Solved for B. One rank moves nothing: factor 0, but for what crosses one link whatever n is.
 */
export function busBandwidthFactor(collective: CollectiveWord, nranks: number): number {
  return TRANSFERS_PER_ELEMENT[collective](nranks) / nranks;
}

/** GB/s; 0 for an operation of no bytes. */
export function algorithmBandwidth(bytes: number, timeUs: number): number {
  if (bytes === 0) return 0;
  return bytes / BYTES_PER_GB / (timeUs / MICROSECONDS_PER_SECOND);
}

/**
 * The test pattern of the `pattern_f32` kernels, written once more in TypeScript: what element `index`
 * of rank `rank` holds. An integer hash (Wellons, "Prospecting for hash functions", 2018: lowbias32)
 * whose top ten bits are taken, so that a chunk at a wrong place or from a wrong rank shows.
 *
 * Values are integers in [-512, 511]: the sum over up to 1024 ranks stays within 2^19, so float32
 * adds it up exactly, in any order.
 */

/** More ranks than this and float32 sums of the pattern might be rounded. */
export const PATTERN_RANKS_MAX = 1024;

/** Index, rank and seed are unsigned 32-bit integers. */
export function patternElement(index: number, rank: number, seed: number): number {
  return (patternHash(index, rank, seed) >>> 22) - 512;
}

/** The hash itself, an unsigned 32-bit integer: what other test data is made of, too. */
export function patternHash(index: number, rank: number, seed: number): number {
  let x = Math.imul(index, 0x9e3779b1) + Math.imul(rank, 0x85ebca77) + Math.imul(seed, 0xc2b2ae3d);
  x |= 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  return Math.imul(x, 0x846ca68b) >>> 0;
}

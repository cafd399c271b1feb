/**
 * What hlsim's ranks give and must get when a result is checked: the same as `openmpi-contestant.c` and
 * `gloo_contestant.py` have it. Different on every rank and, within a prime period, for every element;
 * sums over the ranks are integers that float32 holds exactly.
 */
import { assert } from '../../common/assert.ts';
import type { PeerCollective } from './sweep.ts';

/** A prime: a part that lands at a wrong place of a power of two shows. */
const PERIOD = 8191;
/** Integers up to this are exact in float32. */
const EXACT_MAX = 2 ** 24;

/** Element `index` of what a rank gives. */
export function operand(rank: number, index: number): number {
  return (index % PERIOD) * (rank + 1) + rank;
}

/** Element `index` of the sum over ranks 0 to `ranks` - 1. */
export function sumOfOperands(ranks: number, index: number): number {
  const sum = (index % PERIOD) * ((ranks * (ranks + 1)) / 2) + (ranks * (ranks - 1)) / 2;
  assert(sum <= EXACT_MAX, `Expected few enough ranks for exact sums but found ${ranks}`);
  return sum;
}

/** Element `index` of the whole array before the call, in place; what the call must not read is -1. */
export function given(
  collective: PeerCollective,
  { rank, ranks, count }: { readonly rank: number; readonly ranks: number; readonly count: number },
  index: number,
): number {
  if (collective === 'all_reduce') return operand(rank, index);
  const block = count / ranks;
  return Math.floor(index / block) === rank ? operand(rank, index % block) : -1;
}

/** Element `index` of the whole array after the call. */
export function expected(
  collective: PeerCollective,
  { ranks, count }: { readonly ranks: number; readonly count: number },
  index: number,
): number {
  if (collective === 'all_reduce') return sumOfOperands(ranks, index);
  const block = count / ranks;
  return operand(Math.floor(index / block), index % block);
}

/** Median and range, of times and of ratios. */
import { assert, defined } from '../../common/assert.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of an even number of values, the median is the mean of the middle two. `undefined`: of none. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const upper = Math.floor(sorted.length / 2);
  const lower = sorted.length % 2 === 0 ? upper - 1 : upper;
  const at = (index: number): number => defined(sorted[index], `value ${index}`);
  return {
    median: (at(lower) + at(upper)) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}

/**
 * How often hlsim is as fast as the peer, round by round: the peer's time through hlsim's of the same
 * round, above 1 where hlsim is faster. A round that either did not finish has none.
 */
export function ratiosOf(
  hlsim: readonly (number | null)[],
  peer: readonly (number | null)[],
): readonly number[] {
  assert(hlsim.length === peer.length, 'Expected the rounds of both');
  return hlsim.flatMap((own, round) => {
    const other = peer[round] ?? null;
    return own === null || other === null ? [] : [other / own];
  });
}

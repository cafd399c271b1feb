/**
 * Random factors that depend on the seed and on what they are for alone, not on the order in which they are asked
 * for. Mixed as MurmurHash3 does in the end (Appleby, public domain).
 */
import type { Jitter } from '../prediction.ts';

/** A factor of 1 + fraction * x, x exponential with mean 1, for each pair of numbers. */
export type DelayFactor = (first: number, second: number) => number;

export function delayFactor({ seed, fraction }: Jitter): DelayFactor {
  const start = mix(Math.trunc(seed / 2 ** 32) ^ 0x5bd1e995, seed | 0);
  return (first, second) => {
    const bits = mix(mix(start, first), second) >>> 0;
    return 1 - fraction * Math.log((bits + 0.5) / 2 ** 32);
  };
}

function mix(state: number, word: number): number {
  let bits = Math.imul(state ^ word, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits + 0x9e3779b9, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

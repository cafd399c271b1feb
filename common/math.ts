/** Small integer mathematics that schedules, slices and tables share. */
import { assert } from './assert.ts';

/** Remainder with the sign of the divisor: `modulo(-1, 4) === 3`. */
export function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}

/** `[0, 1, ..., nranks - 1]`. */
export function ranksOf(nranks: number): number[] {
  return Array.from({ length: nranks }, (_, rank) => rank);
}

/** Smallest k with 2^k >= value; 0 for value 1. */
export function ceilLog2(value: number): number {
  assert(value >= 1, `Expected a value of at least 1 but found ${value}`);
  return value === 1 ? 0 : 32 - Math.clz32(value - 1);
}

/** Largest k with 2^k <= value. */
export function floorLog2(value: number): number {
  assert(value >= 1, `Expected a value of at least 1 but found ${value}`);
  return 31 - Math.clz32(value);
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
}

/** `value` rounded up to a multiple of `step`. */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

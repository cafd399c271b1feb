import { describe, expect, it } from 'vitest';
import { algorithmBandwidth, busBandwidthFactor } from '../../bench/busbw.ts';
import type { CollectiveWord } from '../../collectives/names.ts';

/** For 1, 2, 4 and 8 ranks, as doc/PERFORMANCE.md of nccl-tests has them. */
const FACTORS: Readonly<Record<CollectiveWord, readonly number[]>> = {
  all_reduce: [0, 1, 1.5, 1.75],
  all_gather: [0, 0.5, 0.75, 0.875],
  reduce_scatter: [0, 0.5, 0.75, 0.875],
  alltoall: [0, 0.5, 0.75, 0.875],
  gather: [0, 0.5, 0.75, 0.875],
  scatter: [0, 0.5, 0.75, 0.875],
  broadcast: [1, 1, 1, 1],
  reduce: [1, 1, 1, 1],
  sendrecv: [1, 1, 1, 1],
  // Not of nccl-tests.
  barrier: [0, 0, 0, 0],
  all_gather_v: [0, 0.5, 0.75, 0.875],
  reduce_scatter_v: [0, 0.5, 0.75, 0.875],
  alltoall_v: [0, 0.5, 0.75, 0.875],
};

describe('busBandwidthFactor()', () => {
  it.each(Object.entries(FACTORS))('of %s', (collective, factors) => {
    const found = [1, 2, 4, 8].map((n) => busBandwidthFactor(collective as CollectiveWord, n));
    expect(found).toEqual(factors);
  });
});

describe('algorithmBandwidth()', () => {
  it('is bytes over time in units of 1e9 bytes per second', () => {
    expect(algorithmBandwidth(1_000_000, 1000)).toBe(1);
    expect(algorithmBandwidth(134_217_728, 5000)).toBeCloseTo(26.8435456, 12);
  });

  it('of nothing is 0', () => {
    expect(algorithmBandwidth(0, 5)).toBe(0);
  });
});

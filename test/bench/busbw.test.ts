import { describe, expect, it } from 'vitest';
import { algorithmBandwidth, busBandwidthFactor } from '../../bench/busbw.ts';

describe('busBandwidthFactor()', () => {
  it('of all_reduce is 2(n-1)/n', () => {
    const factors = [1, 2, 4, 8].map((nranks) => busBandwidthFactor('all_reduce', nranks));
    expect(factors).toEqual([0, 1, 1.5, 1.75]);
  });

  it('of all_gather is (n-1)/n', () => {
    const factors = [1, 2, 4, 8].map((nranks) => busBandwidthFactor('all_gather', nranks));
    expect(factors).toEqual([0, 0.5, 0.75, 0.875]);
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

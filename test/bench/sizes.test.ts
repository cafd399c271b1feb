import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { benchSizes } from '../../bench/sizes.ts';

const sizesOf = (...given: Parameters<typeof benchSizes>) =>
  benchSizes(...given).map(({ bytes }) => bytes);

describe('benchSizes()', () => {
  it('multiplies by the factor up to and including the largest', () => {
    const options = {
      collective: 'all_reduce',
      minBytes: 8,
      maxBytes: 4096,
      stepFactor: 8,
    } as const;
    expect(sizesOf(options, 4)).toEqual([8, 64, 512, 4096]);
    expect(sizesOf({ ...options, maxBytes: 4095 }, 4)).toEqual([8, 64, 512]);
  });

  it('adds the step', () => {
    const options = {
      collective: 'all_reduce',
      minBytes: 1024,
      maxBytes: 4000,
      stepBytes: 1024,
    } as const;
    expect(sizesOf(options, 2)).toEqual([1024, 2048, 3072]);
  });

  it('is one size where smallest and largest are equal', () => {
    const options = { collective: 'all_reduce', minBytes: 64, maxBytes: 64, stepBytes: 1 } as const;
    expect(benchSizes(options, 2)).toEqual([{ bytes: 64, count: 16 }]);
  });

  it('rounds all_reduce down to whole elements', () => {
    const options = { collective: 'all_reduce', minBytes: 3, maxBytes: 11, stepBytes: 4 } as const;
    expect(benchSizes(options, 2)).toEqual([
      { bytes: 0, count: 0 },
      { bytes: 4, count: 1 },
      { bytes: 8, count: 2 },
    ]);
  });

  it('rounds all_gather down to blocks of 16 bytes on each rank, as nccl-tests does', () => {
    const options = {
      collective: 'all_gather',
      minBytes: 8,
      maxBytes: 512,
      stepFactor: 8,
    } as const;
    expect(benchSizes(options, 3)).toEqual([
      { bytes: 0, count: 0 },
      { bytes: 48, count: 4 },
      { bytes: 480, count: 40 },
    ]);
  });

  it('never exceeds what was asked for, and all_gather gives every rank the same', () => {
    const bytes = fc.integer({ min: 1, max: 1e9 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 64 }), (asked, nranks) => {
        const range = { minBytes: asked, maxBytes: asked, stepFactor: 2 };
        const [gather] = benchSizes({ collective: 'all_gather', ...range }, nranks);
        const [reduce] = benchSizes({ collective: 'all_reduce', ...range }, nranks);
        expect(gather?.bytes).toBe((gather?.count ?? -1) * 4 * nranks);
        expect(gather?.bytes).toBeLessThanOrEqual(asked);
        expect(gather?.bytes).toBeGreaterThan(asked - 4 - 16 * nranks);
        expect(reduce?.bytes).toBe(asked - (asked % 4));
      }),
    );
  });
});

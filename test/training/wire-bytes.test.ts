import { describe, expect, it } from 'vitest';
import { METRIC_COUNT, modelOf } from '../../training/model.ts';
import { trainOptions } from '../../training/options.ts';
import { trainingCalls, wireBytes } from '../../training/wire-bytes.ts';

describe('trainingCalls()', () => {
  it('are one broadcast, one all-reduce for each batch and one for each evaluation', () => {
    const { parameterCount, gradientCount } = modelOf([32]);
    const calls = trainingCalls(trainOptions({ epochs: 3 }), 1437);
    expect(calls).toEqual([
      { collective: 'broadcast', count: parameterCount, times: 1 },
      { collective: 'allReduce', count: gradientCount, times: 3 * 23 },
      { collective: 'allReduce', count: METRIC_COUNT, times: 3 },
    ]);
  });

  it('are one all-reduce for each batch and bucket, the last layers first', () => {
    const calls = trainingCalls(
      trainOptions({ epochs: 1, hidden: [256, 128], bucketBytes: 100_000 }),
      64,
    );
    expect(calls.slice(1, -1)).toEqual([
      { collective: 'allReduce', count: 128 * 10 + 10 + METRIC_COUNT, times: 1 },
      { collective: 'allReduce', count: 256 * 128 + 128, times: 1 },
      { collective: 'allReduce', count: 64 * 256 + 256, times: 1 },
    ]);
  });
});

/** Against the closed forms of the papers, where those have no remainder. */
describe('wireBytes()', () => {
  it('of a broadcast is the vector once for every rank but the root', () => {
    for (const nranks of [1, 2, 3, 4, 5, 8]) {
      const calls = [{ collective: 'broadcast', count: 1001, times: 2 }] as const;
      expect(wireBytes(calls, nranks, 'ws')).toBe(2 * 4 * 1001 * (nranks - 1));
    }
  });

  it('of a small all-reduce on 2^k ranks is the vector k times from every rank, or to every other', () => {
    for (const [nranks, rounds] of [
      [1, 0],
      [2, 1],
      [4, 3],
      [8, 3],
    ] as const) {
      const calls = [{ collective: 'allReduce', count: METRIC_COUNT, times: 1 }] as const;
      expect(wireBytes(calls, nranks, 'ws')).toBe(4 * METRIC_COUNT * rounds * nranks);
    }
  });

  it('of a large all-reduce is 2 (p - 1) times the vector for all ranks together', () => {
    for (const nranks of [1, 2, 3, 4, 5, 8]) {
      const calls = [{ collective: 'allReduce', count: 100_003, times: 5 }] as const;
      expect(wireBytes(calls, nranks, 'ws')).toBe(5 * 2 * (nranks - 1) * 4 * 100_003);
    }
  });

  it('through shared memory is that of the algorithms which are pulled', () => {
    const small = [{ collective: 'allReduce', count: METRIC_COUNT, times: 1 }] as const;
    const large = [{ collective: 'allReduce', count: 100_003, times: 1 }] as const;
    for (const nranks of [2, 4, 8]) {
      expect(wireBytes(small, nranks, 'p2p')).toBe(4 * METRIC_COUNT * (nranks - 1) * nranks);
      expect(wireBytes(large, nranks, 'p2p')).toBe(2 * (nranks - 1) * 4 * 100_003);
    }
  });

  it('of several calls is their sum', () => {
    const one = { collective: 'allReduce', count: 7, times: 3 } as const;
    const two = { collective: 'broadcast', count: 9, times: 2 } as const;
    expect(wireBytes([one, two], 3, 'ws')).toBe(
      wireBytes([one], 3, 'ws') + wireBytes([two], 3, 'ws'),
    );
    expect(wireBytes([], 3, 'ws')).toBe(0);
  });
});

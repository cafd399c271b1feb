import { describe, expect } from 'vitest';
import {
  ringAllGather,
  ringAllReduce,
  ringReduceScatter,
} from '../../../collectives/algorithms/ring.ts';
import { CASES, scheduleOf } from '../support.ts';
import { claim, expectCost, expectSameBits, messageRounds, payloadOf, RANKS } from './claims.ts';

const FILE = 'ring.ts';

describe('ring all-reduce', () => {
  claim(FILE, 'Cost: 2(p-1)·α + 2·(p-1)/p·n·β + (p-1)/p·n·γ Good: large messages', () => {
    for (const nranks of RANKS) {
      const share = (nranks - 1) / nranks;
      expectCost(ringAllReduce({ nranks }), [2 * (nranks - 1), 2 * share, share]);
    }
  });

  claim(FILE, 'No all-reduce sends fewer bytes.', () => {
    for (const nranks of [2, 4, 7]) {
      const least = payloadOf(ringAllReduce({ nranks }));
      expect(least).toBeCloseTo(2 * (nranks - 1), 9);
      for (const one of CASES.filter(({ collective }) => collective === 'allReduce')) {
        const schedule = scheduleOf(one, { nranks });
        if (schedule === undefined) continue;
        expect(payloadOf(schedule), one.algorithm).toBeGreaterThanOrEqual(least - 1e-9);
      }
    }
  });

  claim(
    FILE,
    'In every round each rank sends one block to its right-hand neighbour and takes one from its left.',
    () => {
      const nranks = 5;
      for (const round of messageRounds(ringAllReduce({ nranks }))) {
        expect(round.map(({ src }) => src)).toEqual([0, 1, 2, 3, 4]);
        for (const { src, dst, count } of round) {
          expect(dst).toBe((src + 1) % nranks);
          expect(count).toBe(1);
        }
      }
    },
  );

  claim(
    FILE,
    'Every block is summed in one order, around the ring, and then copied: all ranks hold the same bits.',
    () => {
      for (const nranks of RANKS) expectSameBits(ringAllReduce({ nranks }));
    },
  );
});

describe('ring all-gather', () => {
  claim(FILE, 'Cost: (p-1)·α + (p-1)/p·n·β, where n is the gathered size', () => {
    for (const nranks of RANKS) {
      expectCost(ringAllGather({ nranks }), [nranks - 1, (nranks - 1) / nranks]);
    }
  });
});

describe('ring reduce-scatter', () => {
  claim(FILE, "Cost: (p-1)·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input", () => {
    for (const nranks of RANKS) {
      const share = (nranks - 1) / nranks;
      expectCost(ringReduceScatter({ nranks }), [nranks - 1, share, share]);
    }
  });

  claim(FILE, 'Rank r sends block r - 1 first.', () => {
    const [first = []] = messageRounds(ringReduceScatter({ nranks: 4 }));
    expect(first.map(({ src, from }) => [src, from.chunk])).toEqual([
      [0, 3],
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
  });
});

import { describe, expect } from 'vitest';
import {
  recursiveDoublingAllGather,
  recursiveDoublingAllReduce,
} from '../../../collectives/algorithms/recursive-doubling.ts';
import { recursiveHalvingReduceScatter } from '../../../collectives/algorithms/recursive-halving.ts';
import { floorLog2 } from '../../../common/math.ts';
import { CASES, scheduleOf } from '../support.ts';
import {
  bytesOf,
  claim,
  costOf,
  expectCost,
  expectSameBits,
  messageRounds,
  OTHERS,
  POWERS_OF_TWO,
  payloadOf,
  RANKS,
  sumsOf,
} from './claims.ts';

const FILE = 'recursive-doubling.ts';

describe('recursive-doubling all-reduce', () => {
  claim(
    FILE,
    'Cost: lg p·(α + n·β + n·γ); for other p ⌊lg p⌋ of it, to which `fold.ts` adds 2α + 2n·β + n·γ',
    () => {
      for (const nranks of POWERS_OF_TWO) {
        const rounds = Math.log2(nranks);
        expectCost(recursiveDoublingAllReduce({ nranks }), [rounds, rounds, rounds]);
      }
      for (const nranks of OTHERS) {
        const rounds = floorLog2(nranks);
        expectCost(recursiveDoublingAllReduce({ nranks }), [rounds + 2, rounds + 2, rounds + 1]);
      }
    },
  );

  claim(FILE, 'for a power of two, as few rounds as any all-reduce can have.', () => {
    // A rank hears of at most twice as many contributions from round to round.
    for (const nranks of POWERS_OF_TWO) {
      const schedule = recursiveDoublingAllReduce({ nranks });
      expect(messageRounds(schedule)).toHaveLength(Math.log2(nranks));
    }
  });

  claim(FILE, 'the whole vector travels in every round.', () => {
    for (const round of messageRounds(recursiveDoublingAllReduce({ nranks: 8, chunks: 3 }))) {
      expect(round.map(({ count }) => count)).toEqual(new Array(8).fill(3));
    }
  });

  claim(FILE, 'the partners hold the same bits, and by induction all ranks do.', () => {
    for (const nranks of RANKS) {
      expectSameBits(recursiveDoublingAllReduce({ nranks }), { commutes: true });
    }
    const [[first], [second]] = sumsOf(recursiveDoublingAllReduce({ nranks: 2 }), {
      commutes: false,
    }) as [string[], string[]];
    expect([first, second]).toEqual(['(1+0)', '(0+1)']);
  });
});

describe('recursive-doubling all-gather', () => {
  claim(FILE, 'Cost: lg p·α + (p-1)/p·n·β, where n is the gathered size', () => {
    for (const nranks of POWERS_OF_TWO) {
      const formula = [Math.log2(nranks), (nranks - 1) / nranks] as const;
      expectCost(recursiveDoublingAllGather({ nranks }), formula);
    }
  });

  claim(FILE, 'on a power of two of ranks: fewest rounds and fewest bytes.', () => {
    for (const nranks of [2, 4, 16]) {
      const schedule = recursiveDoublingAllGather({ nranks });
      for (const one of CASES.filter(({ collective }) => collective === 'allGather')) {
        const other = scheduleOf(one, { nranks });
        if (other === undefined) continue;
        expect(payloadOf(schedule), one.algorithm).toBeLessThanOrEqual(payloadOf(other) + 1e-9);
        expect(costOf(schedule).seconds).toBeLessThanOrEqual(costOf(other).seconds + 1e-12);
      }
    }
  });
});

describe('recursive-halving reduce-scatter', () => {
  const file = 'recursive-halving.ts';
  claim(file, "Cost: lg p·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input", () => {
    for (const nranks of POWERS_OF_TWO) {
      const share = (nranks - 1) / nranks;
      expectCost(recursiveHalvingReduceScatter({ nranks }), [Math.log2(nranks), share, share]);
    }
  });

  claim(file, '⌊lg p⌋+2 messages that come to less than 3n', () => {
    for (const nranks of OTHERS) {
      const schedule = recursiveHalvingReduceScatter({ nranks });
      const { critical } = costOf(schedule);
      expect(critical.alphas).toBe(floorLog2(nranks) + 2);
      expect(critical.bytes).toBeLessThan(3 * bytesOf(schedule));
    }
  });

  claim(file, 'on a power of two of ranks: fewest rounds and fewest bytes.', () => {
    for (const nranks of [2, 4, 16]) {
      const schedule = recursiveHalvingReduceScatter({ nranks });
      expect(messageRounds(schedule)).toHaveLength(Math.log2(nranks));
      for (const one of CASES.filter(({ collective }) => collective === 'reduceScatter')) {
        const other = scheduleOf(one, { nranks });
        if (other === undefined) continue;
        expect(payloadOf(schedule), one.algorithm).toBeLessThanOrEqual(payloadOf(other) + 1e-9);
        expect(messageRounds(other).length).toBeGreaterThanOrEqual(Math.log2(nranks));
      }
    }
  });

  claim(file, 'the last block goes to the output.', () => {
    const rounds = messageRounds(recursiveHalvingReduceScatter({ nranks: 8 }));
    const targets = rounds.map((round) => [...new Set(round.map(({ to }) => to.buffer))]);
    expect(targets).toEqual([['scratch'], ['scratch'], ['output']]);
  });
});

import { describe, expect } from 'vitest';
import {
  binomialTreeGather,
  binomialTreeScatter,
} from '../../../collectives/algorithms/binomial-gather.ts';
import {
  binomialTreeAllReduce,
  binomialTreeBroadcast,
  binomialTreeReduce,
} from '../../../collectives/algorithms/binomial-tree.ts';
import { ceilLog2, ranksOf } from '../../../common/math.ts';
import {
  claim,
  expectCost,
  expectSameBits,
  messageRounds,
  messagesOf,
  RANKS,
  sumsOf,
  transfersOf,
} from './claims.ts';

describe('binomial-tree.ts', () => {
  const FILE = 'binomial-tree.ts';
  claim(FILE, 'Cost: ⌈lg p⌉·(α + n·β) Good', () => {
    for (const nranks of RANKS) {
      const rounds = ceilLog2(nranks);
      expectCost(binomialTreeBroadcast({ nranks, root: nranks - 1 }), [rounds, rounds]);
    }
  });

  claim(FILE, 'The number of ranks that have it doubles from round to round.', () => {
    const rounds = messageRounds(binomialTreeBroadcast({ nranks: 16 }));
    expect(rounds.map((round) => round.length)).toEqual([1, 2, 4, 8]);
  });

  claim(FILE, 'the root sends the whole vector ⌈lg p⌉ times.', () => {
    for (const nranks of RANKS) {
      const schedule = binomialTreeBroadcast({ nranks, root: nranks - 1 });
      expect(messagesOf(schedule, nranks - 1).sent).toBe(ceilLog2(nranks));
    }
  });

  claim(FILE, 'Cost: ⌈lg p⌉·(α + n·β + n·γ)', () => {
    for (const nranks of RANKS) {
      const rounds = ceilLog2(nranks);
      expectCost(binomialTreeReduce({ nranks, root: nranks - 1 }), [rounds, rounds, rounds]);
    }
  });

  claim(FILE, 'Binomial-tree reduce: the broadcast backwards.', () => {
    const pairs = (schedule: ReturnType<typeof binomialTreeReduce>) =>
      messageRounds(schedule).map((round) => round.map(({ src, dst }) => [src, dst]));
    const forwards = pairs(binomialTreeBroadcast({ nranks: 7, root: 2 }));
    const backwards = pairs(binomialTreeReduce({ nranks: 7, root: 2 }));
    expect(backwards).toEqual(
      forwards.reverse().map((round) => round.map(([src, dst]) => [dst, src])),
    );
  });

  claim(FILE, 'Cost: 2⌈lg p⌉·(α + n·β) + ⌈lg p⌉·n·γ', () => {
    for (const nranks of RANKS) {
      const rounds = ceilLog2(nranks);
      expectCost(binomialTreeAllReduce({ nranks }), [2 * rounds, 2 * rounds, rounds]);
    }
  });

  claim(FILE, '2(p-1) of them in all', () => {
    for (const nranks of RANKS) {
      expect(
        transfersOf(binomialTreeAllReduce({ nranks })).filter(({ src, dst }) => src !== dst),
      ).toHaveLength(2 * (nranks - 1));
    }
  });

  claim(
    FILE,
    'The sum is made by rank 0 alone and then copied: all ranks hold the same bits.',
    () => {
      for (const nranks of RANKS) {
        expectSameBits(binomialTreeAllReduce({ nranks }));
        expect(sumsOf(binomialTreeAllReduce({ nranks }), { commutes: false })[0]).toEqual(
          sumsOf(binomialTreeReduce({ nranks }), { commutes: false })[0],
        );
      }
    },
  );
});

describe('binomial-gather.ts', () => {
  const FILE = 'binomial-gather.ts';
  claim(FILE, 'Cost: ⌈lg p⌉·α + (p-1)/p·n·β, where n is the gathered size', () => {
    for (const nranks of RANKS) {
      for (const root of ranksOf(nranks)) {
        const formula = [ceilLog2(nranks), (nranks - 1) / nranks] as const;
        expectCost(binomialTreeGather({ nranks, root }), formula);
      }
    }
  });

  claim(FILE, 'the root takes ⌈lg p⌉ messages instead of p - 1.', () => {
    for (const nranks of RANKS) {
      for (const root of ranksOf(nranks)) {
        const { received } = messagesOf(binomialTreeGather({ nranks, root }), root);
        expect(received).toBe(ceilLog2(nranks));
      }
    }
  });

  claim(FILE, 'they arrive in scratch, and are copied.', () => {
    const toRoot = transfersOf(binomialTreeGather({ nranks: 8, root: 5 })).filter(
      ({ dst }) => dst === 5,
    );
    // Ranks 7 and 0 are one subtree of root 5.
    const staged = toRoot.filter(({ to }) => to.buffer === 'scratch');
    expect(staged).toMatchObject([{ src: 7, count: 2 }]);
    const copied = toRoot.filter(({ from }) => from.buffer === 'scratch' && from.chunk >= 2);
    expect(copied.filter(({ src }) => src === 5).map(({ to }) => to.chunk)).toEqual([7, 0]);
    const plain = transfersOf(binomialTreeGather({ nranks: 8, root: 4 }));
    expect(plain.some(({ dst, to }) => dst === 4 && to.buffer === 'scratch')).toBe(false);
  });

  claim(FILE, "Cost: ⌈lg p⌉·α + (p-1)/p·n·β, where n is the root's whole input", () => {
    for (const nranks of RANKS) {
      for (const root of ranksOf(nranks)) {
        const formula = [ceilLog2(nranks), (nranks - 1) / nranks] as const;
        expectCost(binomialTreeScatter({ nranks, root }), formula);
      }
    }
  });

  claim(FILE, 'the root sends ⌈lg p⌉ messages instead of p - 1.', () => {
    for (const nranks of RANKS) {
      for (const root of ranksOf(nranks)) {
        const { sent } = messagesOf(binomialTreeScatter({ nranks, root }), root);
        expect(sent).toBe(ceilLog2(nranks));
      }
    }
  });
});

import { describe, expect } from 'vitest';
import {
  halvingDoublingAllReduce,
  halvingDoublingReduce,
} from '../../../collectives/algorithms/halving-doubling.ts';
import { recursiveDoublingAllReduce } from '../../../collectives/algorithms/recursive-doubling.ts';
import { ringAllReduce } from '../../../collectives/algorithms/ring.ts';
import { floorLog2 } from '../../../common/math.ts';
import {
  claim,
  expectCost,
  expectCostAtMost,
  expectSameBits,
  messageRounds,
  messagesOf,
  OTHERS,
  POWERS_OF_TWO,
  payloadOf,
  RANKS,
} from './claims.ts';

const FILE = 'halving-doubling.ts';

const shareOf = (nranks: number): number => (nranks - 1) / nranks;
const coreOf = (nranks: number): number => 2 ** floorLog2(nranks);

describe("Rabenseifner's all-reduce", () => {
  claim(FILE, 'Cost: 2 lg p·α + 2(p-1)/p·n·β + (p-1)/p·n·γ; for other p', () => {
    for (const nranks of POWERS_OF_TWO) {
      const share = shareOf(nranks);
      const formula = [2 * Math.log2(nranks), 2 * share, share] as const;
      expectCost(halvingDoublingAllReduce({ nranks }), formula);
    }
  });

  claim(FILE, '(2⌊lg p⌋+2)·α + (2(q-1)/q+2)·n·β + (1+(q-1)/q)·n·γ', () => {
    for (const nranks of OTHERS) {
      const share = shareOf(coreOf(nranks));
      const formula = [2 * floorLog2(nranks) + 2, 2 * share + 2, 1 + share] as const;
      expectCost(halvingDoublingAllReduce({ nranks }), formula);
    }
  });

  claim(FILE, 'as few bytes as a ring, in fewer rounds.', () => {
    for (const nranks of [4, 8, 16]) {
      const [halving, ring] = [halvingDoublingAllReduce({ nranks }), ringAllReduce({ nranks })];
      expect(payloadOf(halving)).toBeCloseTo(payloadOf(ring), 9);
      expect(messageRounds(halving).length).toBeLessThan(messageRounds(ring).length);
    }
  });

  claim(FILE, 'the whole vector travels twice more.', () => {
    for (const nranks of OTHERS) {
      const core = coreOf(nranks);
      const inCore = payloadOf(halvingDoublingAllReduce({ nranks: core }));
      const folded = payloadOf(halvingDoublingAllReduce({ nranks }));
      expect(folded - inCore).toBeCloseTo(2 * (nranks - core), 9);
    }
  });

  claim(
    FILE,
    'Every block is summed by one rank and then copied: all ranks hold the same bits.',
    () => {
      for (const nranks of RANKS) expectSameBits(halvingDoublingAllReduce({ nranks }));
    },
  );
});

describe('MPICH, src/mpi/coll/allreduce and reduce', () => {
  claim(FILE, 'Thakur, Rabenseifner and Gropp', () => {
    // The comments there write p where only the core of a power of two of ranks is at work.
    for (const nranks of OTHERS) {
      const [rounds, share] = [2 * floorLog2(nranks), shareOf(nranks)];
      const allReduce = halvingDoublingAllReduce({ nranks });
      expectCostAtMost(allReduce, [rounds + 2, 2 * share + 2, 1 + share]);
      for (const root of [0, 1, nranks - 1]) {
        const reduce = halvingDoublingReduce({ nranks, root });
        expectCostAtMost(reduce, [rounds + 1, 2 * share + 1, 1 + share]);
      }
    }
  });
});

describe("Rabenseifner's reduce", () => {
  claim(FILE, '(2⌊lg p⌋+1)·α + (2(q-1)/q+1)·n·β + (1+(q-1)/q)·n·γ', () => {
    for (const nranks of OTHERS) {
      const share = shareOf(coreOf(nranks));
      const formula = [2 * floorLog2(nranks) + 1, 2 * share + 1, 1 + share] as const;
      for (let root = 0; root < nranks; root++) {
        expectCost(halvingDoublingReduce({ nranks, root }), formula);
      }
    }
    for (const nranks of POWERS_OF_TWO) {
      const share = shareOf(nranks);
      const schedule = halvingDoublingReduce({ nranks, root: nranks - 1 });
      expectCost(schedule, [2 * Math.log2(nranks), 2 * share, share]);
    }
  });

  claim(FILE, "only the root's side receives, so that blocks arrive side by side.", () => {
    const schedule = halvingDoublingReduce({ nranks: 8, root: 5 });
    const gather = messageRounds(schedule).slice(3);
    expect(gather.map((round) => round.length)).toEqual([4, 2, 1]);
    expect(gather.flat().every(({ effect }) => effect === 'copy')).toBe(true);
    expect(messagesOf(schedule, 5)).toEqual({ sent: 3, received: 6 });
  });
});

describe('fold.ts', () => {
  const file = 'fold.ts';
  claim(file, 'α + n·β + n·γ for handing in and α + n·β for handing all back, if r > 0', () => {
    for (const nranks of OTHERS) {
      const rounds = floorLog2(nranks);
      expectCost(recursiveDoublingAllReduce({ nranks }), [rounds + 2, rounds + 2, rounds + 1]);
      expectCost(recursiveDoublingAllReduce({ nranks: coreOf(nranks) }), [rounds, rounds, rounds]);
    }
  });

  claim(file, '2r·n more on the wire; half of the paired ranks idle while the core works.', () => {
    for (const nranks of OTHERS) {
      const core = coreOf(nranks);
      const extra = nranks - core;
      const schedule = recursiveDoublingAllReduce({ nranks });
      const inCore = payloadOf(recursiveDoublingAllReduce({ nranks: core }));
      expect(payloadOf(schedule) - inCore).toBeCloseTo(2 * extra, 9);
      for (let pair = 0; pair < extra; pair++) {
        expect(messagesOf(schedule, 2 * pair)).toEqual({ sent: 1, received: 1 });
      }
    }
  });

  claim(
    file,
    'each even rank, the guest, hands its contribution to the odd one on its right',
    () => {
      const [first = []] = messageRounds(recursiveDoublingAllReduce({ nranks: 7 }));
      expect(first.map(({ src, dst }) => [src, dst])).toEqual([
        [0, 1],
        [2, 3],
        [4, 5],
      ]);
    },
  );
});

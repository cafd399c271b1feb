import { describe, expect, it } from 'vitest';
import {
  scatterAllGatherBroadcast,
  scatterRecursiveDoublingBroadcast,
} from '../../../collectives/algorithms/scatter-all-gather.ts';
import { ceilLog2 } from '../../../common/math.ts';
import { claim } from './claims.ts';
import { chunksOf, criticalWork, messagesOf, mostSent, sendingRounds } from './messages.ts';

const FILE = 'scatter-all-gather.ts';

const RANKS = [2, 3, 5, 8, 12, 33];
const POWERS = [2, 4, 8, 32];

describe('scatter + all-gather broadcast', () => {
  claim(FILE, 'Cost: (⌈lg p⌉ + p-1)·α + 2(p-1)/p·n·β', () => {
    for (const nranks of RANKS) {
      const schedule = scatterAllGatherBroadcast({ nranks, root: nranks - 1 });
      expect(sendingRounds(schedule)).toBe(ceilLog2(nranks) + nranks - 1);
      const { alphas, bytes } = criticalWork(schedule);
      expect(alphas).toBe(ceilLog2(nranks) + nranks - 1);
      expect(bytes).toBeCloseTo((2 * (nranks - 1)) / nranks, 12);
    }
  });

  claim(FILE, 'a binomial tree sends ⌈lg p⌉·n where this sends less than 2n', () => {
    for (const nranks of RANKS) {
      const { chunks } = mostSent(messagesOf(scatterAllGatherBroadcast({ nranks })));
      expect(chunks / nranks).toBeLessThan(2);
    }
  });

  claim(FILE, 'the root, which has all of them, takes none back', () => {
    for (const build of [scatterAllGatherBroadcast, scatterRecursiveDoublingBroadcast]) {
      const messages = messagesOf(build({ nranks: 8, root: 3 }));
      expect(messages.filter(({ dst }) => dst === 3)).toEqual([]);
    }
  });

  claim(
    FILE,
    'A binomial tree scatters the blocks: who has a run of them sends its second half on.',
    () => {
      for (const nranks of RANKS) {
        const scatter = messagesOf(scatterAllGatherBroadcast({ nranks })).filter(
          ({ src, round }) => src === 0 && round < ceilLog2(nranks),
        );
        expect(scatter.length).toBe(ceilLog2(nranks));
        expect(chunksOf(scatter)).toBe(nranks - 1);
      }
    },
  );
});

describe('scatter + recursive-doubling broadcast', () => {
  claim(FILE, 'Cost: 2·lg p·α + 2(p-1)/p·n·β', () => {
    for (const nranks of POWERS) {
      const schedule = scatterRecursiveDoublingBroadcast({ nranks, root: 1 });
      expect(sendingRounds(schedule)).toBe(2 * ceilLog2(nranks));
      const { alphas, bytes } = criticalWork(schedule);
      expect(alphas).toBe(2 * ceilLog2(nranks));
      expect(bytes).toBeCloseTo((2 * (nranks - 1)) / nranks, 12);
    }
  });

  it('refuses a number of ranks that is no power of two', () => {
    expect(() => scatterRecursiveDoublingBroadcast({ nranks: 6 })).toThrow(
      'Expected a power of two of ranks but found 6',
    );
  });
});

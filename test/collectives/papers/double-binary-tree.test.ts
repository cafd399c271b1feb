import { describe, expect } from 'vitest';
import {
  doubleBinaryTreeAllReduce,
  doubleBinaryTreeBroadcast,
  doubleBinaryTreeReduce,
} from '../../../collectives/algorithms/double-binary-tree.ts';
import { ceilLog2 } from '../../../common/math.ts';
import { claim, expectSameBits } from './claims.ts';
import { chunksOf, criticalWork, messagesOf, mostSent } from './messages.ts';

const FILE = 'double-binary-tree.ts';

const RANKS = [2, 3, 4, 5, 8, 13, 14, 33, 64];
const SEGMENTS = 32;
const CHUNKS = 2 * SEGMENTS;

describe('double-binary-tree all-reduce', () => {
  claim(FILE, 'each half of the vector goes up one of two trees, and comes back down', () => {
    for (const nranks of RANKS) {
      for (const { channel = 0, to } of messagesOf(
        doubleBinaryTreeAllReduce({ nranks, chunks: CHUNKS }),
      )) {
        expect(Math.floor(to.chunk / SEGMENTS)).toBe(channel);
      }
    }
  });

  claim(FILE, 'a rank in the middle sends up to 2n where a ring sends 2(p-1)/p·n', () => {
    for (const nranks of RANKS) {
      const messages = messagesOf(doubleBinaryTreeAllReduce({ nranks, chunks: CHUNKS }));
      expect(mostSent(messages).chunks).toBeLessThanOrEqual(2 * CHUNKS);
      expect(chunksOf(messages)).toBe(2 * (nranks - 1) * CHUNKS);
    }
    const middle = messagesOf(doubleBinaryTreeAllReduce({ nranks: 64, chunks: CHUNKS }));
    expect(mostSent(middle).chunks).toBe(2 * CHUNKS);
  });

  claim(
    FILE,
    'about 2⌈lg p⌉·(α + s·β) + 2n·β + n·γ, with segments of s bytes; ports that wait for their turn cost up to n/2 more',
    () => {
      for (const nranks of RANKS.filter((count) => count > 2)) {
        const { bytes } = criticalWork(doubleBinaryTreeAllReduce({ nranks, chunks: 128 }));
        const fill = (8 * ceilLog2(nranks)) / 128;
        expect(bytes).toBeGreaterThan(1.4);
        expect(bytes).toBeLessThan(2.5 + fill);
      }
    },
  );

  claim(FILE, 'few start-up times and nearly the bytes of a ring', () => {
    for (const nranks of RANKS) {
      const { alphas } = criticalWork(doubleBinaryTreeAllReduce({ nranks }));
      expect(alphas).toBeLessThanOrEqual(4 * ceilLog2(nranks));
    }
  });
});

describe('sums of a double-binary-tree all-reduce', () => {
  claim(
    FILE,
    'Every segment is summed in one order, up its tree, and then copied: all ranks hold the same bits.',
    () => {
      for (const nranks of [1, ...RANKS]) {
        expectSameBits(doubleBinaryTreeAllReduce({ nranks, chunks: 4 }));
      }
    },
  );
});

describe('double-binary-tree broadcast and reduce', () => {
  claim(FILE, 'the root feeds two trees over all other ranks, one half each', () => {
    for (const nranks of RANKS) {
      const messages = messagesOf(doubleBinaryTreeBroadcast({ nranks, root: 1, chunks: CHUNKS }));
      const fromRoot = messages.filter(({ src }) => src === 1);
      expect(chunksOf(fromRoot)).toBe(CHUNKS);
      expect(mostSent(messages).chunks).toBe(CHUNKS);
      expect(chunksOf(messages)).toBe((nranks - 1) * CHUNKS);
      expect(messages.filter(({ dst }) => dst === 1)).toEqual([]);
    }
  });

  claim(FILE, 'two trees over all other ranks bring one half each to the root', () => {
    for (const nranks of RANKS) {
      const messages = messagesOf(doubleBinaryTreeReduce({ nranks, root: 1, chunks: CHUNKS }));
      expect(chunksOf(messages.filter(({ dst }) => dst === 1))).toBe(CHUNKS);
      expect(mostSent(messages).chunks).toBe(CHUNKS);
      expect(messages.filter(({ src }) => src === 1)).toEqual([]);
    }
  });

  claim(FILE, 'about ⌈lg p⌉·(α + 2s·β) + n·β, with segments of s bytes', () => {
    for (const nranks of RANKS) {
      const { bytes } = criticalWork(doubleBinaryTreeBroadcast({ nranks, chunks: 128 }));
      expect(bytes).toBeGreaterThanOrEqual(1);
      expect(bytes).toBeLessThan(1 + (2 * ceilLog2(nranks) + 1) / 64);
    }
  });
});

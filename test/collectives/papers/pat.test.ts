import { describe, expect } from 'vitest';
import { patAllGather, patReduceScatter } from '../../../collectives/algorithms/pat.ts';
import { ceilLog2, modulo, ranksOf } from '../../../common/math.ts';
import { claim } from './claims.ts';
import { messagesOf, mostSent, scratchAfterRounds, sendingRounds } from './messages.ts';

const FILE = 'pat.ts';

const RANKS = [2, 3, 5, 6, 7, 8, 12, 33, 64];

describe('PAT', () => {
  claim(FILE, 'rank 3 holds 3 . . . then 3 1 . . then 3 1 2 0', () => {
    const held = ranksOf(4).map((rank) => scratchAfterRounds(patAllGather({ nranks: 4 }), rank));
    expect(held.map((rows) => rows.slice(1, 3))).toEqual([
      ['0 2 . .', '0 2 3 1'],
      ['1 3 . .', '1 3 0 2'],
      ['2 0 . .', '2 0 1 3'],
      ['3 1 . .', '3 1 2 0'],
    ]);
  });

  claim(FILE, 'what a rank sends in a round for all of them goes as one message', () => {
    for (const build of [patAllGather, patReduceScatter]) {
      for (const nranks of RANKS) {
        const schedule = build({ nranks });
        expect(sendingRounds(schedule)).toBe(ceilLog2(nranks));
        expect(mostSent(messagesOf(schedule))).toEqual({
          messages: ceilLog2(nranks),
          chunks: nranks - 1,
        });
      }
    }
  });

  claim(FILE, 'with distance d = ..., 4, 2, 1 to the rank d further on', () => {
    const distances = messagesOf(patAllGather({ nranks: 13 }))
      .filter(({ src }) => src === 5)
      .map(({ src, dst }) => modulo(dst - src, 13));
    expect(distances).toEqual([8, 4, 2, 1]);
    const back = messagesOf(patReduceScatter({ nranks: 13 }))
      .filter(({ src }) => src === 5)
      .map(({ src, dst }) => modulo(src - dst, 13));
    expect(back).toEqual([1, 2, 4, 8]);
  });

  claim(FILE, 'one block in the first round, half of all in the last, between neighbours', () => {
    for (const nranks of RANKS) {
      const counts = messagesOf(patAllGather({ nranks }))
        .filter(({ src }) => src === 0)
        .map(({ count }) => count);
      expect(counts[0]).toBe(1);
      expect(counts.at(-1)).toBe(Math.floor(nranks / 2));
    }
  });
});

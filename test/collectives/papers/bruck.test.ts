import { describe, expect } from 'vitest';
import { bruckAllGather, bruckAllToAll } from '../../../collectives/algorithms/bruck.ts';
import { ceilLog2, ranksOf } from '../../../common/math.ts';
import { claim } from './claims.ts';
import { chunksOf, messagesOf, mostSent, scratchAfterRounds, sendingRounds } from './messages.ts';

const FILE = 'bruck.ts';

const RANKS = [2, 3, 5, 8, 12, 33, 64];

describe('Bruck all-gather', () => {
  claim(FILE, 'rank 3 holds 3 . . . then 3 0 . . then 3 0 1 2 turned 0 1 2 3', () => {
    const held = ranksOf(4).map((rank) => scratchAfterRounds(bruckAllGather({ nranks: 4 }), rank));
    expect(held.map((rows) => rows.slice(1, 3))).toEqual([
      ['0 1 . .', '0 1 2 3'],
      ['1 2 . .', '1 2 3 0'],
      ['2 3 . .', '2 3 0 1'],
      ['3 0 . .', '3 0 1 2'],
    ]);
  });

  claim(FILE, 'Cost: ⌈lg p⌉·α + (p-1)/p·n·β, where n is the gathered size', () => {
    for (const nranks of RANKS) {
      const schedule = bruckAllGather({ nranks });
      expect(sendingRounds(schedule)).toBe(ceilLog2(nranks));
      expect(mostSent(messagesOf(schedule))).toEqual({
        messages: ceilLog2(nranks),
        chunks: nranks - 1,
      });
    }
  });

  claim(FILE, 'half of it travels far in the last round', () => {
    const last = messagesOf(bruckAllGather({ nranks: 16 })).filter(({ round }) => round === 3);
    expect(last.map(({ src, dst, count }) => [(src - dst + 16) % 16, count])).toEqual(
      ranksOf(16).map(() => [8, 8]),
    );
  });
});

describe('Bruck all-to-all', () => {
  claim(
    FILE,
    'Cost: ⌈lg p⌉·α + (n/2)·lg p·β for a power of two, where n is what a rank sends',
    () => {
      for (const nranks of [2, 4, 8, 64]) {
        const schedule = bruckAllToAll({ nranks });
        expect(mostSent(messagesOf(schedule))).toEqual({
          messages: ceilLog2(nranks),
          chunks: (nranks / 2) * ceilLog2(nranks),
        });
      }
    },
  );

  claim(FILE, 'otherwise a round sends a block for each way below p that has its bit', () => {
    for (const nranks of RANKS) {
      const messages = messagesOf(bruckAllToAll({ nranks })).filter(({ src }) => src === 0);
      for (const { dst, count } of messages) {
        const ways = ranksOf(nranks).filter((way) => (way & dst) !== 0);
        expect(count).toBe(ways.length);
      }
      expect(messages.length).toBe(ceilLog2(nranks));
    }
  });

  claim(FILE, 'a block is sent as often as its way has bits', () => {
    for (const nranks of RANKS) {
      const bits = ranksOf(nranks).map(
        (way) => [...way.toString(2)].filter((d) => d === '1').length,
      );
      const sent = chunksOf(messagesOf(bruckAllToAll({ nranks })));
      expect(sent).toBe(nranks * bits.reduce((sum, count) => sum + count, 0));
    }
  });
});

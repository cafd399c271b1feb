/** Neighbour exchange and pairwise exchange. */
import { describe, expect, it } from 'vitest';
import { neighbourExchangeAllGather } from '../../../collectives/algorithms/neighbour-exchange.ts';
import {
  pairwiseExchangeAllToAll,
  pairwiseExchangeReduceScatter,
} from '../../../collectives/algorithms/pairwise-exchange.ts';
import { ringAllGather } from '../../../collectives/algorithms/ring.ts';
import { chunkTable } from '../../../collectives/chunks.ts';
import { lower, lowerAll } from '../../../collectives/lower.ts';
import { readsOf } from '../../../collectives/program.ts';
import type { BufferName } from '../../../collectives/schedule.ts';
import { modulo, ranksOf } from '../../../common/math.ts';
import { stepsOf } from '../support.ts';
import { claim } from './claims.ts';
import { messagesOf, mostSent, sendingRounds } from './messages.ts';

const NEIGHBOUR = 'neighbour-exchange.ts';
const PAIRWISE = 'pairwise-exchange.ts';

describe('neighbour exchange', () => {
  claim(NEIGHBOUR, 'half as many messages as a ring, and still only neighbours talk', () => {
    for (const nranks of [2, 4, 6, 14, 32]) {
      const messages = messagesOf(neighbourExchangeAllGather({ nranks }));
      expect(mostSent(messages)).toEqual({ messages: nranks / 2, chunks: nranks - 1 });
      const ring = mostSent(messagesOf(ringAllGather({ nranks })));
      expect(nranks / 2).toBeLessThanOrEqual(Math.ceil(ring.messages / 2));
      for (const { src, dst } of messages) {
        expect([1, nranks - 1]).toContain(modulo(src - dst, nranks));
      }
    }
  });

  claim(
    NEIGHBOUR,
    'each rank turns to the other side in every round, and hands over the two blocks that it got last',
    () => {
      const messages = messagesOf(neighbourExchangeAllGather({ nranks: 8 }));
      const sentBy2 = messages.filter(({ src }) => src === 2);
      expect(sentBy2.map(({ dst, to, count }) => [dst, to.chunk, count])).toEqual([
        [3, 2, 1],
        [1, 2, 2],
        [3, 0, 2],
        [1, 4, 2],
      ]);
    },
  );

  it('refuses an odd number of ranks', () => {
    const odd = neighbourExchangeAllGather({ nranks: 5 });
    expect(() => lowerAll(odd)).toThrow('Expected an even number but found 5');
  });
});

describe('pairwise exchange', () => {
  claim(PAIRWISE, 'If p is a power of two, the partner in round i is rank XOR i', () => {
    for (const { src, dst, round } of messagesOf(pairwiseExchangeAllToAll({ nranks: 8 }))) {
      expect(dst).toBe(src ^ (round + 1));
    }
  });

  claim(PAIRWISE, 'otherwise each rank sends to the rank i further on', () => {
    for (const { src, dst, round } of messagesOf(pairwiseExchangeAllToAll({ nranks: 6 }))) {
      expect(dst).toBe((src + round + 1) % 6);
    }
  });

  claim(PAIRWISE, 'Cost: (p-1)·α + (p-1)/p·n·β, where n is what a rank sends', () => {
    for (const nranks of [2, 5, 8]) {
      for (const build of [pairwiseExchangeAllToAll, pairwiseExchangeReduceScatter]) {
        const schedule = build({ nranks });
        expect(sendingRounds(schedule)).toBe(nranks - 1);
        const most = { messages: nranks - 1, chunks: nranks - 1 };
        expect(mostSent(messagesOf(schedule))).toEqual(most);
      }
    }
  });

  claim(PAIRWISE, 'for `allToAllV` a rank need know no counts but its own', () => {
    for (const placement of ['outOfPlace', 'inPlace'] as const) {
      const nranks = 5;
      const schedule = pairwiseExchangeAllToAll({ collective: 'allToAllV', nranks, placement });
      const counts = ranksOf(nranks * nranks).map((pair) => (pair * 7) % 11);
      const all = chunkTable(schedule, counts);
      for (const rank of ranksOf(nranks)) {
        const known = counts.map((count, pair) =>
          Math.floor(pair / nranks) === rank || pair % nranks === rank ? count : 0,
        );
        const own = chunkTable(schedule, known);
        const lengths = stepsOf(lower(schedule, rank)).flatMap((step) => {
          const places = step.dst === undefined ? readsOf(step) : [...readsOf(step), step.dst];
          return places.map((place) => [
            own.range(rank, place, step.count).length,
            all.range(rank, place, step.count).length,
          ]);
        });
        expect(lengths.length).toBeGreaterThan(nranks);
        for (const [found, expected] of lengths) expect(found).toBe(expected);
      }
    }
  });

  claim(
    PAIRWISE,
    "In place, blocks trade places with blocks of other ranks, so the rank's data is first set aside.",
    () => {
      const schedule = pairwiseExchangeAllToAll({ nranks: 6, placement: 'inPlace' });
      const sources = new Set<BufferName>(messagesOf(schedule).map(({ from }) => from.buffer));
      expect([...sources]).toEqual(['scratch']);
    },
  );
});

import { describe, expect } from 'vitest';
import { chainBroadcast, chainReduce } from '../../../collectives/algorithms/chain.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import { stepsOf } from '../support.ts';
import { claim, expectCost } from './claims.ts';
import { criticalWork, messagesOf, sendingRounds } from './messages.ts';

const FILE = 'chain.ts';

describe('pipelined chain', () => {
  claim(FILE, 'Cost: (p-2+k)·(α + n/k·(β+γ)) with k segments, p > 1', () => {
    for (const nranks of [2, 3, 8]) {
      for (const chunks of [1, 4]) {
        const hops = nranks - 2 + chunks;
        const formula = [hops, hops / chunks, hops / chunks] as const;
        expectCost(chainReduce({ nranks, chunks }), formula);
      }
    }
  });

  claim(FILE, 'Cost: (p-2+k)·(α + n/k·β) with k segments, p > 1', () => {
    for (const nranks of [2, 3, 8, 17]) {
      for (const chunks of [1, 4, 7]) {
        const hops = nranks - 2 + chunks;
        for (const build of [chainBroadcast, chainReduce]) {
          expect(sendingRounds(build({ nranks, chunks }))).toBe(hops);
          const { alphas, bytes } = criticalWork(build({ nranks, chunks }));
          expect(alphas).toBe(hops);
          expect(bytes).toBeCloseTo(hops / chunks, 12);
        }
      }
    }
  });

  claim(FILE, 'after p - 2 rounds the whole row is busy', () => {
    const busy = messagesOf(chainBroadcast({ nranks: 6, chunks: 9 })).filter(
      ({ round }) => round === 6 - 2,
    );
    expect(busy.map(({ src }) => src)).toEqual([0, 1, 2, 3, 4]);
  });

  claim(FILE, 'with many segments the cost nears n·β, the least there can be', () => {
    expect(criticalWork(chainBroadcast({ nranks: 8, chunks: 200 })).bytes).toBeLessThan(1.031);
  });

  claim(FILE, 'A rank between adds its own contribution to what comes by and keeps nothing', () => {
    const [, ...between] = lowerAll(chainReduce({ nranks: 5, chunks: 3 })).slice(0, -1);
    for (const program of between) {
      expect(stepsOf(program).map(({ kind }) => kind)).toEqual(
        Array.from({ length: 3 }, () => 'recvReduceSend'),
      );
    }
  });
});

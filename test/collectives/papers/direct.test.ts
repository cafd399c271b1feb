import { describe, expect } from 'vitest';
import {
  directAllGather,
  directAllReduce,
  directReduceScatter,
} from '../../../collectives/algorithms/direct.ts';
import { directAllToAll } from '../../../collectives/algorithms/direct-all-to-all.ts';
import { disseminationBarrier } from '../../../collectives/algorithms/dissemination.ts';
import {
  directBroadcast,
  directGather,
  directReduce,
  directScatter,
} from '../../../collectives/algorithms/linear.ts';
import { shift } from '../../../collectives/algorithms/shift.ts';
import type { Schedule } from '../../../collectives/schedule.ts';
import { traceSchedule } from '../../../collectives/trace.ts';
import { ceilLog2, modulo } from '../../../common/math.ts';
import {
  claim,
  expectCost,
  expectSameBits,
  messageRounds,
  messagesOf,
  payloadOf,
  RANKS,
  sumsOf,
  transfersOf,
} from './claims.ts';

const shareOf = (nranks: number): number => (nranks - 1) / nranks;

describe('direct.ts', () => {
  const FILE = 'direct.ts';
  claim(FILE, 'Cost: 2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ with one message at a time', () => {
    for (const nranks of RANKS) {
      const share = shareOf(nranks);
      expectCost(directAllReduce({ nranks }), [2 * (nranks - 1), 2 * share, share]);
    }
  });

  claim(FILE, 'so that nobody is sent to by two at once.', () => {
    const nranks = 6;
    for (const round of messageRounds(directReduceScatter({ nranks }))) {
      expect(new Set(round.map(({ dst }) => dst)).size).toBe(nranks);
    }
  });

  claim(
    FILE,
    'Every block is summed by one rank and then copied: all ranks hold the same bits.',
    () => {
      for (const nranks of RANKS) expectSameBits(directAllReduce({ nranks }));
    },
  );

  claim(FILE, "Cost: (p-1)·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input", () => {
    for (const nranks of RANKS) {
      const share = shareOf(nranks);
      expectCost(directReduceScatter({ nranks }), [nranks - 1, share, share]);
    }
  });

  claim(FILE, 'uneven blocks, nothing in scratch', () => {
    expect(directReduceScatter({ nranks: 5 }).scratch).toEqual([]);
  });

  claim(
    FILE,
    'Cost: (p-1)·α + (p-1)/p·n·β with one message at a time, where n is the gathered size; with start-ups that overlap α + (p-1)/p·n·β',
    () => {
      for (const nranks of RANKS) {
        const share = shareOf(nranks);
        expectCost(directAllGather({ nranks }), [nranks - 1, share]);
        expectCost(directAllGather({ nranks }), [Math.min(1, nranks - 1), share], 'full');
      }
    },
  );
});

describe('direct-all-to-all.ts', () => {
  const FILE = 'direct-all-to-all.ts';
  claim(FILE, "Cost: (p-1)·α + (p-1)/p·n·β with one message at a time, where n is a rank's", () => {
    for (const nranks of RANKS) {
      for (const placement of ['inPlace', 'outOfPlace'] as const) {
        expectCost(directAllToAll({ nranks, placement }), [nranks - 1, shareOf(nranks)]);
      }
    }
  });

  claim(FILE, 'every block travels once, whatever its size', () => {
    expect(payloadOf(directAllToAll({ nranks: 5 }))).toBeCloseTo(4, 9);
  });

  claim(FILE, 'Each rank begins with the one after it', () => {
    const messages = transfersOf(directAllToAll({ nranks: 4 }));
    const peersOf = (rank: number) =>
      messages.filter(({ src, dst }) => src === rank && dst !== rank).map(({ dst }) => dst);
    expect([0, 1, 2, 3].map(peersOf)).toEqual([
      [1, 2, 3],
      [2, 3, 0],
      [3, 0, 1],
      [0, 1, 2],
    ]);
  });

  claim(FILE, 'They land in scratch, and are copied.', () => {
    const schedule = directAllToAll({ nranks: 3, placement: 'inPlace' });
    const landings = messageRounds(schedule).flat();
    expect(landings.every(({ to }) => to.buffer === 'scratch')).toBe(true);
    expect(directAllToAll({ nranks: 3 }).scratch).toEqual([]);
  });
});

describe('linear.ts', () => {
  const FILE = 'linear.ts';
  const blockwise = (nranks: number) => [nranks - 1, shareOf(nranks)] as const;

  claim(FILE, 'Cost: (p-1)·α + (p-1)/p·n·β, where n is the gathered size', () => {
    for (const nranks of RANKS) {
      expectCost(directGather({ nranks, root: nranks - 1 }), blockwise(nranks));
    }
  });

  claim(FILE, "Cost: (p-1)·α + (p-1)/p·n·β, where n is the root's whole input", () => {
    for (const nranks of RANKS) {
      expectCost(directScatter({ nranks, root: nranks - 1 }), blockwise(nranks));
    }
  });

  claim(FILE, 'each travels once, and nothing is copied.', () => {
    for (const build of [directGather, directScatter]) {
      expect(payloadOf(build({ nranks: 5, root: 3 }))).toBeCloseTo(4 / 5, 9);
      expect(transfersOf(build({ nranks: 5, root: 3 }))).toHaveLength(5);
    }
  });

  claim(FILE, 'Cost: (p-1)·(α + n·β) Good', () => {
    for (const nranks of RANKS) {
      expectCost(directBroadcast({ nranks, root: nranks - 1 }), [nranks - 1, nranks - 1]);
    }
  });

  claim(FILE, 'Cost: (p-1)·(α + n·β + n·γ)', () => {
    for (const nranks of RANKS) {
      const each = nranks - 1;
      expectCost(directReduce({ nranks, root: nranks - 1 }), [each, each, each]);
    }
  });

  claim(FILE, 'The order is that of the ranks, beginning after the root.', () => {
    const [, , atRoot] = sumsOf(directReduce({ nranks: 4, root: 2 }), { commutes: false });
    expect(atRoot).toEqual(['(1+(0+(3+2)))']);
  });
});

describe('shift.ts', () => {
  claim('shift.ts', 'Cost: α + n·β', () => {
    for (const nranks of RANKS.filter((count) => count > 1)) {
      expectCost(shift({ nranks }), [1, 1]);
      expectCost(shift({ nranks, placement: 'inPlace' }), [1, 1]);
    }
  });

  claim('shift.ts', 'every rank sends and receives at the same time.', () => {
    for (const rank of [0, 1, 2]) {
      expect(messagesOf(shift({ nranks: 3 }), rank)).toEqual({ sent: 1, received: 1 });
    }
  });
});

describe('dissemination.ts', () => {
  const FILE = 'dissemination.ts';

  /** After each round, of how many ranks, and how often of one, rank 0 has heard. */
  function heardOf(schedule: Schedule): { ranks: number; most: number }[] {
    const heard: { ranks: number; most: number }[] = [];
    for (const [holdings] of traceSchedule(schedule, { inPlace: true })) {
      const counts = holdings?.at({ buffer: 'output', chunk: 0 })?.counts ?? [];
      heard.push({ ranks: counts.filter((count) => count > 0).length, most: Math.max(...counts) });
    }
    return heard;
  }

  claim(FILE, 'Cost: ⌈lg p⌉·(α + n·β + n·γ), of which n, the token, is next to nothing', () => {
    for (const nranks of RANKS) {
      const rounds = ceilLog2(nranks);
      expectCost(disseminationBarrier({ nranks }), [rounds, rounds, rounds]);
    }
  });

  claim(FILE, 'in round k every rank tells the one 2^k further on', () => {
    for (const [k, round] of messageRounds(disseminationBarrier({ nranks: 11 })).entries()) {
      expect(round).toHaveLength(11);
      for (const { src, dst } of round) expect(modulo(dst - src, 11)).toBe(2 ** k);
    }
  });

  claim(
    FILE,
    'After round k a rank has heard, through others, of the 2^(k+1) - 1 ranks before it.',
    () => {
      const ranks = heardOf(disseminationBarrier({ nranks: 16 })).map((heard) => heard.ranks);
      expect(ranks).toEqual([1, 2, 4, 8, 16]);
    },
  );

  claim(FILE, 'some ranks are then heard of twice, which a barrier does not mind.', () => {
    expect(heardOf(disseminationBarrier({ nranks: 5 })).at(-1)).toEqual({ ranks: 5, most: 2 });
    expect(heardOf(disseminationBarrier({ nranks: 8 })).at(-1)).toEqual({ ranks: 8, most: 1 });
  });

  claim(FILE, 'no barrier has fewer rounds.', () => {
    // Who hears of a rank at most doubles from round to round.
    for (const nranks of RANKS) {
      expect(messageRounds(disseminationBarrier({ nranks }))).toHaveLength(ceilLog2(nranks));
    }
  });
});

/** Programs cost what the papers say; payload on the wire is exact. */
import { describe, expect, it } from 'vitest';
import { binomialTreeBroadcast } from '../../collectives/algorithms/binomial-tree.ts';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { chunkTable } from '../../collectives/chunks.ts';
import {
  type AlphaBetaGamma,
  type Cost,
  cost,
  totalWireElements,
  wireElements,
} from '../../collectives/cost.ts';
import { lowerAll } from '../../collectives/lower.ts';
import type { Schedule } from '../../collectives/schedule.ts';
import { ceilLog2, floorLog2 } from '../../common/math.ts';
import { handWritten, programAt, RANK_COUNTS } from './support.ts';

const MODEL: AlphaBetaGamma = {
  alphaSeconds: 3e-6,
  betaSecondsPerByte: 1 / 37e9,
  gammaSecondsPerByte: 1 / 200e9,
};
const BYTES_PER_ELEMENT = 4;
const COUNTS = [0, 1, 3, 1000, 10007];

function costOf(schedule: Schedule, count: number, model = MODEL): Cost {
  const options = { model, bytesPerElement: BYTES_PER_ELEMENT };
  return cost(lowerAll(schedule), chunkTable(schedule, count), options);
}

function wireInAll(schedule: Schedule, counts: number | readonly number[]): number {
  return totalWireElements(lowerAll(schedule), chunkTable(schedule, counts));
}

/** `messages` start-ups, `sent` and `reduced` bytes, one after the other. */
function seconds(messages: number, sent: number, reduced: number): number {
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = MODEL;
  return messages * alphaSeconds + sent * betaSecondsPerByte + reduced * gammaSecondsPerByte;
}

/** Recursive doubling's rounds, and what folding adds. */
function doublingRounds(nranks: number) {
  const rounds = floorLog2(nranks);
  const core = 2 ** rounds;
  return { rounds, core, extra: nranks - core, folds: nranks === core ? 0 : 1 };
}

describe.each(RANK_COUNTS)('on %i ranks', (nranks) => {
  const perRank = 640;
  const count = perRank * nranks;
  const bytes = count * BYTES_PER_ELEMENT;
  const share = (nranks - 1) / nranks;

  it('ring all-reduce costs 2(p-1)α + 2(p-1)/p·nβ + (p-1)/p·nγ', () => {
    const found = costOf(ringAllReduce({ nranks }), count);
    expect(found.seconds).toBeCloseTo(
      seconds(2 * (nranks - 1), 2 * share * bytes, share * bytes),
      12,
    );
    expect(found.reducedElements).toBe((nranks - 1) * count);
  });

  it('recursive doubling costs lg p(α+nβ+nγ), and up to 2α+2nβ+nγ more if it folds', () => {
    const { rounds, folds } = doublingRounds(nranks);
    const schedule = recursiveDoublingAllReduce({ nranks });
    const exchanges = seconds(rounds, rounds * bytes, rounds * bytes);
    const folding = folds * seconds(2, 2 * bytes, bytes);
    const found = costOf(schedule, count).seconds;
    // Ranks that are not folded start early, so some of the additions hide behind the wire.
    if (folds === 0) expect(found).toBeCloseTo(exchanges, 12);
    else expect(found).toBeLessThan(exchanges + folding + 1e-12);
    const wireOnly = costOf(schedule, count, { ...MODEL, gammaSecondsPerByte: 0 }).seconds;
    const messages = rounds + 2 * folds;
    expect(wireOnly).toBeCloseTo(seconds(messages, messages * bytes, 0), 12);
  });

  it('ring all-gather costs (p-1)α + (p-1)/p·nβ', () => {
    const found = costOf(ringAllGather({ nranks }), perRank);
    expect(found.seconds).toBeCloseTo(seconds(nranks - 1, share * bytes, 0), 12);
  });

  it('binomial broadcast costs ⌈lg p⌉(α+nβ)', () => {
    const rounds = ceilLog2(nranks);
    const found = costOf(binomialTreeBroadcast({ nranks }), count);
    expect(found.seconds).toBeCloseTo(seconds(rounds, rounds * bytes, 0), 12);
  });

  it('payload on the wire is exact for uneven and empty chunks too', () => {
    const { rounds, core, extra } = doublingRounds(nranks);
    for (const size of COUNTS) {
      expect(wireInAll(ringAllReduce({ nranks }), size)).toBe(2 * (nranks - 1) * size);
      expect(wireInAll(recursiveDoublingAllReduce({ nranks }), size)).toBe(
        (core * rounds + 2 * extra) * size,
      );
      expect(wireInAll(binomialTreeBroadcast({ nranks }), size)).toBe((nranks - 1) * size);
      expect(wireInAll(ringAllGather({ nranks }), size)).toBe((nranks - 1) * nranks * size);
    }
  });

  it('an all-gather of different contributions sends each to all others', () => {
    const counts = Array.from({ length: nranks }, (_, rank) => (rank * 5) % 7);
    const total = counts.reduce((sum, size) => sum + size, 0);
    expect(wireInAll(ringAllGather({ nranks }), counts)).toBe((nranks - 1) * total);
  });
});

describe('wireElements()', () => {
  it('is what one rank sends: all chunks but one, twice, in a ring', () => {
    const schedule = ringAllReduce({ nranks: 4 });
    const table = chunkTable(schedule, 10);
    const sent = lowerAll(schedule).map((program) => wireElements(program, table));
    expect(sent).toEqual([15, 16, 15, 14]);
  });
});

describe('cost()', () => {
  const depends = [{ channel: 0, step: 0 }];
  const input = { buffer: 'input', chunk: 0 } as const;
  const output = { buffer: 'output', chunk: 0 } as const;

  it('waits for what a step depends on', () => {
    const add = { kind: 'reduce', count: 1, src: input, dst: output } as const;
    const parallel = handWritten([[[{ ...add, depends: [] }], [{ ...add, depends: [] }]]]);
    const chained = handWritten([[[{ ...add, depends: [] }], [{ ...add, depends }]]]);
    const options = { model: MODEL, bytesPerElement: 4 };
    const table = chunkTable(programAt(parallel, 0), 2000);
    const once = 1000 * 4 * MODEL.gammaSecondsPerByte;
    expect(cost(parallel, table, options).seconds).toBeCloseTo(once, 15);
    expect(cost(chained, table, options).seconds).toBeCloseTo(2 * once, 15);
    expect(cost(chained, table, options).steps).toBe(2);
  });
});

/**
 * Lowering keeps the meaning of any schedule, not only of those in the table: random rounds are
 * evaluated by their definition (`traceSchedule`) and by running the programs, in both placements and in
 * random ones of the orders that the programs allow.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChunkTable, chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import { BLOCKS, type CollectiveShape, chunksIn } from '../../collectives/collective.ts';
import type { Contribution } from '../../collectives/contribution.ts';
import { interpret } from '../../collectives/interpret.ts';
import { lower, lowerAll } from '../../collectives/lower.ts';
import type { Program } from '../../collectives/program.ts';
import { runPrograms } from '../../collectives/reference.ts';
import type { Place, Rank, Schedule } from '../../collectives/schedule.ts';
import { type Holdings, traceSchedule } from '../../collectives/trace.ts';
import { smallestDepth, verify } from '../../collectives/verify.ts';
import { AssertionError, defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import { Prng } from '../../common/prng.ts';
import { runInRandomOrder } from './random-order.ts';
import { randomAllReduce, randomExchanges, randomSchedule } from './random-schedule.ts';
import { PLACEMENTS } from './support.ts';

const RUNS = 400;
const ELEMENTS = 11;
const ORDERS = 3;
const SEEDS = fc.integer({ min: 0, max: 2 ** 31 });

/** `undefined` for the few schedules that swap places, which cannot be lowered. */
function lowered(schedule: Schedule): Program[] | undefined {
  try {
    return lowerAll(schedule);
  } catch (reason) {
    if (reason instanceof AssertionError && reason.message.includes('swap places'))
      return undefined;
    throw reason;
  }
}

/** Small integers, so that sums are exact in any order. */
function inputOf(rank: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => ((rank * 7 + index * 3) % 11) + 1);
}

/** Blocks of different sizes where the collective has such. */
function countsOf({ collective, nranks }: CollectiveShape): ElementCounts {
  if (collective === 'allToAll') return ELEMENTS * nranks;
  const isUneven = collective === 'allGatherV' || collective === 'reduceScatterV';
  return isUneven ? ranksOf(nranks).map((rank) => ELEMENTS - 3 * rank) : ELEMENTS;
}

/** What a chunk should contain in numbers, from what it holds in symbols. */
function evaluate(
  schedule: Schedule,
  table: ChunkTable,
  inputs: readonly Float32Array[],
  held: Contribution | undefined,
  length: number,
): number[] {
  if (held === undefined) return new Array<number>(length).fill(Number.NaN);
  return Array.from({ length }, (_, index) =>
    [...held.counts].reduce((sum, times, rank) => {
      if (times === 0) return sum;
      const { offset } = table.range(rank, inputPlace(schedule, rank, held.chunk), 1);
      return sum + times * defined(inputs[rank]?.[offset + index], 'an input element');
    }, 0),
  );
}

/** Where the rank has the logical chunk. */
function inputPlace(schedule: Schedule, rank: Rank, logical: number): Place {
  const { chunks, collective } = schedule;
  const { inputBlock, inputBlocks } = BLOCKS[collective];
  const blocks = ranksOf(inputBlocks(schedule, rank));
  const block = blocks.findIndex(
    (index) => inputBlock(schedule, rank, index) === Math.floor(logical / chunks),
  );
  return { buffer: 'input', chunk: block * chunks + (logical % chunks) };
}

function expectedOutputs(
  schedule: Schedule,
  table: ChunkTable,
  inputs: readonly Float32Array[],
  inPlace: boolean,
): number[][] {
  const last: readonly Holdings[] = [...traceSchedule(schedule, { inPlace })].at(-1) ?? [];
  return last.map((holdings, rank) =>
    Array.from({ length: chunksIn(schedule, rank, 'output') }, (_, chunk) => {
      const place: Place = { buffer: 'output', chunk };
      const { length } = table.range(rank, place, 1);
      return evaluate(schedule, table, inputs, holdings.at(place), length);
    }).flat(),
  );
}

function expectMeaning(
  schedule: Schedule,
  programs: readonly Program[],
  inPlace: boolean,
  prng: Prng,
): void {
  const table = chunkTable(schedule, countsOf(schedule));
  const inputs = programs.map(({ rank }) => inputOf(rank, table.bufferLength(rank, 'input')));
  const expected = expectedOutputs(schedule, table, inputs, inPlace);
  const choose = (count: number): number => prng.below(count);
  for (let order = 0; order < ORDERS; order++) {
    const outputs = runPrograms(programs, table, inputs, { inPlace, choose });
    for (const [rank, output] of outputs.entries()) {
      // In place, what nobody stored is whatever the buffer had before.
      const known = expected[rank]?.map((value, index) =>
        Number.isNaN(value) && inPlace ? output[index] : value,
      );
      expect([...output]).toEqual(known);
    }
  }
}

describe('lowerAll() of any schedule', () => {
  it(`computes what the rounds say in every order, without races (${RUNS} random schedules)`, () => {
    let compared = 0;
    const property = fc.property(SEEDS, (seed) => {
      const schedule = randomSchedule(seed);
      const programs = lowered(schedule);
      if (programs === undefined) return;
      expect(programs).toEqual(programs.map(({ rank }) => lower(schedule, rank)));
      for (const { inPlace } of PLACEMENTS) {
        // In place, these have different data at one place, and must be written for it.
        if (inPlace && ['allToAll', 'sendRecv'].includes(schedule.collective)) continue;
        const { findings } = verify(programs, { inPlace });
        expect(findings.filter(({ kind }) => kind !== 'postcondition')).toEqual([]);
        expectMeaning(schedule, programs, inPlace, new Prng(seed));
        compared++;
      }
    });
    fc.assert(property, { seed: 20, numRuns: RUNS });
    expect(compared).toBeGreaterThan(RUNS);
  });

  it('keeps an all-reduce an all-reduce, whatever its trees and channels', () => {
    const property = fc.property(SEEDS, fc.integer({ min: 1, max: 4 }), (seed, nchannels) => {
      const programs = lowerAll(randomAllReduce(seed, nchannels));
      for (const { inPlace } of PLACEMENTS) {
        expect(verify(programs, { inPlace })).toEqual({ proved: true, findings: [] });
        const prng = new Prng(seed);
        for (let order = 0; order < ORDERS; order++) {
          expect(runInRandomOrder(programs, inPlace, prng)).toBe('right');
        }
      }
    });
    fc.assert(property, { seed: 21, numRuns: RUNS });
  });
});

describe('smallestDepth() of any programs', () => {
  it('is where every order ends, and below which every order gets stuck', () => {
    let shallow = 0;
    const property = fc.property(SEEDS, (seed) => {
      const programs = lowerAll(randomExchanges(seed));
      const depth = defined(smallestDepth(programs), 'a depth');
      const prng = new Prng(seed);
      const choose = (count: number): number => prng.below(count);
      const waiting = (at: number): number =>
        interpret(programs, () => 0, { depth: at, choose }).length;
      for (let order = 0; order < ORDERS; order++) {
        expect(waiting(depth)).toBe(0);
        if (depth > 1) expect(waiting(depth - 1)).toBeGreaterThan(0);
      }
      expect(smallestDepth(programs, depth)).toBe(depth);
      if (depth > 1) expect(smallestDepth(programs, depth - 1)).toBeUndefined();
      expect(verify(programs, { inPlace: false, depth }).proved).toBe(true);
      if (depth > 1) {
        const { findings } = verify(programs, { inPlace: false, depth: depth - 1 });
        expect(findings.map(({ kind }) => kind)).toEqual(['deadlock']);
        shallow++;
      }
    });
    fc.assert(property, { seed: 22, numRuns: RUNS });
    expect(shallow).toBeGreaterThan(RUNS / 3);
  });
});

/**
 * Lowering keeps the meaning of any schedule, not only of those in the table: random rounds are
 * evaluated by their definition (`traceSchedule`) and by running the programs, in both placements.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import { COLLECTIVES, chunksIn, logicalChunk } from '../../collectives/collective.ts';
import type { Contribution } from '../../collectives/contribution.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { memoryMap } from '../../collectives/memory.ts';
import type { Program } from '../../collectives/program.ts';
import { runPrograms } from '../../collectives/reference.ts';
import type { BufferName, Place, Round, Schedule, Transfer } from '../../collectives/schedule.ts';
import { type Holdings, traceSchedule } from '../../collectives/trace.ts';
import { verify } from '../../collectives/verify.ts';
import { AssertionError, defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { PLACEMENTS } from './support.ts';

const RUNS = 300;
const ELEMENTS = 11;
const BUFFERS: readonly BufferName[] = ['input', 'output', 'scratch'];

class RandomSchedule {
  readonly #prng: Prng;
  readonly #schedule: Schedule;
  /** Places that hold something out of place (in place there are more). */
  readonly #stored = new Set<string>();

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    const collective = defined(COLLECTIVES[this.#prng.below(3)], 'a collective');
    const nranks = 1 + this.#prng.below(4);
    const chunks = 1 + this.#prng.below(3);
    const nlogical = collective === 'allGather' ? nranks * chunks : chunks;
    const scratch = Array.from({ length: this.#prng.below(4) }, () => this.#prng.below(nlogical));
    const shape = { collective, nranks, chunks, scratch, root: this.#prng.below(nranks) };
    this.#schedule = { ...shape, algorithm: 'random', rounds: () => [] };
    for (let rank = 0; rank < nranks; rank++) {
      if (collective === 'broadcast' && rank !== shape.root) continue;
      for (let chunk = 0; chunk < chunks; chunk++) this.#stored.add(`${rank} input ${chunk}`);
    }
  }

  build(): Schedule {
    const rounds = Array.from({ length: 1 + this.#prng.below(6) }, () => this.#round());
    return { ...this.#schedule, rounds: () => rounds };
  }

  #round(): Round {
    const transfers: Transfer[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      const transfer = this.#transfer();
      if (transfer !== undefined && !transfers.some((other) => writeSame(other, transfer))) {
        transfers.push(transfer);
      }
    }
    for (const { dst, to, count } of transfers) this.#markStored(dst, to, count);
    return transfers;
  }

  #transfer(): Transfer | undefined {
    const { nranks } = this.#schedule;
    const [src, dst] = [this.#prng.below(nranks), this.#prng.below(nranks)];
    const count = 1 + this.#prng.below(2);
    const to = this.#pick(this.#places(dst, count).filter(({ buffer }) => buffer !== 'input'));
    if (to === undefined) return undefined;
    const fits = (rank: number) => (place: Place) =>
      this.#isStored(rank, place, count) &&
      this.#logical(rank, place, count) === this.#logical(dst, to, count);
    const from = this.#pick(this.#places(src, count).filter(fits(src)));
    const operand = this.#pick(this.#places(dst, count).filter(fits(dst)));
    if (from === undefined) return undefined;
    const base = { src, dst, from, to, count, channel: this.#prng.below(2) };
    const transfer: Transfer =
      operand === undefined || this.#prng.below(2) === 0
        ? { ...base, effect: 'copy' }
        : { ...base, effect: 'reduce', operand };
    return this.#overlapsInPart(transfer) ? undefined : transfer;
  }

  /** Runs that overlap without being the same are no transfers. */
  #overlapsInPart({ src, dst, from, operand, to, count }: Transfer): boolean {
    const memory = memoryMap(this.#schedule, dst, true);
    const sources = [...(src === dst ? [from] : []), ...(operand === undefined ? [] : [operand])];
    return sources.some((place) => {
      const distance = Math.abs(memory.locate(place) - memory.locate(to));
      return distance !== 0 && distance < count;
    });
  }

  #places(rank: number, count: number): Place[] {
    return BUFFERS.flatMap((buffer) => {
      const starts = chunksIn(this.#schedule, buffer) - count + 1;
      return Array.from({ length: Math.max(0, starts) }, (_, chunk) => ({ buffer, chunk }));
    }).filter((place) => this.#logical(rank, place, count) !== '');
  }

  #logical(rank: number, { buffer, chunk }: Place, count: number): string {
    return Array.from({ length: count }, (_, offset) =>
      logicalChunk(this.#schedule, rank, buffer, chunk + offset),
    ).join();
  }

  #isStored(rank: number, { buffer, chunk }: Place, count: number): boolean {
    return Array.from({ length: count }, (_, offset) => offset).every((offset) =>
      this.#stored.has(`${rank} ${buffer} ${chunk + offset}`),
    );
  }

  #markStored(rank: number, { buffer, chunk }: Place, count: number): void {
    for (let offset = 0; offset < count; offset++) {
      this.#stored.add(`${rank} ${buffer} ${chunk + offset}`);
    }
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#prng.below(Math.max(1, items.length))];
  }
}

function writeSame(a: Transfer, b: Transfer): boolean {
  return (
    a.dst === b.dst &&
    a.to.buffer === b.to.buffer &&
    a.to.chunk < b.to.chunk + b.count &&
    b.to.chunk < a.to.chunk + a.count
  );
}

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

/** What a chunk should contain in numbers, from what it holds in symbols. */
function evaluate(
  schedule: Schedule,
  inputs: readonly Float32Array[],
  held: Contribution | undefined,
  length: number,
): number[] {
  if (held === undefined) return new Array<number>(length).fill(Number.NaN);
  const table = chunkTable(schedule, ELEMENTS);
  return Array.from({ length }, (_, index) =>
    [...held.counts].reduce((sum, times, rank) => {
      if (times === 0) return sum;
      const start = schedule.collective === 'allGather' ? rank * schedule.chunks : 0;
      const place: Place = { buffer: 'input', chunk: held.chunk - start };
      const { offset } = table.range(rank, place, 1);
      return sum + times * defined(inputs[rank]?.[offset + index], 'an input element');
    }, 0),
  );
}

function expectedOutputs(
  schedule: Schedule,
  inputs: readonly Float32Array[],
  inPlace: boolean,
): number[][] {
  const last: readonly Holdings[] = [...traceSchedule(schedule, { inPlace })].at(-1) ?? [];
  const table = chunkTable(schedule, ELEMENTS);
  return last.map((holdings, rank) =>
    Array.from({ length: chunksIn(schedule, 'output') }, (_, chunk) => {
      const place: Place = { buffer: 'output', chunk };
      return evaluate(schedule, inputs, holdings.at(place), table.range(rank, place, 1).length);
    }).flat(),
  );
}

describe('lowerAll() of any schedule', () => {
  it(`computes what the rounds say, without races or deadlock (${RUNS} random schedules)`, () => {
    let compared = 0;
    const property = fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const schedule = new RandomSchedule(seed).build();
      const programs = lowered(schedule);
      if (programs === undefined) return;
      const table = chunkTable(schedule, ELEMENTS);
      const inputs = programs.map(({ rank }) => inputOf(rank, table.bufferLength(rank, 'input')));
      for (const { inPlace } of PLACEMENTS) {
        const { findings } = verify(programs, { inPlace });
        expect(findings.filter(({ kind }) => kind !== 'postcondition')).toEqual([]);
        const outputs = runPrograms(programs, table, inputs, { inPlace });
        // In place, a broadcast's other ranks start with whatever their buffer has: here, `inputs`.
        const expected = expectedOutputs(schedule, inputs, inPlace);
        for (const [rank, output] of outputs.entries()) {
          const known = expected[rank]?.map((value, index) =>
            Number.isNaN(value) && inPlace ? output[index] : value,
          );
          expect([...output]).toEqual(known);
        }
        compared++;
      }
    });
    fc.assert(property, { seed: 20, numRuns: RUNS });
    expect(compared).toBeGreaterThan(RUNS);
  });
});

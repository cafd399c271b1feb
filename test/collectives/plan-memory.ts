/**
 * What all ranks have in their buffers while a test runs their plans on numbers, and whether it is what they
 * should have at the end.
 */
import type { ChunkTable } from '../../collectives/chunks.ts';
import { BLOCKS, inPlaceAlias, promisedBlock } from '../../collectives/collective.ts';
import type { Pull, PullRange } from '../../collectives/pull-plan.ts';
import type { Place, Rank, Schedule } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';

export interface PlanMemoryInit {
  readonly schedule: Schedule;
  readonly table: ChunkTable;
  /** By rank. */
  readonly inPlace: readonly boolean[];
  /** What each rank must have at the end: what the collective promises, or what the rounds say. */
  readonly oracle: 'promise' | 'rounds';
}

interface Memory {
  readonly input: Float64Array;
  readonly output: Float64Array;
}

/** Contributions that are told from all others, also in sums, which are exact. */
function contribution(rank: Rank, block: number, index: number): number {
  const mixed = Math.imul(rank * 7919 + block * 104_729 + index + 1, 0x9e3779b1);
  return (Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 0) + 1;
}

export class PlanMemory {
  /** The first thing that went wrong, in words. */
  wrong: string | undefined;
  readonly #run: PlanMemoryInit;
  readonly #memories: readonly Memory[];
  readonly #results: (Float64Array | undefined)[] = [];
  readonly #isBarrier: boolean;
  /** By rank, if the oracle is the rounds. */
  readonly #expected: readonly Float64Array[] | undefined;

  constructor(run: PlanMemoryInit) {
    this.#run = run;
    const { nranks, collective } = run.schedule;
    this.#memories = ranksOf(nranks).map((rank) => this.#memoryOf(rank));
    this.#isBarrier = collective === 'barrier';
    this.#expected = run.oracle === 'rounds' ? this.#byRounds() : undefined;
  }

  at(rank: Rank, { buffer, offset }: PullRange, length: number): Float64Array {
    const part = defined(this.#memories[rank], 'a memory')[buffer].subarray(
      offset,
      offset + length,
    );
    if (part.length !== length) this.fault(`a pull leaves the ${buffer} of rank ${rank}`);
    return part;
  }

  /** Does elements of a pull of `rank`'s, from its element `start` on, with what they are at the source. */
  take(rank: Rank, { to, operand }: Pull, start: number, source: Float64Array): void {
    const part = ({ buffer, offset }: PullRange) =>
      this.at(rank, { buffer, offset: offset + start }, source.length);
    part(to).set(operand === undefined ? source : this.#reduced(source, part(operand)));
  }

  /** The rank goes on to use its buffers for something else. */
  finish(rank: Rank): void {
    const { input, output } = defined(this.#memories[rank], 'a memory');
    this.#results[rank] = Float64Array.from(output);
    input.fill(Number.NaN);
    output.fill(Number.NaN);
  }

  isFinished(rank: Rank): boolean {
    return this.#results[rank] !== undefined;
  }

  /** Whether `rank`, which has finished, has what it should. */
  check(rank: Rank): void {
    const result = defined(this.#results[rank], 'a result');
    const expected = this.#expected?.[rank];
    if (expected === undefined) this.#checkPromise(rank, result);
    else if (!expected.every((value, index) => Object.is(value, result[index])))
      this.fault(`rank ${rank} has ${result}, not ${expected}`);
  }

  fault(text: string): void {
    this.wrong ??= text;
  }

  #reduced(a: Float64Array, b: Float64Array): Float64Array {
    const both = (one: number, other: number) =>
      this.#isBarrier ? Math.max(one, other) : one + other;
    return a.map((one, index) => both(one, b[index] as number));
  }

  /** What a round's definition makes of the inputs: every transfer of it reads what it began with. */
  #byRounds(): Float64Array[] {
    const { schedule, table } = this.#run;
    const memories = ranksOf(schedule.nranks).map((rank) => this.#memoryOf(rank));
    const at = (rank: Rank, { buffer, chunk }: Place, count: number): Float64Array => {
      if (buffer === 'scratch') throw new Error('Expected no scratch memory');
      const { offset, length } = table.range(rank, { buffer, chunk }, count);
      return defined(memories[rank], 'a memory')[buffer].subarray(offset, offset + length);
    };
    for (const round of schedule.rounds()) {
      const sources = [...round].map(({ src, from, count }) => at(src, from, count).slice());
      for (const [index, { dst, to, count, effect, operand }] of [...round].entries()) {
        const source = sources[index] as Float64Array;
        const value =
          effect === 'reduce' ? this.#reduced(source, at(dst, operand ?? to, count)) : source;
        at(dst, to, count).set(value);
      }
    }
    return memories.map(({ output }) => output);
  }

  #memoryOf(rank: Rank): Memory {
    const { schedule, table, inPlace } = this.#run;
    const sizes = {
      input: table.bufferLength(rank, 'input'),
      output: table.bufferLength(rank, 'output'),
    };
    const alias = inPlace[rank] ? inPlaceAlias(schedule, rank) : undefined;
    let memory: Memory;
    if (alias === undefined) {
      const output = new Float64Array(sizes.output).fill(Number.NaN);
      memory = { input: new Float64Array(sizes.input), output };
    } else {
      const { offset } = table.range(rank, { buffer: alias.whole, chunk: alias.chunk }, 0);
      const end = offset + sizes[alias.part];
      const whole = new Float64Array(Math.max(sizes[alias.whole], end)).fill(Number.NaN);
      const part = whole.subarray(offset, end);
      const rest = whole.subarray(0, sizes[alias.whole]);
      memory =
        alias.part === 'input' ? { input: part, output: rest } : { input: rest, output: part };
    }
    this.#fill(rank, memory.input);
    return memory;
  }

  #fill(rank: Rank, input: Float64Array): void {
    const { schedule, table } = this.#run;
    const { inputBlocks, inputBlock } = BLOCKS[schedule.collective];
    for (let index = 0; index < inputBlocks(schedule, rank); index++) {
      const place: Place = { buffer: 'input', chunk: index * schedule.chunks };
      const { offset, length } = table.range(rank, place, schedule.chunks);
      const block = inputBlock(schedule, rank, index);
      for (let at = 0; at < length; at++) input[offset + at] = contribution(rank, block, at);
    }
  }

  #checkPromise(rank: Rank, result: Float64Array): void {
    const { schedule, table } = this.#run;
    for (let index = 0; index < BLOCKS[schedule.collective].outputBlocks(schedule, rank); index++) {
      const promised = promisedBlock(schedule, rank, index);
      if (promised === undefined) continue;
      const place: Place = { buffer: 'output', chunk: index * schedule.chunks };
      const { offset, length } = table.range(rank, place, schedule.chunks);
      for (let at = 0; at < length; at++) {
        const parts = promised.ranks.map((one) => contribution(one, promised.block, at));
        const expected = this.#isBarrier
          ? Math.max(...parts)
          : parts.reduce((sum, part) => sum + part, 0);
        if (result[offset + at] === expected) continue;
        const found = result[offset + at];
        this.fault(`element ${at} of block ${index} of rank ${rank}: ${found}, not ${expected}`);
        return;
      }
    }
  }
}

/**
 * Runs the pull plans of all ranks on numbers, in any order that their needs allow, one pull at a time:
 * what one rank has begun, others see half done.
 */
import { type ChunkTable, chunkTable } from '../../collectives/chunks.ts';
import { BLOCKS, inPlaceAlias, promisedBlock } from '../../collectives/collective.ts';
import {
  type NotPullable,
  type Pull,
  type PullNeed,
  type PullPlan,
  type PullRange,
  pullPlan,
} from '../../collectives/pull-plan.ts';
import type { Place, Rank, Schedule } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';

/** Picks one of the ranks that can go on, which are never none. */
export type Order = (able: readonly Rank[]) => Rank;

export interface PullRun {
  readonly schedule: Schedule;
  readonly table: ChunkTable;
  readonly plans: readonly PullPlan[];
  /** By rank. */
  readonly inPlace: readonly boolean[];
  /** What each rank must have at the end: what the collective promises, or what the rounds say. */
  readonly oracle: 'promise' | 'rounds';
}

interface Memory {
  readonly input: Float64Array;
  readonly output: Float64Array;
}

/** The plans of all ranks, or why there are none: all ranks must come to the same. */
export function plansOf(
  schedule: Schedule,
  count: number,
  slices: number,
): readonly PullPlan[] | NotPullable {
  const table = chunkTable(schedule, count);
  const plans: PullPlan[] = [];
  const reasons = new Set<string>();
  for (const rank of ranksOf(schedule.nranks)) {
    const plan = pullPlan({ schedule, table, rank, slices });
    if ('reason' in plan) reasons.add(plan.reason);
    else plans.push(plan);
  }
  const [reason] = reasons;
  if (reason === undefined) return plans;
  if (plans.length > 0 || reasons.size > 1)
    throw new Error('Expected all ranks to come to the same');
  return { reason };
}

/** What went wrong, in words; `undefined` if every rank got what it should. */
export function runPulls(run: PullRun, order: Order): string | undefined {
  return new PullRunner(run).run(order);
}

/** Contributions that are told from all others, also in sums, which are exact. */
function contribution(rank: Rank, block: number, index: number): number {
  const mixed = Math.imul(rank * 7919 + block * 104_729 + index + 1, 0x9e3779b1);
  return (Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 0) + 1;
}

class PullRunner {
  readonly #run: PullRun;
  readonly #memories: readonly Memory[];
  /** By rank: cells done, and pulls done of the one under way. */
  readonly #cells: number[];
  readonly #pulls: number[];
  readonly #results: (Float64Array | undefined)[] = [];
  readonly #isBarrier: boolean;
  readonly #read: number[];
  readonly #served: number[];
  /** By rank, if the oracle is the rounds. */
  readonly #expected: readonly Float64Array[] | undefined;
  #wrong: string | undefined;

  constructor(run: PullRun) {
    this.#run = run;
    const { nranks, collective } = run.schedule;
    this.#memories = ranksOf(nranks).map((rank) => this.#memoryOf(rank));
    this.#cells = ranksOf(nranks).map(() => 0);
    this.#pulls = ranksOf(nranks).map(() => 0);
    this.#read = ranksOf(nranks).map(() => 0);
    this.#served = ranksOf(nranks).map(() => 0);
    this.#isBarrier = collective === 'barrier';
    this.#expected = run.oracle === 'rounds' ? this.#byRounds() : undefined;
  }

  run(order: Order): string | undefined {
    const { nranks } = this.#run.schedule;
    for (;;) {
      const left = ranksOf(nranks).filter((rank) => this.#results[rank] === undefined);
      if (left.length === 0) break;
      const able = left.filter((rank) => this.#needsOf(rank).every((need) => this.#isMet(need)));
      if (able.length === 0) return `ranks ${left.join(', ')} wait for ever`;
      this.#step(order(able));
    }
    for (const rank of ranksOf(nranks)) this.#check(rank);
    return this.#wrong;
  }

  #planOf(rank: Rank): PullPlan {
    return defined(this.#run.plans[rank], 'a plan');
  }

  /** What the next step of a rank waits for: nothing in the middle of a cell. */
  #needsOf(rank: Rank): readonly PullNeed[] {
    const plan = this.#planOf(rank);
    const cell = plan.cells[this.#cells[rank] as number];
    if (cell === undefined) return plan.last;
    return this.#pulls[rank] === 0 ? cell.needs : [];
  }

  #isMet({ peer, cells }: PullNeed): boolean {
    return (this.#cells[peer] as number) >= cells;
  }

  #step(rank: Rank): void {
    const cell = this.#planOf(rank).cells[this.#cells[rank] as number];
    if (cell === undefined) {
      this.#finish(rank);
      return;
    }
    const pull = cell.pulls[this.#pulls[rank] as number];
    if (pull !== undefined) this.#pull(rank, pull);
    if ((this.#pulls[rank] as number) + 1 < cell.pulls.length) {
      (this.#pulls[rank] as number)++;
    } else {
      this.#pulls[rank] = 0;
      (this.#cells[rank] as number)++;
    }
  }

  #pull(rank: Rank, { src, from, to, operand, length }: Pull): void {
    const source = this.#at(src, from, length);
    const target = this.#at(rank, to, length);
    if (src !== rank) {
      (this.#read[rank] as number) += length;
      (this.#served[src] as number) += length;
      const { reach } = this.#planOf(rank);
      const { served } = this.#planOf(src);
      const end = from.offset + length;
      if (end > (reach[src]?.[from.buffer] ?? 0))
        this.#fault(`rank ${rank} reads beyond its reach`);
      if (end > served[from.buffer]) this.#fault(`rank ${src} serves more than it says`);
    }
    if (operand === undefined) {
      target.set(source);
      return;
    }
    target.set(this.#reduced(source, this.#at(rank, operand, length)));
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

  #at(rank: Rank, { buffer, offset }: PullRange, length: number): Float64Array {
    const part = defined(this.#memories[rank], 'a memory')[buffer].subarray(
      offset,
      offset + length,
    );
    if (part.length !== length) this.#fault(`a pull leaves the ${buffer} of rank ${rank}`);
    return part;
  }

  /** The rank goes on to use its buffers for something else. */
  #finish(rank: Rank): void {
    const { input, output } = defined(this.#memories[rank], 'a memory');
    this.#results[rank] = Float64Array.from(output);
    input.fill(Number.NaN);
    output.fill(Number.NaN);
  }

  #fault(text: string): void {
    this.#wrong ??= text;
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

  #check(rank: Rank): void {
    const result = defined(this.#results[rank], 'a result');
    const expected = this.#expected?.[rank];
    if (expected === undefined) this.#checkPromise(rank, result);
    else if (!expected.every((value, index) => Object.is(value, result[index])))
      this.#fault(`rank ${rank} has ${result}, not ${expected}`);
    const { elementsRead, elementsServed } = this.#planOf(rank);
    if (this.#read[rank] !== elementsRead || this.#served[rank] !== elementsServed)
      this.#fault(`rank ${rank} counts what it reads or serves wrongly`);
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
        this.#fault(`element ${at} of block ${index} of rank ${rank}: ${found}, not ${expected}`);
        return;
      }
    }
  }
}

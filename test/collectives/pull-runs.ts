/**
 * Runs the pull plans of all ranks on numbers, in any order that their needs allow, one pull at a time:
 * what one rank has begun, others see half done.
 */
import { chunkTable } from '../../collectives/chunks.ts';
import {
  type NotPullable,
  type Pull,
  type PullNeed,
  type PullPlan,
  pullPlan,
} from '../../collectives/pull-plan.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import { PlanMemory, type PlanMemoryInit } from './plan-memory.ts';
import { plansOfRanks } from './plans-of-ranks.ts';

/** Picks one of the ranks that can go on, which are never none. */
export type Order = (able: readonly Rank[]) => Rank;

export interface PullRun extends PlanMemoryInit {
  readonly plans: readonly PullPlan[];
}

/** The plans of all ranks, or why there are none. */
export function plansOf(
  schedule: Schedule,
  count: number,
  slices: number,
): readonly PullPlan[] | NotPullable {
  const table = chunkTable(schedule, count);
  return plansOfRanks(schedule.nranks, (rank) =>
    pullPlan({ schedule, table, rank, sliceElements: 1, slicesMax: slices }),
  );
}

/** What went wrong, in words; `undefined` if every rank got what it should. */
export function runPulls(run: PullRun, order: Order): string | undefined {
  return new PullRunner(run).run(order);
}

class PullRunner {
  readonly #run: PullRun;
  readonly #memory: PlanMemory;
  /** By rank: cells done, and pulls done of the one under way. */
  readonly #cells: number[];
  readonly #pulls: number[];
  readonly #read: number[];
  readonly #served: number[];

  constructor(run: PullRun) {
    this.#run = run;
    const { nranks } = run.schedule;
    this.#memory = new PlanMemory(run);
    this.#cells = ranksOf(nranks).map(() => 0);
    this.#pulls = ranksOf(nranks).map(() => 0);
    this.#read = ranksOf(nranks).map(() => 0);
    this.#served = ranksOf(nranks).map(() => 0);
  }

  run(order: Order): string | undefined {
    const { nranks } = this.#run.schedule;
    for (;;) {
      const left = ranksOf(nranks).filter((rank) => !this.#memory.isFinished(rank));
      if (left.length === 0) break;
      const able = left.filter((rank) => this.#needsOf(rank).every((need) => this.#isMet(need)));
      if (able.length === 0) return `ranks ${left.join(', ')} wait for ever`;
      this.#step(order(able));
    }
    for (const rank of ranksOf(nranks)) this.#check(rank);
    return this.#memory.wrong;
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
      this.#memory.finish(rank);
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

  #pull(rank: Rank, pull: Pull): void {
    const { src, from, length } = pull;
    if (src !== rank) {
      (this.#read[rank] as number) += length;
      (this.#served[src] as number) += length;
      const { reach } = this.#planOf(rank);
      const { served } = this.#planOf(src);
      const end = from.offset + length;
      if (end > (reach[src]?.[from.buffer] ?? 0))
        this.#memory.fault(`rank ${rank} reads beyond its reach`);
      if (end > served[from.buffer]) this.#memory.fault(`rank ${src} serves more than it says`);
    }
    this.#memory.take(rank, pull, 0, this.#memory.at(src, from, length));
  }

  #check(rank: Rank): void {
    this.#memory.check(rank);
    const { elementsRead, elementsServed } = this.#planOf(rank);
    if (this.#read[rank] !== elementsRead || this.#served[rank] !== elementsServed)
      this.#memory.fault(`rank ${rank} counts what it reads or serves wrongly`);
  }
}

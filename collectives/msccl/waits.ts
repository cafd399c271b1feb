/**
 * Which steps of other thread blocks each step of a rank has to wait for: those before it that touch a
 * common place, one of the two writing. What a thread block knows to have ended, because of an earlier
 * wait of its own or of whom it waited for, it does not wait for again.
 */
import type { MemoryMap } from '../memory.ts';
import { readsOf } from '../program.ts';
import type { Place } from '../schedule.ts';
import type { DealtStep } from './thread-blocks.ts';

/** Step number `step` of thread block `block`. */
export interface BlockStep {
  readonly block: number;
  readonly step: number;
}

/** For each of `steps`, in their order. */
export function waitsOf(
  steps: readonly DealtStep[],
  nblocks: number,
  memory: MemoryMap,
): BlockStep[][] {
  const finder = new WaitFinder(nblocks, memory);
  return steps.map((step) => finder.next(step));
}

/** Per thread block, its last step that touched a location; -1: none. */
type LastSteps = Int32Array;

const NEVER = -1;

class WaitFinder {
  readonly #nblocks: number;
  readonly #memory: MemoryMap;
  readonly #lastRead = new Map<number, LastSteps>();
  readonly #lastWrite = new Map<number, LastSteps>();
  /** Per thread block: the last step of each that has ended for sure, now and after each step of it. */
  readonly #known: LastSteps[];
  readonly #after: LastSteps[][];
  /** Per thread block, when each of its steps came: the number of steps of all before it. */
  readonly #turns: number[][];
  #turn = 0;

  constructor(nblocks: number, memory: MemoryMap) {
    this.#nblocks = nblocks;
    this.#memory = memory;
    this.#known = Array.from({ length: nblocks }, () => this.#never());
    this.#after = Array.from({ length: nblocks }, () => []);
    this.#turns = Array.from({ length: nblocks }, () => []);
  }

  next(dealt: DealtStep): BlockStep[] {
    const { block, step } = dealt;
    const conflicts = this.#conflicts(dealt);
    const known = this.#known[block] as LastSteps;
    const waits: BlockStep[] = [];
    // The latest first: to have waited for it may be to have waited for the others.
    for (const wait of this.#latestFirst(conflicts)) {
      if (wait.block === block || wait.step <= (known[wait.block] ?? NEVER)) continue;
      waits.push(wait);
      const theirs = this.#after[wait.block]?.[wait.step];
      for (let other = 0; other < this.#nblocks; other++) {
        known[other] = Math.max(known[other] ?? NEVER, theirs?.[other] ?? NEVER);
      }
    }
    const index = this.#after[block]?.length ?? 0;
    known[block] = index;
    this.#after[block]?.push(known.slice());
    this.#turns[block]?.push(this.#turn++);
    for (const place of readsOf(step)) this.#touch(this.#lastRead, place, step.count, block, index);
    if (step.dst !== undefined) this.#touch(this.#lastWrite, step.dst, step.count, block, index);
    return waits;
  }

  /** Per thread block, its last step that `dealt` must come after. */
  #conflicts({ step }: DealtStep): LastSteps {
    const found = this.#never();
    for (const place of readsOf(step)) this.#collect(found, this.#lastWrite, place, step.count);
    if (step.dst === undefined) return found;
    this.#collect(found, this.#lastWrite, step.dst, step.count);
    this.#collect(found, this.#lastRead, step.dst, step.count);
    return found;
  }

  #collect(
    found: LastSteps,
    last: ReadonlyMap<number, LastSteps>,
    place: Place,
    count: number,
  ): void {
    const start = this.#memory.locate(place);
    for (let location = start; location < start + count; location++) {
      for (const [block, step] of last.get(location)?.entries() ?? []) {
        found[block] = Math.max(found[block] ?? NEVER, step);
      }
    }
  }

  #touch(
    last: Map<number, LastSteps>,
    place: Place,
    count: number,
    block: number,
    index: number,
  ): void {
    const start = this.#memory.locate(place);
    for (let location = start; location < start + count; location++) {
      const steps = last.get(location) ?? this.#never();
      steps[block] = index;
      last.set(location, steps);
    }
  }

  #never(): LastSteps {
    return new Int32Array(this.#nblocks).fill(NEVER);
  }

  #latestFirst(conflicts: LastSteps): BlockStep[] {
    const turnOf = ({ block, step }: BlockStep): number => this.#turns[block]?.[step] ?? 0;
    return [...conflicts.entries()]
      .map(([block, step]) => ({ block, step }))
      .filter(({ step }) => step !== NEVER)
      .sort((a, b) => turnOf(b) - turnOf(a));
  }
}

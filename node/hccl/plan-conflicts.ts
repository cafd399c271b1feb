/**
 * Which steps of a channel touch the same memory, and so must come one after the other. Steps of other
 * channels are none of its business: a program orders them by `depends`.
 *
 * Per chunk of memory it remembers the last writer and who has read it since. A later writer waits for
 * these, and by them for everything earlier.
 */
import type { MemoryMap } from '../../collectives/memory.ts';
import type { Step, StepKind } from '../../collectives/program.ts';
import { defined } from '../../common/assert.ts';

/** What `later` waits for in an earlier step. */
export interface Conflict {
  /** Number of the earlier step in the channel. */
  readonly step: number;
  /** `stored`: its result is in memory. `free`: and what it sends has left its source. */
  readonly until: 'stored' | 'free';
}

interface Use {
  writer: number;
  readers: number[];
}

/** The NIC reads what it sends until the message is acknowledged; a kernel has read when it has stored. */
const SENDS_FROM_SRC: ReadonlySet<StepKind> = new Set(['send']);
const SENDS_FROM_DST: ReadonlySet<StepKind> = new Set(['recvCopySend', 'recvReduceCopySend']);

export class ConflictFinder {
  readonly #memory: MemoryMap;
  readonly #uses = new Map<number, Use>();
  readonly #steps: Step[] = [];

  constructor(memory: MemoryMap) {
    this.#memory = memory;
  }

  /** The next step of the channel: what it waits for, each step once. */
  add(step: Step): Conflict[] {
    const index = this.#steps.push(step) - 1;
    const found = new Map<number, Conflict['until']>();
    const waitFor = (earlier: number, until: Conflict['until']): void => {
      if (earlier < 0 || earlier === index) return;
      if (found.get(earlier) !== 'free') found.set(earlier, until);
    };
    for (const use of this.#usesOf(step, 'src')) {
      waitFor(use.writer, 'stored');
      use.readers.push(index);
    }
    for (const use of this.#usesOf(step, 'dst')) {
      waitFor(use.writer, this.#sends(use.writer, SENDS_FROM_DST) ? 'free' : 'stored');
      for (const reader of use.readers)
        waitFor(reader, this.#sends(reader, SENDS_FROM_SRC) ? 'free' : 'stored');
      use.writer = index;
      use.readers = [];
    }
    return [...found].map(([earlier, until]) => ({ step: earlier, until }));
  }

  #sends(index: number, kinds: ReadonlySet<StepKind>): boolean {
    return index >= 0 && kinds.has(defined(this.#steps[index], 'an earlier step').kind);
  }

  *#usesOf(step: Step, end: 'src' | 'dst'): Generator<Use> {
    const place = step[end];
    if (place === undefined) return;
    const start = this.#memory.locate(place);
    for (let location = start; location < start + step.count; location++) {
      let use = this.#uses.get(location);
      if (use === undefined) {
        use = { writer: -1, readers: [] };
        this.#uses.set(location, use);
      }
      yield use;
    }
  }
}

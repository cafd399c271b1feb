/**
 * Cores that share themselves out fairly among threads: each thread that has work is given the same part of a core,
 * all of one where there are enough (processor sharing; Kleinrock, Queueing Systems, volume 2, 1976, section 4.4).
 *
 * As all get the same, one number says what a thread has been given since the beginning, whichever it is. A thread
 * whose work was added when this number was v is done when it is v + work. So it takes one event for all threads,
 * and the result is the same, to the last bit, whether threads are simulated one by one or one stands for many.
 */
import type { MomentQueue } from './moment-queue.ts';

/** Kind of the event that a thread's work is done; subject is the number of the cores, detail the `version`. */
export const CORES_END = 4;

interface SharedCoresInit {
  readonly number: number;
  readonly count: number;
  /** Threads that each one here stands for. */
  readonly weight: number;
  readonly queue: MomentQueue;
}

export class SharedCores {
  readonly #init: SharedCoresInit;
  /** Threads with work, and by thread what will have been given to each when it is done. */
  readonly #ends = new Map<number, number>();
  #given = 0;
  #since = 0;
  #share = 1;
  #version = 0;
  #isChanged = false;

  constructor(init: SharedCoresInit) {
    this.#init = init;
  }

  /** The thread, which has none, has so many seconds of work of one core from now on. */
  add(thread: number, seconds: number, now: number): void {
    this.#advance(now);
    this.#ends.set(thread, this.#given + seconds);
    this.#isChanged = true;
  }

  /** The threads that are done, now, if this is what the event of this version tells. */
  take(version: number, now: number): readonly number[] {
    if (version !== this.#version) return [];
    // Not by the time that has passed, which is rounded: somebody is done.
    this.#given = this.#first();
    this.#since = now;
    this.#isChanged = true;
    const done = [...this.#ends].flatMap(([thread, end]) => (end <= this.#given ? thread : []));
    for (const thread of done) this.#ends.delete(thread);
    return done;
  }

  /** All that happens at this moment has happened. */
  settle(now: number): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#version++;
    const { number, count, weight, queue } = this.#init;
    this.#advance(now);
    if (this.#ends.size === 0) return;
    this.#share = Math.min(1, count / (weight * this.#ends.size));
    const after = Math.max(0, this.#first() - this.#given) / this.#share;
    queue.add(now + after, CORES_END, number, this.#version, 0);
  }

  #advance(now: number): void {
    this.#given += (now - this.#since) * this.#share;
    this.#since = now;
  }

  #first(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const end of this.#ends.values()) first = Math.min(first, end);
    return first;
  }
}

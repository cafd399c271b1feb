/**
 * When things run. This file is the only user of timers; everything else takes a `Scheduler`.
 * `wallScheduler` is the event loop; `VirtualScheduler` runs the same code in virtual time, one
 * event at a time, in an order that depends on nothing but the program.
 */
import { assert } from './assert.ts';
import { type Clock, wallClock } from './clock.ts';

/** Stops a pending timer; harmless after it fired. */
export type CancelTimer = () => void;

export interface Scheduler {
  readonly clock: Clock;
  /** Runs `task` after the current one, before any timer. */
  soon(task: () => void): void;
  /** Runs `task` once, `delayMs` from now. A pending timer does not keep the process alive. */
  after(delayMs: number, task: () => void): CancelTimer;
  /**
   * Runs `task` in the next turn of the event loop, which does not sleep before it. Absent where nothing
   * can come from outside meanwhile.
   */
  readonly nextTurn?: (task: () => void) => void;
}

export const wallScheduler: Scheduler = {
  clock: wallClock,
  soon: (task) => queueMicrotask(task),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  nextTurn: (task) => void setImmediate(task),
};

/** A timer that does keep the process alive, for the few waits a command is all about. */
export function keepAliveTimer(delayMs: number, task: () => void): CancelTimer {
  const timer = setTimeout(task, delayMs);
  return () => clearTimeout(timer);
}

/** Resolves after `delayMs` of the scheduler's time. */
export function delay(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    scheduler.after(delayMs, resolve);
  });
}

interface VirtualEvent {
  readonly atMs: number;
  readonly sequence: number;
  readonly task: () => void;
  cancelled: boolean;
}

/**
 * A discrete-event loop. Ties are broken by order of creation, so equal programs give equal runs.
 * Promise reactions run between events: `run()` lets the microtask queue drain before the next one.
 */
export class VirtualScheduler implements Scheduler {
  readonly clock: Clock;
  readonly #events: VirtualEvent[] = [];
  #nowMs = 0;
  #sequence = 0;

  constructor() {
    this.clock = { kind: 'virtual', now: () => this.#nowMs, unixMs: () => this.#nowMs };
  }

  soon(task: () => void): void {
    this.after(0, task);
  }

  after(delayMs: number, task: () => void): CancelTimer {
    assert(delayMs >= 0, `Expected a delay of at least 0 ms but found ${delayMs}`);
    const event = {
      atMs: this.#nowMs + delayMs,
      sequence: this.#sequence++,
      task,
      cancelled: false,
    };
    this.#insert(event);
    return () => {
      event.cancelled = true;
    };
  }

  /**
   * Runs events in order until `until` settles, and returns what it resolved to. Throws if the world
   * falls silent first (nothing will ever settle it) or if virtual time passes `limitMs`.
   */
  async run<T>(until: Promise<T>, limitMs = 600_000): Promise<T> {
    let settled = false;
    const watched = until.finally(() => {
      settled = true;
    });
    watched.catch(() => undefined);
    await drainMicrotasks();
    while (!settled) {
      const event = this.#events.shift();
      if (event === undefined) {
        throw new Error(
          `Expected the awaited promise to settle but no event is left at ${this.#nowMs} ms`,
        );
      }
      if (event.cancelled) continue;
      if (event.atMs > limitMs)
        throw new Error(`Expected an end before ${limitMs} ms of virtual time`);
      this.#nowMs = event.atMs;
      event.task();
      await drainMicrotasks();
    }
    return watched;
  }

  #insert(event: VirtualEvent): void {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#events[middle] as VirtualEvent;
      if (other.atMs <= event.atMs) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }
}

/** One turn of the macrotask queue, so that every promise reaction that is ready has run. */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * The virtual scheduler of a long simulation: same order of events as `VirtualScheduler`, with a heap
 * for timers, a queue for what runs at once, and a count of what is still alive, so that the end of a
 * run can ask whether the world has fallen silent.
 */
import { assert } from '../../../common/assert.ts';
import type { Clock } from '../../../common/clock.ts';
import type { CancelTimer, Scheduler } from '../../../common/scheduler.ts';

/** Events whose turns are queued at a time, at most: one pass of the event loop for many of them. */
const TURNS_PER_PASS_MAX = 128;

interface SimulationEvent {
  readonly atMs: number;
  readonly sequence: number;
  readonly task: () => void;
  state: 'pending' | 'done' | 'cancelled';
}

/** Why `run` came back. `silent`: nothing is left that could happen. */
export type RunEnd = 'settled' | 'late' | 'silent';

export class SimulationScheduler implements Scheduler {
  readonly clock: Clock;
  readonly #heap: SimulationEvent[] = [];
  #queue: SimulationEvent[] = [];
  #queueHead = 0;
  #nowMs = 0;
  #sequence = 0;
  #live = 0;
  /** Events that have run. */
  ran = 0;

  constructor() {
    this.clock = { kind: 'virtual', now: () => this.#nowMs, unixMs: () => this.#nowMs };
  }

  /** Events that would still run. */
  get live(): number {
    return this.#live;
  }

  soon(task: () => void): void {
    this.#live++;
    const sequence = this.#sequence++;
    this.#queue.push({ atMs: this.#nowMs, sequence, task, state: 'pending' });
  }

  after(delayMs: number, task: () => void): CancelTimer {
    assert(delayMs >= 0, `Expected a delay of at least 0 ms but found ${delayMs}`);
    const atMs = this.#nowMs + delayMs;
    const event: SimulationEvent = { atMs, sequence: this.#sequence++, task, state: 'pending' };
    this.#live++;
    if (delayMs === 0) this.#queue.push(event);
    else this.#push(event);
    return () => {
      if (event.state !== 'pending') return;
      event.state = 'cancelled';
      this.#live--;
    };
  }

  /** Runs events until `until` settles, or virtual time has gone on by `limitMs`, or nothing is left. */
  run(until: Promise<unknown>, limitMs: number): Promise<RunEnd> {
    const deadlineMs = this.#nowMs + limitMs;
    return new Promise<RunEnd>((resolve, reject) => {
      let state: 'running' | 'over' = 'running';
      const end = (how: RunEnd) => {
        if (state === 'over') return;
        state = 'over';
        resolve(how);
      };
      until.then(
        () => end('settled'),
        () => end('settled'),
      );
      const turn = () => {
        if (state === 'over') return;
        const event = this.#next(deadlineMs);
        if (event === 'late' || event === 'silent') {
          if (event === 'late') this.#nowMs = deadlineMs;
          end(event);
          return;
        }
        this.#nowMs = event.atMs;
        event.state = 'done';
        this.#live--;
        this.ran++;
        try {
          event.task();
        } catch (reason) {
          state = 'over';
          reject(reason);
        }
      };
      // Promise reactions run between two immediates, and so between two events.
      const pass = () => {
        if (state === 'over') return;
        const turns = Math.min(TURNS_PER_PASS_MAX, this.#live + 1);
        for (let count = 0; count < turns; count++) setImmediate(turn);
        setImmediate(pass);
      };
      setImmediate(pass);
    });
  }

  /** Lets `ms` of virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(new Promise(() => undefined), ms);
  }

  #next(deadlineMs: number): SimulationEvent | 'late' | 'silent' {
    for (;;) {
      const queued = this.#queue[this.#queueHead];
      const timer = this.#heap[0];
      if (queued === undefined && timer === undefined) return 'silent';
      const first =
        queued !== undefined && (timer === undefined || isBefore(queued, timer)) ? queued : timer;
      if (first === undefined || (first.state === 'pending' && first.atMs > deadlineMs))
        return 'late';
      if (first === queued) this.#shift();
      else this.#pop();
      if (first.state === 'pending') return first;
    }
  }

  #shift(): void {
    this.#queueHead++;
    if (this.#queueHead < 1024 && this.#queueHead < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#queueHead);
    this.#queueHead = 0;
  }

  #push(event: SimulationEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent] as SimulationEvent;
      if (!isBefore(event, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as SimulationEvent)) child++;
      const below = heap[child] as SimulationEvent;
      if (!isBefore(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: SimulationEvent, b: SimulationEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

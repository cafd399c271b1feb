/**
 * Faults that an operation switches on: the network in memory has drop and duplicate rates from the
 * start, and here the generator it asks says "no" until a fault is armed. Delay is a scheduler that
 * lets the network's timers run late.
 */
import { Prng } from '../../../common/prng.ts';
import type { CancelTimer, Scheduler } from '../../../common/scheduler.ts';

/** The rates to give the network: any number between 0 and 1 does. */
export const ARMED_RATE = 0.5;

/** Answers the network's questions "is this frame dropped?" and then "does it arrive twice?". */
export class FaultSource extends Prng {
  #drops = 0;
  #duplicates = 0;
  #question: 'drop' | 'duplicate' = 'drop';

  constructor() {
    super(0);
  }

  /** The next `frames` frames vanish. */
  armDrop(frames: number): void {
    this.#drops = frames;
  }

  /** The next `frames` frames that do not vanish arrive twice. */
  armDuplicate(frames: number): void {
    this.#duplicates = frames;
  }

  disarm(): void {
    this.#drops = 0;
    this.#duplicates = 0;
  }

  override float(): number {
    if (this.#question === 'drop') {
      if (this.#drops > 0) {
        this.#drops--;
        return 0;
      }
      this.#question = 'duplicate';
      return 1;
    }
    this.#question = 'drop';
    if (this.#duplicates === 0) return 1;
    this.#duplicates--;
    return 0;
  }
}

/** The network's scheduler: everything takes longer while a delay is armed. */
export class DelayingScheduler implements Scheduler {
  readonly #base: Scheduler;
  #extraMs: readonly number[] = [];

  constructor(base: Scheduler) {
    this.#base = base;
  }

  get clock(): Scheduler['clock'] {
    return this.#base.clock;
  }

  /** The next timers run late by these times. */
  armDelay(extraMs: readonly number[]): void {
    this.#extraMs = extraMs;
  }

  disarm(): void {
    this.#extraMs = [];
  }

  soon(task: () => void): void {
    this.#base.soon(task);
  }

  after(delayMs: number, task: () => void): CancelTimer {
    const [extra = 0, ...rest] = this.#extraMs;
    if (this.#extraMs.length > 0) this.#extraMs = rest;
    return this.#base.after(delayMs + extra, task);
  }
}

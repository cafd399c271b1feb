/**
 * The acknowledgement timer of a requester: tells when nothing has been heard for the timeout although
 * an answer was due. One timer for all frames; progress only moves a mark, so that a busy queue pair
 * does not set a timer per frame.
 */
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';

/** A timer that is this close to its time has reached it: clocks count in fractions. */
const SLACK_MS = 0.5;

export class AckTimer {
  readonly #scheduler: Scheduler;
  readonly #onSilence: () => void;
  #progressAtMs = 0;
  #timeoutMs = 0;
  #cancel: CancelTimer | undefined;

  constructor(scheduler: Scheduler, onSilence: () => void) {
    this.#scheduler = scheduler;
    this.#onSilence = onSilence;
  }

  noteProgress(): void {
    this.#progressAtMs = this.#scheduler.clock.now();
  }

  /** From now on an answer is due within `timeoutMs` of the last progress. Goes on if it runs. */
  run(timeoutMs: number): void {
    if (this.#cancel !== undefined) return;
    this.#timeoutMs = timeoutMs;
    this.noteProgress();
    this.#arm(timeoutMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(delayMs: number): void {
    this.#cancel = this.#scheduler.after(delayMs, () => {
      this.#cancel = undefined;
      const silentMs = this.#scheduler.clock.now() - this.#progressAtMs;
      const leftMs = this.#timeoutMs - silentMs;
      if (leftMs > SLACK_MS) this.#arm(leftMs);
      else this.#onSilence();
    });
  }
}

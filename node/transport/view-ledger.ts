/**
 * How many payload views a connection has been handed and how many its medium has taken, so that
 * whoever owns the memory can wait until nobody reads it any more. Two counters: a frame costs an
 * addition here, whoever waits pays for the waiting.
 */
import { type Deferred, deferred } from '../../common/deferred.ts';

interface Waiter {
  /** Done when this many have been taken. */
  readonly mark: number;
  readonly done: Deferred<void>;
}

export class ViewLedger {
  #handedOver = 0;
  #taken = 0;
  #waiters: Waiter[] = [];

  /** No view that was handed over is still read. */
  get isQuiet(): boolean {
    return this.#taken >= this.#handedOver;
  }

  /** Payload views of one frame wait for the medium. */
  handOver(): void {
    this.#handedOver++;
  }

  /** The medium has taken those of the oldest frame. Late news of a dead connection changes nothing. */
  take(): void {
    if (this.isQuiet) return;
    this.#taken++;
    if (this.#waiters.length > 0) this.#settle();
  }

  /** The connection is gone, and nothing is read any more. */
  clear(): void {
    this.#taken = this.#handedOver;
    this.#settle();
  }

  /** Resolves when what has been handed over so far is not read any more. */
  quiet(): Promise<void> {
    if (this.isQuiet) return Promise.resolve();
    const done = deferred<void>();
    this.#waiters.push({ mark: this.#handedOver, done });
    return done.promise;
  }

  #settle(): void {
    const late = this.#waiters.filter(({ mark }) => mark > this.#taken);
    const due = this.#waiters.filter(({ mark }) => mark <= this.#taken);
    this.#waiters = late;
    for (const { done } of due) done.resolve();
  }
}

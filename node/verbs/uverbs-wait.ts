/** Calls of user processes that wait for one thing: a completion, a chance to try again. */
import type { Scheduler } from '../../common/scheduler.ts';
import { interruptibleWait, type WaitEnd } from '../process/interruptible-wait.ts';
import type { SimProcess } from '../process/sim-process.ts';

/** Calls that may wait for one object. */
const WAITERS_MAX = 64;

/** Who waits. All are woken together, first come first served. */
export class WaitQueue {
  readonly #wakers = new Set<() => void>();
  #state: 'open' | 'closed' = 'open';

  get isEmpty(): boolean {
    return this.#wakers.size === 0;
  }

  get isFull(): boolean {
    return this.#wakers.size >= WAITERS_MAX;
  }

  /** `interrupted`: the caller has ended, or what it waits for is gone; touch nothing. */
  async wait(caller: SimProcess, scheduler: Scheduler, timeoutMs: number): Promise<WaitEnd> {
    const end = await interruptibleWait(caller, scheduler, timeoutMs, (wake) => {
      this.#wakers.add(wake);
      return () => this.#wakers.delete(wake);
    });
    return this.#state === 'closed' ? 'interrupted' : end;
  }

  wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  /** What they wait for is gone. */
  close(): void {
    this.#state = 'closed';
    this.wake();
  }
}

/** Those who wait for a queue or a counter to change, each with a deadline. */
import type { Scheduler } from '../../common/scheduler.ts';

/** How many may wait for one object; one more is answered at once, as if its time were over. */
export const WAITERS_MAX = 1_024;

export class Waiters {
  readonly #scheduler: Scheduler;
  readonly #attempts = new Set<() => void>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /**
   * What `attempt` answers, tried now and after every `wake`; `undefined` if it has answered nothing
   * for `timeoutMs`. With 0 it is tried once.
   */
  wait<T>(timeoutMs: number, attempt: () => T | undefined): Promise<T | undefined> {
    const answer = attempt();
    const isOver = timeoutMs <= 0 || this.#attempts.size >= WAITERS_MAX;
    if (answer !== undefined || isOver) return Promise.resolve(answer);
    return new Promise((resolve) => {
      const end = (found: T | undefined) => {
        cancel();
        this.#attempts.delete(tryAgain);
        resolve(found);
      };
      const tryAgain = () => {
        const found = attempt();
        if (found !== undefined) end(found);
      };
      const cancel = this.#scheduler.after(timeoutMs, () => end(undefined));
      this.#attempts.add(tryAgain);
    });
  }

  /** Something has changed. Attempts run at once: they must not call back. */
  wake(): void {
    for (const tryAgain of [...this.#attempts]) tryAgain();
  }
}

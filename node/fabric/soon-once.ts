/** A task that runs soon, once, however often it is asked for until then. */
import type { Scheduler } from '../../common/scheduler.ts';

export class SoonOnce {
  readonly #scheduler: Scheduler;
  readonly #task: () => void;
  #isScheduled = false;

  constructor(scheduler: Scheduler, task: () => void) {
    this.#scheduler = scheduler;
    this.#task = task;
  }

  request(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.soon(() => {
      this.#isScheduled = false;
      this.#task();
    });
  }
}

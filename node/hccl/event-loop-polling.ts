/**
 * Keeps the event loop awake while an operation is under way, and a little longer: what the next message
 * brings is then found by a look and not by a wake-up. Only where every rank has a core of its own: a loop
 * that looks takes the core from whoever is looked for.
 */
import type { Scheduler } from '../../common/scheduler.ts';

/** How long the loop stays awake after an operation: the next one often follows at once. */
export const LINGER_MS = 0.3;
/** How long an operation is looked for before the loop sleeps all the same. */
export const POLLING_MS = 20;

/** For a communicator; `undefined` if its ranks may outnumber the cores. */
export function pollingOf(init: {
  readonly nranks: number;
  readonly cores: number | undefined;
  readonly scheduler: Scheduler;
}): EventLoopPolling | undefined {
  return init.nranks <= (init.cores ?? 0) ? new EventLoopPolling(init.scheduler) : undefined;
}

export class EventLoopPolling {
  readonly #scheduler: Scheduler;
  #until = 0;
  #state: 'asleep' | 'awake' = 'asleep';

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** An operation begins. */
  begin(): void {
    this.#until = this.#scheduler.clock.now() + POLLING_MS;
    if (this.#state === 'asleep') this.#look();
  }

  /** It has ended. */
  end(): void {
    this.#until = this.#scheduler.clock.now() + LINGER_MS;
  }

  #look(): void {
    const { clock, nextTurn } = this.#scheduler;
    this.#state = nextTurn !== undefined && clock.now() < this.#until ? 'awake' : 'asleep';
    if (this.#state === 'awake') nextTurn?.(() => this.#look());
  }
}

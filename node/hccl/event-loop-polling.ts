/**
 * Keeps the event loop awake while an operation is under way, and a little longer: what the next message
 * brings is then found by a look and not by a wake-up. Only where every rank has a core of its own: a loop
 * that looks takes the core from whoever is looked for. And only while nobody else wants the cores: a loop that looks
 * uses up its time slices, and waits for whole ones of others, where one that sleeps is let in at once when it wakes.
 */
import type { Scheduler } from '../../common/scheduler.ts';

/** How long the loop stays awake after an operation: the next one often follows at once. */
export const LINGER_MS = 0.3;
/** How long an operation is looked for before the loop sleeps all the same. */
export const POLLING_MS = 20;
/** Between two looks longer than this, the core was somebody else's, or the work is such that wake-ups hardly count. */
export const CORE_LOST_MS = 2;
/** After that the loop sleeps for so long. */
export const BACK_OFF_MS = 100;

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
  #lookedAtMs = 0;
  #backOffUntilMs = 0;
  #state: 'asleep' | 'awake' = 'asleep';

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** An operation begins. */
  begin(): void {
    const now = this.#scheduler.clock.now();
    if (now < this.#backOffUntilMs) return;
    this.#until = now + POLLING_MS;
    if (this.#state === 'awake') return;
    this.#lookedAtMs = now;
    this.#look();
  }

  /** It has ended. */
  end(): void {
    this.#until = Math.min(this.#until, this.#scheduler.clock.now() + LINGER_MS);
  }

  #look(): void {
    const { clock, nextTurn } = this.#scheduler;
    const now = clock.now();
    const isLost = now - this.#lookedAtMs > CORE_LOST_MS;
    if (isLost) this.#backOffUntilMs = now + BACK_OFF_MS;
    this.#lookedAtMs = now;
    this.#state = nextTurn !== undefined && !isLost && now < this.#until ? 'awake' : 'asleep';
    if (this.#state === 'awake') nextTurn?.(() => this.#look());
  }
}

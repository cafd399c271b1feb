/**
 * How the program's thread gets an operation to its end: it goes on as far as it can, looks again for a
 * short while if its peers run at the same time, and then sleeps until one of them wakes it.
 */
import { COLLECTIVE_TIMEOUT_MS } from '../timeouts.ts';
import { ProgramFault } from './program-fault.ts';
import type { ProgramOperation, ProgramPlace } from './program-operation.ts';

/**
 * How long a rank looks again before it sleeps, where every rank has a core of its own: some times what a
 * sleep and a wake-up cost.
 */
const LOOKING_MS = 0.3;
/** Looks between two looks at the clock. */
const LOOKS = 64;
/** Longest sleep: what nobody rings for (the end of the communicator) is seen after it at the latest. */
const SLEEP_MS = 100;

/** Between two looks, where operations of several communicators are under way in one thread. */
const PAUSE_MS = 0.05;

export class ProgramRunner {
  readonly place: ProgramPlace;
  readonly #lookingMs: number;

  /** `hasCore`: there are at least as many cores as ranks, so looking again costs nobody anything. */
  constructor(place: ProgramPlace, hasCore: boolean) {
    this.place = place;
    this.#lookingMs = hasCore ? LOOKING_MS : 0;
  }

  /** Goes on with an operation; true at its end. Throws a `ProgramFault`. */
  advance(operation: ProgramOperation): boolean {
    const { control } = this.place;
    if (!control.enter()) throw new ProgramFault({ kind: 'closed' });
    try {
      return operation.advance();
    } finally {
      control.leave();
    }
  }

  /** Goes on, looking again for a while; true at the end. */
  #lookOn(operation: ProgramOperation): boolean {
    if (this.advance(operation)) return true;
    const { wait } = this.place;
    if (this.#lookingMs === 0) return this.#giveWay(operation);
    const until = wait.now() + this.#lookingMs;
    do {
      for (let look = 0; look < LOOKS; look++) if (this.advance(operation)) return true;
    } while (wait.now() < until);
    return false;
  }

  /**
   * Where there are more ranks than cores, whoever is waited for may be waiting for this very core, and two system
   * calls of a sleep cost more than one. Goes on whenever the core comes back; true at the end.
   */
  #giveWay(operation: ProgramOperation): boolean {
    const { place } = this;
    for (let time = 0; time < place.yields; time++) {
      place.wait.giveWay();
      if (place.hasNews() && this.advance(operation)) return true;
    }
    return false;
  }

  /** As `advance`, for who looks again now and then. */
  poll(operation: ProgramOperation): boolean {
    if (this.advance(operation)) return true;
    this.#expectInTime(operation);
    return false;
  }

  /** Lets others run for a moment: several operations are under way in this thread. */
  pause(): void {
    this.place.pause(PAUSE_MS);
  }

  /** Returns at the end of an operation. Throws a `ProgramFault`. */
  finish(operation: ProgramOperation): void {
    const { place } = this;
    for (;;) {
      if (this.#lookOn(operation)) return;
      // In this order, so that nobody who wakes is missed: about to sleep, one more look, asleep.
      place.aboutToSleep();
      try {
        if (this.advance(operation)) return;
        place.sleep(SLEEP_MS);
      } finally {
        place.awake();
      }
      this.#expectInTime(operation);
    }
  }

  #expectInTime(operation: ProgramOperation): void {
    const now = this.place.wait.now();
    operation.deadline ??= now + COLLECTIVE_TIMEOUT_MS;
    const peer = operation.waitingFor;
    if (now > operation.deadline && peer !== undefined)
      throw new ProgramFault({ kind: 'stuck', peer });
  }
}

/**
 * How this host's clock stands to the coordinator's, by round trips on the control connection as in NTP
 * (RFC 5905): the answer was given at some moment of the round trip, so the middle of it is wrong by half
 * of it at most, and the shortest of several round trips tells most.
 */
import { type Deferred, deferred, withDeadline } from '../common/deferred.ts';
import { HlsimError } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { ClockReading } from '../coordinator/hlcp/trace-messages.ts';

const ROUND_TRIPS = 8;
/** A coordinator that is alive answers long before. */
const ROUND_TRIP_TIMEOUT_MS = 1_000;

export class ClockAlignment {
  readonly #scheduler: Scheduler;
  readonly #ask: (sequence: number) => void;
  readonly #waiting = new Map<number, Deferred<number>>();
  #sequence = 0;

  /** `ask` sends a question of this number to the coordinator. */
  constructor(scheduler: Scheduler, ask: (sequence: number) => void) {
    this.#scheduler = scheduler;
    this.#ask = ask;
  }

  /**
   * The best of several round trips.
   *
   * @throws HlsimError `HLSIM_TIMEOUT` if the coordinator does not answer
   */
  async measure(): Promise<ClockReading> {
    let best = await this.#roundTrip();
    for (let trip = 1; trip < ROUND_TRIPS; trip++) {
      const next = await this.#roundTrip();
      if (next.uncertaintyMs < best.uncertaintyMs) best = next;
    }
    return best;
  }

  /** The coordinator's answer to a question. */
  answered(sequence: number, coordinatorMs: number): void {
    this.#waiting.get(sequence)?.resolve(coordinatorMs);
  }

  async #roundTrip(): Promise<ClockReading> {
    const sequence = ++this.#sequence;
    const answer = deferred<number>();
    this.#waiting.set(sequence, answer);
    const { clock } = this.#scheduler;
    const beginMs = clock.now();
    this.#ask(sequence);
    let endMs = beginMs;
    // In the answer's own turn: whatever else this process has to do must not count.
    const arrived = answer.promise.then((coordinatorMs) => {
      endMs = clock.now();
      return coordinatorMs;
    });
    try {
      const coordinatorMs = await withDeadline(
        this.#scheduler,
        ROUND_TRIP_TIMEOUT_MS,
        arrived,
        silentError,
      );
      const atMs = (beginMs + endMs) / 2;
      return { atMs, offsetMs: coordinatorMs - atMs, uncertaintyMs: (endMs - beginMs) / 2 };
    } finally {
      this.#waiting.delete(sequence);
    }
  }
}

function silentError(): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected the coordinator to tell the time within ${ROUND_TRIP_TIMEOUT_MS} ms but found no answer`,
  );
}

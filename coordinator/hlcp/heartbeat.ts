/**
 * The dialling side's heartbeat, of hosts and clients alike: says that it lives, and finds out when
 * the coordinator does not. A coordinator that dies closes its connection; one that hangs does not,
 * and silence is all that there is to notice.
 *
 * The rules are those of `coordinator/failure-detector.ts`, seen from the other end: any message is a
 * sign of life, and time that this process itself slept through is given back.
 */
import { HlsimError } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS } from './messages.ts';

/** Silence after which the coordinator is lost: an interval longer, so that it can judge first. */
export const COORDINATOR_TIMEOUT_MS = HEARTBEAT_TIMEOUT_MS + HEARTBEAT_INTERVAL_MS;

/** Beats are `HEARTBEAT_INTERVAL_MS` apart; after a gap of more than this, this process slept. */
const BEAT_GAP_MS_MAX = 2 * HEARTBEAT_INTERVAL_MS;

export interface HeartbeatOptions {
  readonly scheduler: Scheduler;
  /** Sends `HLCP_HEARTBEAT` with this number. */
  readonly send: (sequence: number) => void;
  /** The coordinator has been silent for too long. Called once; the heartbeat has stopped. */
  readonly silent: (silentMs: number) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #heardMs: number;
  #beatMs: number;
  #sequence = 0;
  #timer: CancelTimer | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#heardMs = options.scheduler.clock.now();
    this.#beatMs = this.#heardMs;
  }

  /** Sends the first heartbeat now and the others every `HEARTBEAT_INTERVAL_MS`, until `stop`. */
  start(): void {
    this.#heardMs = this.#now();
    this.#beatMs = this.#heardMs;
    this.#beat();
  }

  /** A message of the coordinator has arrived, whichever. */
  heard(): void {
    this.#heardMs = this.#now();
  }

  /** Harmless if it does not beat. */
  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #beat(): void {
    const now = this.#now();
    const gapMs = now - this.#beatMs;
    // What came in during the gap has not been read yet: it says nothing about the coordinator.
    if (gapMs > BEAT_GAP_MS_MAX) this.#heardMs = Math.min(now, this.#heardMs + gapMs);
    this.#beatMs = now;
    const silentMs = now - this.#heardMs;
    if (silentMs > COORDINATOR_TIMEOUT_MS) {
      this.stop();
      this.#options.silent(silentMs);
      return;
    }
    // Armed first: if sending ends the connection, `stop` finds the timer.
    this.#timer = this.#options.scheduler.after(HEARTBEAT_INTERVAL_MS, () => this.#beat());
    this.#options.send(++this.#sequence);
  }

  #now(): number {
    return this.#options.scheduler.clock.now();
  }
}

/** `HLSIM_COORDINATOR_LOST` for silence. `which`: as in `the coordinator at ws://...`. */
export function silentCoordinatorError(which: string, silentMs: number): HlsimError {
  const message = `Expected ${which} to answer heartbeats but it has been silent for ${Math.round(silentMs)} ms`;
  return new HlsimError('HLSIM_COORDINATOR_LOST', message, { fields: { silentMs } });
}

/**
 * Decides when silence means death.
 *
 * Intuition. A lighthouse keeper blinks twice a second. If he misses a blink, you look again: a wave
 * was in the way. If he misses many, his light is out, and ships must be told, even though you cannot
 * know whether he died or only fell asleep. And if it was *you* who fell asleep, the blinks that you
 * missed say nothing about him: when you wake, you give him the time back that you slept through.
 *
 * So a host is `green` while it is heard, `yellow` after two missed heartbeats (shown to people,
 * acted on by nobody) and `red` after `HEARTBEAT_TIMEOUT_MS` (dead; the verdict is final, a host that
 * comes back is a new host). Any message counts as a sign of life. A closed socket is quicker than all
 * this and does not pass through here.
 *
 * A fixed timeout, not an estimate of the arrival times such as the phi accrual detector (Hayashibara
 * et al., SRDS 2004): hosts of one cluster are on one machine or one network, the interval is ours,
 * and a bound that people can read in a document is worth more than half a second.
 */
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS } from './hlcp/messages.ts';

export type Colour = 'green' | 'yellow' | 'red';

/** What is known of one host. Times in milliseconds of the coordinator's clock. */
export interface Liveness {
  readonly heardMs: number;
  /** When anybody last looked; the gap to the next look shows whether the looker slept. */
  readonly lookedMs: number;
}

/** Silence after which a host is shown as `yellow`. */
export const HEARTBEAT_LATE_MS = 2 * HEARTBEAT_INTERVAL_MS;
/** Looks are `HEARTBEAT_INTERVAL_MS` apart; after a gap of more than this the looker slept. */
export const LOOK_GAP_MS_MAX = 2 * HEARTBEAT_INTERVAL_MS;

export function startWatching(now: number): Liveness {
  return { heardMs: now, lookedMs: now };
}

/** A message of the host has arrived. */
export function heard(liveness: Liveness, now: number): Liveness {
  return { heardMs: now, lookedMs: liveness.lookedMs };
}

/** To be called at least every `HEARTBEAT_INTERVAL_MS`, before `colour`. */
export function look(liveness: Liveness, now: number): Liveness {
  const gapMs = now - liveness.lookedMs;
  const sleptMs = gapMs > LOOK_GAP_MS_MAX ? gapMs : 0;
  return { heardMs: Math.min(now, liveness.heardMs + sleptMs), lookedMs: now };
}

export function colour(liveness: Liveness, now: number): Colour {
  const silentMs = now - liveness.heardMs;
  if (silentMs >= HEARTBEAT_TIMEOUT_MS) return 'red';
  return silentMs >= HEARTBEAT_LATE_MS ? 'yellow' : 'green';
}

/** When to look next: in time to keep looking regularly, and exactly when the host would turn red. */
export function nextLookMs(liveness: Liveness): number {
  return Math.min(
    liveness.lookedMs + HEARTBEAT_INTERVAL_MS,
    liveness.heardMs + HEARTBEAT_TIMEOUT_MS,
  );
}

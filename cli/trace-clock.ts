/** Times on the clocks of several hosts, on one: the coordinator's. */
import type { ClockReading } from '../coordinator/hlcp/trace-messages.ts';

export interface HostClock {
  readonly begin: ClockReading;
  readonly end: ClockReading;
}

/** From a host's milliseconds to the coordinator's. */
export type Alignment = (hostMs: number) => number;

/**
 * The clocks run alike as far as can be told, unless the two offsets differ by more than they are uncertain:
 * then they drift, and the offset is drawn from the one to the other.
 */
export function alignmentOf({ begin, end }: HostClock): Alignment {
  const drift = end.offsetMs - begin.offsetMs;
  const isDrift = Math.abs(drift) > begin.uncertaintyMs + end.uncertaintyMs;
  if (!isDrift || end.atMs <= begin.atMs) {
    const { offsetMs } = begin.uncertaintyMs <= end.uncertaintyMs ? begin : end;
    return (hostMs) => hostMs + offsetMs;
  }
  const perMs = drift / (end.atMs - begin.atMs);
  return (hostMs) => hostMs + begin.offsetMs + (hostMs - begin.atMs) * perMs;
}

/** How wrong an aligned time may be. */
export function uncertaintyMs({ begin, end }: HostClock): number {
  const isDrift = Math.abs(end.offsetMs - begin.offsetMs) > begin.uncertaintyMs + end.uncertaintyMs;
  return isDrift
    ? Math.max(begin.uncertaintyMs, end.uncertaintyMs)
    : Math.min(begin.uncertaintyMs, end.uncertaintyMs);
}

import { describe, expect, it } from 'vitest';
import {
  colour,
  HEARTBEAT_LATE_MS,
  heard,
  type Liveness,
  look,
  nextLookMs,
  startWatching,
} from '../../coordinator/failure-detector.ts';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS } from '../../coordinator/hlcp/messages.ts';

/** Looks every interval from `fromMs` to `toMs`, as the coordinator does. */
function lookUntil(liveness: Liveness, fromMs: number, toMs: number): Liveness {
  let state = liveness;
  for (let now = fromMs; now <= toMs; now += HEARTBEAT_INTERVAL_MS) state = look(state, now);
  return state;
}

describe('failure detector', () => {
  it('a host that is heard is green', () => {
    const state = heard(startWatching(0), 900);
    expect(colour(state, 900)).toBe('green');
    expect(colour(state, 900 + HEARTBEAT_LATE_MS - 1)).toBe('green');
  });

  it('a host that missed two heartbeats is yellow, and green again when it is heard', () => {
    const state = startWatching(0);
    expect(colour(state, HEARTBEAT_LATE_MS)).toBe('yellow');
    expect(colour(heard(state, HEARTBEAT_LATE_MS), HEARTBEAT_LATE_MS)).toBe('green');
  });

  it('a host that is silent for the timeout is red, not a millisecond earlier', () => {
    const state = lookUntil(startWatching(0), 0, HEARTBEAT_TIMEOUT_MS);
    expect(colour(state, HEARTBEAT_TIMEOUT_MS - 1)).toBe('yellow');
    expect(colour(state, HEARTBEAT_TIMEOUT_MS)).toBe('red');
  });

  it('the next look is never later than one interval, nor than the moment of turning red', () => {
    expect(nextLookMs({ heardMs: 0, lookedMs: 100 })).toBe(100 + HEARTBEAT_INTERVAL_MS);
    expect(nextLookMs({ heardMs: 0, lookedMs: 2_400 })).toBe(HEARTBEAT_TIMEOUT_MS);
  });

  it('time that the looker slept through is not counted as silence', () => {
    const before = heard(startWatching(0), 1_000);
    const woken = look(look(before, 1_000), 61_000);
    expect(colour(woken, 61_000)).toBe('green');
    const later = lookUntil(woken, 61_000, 61_000 + HEARTBEAT_TIMEOUT_MS);
    expect(colour(later, 61_000 + HEARTBEAT_TIMEOUT_MS)).toBe('red');
  });

  it('a look that is a little late is no sleep', () => {
    const state = look(startWatching(0), 2 * HEARTBEAT_INTERVAL_MS);
    expect(state.heardMs).toBe(0);
  });
});

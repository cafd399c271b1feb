import { describe, expect, it } from 'vitest';
import { type Scheduler, VirtualScheduler } from '../../../common/scheduler.ts';
import {
  BACK_OFF_MS,
  CORE_LOST_MS,
  LINGER_MS,
  POLLING_MS,
  pollingOf,
} from '../../../node/hccl/event-loop-polling.ts';

/** An event loop whose turns the test makes, on a clock that the test moves. */
function loop() {
  const turns: (() => void)[] = [];
  const time = { now: 0 };
  const scheduler: Scheduler = {
    ...new VirtualScheduler(),
    clock: { kind: 'virtual', now: () => time.now, unixMs: () => time.now },
    soon: (task) => task(),
    after: () => () => undefined,
    nextTurn: (task) => turns.push(task),
  };
  /** Takes `ms`; whether the loop stays awake. */
  const turn = (ms: number): boolean => {
    time.now += ms;
    turns.shift()?.();
    return turns.length > 0;
  };
  return { scheduler, turn };
}

describe('the polling of a communicator', () => {
  it('is there only where every rank has a core', () => {
    const { scheduler } = loop();
    expect(pollingOf({ nranks: 2, cores: 2, scheduler })).toBeDefined();
    expect(pollingOf({ nranks: 3, cores: 2, scheduler })).toBeUndefined();
    expect(pollingOf({ nranks: 1, cores: undefined, scheduler })).toBeUndefined();
  });

  it('keeps the loop awake during an operation, and for a moment after it', () => {
    const { scheduler, turn } = loop();
    const polling = pollingOf({ nranks: 2, cores: 2, scheduler });
    polling?.begin();
    expect(turn(1)).toBe(true);
    polling?.end();
    expect(turn(LINGER_MS / 2)).toBe(true);
    expect(turn(LINGER_MS)).toBe(false);
  });

  it('lets the loop sleep in an operation that takes long, and wakes it for the next', () => {
    const { scheduler, turn } = loop();
    const polling = pollingOf({ nranks: 2, cores: 2, scheduler });
    polling?.begin();
    for (let ms = 1; ms < POLLING_MS; ms++) expect(turn(1)).toBe(true);
    expect(turn(1)).toBe(false);
    polling?.end();
    polling?.begin();
    expect(turn(1)).toBe(true);
  });

  it('lets the loop sleep for a while where others take its core', () => {
    const { scheduler, turn } = loop();
    const polling = pollingOf({ nranks: 2, cores: 2, scheduler });
    polling?.begin();
    expect(turn(1)).toBe(true);
    expect(turn(CORE_LOST_MS + 1)).toBe(false);
    polling?.end();
    polling?.begin();
    expect(turn(BACK_OFF_MS)).toBe(false);
    polling?.begin();
    expect(turn(1)).toBe(true);
  });

  it('does nothing where there is no event loop', () => {
    const polling = pollingOf({ nranks: 2, cores: 2, scheduler: new VirtualScheduler() });
    expect(() => polling?.begin()).not.toThrow();
  });
});

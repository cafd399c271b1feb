import { describe, expect, it } from 'vitest';
import { delay, type Scheduler, VirtualScheduler } from '../../../common/scheduler.ts';
import {
  COORDINATOR_TIMEOUT_MS,
  Heartbeat,
  silentCoordinatorError,
} from '../../../coordinator/hlcp/heartbeat.ts';
import { HEARTBEAT_INTERVAL_MS } from '../../../coordinator/hlcp/messages.ts';

/** A heartbeat of a process that can sleep: its clock goes on, its timers do not fire. */
function beating(answers: (now: number) => boolean) {
  const virtual = new VirtualScheduler();
  let sleptMs = 0;
  const now = (): number => virtual.clock.now() + sleptMs;
  const scheduler: Scheduler = {
    clock: { kind: 'virtual', now, unixMs: now },
    soon: (task) => virtual.soon(task),
    after: (delayMs, task) => virtual.after(delayMs, task),
  };
  const sent: number[] = [];
  const silences: { atMs: number; silentMs: number }[] = [];
  const heartbeat = new Heartbeat({
    scheduler,
    send: (sequence) => {
      sent.push(sequence);
      if (answers(now())) virtual.after(1, () => heartbeat.heard());
    },
    silent: (silentMs) => silences.push({ atMs: now(), silentMs }),
  });
  return {
    heartbeat,
    sent,
    silences,
    wait: (ms: number) => virtual.run(delay(virtual, ms)),
    sleep: (ms: number) => {
      sleptMs += ms;
    },
  };
}

describe('heartbeat of a host or client', () => {
  it('goes out at once and then every interval, numbered', async () => {
    const { heartbeat, sent, wait } = beating(() => true);
    heartbeat.start();
    expect(sent).toEqual([1]);
    await wait(2 * HEARTBEAT_INTERVAL_MS + 1);
    expect(sent).toEqual([1, 2, 3]);
  });

  it('a coordinator that answers is never lost', async () => {
    const { heartbeat, silences, wait } = beating(() => true);
    heartbeat.start();
    await wait(60_000);
    expect(silences).toEqual([]);
  });

  it('a coordinator that falls silent is lost once, within an interval of the timeout', async () => {
    const { heartbeat, sent, silences, wait } = beating((now) => now < 10_000);
    heartbeat.start();
    await wait(60_000);
    expect(silences).toHaveLength(1);
    const { silentMs = 0 } = silences[0] ?? {};
    expect(silentMs).toBeGreaterThan(COORDINATOR_TIMEOUT_MS);
    expect(silentMs).toBeLessThanOrEqual(COORDINATOR_TIMEOUT_MS + HEARTBEAT_INTERVAL_MS);
    expect(sent.length).toBeLessThan(30);
  });

  it('time that this process slept through is not silence of the coordinator', async () => {
    const { heartbeat, silences, wait, sleep } = beating(() => true);
    heartbeat.start();
    await wait(1_100);
    sleep(60_000);
    await wait(10_000);
    expect(silences).toEqual([]);
  });

  it('a coordinator that died during that sleep is lost all the same, afterwards', async () => {
    const { heartbeat, silences, wait, sleep } = beating((now) => now < 1_100);
    heartbeat.start();
    await wait(1_100);
    sleep(60_000);
    await wait(COORDINATOR_TIMEOUT_MS + 2 * HEARTBEAT_INTERVAL_MS);
    expect(silences).toHaveLength(1);
  });

  it('stops: nothing is sent and nobody is blamed any more', async () => {
    const { heartbeat, sent, silences, wait } = beating(() => false);
    heartbeat.start();
    heartbeat.stop();
    await wait(60_000);
    expect([sent, silences]).toEqual([[1], []]);
  });

  it('the error says who was silent and for how long', () => {
    const error = silentCoordinatorError('the coordinator at ws://box:1', 3_400.6);
    expect(error).toMatchObject({
      code: 'HLSIM_COORDINATOR_LOST',
      message:
        'Expected the coordinator at ws://box:1 to answer heartbeats but it has been silent for 3401 ms',
    });
  });
});

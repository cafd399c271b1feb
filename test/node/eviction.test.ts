/** Freeing a device, under virtual time: real processes, and a device that is held as the test says. */
import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../common/scheduler.ts';
import type { EvictStep } from '../../coordinator/hlcp/device-messages.ts';
import type { DeviceDescription } from '../../node/device/description.ts';
import {
  EVICT_KILL_WAIT_MS,
  EVICT_RESET_WAIT_MS,
  EVICT_SETTLE_MS,
  evictDevice,
} from '../../node/eviction.ts';
import type { DeviceHolder } from '../../node/held-device.ts';
import { ProcessTable } from '../../node/process/process-table.ts';
import type { SimProcess } from '../../node/process/sim-process.ts';

type Describes = Pick<DeviceDescription, 'status' | 'use'>;

/** A host with one device, which is free when nobody on its list runs, unless the test says otherwise. */
function host() {
  const scheduler = new VirtualScheduler();
  const processes = new ProcessTable();
  const stop = new AbortController();
  const users: { readonly process: SimProcess; readonly how: DeviceHolder['how'] }[] = [];
  const steps: EvictStep[] = [];
  let disabledReason: string | undefined;
  let forced: Describes | undefined;
  const live = () => users.filter(({ process }) => process.state === 'running');
  const order = ['opener', 'importer', 'descriptor'];

  function user(how: DeviceHolder['how'], program = 'p'): SimProcess {
    const process = processes.create({ containerId: `tenant-${users.length}`, program });
    users.push({ process, how });
    return process;
  }

  function describeDevice(): Describes & { readonly disabledReason?: string } {
    if (disabledReason !== undefined) return { status: 'MALFUNCTION', use: 'free', disabledReason };
    return forced ?? { status: 'OPERATIONAL', use: live().length === 0 ? 'free' : 'open' };
  }

  const evict = (graceMs: number, retries: number) =>
    evictDevice({
      device: {
        index: 0,
        describe: describeDevice,
        holders: () =>
          live()
            .toSorted((a, b) => order.indexOf(a.how) - order.indexOf(b.how))
            .map(({ process: { pid, containerId }, how }) => ({
              pid,
              containerId,
              how,
              what: how,
            })),
        disable: (reason) => {
          disabledReason = reason;
        },
      },
      processes,
      scheduler,
      graceMs,
      retries,
      report: (step) => steps.push(step),
      signal: stop.signal,
    });

  const force = (description: Describes | undefined) => {
    forced = description;
  };
  const actions = () =>
    steps.map(({ action, process }) => `${action} ${process?.pid ?? ''}`.trim());
  return { scheduler, processes, stop, steps, user, evict, force, actions };
}

describe('evictDevice', () => {
  it('finds a device that is free, and touches nobody', async () => {
    const { scheduler, processes, evict, steps } = host();
    const other = processes.create({ containerId: 'x' });
    expect(await scheduler.run(evict(1_000, 3))).toEqual({ outcome: 'free' });
    expect(steps.map(({ text }) => text)).toEqual(['Device 0 is free']);
    expect(other.state).toBe('running');
  });

  it('ends openers, then those with memory regions, then those with descriptors alone', async () => {
    const { scheduler, user, evict, actions, steps } = host();
    const descriptor = user('descriptor').pid;
    const importer = user('importer').pid;
    const opener = user('opener').pid;
    expect(await scheduler.run(evict(1_000, 0))).toEqual({ outcome: 'free' });
    const each = (pid: number) => [`found ${pid}`, `signalled ${pid}`, `ended ${pid}`, 'checked'];
    expect(actions()).toEqual([opener, importer, descriptor].flatMap(each));
    expect(new Set(steps.map(({ signal }) => signal))).toEqual(new Set([undefined, 'SIGTERM']));
    expect(scheduler.clock.now()).toBe(0);
  });

  it('stops as soon as the device is free: who no longer stands in the way lives on', async () => {
    const { scheduler, user, evict, force } = host();
    const opener = user('opener');
    const importer = user('importer');
    opener.onExit(() => force({ status: 'OPERATIONAL', use: 'free' }));
    expect(await scheduler.run(evict(1_000, 0))).toEqual({ outcome: 'free' });
    expect([opener.state, importer.state]).toEqual(['exited', 'running']);
  });

  it('says so where a free device can still be reached', async () => {
    const { scheduler, user, evict, force, steps } = host();
    const { pid } = user('importer');
    force({ status: 'OPERATIONAL', use: 'free' });
    expect(await scheduler.run(evict(1_000, 0))).toEqual({ outcome: 'free' });
    expect(steps.at(-1)?.text).toContain(`still held by pid ${pid} (tenant-0)`);
  });

  it('kills a process that handles SIGTERM and stays, after exactly the grace', async () => {
    const { scheduler, user, evict, actions } = host();
    const stubborn = user('opener');
    stubborn.terminationAction = 'handle';
    expect(await scheduler.run(evict(1_500, 0))).toEqual({ outcome: 'free' });
    expect(stubborn.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(scheduler.clock.now()).toBe(1_500);
    expect(actions().map((words) => words.split(' ')[0])).toEqual([
      ...['found', 'signalled', 'survived', 'signalled', 'ended', 'checked'],
    ]);
  });

  it('gives a process the grace to end by itself', async () => {
    const { scheduler, user, evict } = host();
    const polite = user('opener');
    polite.terminationAction = 'handle';
    polite.onSignal(() => scheduler.after(400, () => polite.exit({ exitCode: 7 })));
    expect(await scheduler.run(evict(1_500, 0))).toEqual({ outcome: 'free' });
    expect(polite.exitStatus).toEqual({ exitCode: 7 });
    expect(scheduler.clock.now()).toBe(400);
  });

  it('waits for a reset or a scrub that is under way', async () => {
    const { scheduler, user, evict, force } = host();
    user('opener').onExit(() => {
      force({ status: 'IN_RESET', use: 'releasing' });
      scheduler.after(EVICT_RESET_WAIT_MS - 1_000, () => force(undefined));
    });
    expect(await scheduler.run(evict(0, 0))).toEqual({ outcome: 'free' });
    expect(scheduler.clock.now()).toBeGreaterThanOrEqual(EVICT_RESET_WAIT_MS - 1_000);
  });

  it('tries again for a process that turns up anew', async () => {
    const { scheduler, user, evict, steps } = host();
    const respawn = (left: number): void => {
      const process = user('opener');
      if (left > 0) process.onExit(() => respawn(left - 1));
    };
    respawn(5);
    expect(await scheduler.run(evict(100, 0))).toEqual({ outcome: 'free' });
    expect(steps.filter(({ action }) => action === 'ended')).toHaveLength(6);
  });

  it('disables a device that nobody lets go of, after every retry, and says who is left', async () => {
    const { scheduler, evict, force, steps } = host();
    force({ status: 'OPERATIONAL', use: 'releasing' });
    const result = await scheduler.run(evict(1_000, 2));
    expect(result).toEqual({
      outcome: 'disabled',
      reason: 'still held by nobody that is known after 3 trials to evict',
    });
    expect(steps.filter(({ action }) => action === 'found').map(({ trial }) => trial)).toEqual([
      1, 2, 3,
    ]);
    expect(steps.at(-1)?.action).toBe('disabled');
    expect(scheduler.clock.now()).toBe(3 * EVICT_SETTLE_MS);
  });

  it('ends a holder at most once in a trial, though it stays on the list', async () => {
    const { scheduler, processes, user, evict, force, steps } = host();
    const { pid } = user('opener');
    force({ status: 'OPERATIONAL', use: 'open' });
    expect(await scheduler.run(evict(0, 1))).toMatchObject({ outcome: 'disabled' });
    expect(processes.get(pid)).toBeUndefined();
    expect(steps.filter(({ action }) => action === 'signalled')).toHaveLength(1);
  });

  it('finds a device that is disabled already, and leaves it so', async () => {
    const { scheduler, user, evict, force, steps } = host();
    const holder = user('opener');
    force({ status: 'MALFUNCTION', use: 'open' });
    expect(await scheduler.run(evict(0, 3))).toMatchObject({ outcome: 'disabled' });
    expect(steps.map(({ action }) => action)).toEqual(['disabled']);
    expect(holder.state).toBe('running');
  });

  it('stops when the host ends', async () => {
    const { scheduler, stop, evict, force } = host();
    force({ status: 'OPERATIONAL', use: 'releasing' });
    const evicting = evict(1_000, 100);
    scheduler.after(50, () => stop.abort());
    expect(await scheduler.run(evicting)).toEqual({ outcome: 'stopped' });
    expect(scheduler.clock.now()).toBeLessThan(EVICT_KILL_WAIT_MS);
  });
});

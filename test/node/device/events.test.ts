import { describe, expect, it } from 'vitest';
import {
  EVENT_WAITS_MAX,
  NOTIFIER_EVENTS,
  type NotifierEvent,
} from '../../../node/device/events.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import {
  hlthunk_get_event_record,
  hlthunk_notifier_create,
  hlthunk_notifier_recv,
  hlthunk_notifier_release,
} from '../../../node/device/hlthunk-info.ts';
import { DeviceBench, errnoOf, mappedMemory } from './device-bench.ts';

const PAGE = 65536;

function bits(...events: NotifierEvent[]): number {
  return events.reduce((mask, event) => mask + 2 ** NOTIFIER_EVENTS[event], 0);
}

async function watched(options: ConstructorParameters<typeof DeviceBench>[2] = {}) {
  const bench = new DeviceBench(1, 16 * PAGE, options);
  const user = bench.start();
  const { fd, address } = await mappedMemory(user, PAGE);
  await hlthunk_notifier_create(user.channel, fd);
  const receive = (timeoutUs = 0) => hlthunk_notifier_recv(user.channel, fd, timeoutUs);
  const submit = () =>
    hlthunk.hlthunk_command_submission(user.channel, fd, [
      { kind: 'kernel', kernel: 'fill_f32', tensors: [{ address, bytes: 4 }], scalars: [1] },
    ]);
  return { bench, user, fd, address, receive, submit, driver: bench.device().driver };
}

/** From now on the device takes an hour for every job. */
function stall(bench: DeviceBench): void {
  bench.scheduler.soon = (task) => void bench.scheduler.after(3_600_000, task);
}

describe('events of a device', () => {
  it('are collected until somebody looks, and only once', async () => {
    const { bench, receive, driver } = await watched();
    expect(await receive()).toBe(0);
    void driver.hardReset('test');
    driver.disable('test');
    expect(await receive()).toBe(bits('DEVICE_RESET', 'DEVICE_UNAVAILABLE'));
    expect(await receive()).toBe(0);
    expect(bench.eventKinds).toEqual(['resetStarted', 'disabled']);
  });

  it('wake who waits, and 0 comes after the time asked for', async () => {
    const { bench, receive, driver } = await watched();
    expect(await bench.run(receive(3000))).toBe(0);
    expect(bench.scheduler.clock.now()).toBe(3);
    const waiting = receive(1_000_000);
    bench.scheduler.after(5, () => driver.disable('test'));
    expect(await bench.run(waiting)).toBe(bits('DEVICE_UNAVAILABLE'));
    expect(bench.scheduler.clock.now()).toBe(8);
  });

  it('are told to every file that registered, the control node’s too', async () => {
    const { bench, receive, driver } = await watched();
    const { channel } = bench.start('c1');
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const deaf = await hlthunk.hlthunk_open_control(channel, 0);
    await hlthunk_notifier_create(channel, control);
    driver.disable('test');
    expect(await hlthunk_notifier_recv(channel, control, 0)).toBe(bits('DEVICE_UNAVAILABLE'));
    expect(await receive()).toBe(bits('DEVICE_UNAVAILABLE'));
    expect(await errnoOf(hlthunk_notifier_recv(channel, deaf, 0))).toBe('EINVAL');
  });

  it('EINVAL: registered twice, or not at all; a release ends the waits', async () => {
    const { user, fd, receive } = await watched();
    expect(await errnoOf(hlthunk_notifier_create(user.channel, fd))).toBe('EINVAL');
    const waiting = receive(1_000_000);
    await hlthunk_notifier_release(user.channel, fd);
    expect(await waiting).toBe(0);
    expect(await errnoOf(receive())).toBe('EINVAL');
    expect(await errnoOf(hlthunk_notifier_release(user.channel, fd))).toBe('EINVAL');
    await hlthunk_notifier_create(user.channel, fd);
    expect(await receive()).toBe(0);
  });

  it('the close ends the waits, and the device is free', async () => {
    const { bench, user, fd, receive } = await watched();
    const waiting = receive(1_000_000);
    await hlthunk.hlthunk_close(user.channel, fd);
    expect(await waiting).toBe(0);
    await bench.sleep(1);
    expect(bench.device().usage().state).toBe('free');
  });

  it(`EAGAIN: more than ${EVENT_WAITS_MAX} waits at a time; EINVAL: a wait without bound`, async () => {
    const { bench, receive, driver } = await watched();
    const waits = Array.from({ length: EVENT_WAITS_MAX }, () => receive(1_000_000));
    expect(await errnoOf(receive(1))).toBe('EAGAIN');
    expect(await errnoOf(receive(600_000_001))).toBe('EINVAL');
    driver.disable('test');
    const masks = await bench.run(Promise.all(waits));
    expect(masks.filter((mask) => mask !== 0)).toEqual([bits('DEVICE_UNAVAILABLE')]);
  });
});

describe('errors of work', () => {
  it('a submission that is given up: CS_TIMEOUT, its record, and a hard reset', async () => {
    const { bench, user, receive, submit, driver } = await watched({ limits: { csTimeoutMs: 20 } });
    stall(bench);
    const sequence = await submit();
    await bench.sleep(21);
    expect(await receive()).toBe(bits('CS_TIMEOUT', 'DEVICE_RESET'));
    expect(driver.describe().status).toBe('IN_RESET');
    const { channel } = bench.start('c1');
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const record = (event: Parameters<typeof hlthunk_get_event_record>[2]) =>
      hlthunk_get_event_record(channel, control, event);
    expect(await record('HLTHUNK_CS_TIMEOUT')).toEqual({ timestampMs: 20, sequence });
    await bench.sleep(2000);
    expect(user.process.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(driver.describe().status).toBe('OPERATIONAL');
    // Readable after the crash, and gone with the next open.
    expect(await record('HLTHUNK_CS_TIMEOUT')).toEqual({ timestampMs: 20, sequence });
    await hlthunk.hlthunk_open(channel, 0);
    expect(await record('HLTHUNK_CS_TIMEOUT')).toEqual({ timestampMs: 0, sequence: 0 });
    expect(await record('HLTHUNK_OPEN_DEV')).toEqual({ timestampMs: 2021, sequence: 0 });
  });

  it('without reset_on_lockup the device only needs a reset, and the rest of the work is rolled back', async () => {
    const limits = { csTimeoutMs: 20 };
    const { bench, user, fd, submit, driver } = await watched({ limits, resetOnLockup: false });
    stall(bench);
    await submit();
    const second = await submit();
    const wait = hlthunk.hlthunk_wait_for_cs(user.channel, fd, second, 1_000_000);
    expect(await bench.run(errnoOf(wait))).toBe('EIO');
    expect(driver.describe().status).toBe('NEEDS_RESET');
    expect(bench.eventKinds).toEqual(['submissionTimedOut', 'needsReset']);
    expect(user.process.state).toBe('running');
    expect(await errnoOf(submit())).toBe('EBUSY');
  });

  it('memory that went away under a job: PAGE_FAULT, and the first one is on record', async () => {
    const { bench, user, fd, address, receive, submit, driver } = await watched();
    await bench.sleep(4);
    const sequence = await submit();
    await submit();
    await hlthunk.hlthunk_memory_unmap(user.channel, fd, address);
    await bench.sleep(1);
    expect(await receive()).toBe(bits('PAGE_FAULT'));
    const record = await hlthunk_get_event_record(user.channel, fd, 'HLTHUNK_PAGE_FAULT');
    expect(record).toEqual({ timestampMs: 4, sequence });
    expect(driver.describe().status).toBe('OPERATIONAL');
  });
});

import { describe, expect, it } from 'vitest';
import type { DeviceEvent } from '../../../node/device/description.ts';
import { createDevice } from '../../../node/device/device.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { DeviceBench, errnoOf, mappedMemory, passDescriptor, UNUSED } from './device-bench.ts';
import { region } from './region.ts';

const PAGE = 65536;
const GRACE_MS = 1000;

async function used(options: ConstructorParameters<typeof DeviceBench>[2] = {}) {
  const bench = new DeviceBench(1, 16 * PAGE, options);
  const user = bench.start();
  const memory = await mappedMemory(user, 2 * PAGE);
  return { bench, user, ...memory, driver: bench.device().driver };
}

describe('hard reset', () => {
  it('of a free device is done within the call', async () => {
    const bench = new DeviceBench();
    const { driver } = bench.device();
    const done = driver.hardReset('test');
    expect(driver.describe()).toMatchObject({
      status: 'OPERATIONAL',
      resets: { hard: 1, soft: 0 },
    });
    expect(await done).toBeUndefined();
    expect(bench.eventKinds).toEqual(['resetStarted', 'resetEnded']);
  });

  it('kills the opener after the grace, not before, and rolls its work back at once', async () => {
    const { bench, user, fd, address, driver } = await used();
    const job = { kind: 'dma', source: address, destination: address + PAGE, bytes: 8 } as const;
    const sequence = await hlthunk.hlthunk_command_submission(user.channel, fd, [job]);
    const wait = hlthunk.hlthunk_wait_for_cs(user.channel, fd, sequence, 1_000_000);
    const reset = driver.hardReset('test');
    expect(await errnoOf(wait)).toBe('EIO');
    await bench.sleep(GRACE_MS - 1);
    expect(user.process.state).toBe('running');
    expect(await bench.run(reset)).toBeUndefined();
    expect(bench.scheduler.clock.now()).toBe(GRACE_MS);
    expect(user.process.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(bench.device().usage()).toEqual(UNUSED);
  });

  it('spares who closes within the grace', async () => {
    const { bench, user, fd, driver } = await used();
    const reset = driver.hardReset('test');
    bench.scheduler.after(10, () => user.process.fds.close(fd));
    expect(await bench.run(reset)).toBeUndefined();
    expect(bench.scheduler.clock.now()).toBe(10);
    expect(user.process.state).toBe('running');
    expect(driver.describe().resets).toEqual({ hard: 1, soft: 0 });
  });

  it('is one reset, however often it is asked for meanwhile', async () => {
    const { bench, driver } = await used();
    const resets = [driver.hardReset('one'), driver.hardReset('two')];
    expect(await bench.run(Promise.all(resets))).toEqual([undefined, undefined]);
    expect(driver.describe().resets.hard).toBe(1);
    await driver.hardReset('three');
    expect(driver.describe().resets.hard).toBe(2);
  });

  it('tries again while a descriptor is elsewhere, and ends when that is closed', async () => {
    const { bench, user, fd, driver } = await used();
    const other = bench.start('c1');
    passDescriptor(user.process, fd, other.process);
    const reset = driver.hardReset('test');
    bench.scheduler.after(15_000, () => other.process.exit());
    expect(await bench.run(reset)).toBeUndefined();
    expect(bench.scheduler.clock.now()).toBe(15_000);
    expect(bench.eventKinds).toEqual([
      ...['resetStarted', 'userKilled', 'resetRetried', 'userNotKilled', 'resetEnded'],
    ]);
    expect(bench.events[3]?.message).toMatch(/^ESRCH/);
  });

  it('cannot make anybody leave without a process table, and says so', async () => {
    const bench = new DeviceBench();
    const events: DeviceEvent[] = [];
    const { driver } = createDevice({
      index: 0,
      hbmBytes: 16 * PAGE,
      scheduler: bench.scheduler,
      log: (event) => events.push(event),
      limits: { resetTrials: 2 },
    });
    expect(typeof driver.openCompute(bench.start().process)).toBe('object');
    expect(await bench.run(driver.hardReset('test'))).toBe('ETIME');
    const failures = events.filter(({ kind }) => kind === 'userNotKilled');
    expect(failures.map(({ message }) => message.split(':')[0])).toEqual(['ENOSYS', 'ENOSYS']);
  });

  it('ends with EPERM if the device is disabled meanwhile', async () => {
    const { bench, user, driver } = await used();
    const reset = driver.hardReset('test');
    bench.scheduler.after(500, () => driver.disable('given up'));
    expect(await bench.run(reset)).toBe('EPERM');
    expect(user.process.state).toBe('running');
    expect(driver.describe()).toMatchObject({ status: 'MALFUNCTION', disabledReason: 'given up' });
    user.process.exit();
    expect(driver.describe()).toMatchObject({ status: 'MALFUNCTION', use: 'free' });
  });

  it('a device that is disabled rolls its work back with EIO', async () => {
    const { bench, user, fd, address, driver } = await used();
    const job = { kind: 'dma', source: address, destination: address + PAGE, bytes: 8 } as const;
    const sequence = await hlthunk.hlthunk_command_submission(user.channel, fd, [job]);
    const wait = hlthunk.hlthunk_wait_for_cs(user.channel, fd, sequence, 1_000_000);
    driver.disable('given up');
    expect(await errnoOf(wait)).toBe('EIO');
    expect([bench.device().usage().submissions, user.process.state]).toEqual([0, 'running']);
  });

  it('waits for a scrub that is under way, and scrubs what there is itself', async () => {
    const { bench, user, driver } = await used({ limits: { scrubSliceBytes: PAGE } });
    user.process.exit();
    expect(driver.describe().use).toBe('scrubbing');
    expect(await bench.run(driver.hardReset('test'))).toBeUndefined();
    expect(driver.describe()).toMatchObject({ status: 'OPERATIONAL', use: 'free' });
    expect(bench.eventKinds).toEqual(['resetStarted', 'resetEnded']);
  });

  it('policy owner: a region keeps its memory until its process is killed', async () => {
    const { bench, user, exportFd, driver } = await used();
    const mr = await region(user.process, await exportFd());
    mr.write(5);
    const reset = driver.hardReset('test');
    await bench.sleep(GRACE_MS - 1);
    expect(mr.read()).toBe(5);
    expect(await bench.run(reset)).toBeUndefined();
    expect(mr.read()).toBeUndefined();
    expect(
      bench
        .device()
        .hbm.view(PAGE, 16 * PAGE)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('asked for on the control node, by who may, ends when the reset does', async () => {
    const { bench, user, driver } = await used();
    const admin = bench.start('admin', true);
    const control = await hlthunk.hlthunk_open_control(admin.channel, 0);
    await bench.run(hlthunk.hlthunk_device_reset(admin.channel, control));
    expect(user.process.state).toBe('exited');
    expect(driver.describe().resets.hard).toBe(1);
  });
});

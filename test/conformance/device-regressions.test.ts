/** The scenarios of the origin thread that a device alone can play: each a named regression test. */
import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { OWNERSHIP_POLICIES, type OwnershipPolicy } from '../../node/device/ownership.ts';
import {
  DeviceBench,
  errnoOf,
  mappedMemory,
  passDescriptor,
  UNUSED,
} from '../node/device/device-bench.ts';
import { Region, region } from '../node/device/region.ts';

const PAGE = 65536;
const SECRET = 0x5e;

function benchOf(ownership: OwnershipPolicy): DeviceBench {
  return new DeviceBench(1, 64 * PAGE, { ownership });
}

/** The victim opens the device if it can, and puts its secret where the attacker's memory was. */
async function victimWrites(bench: DeviceBench): Promise<string> {
  const victim = bench.start('victim');
  const opened = await errnoOf(hlthunk.hlthunk_open(victim.channel, 0));
  if (opened !== 'no error') return opened;
  victim.process.fds.close(0);
  await bench.run(Promise.resolve());
  const { fd, address } = await mappedMemory(victim, 4 * PAGE);
  const source = await hlthunk.hlthunk_host_memory_map(victim.channel, fd, 4096, PAGE);
  victim.process.userBytes(4096, PAGE)?.fill(SECRET);
  const job = { kind: 'dma', source, destination: address, bytes: PAGE } as const;
  const sequence = await hlthunk.hlthunk_command_submission(victim.channel, fd, [job]);
  return bench.run(hlthunk.hlthunk_wait_for_cs(victim.channel, fd, sequence, 1000));
}

describe('R1: export, register, close; the next user writes secrets; read them by RDMA', () => {
  it('owner: the victim cannot open until the region is gone, and finds zeroes then', async () => {
    const bench = benchOf('owner');
    const attacker = bench.start('attacker');
    const { fd, exportFd } = await mappedMemory(attacker, 4 * PAGE);
    const buffer = await exportFd();
    const mr = await region(attacker.process, buffer);
    expect(mr.write(0xaa)).toBe(true);
    await hlthunk.hlthunk_close(attacker.channel, fd);
    await attacker.channel.call('close', { fd: buffer });
    expect(await victimWrites(bench)).toBe('EAGAIN');
    expect(mr.read()).toBe(0xaa);
    await mr.close();
    expect(
      bench
        .device()
        .hbm.view(PAGE, 64 * PAGE)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(await victimWrites(bench)).toBe('COMPLETED');
    expect(mr.read()).toBeUndefined();
  });

  it('revoke: the region that cannot be stopped is refused when it attaches', async () => {
    const bench = benchOf('revoke');
    const attacker = bench.start('attacker');
    const { exportFd } = await mappedMemory(attacker, 4 * PAGE);
    expect(await Region.register(attacker.process, await exportFd(), 'pinned')).toBe('EOPNOTSUPP');
    expect(bench.device().driver.describe().memoryRegions).toBe(0);
  });

  it('revoke: the close takes the memory from the region, and is over when nobody reaches it', async () => {
    const bench = benchOf('revoke');
    const attacker = bench.start('attacker');
    const { fd, exportFd } = await mappedMemory(attacker, 4 * PAGE);
    const buffer = await exportFd();
    const mr = await region(attacker.process, buffer, 'revocable');
    mr.write(0xaa);
    await bench.run(hlthunk.hlthunk_close(attacker.channel, fd));
    expect(mr.state).toBe('revoked');
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(await victimWrites(bench)).toBe('COMPLETED');
    expect([mr.read(), mr.write(1)]).toEqual([undefined, false]);
    expect(await Region.register(attacker.process, buffer, 'revocable')).toBe('ENODEV');
    await mr.close();
  });

  it('owner-2021: the close ends in a reset, the attacker is killed, and its region with it', async () => {
    const bench = benchOf('owner-2021');
    const attacker = bench.start('attacker');
    const { fd, exportFd } = await mappedMemory(attacker, 4 * PAGE);
    const mr = await region(attacker.process, await exportFd());
    mr.write(0xaa);
    await hlthunk.hlthunk_close(attacker.channel, fd);
    expect(await victimWrites(bench)).toBe('EAGAIN');
    await bench.sleep(1000);
    expect(attacker.process.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(await victimWrites(bench)).toBe('COMPLETED');
    expect(mr.read()).toBeUndefined();
  });

  it('none: the attack works, which shows that the reading is real', async () => {
    const bench = benchOf('none');
    const attacker = bench.start('attacker');
    const { fd, exportFd } = await mappedMemory(attacker, 4 * PAGE);
    const mr = await region(attacker.process, await exportFd());
    mr.write(0xaa);
    await hlthunk.hlthunk_close(attacker.channel, fd);
    expect(mr.read()).toBe(0);
    expect(await victimWrites(bench)).toBe('COMPLETED');
    expect(mr.read()).toBe(SECRET);
    expect(bench.device().driver.describe()).toMatchObject({
      exportedDmaBufs: 1,
      memoryRegions: 1,
    });
    attacker.process.exit();
    expect(bench.device().driver.describe().exportedDmaBufs).toBe(0);
  });

  it('none: the device warns at its start, and no other policy does', () => {
    const warnings = OWNERSHIP_POLICIES.map((policy) => benchOf(policy).eventKinds);
    expect(warnings).toEqual([[], [], [], ['unsafeOwnership']]);
  });
});

describe('R2: closing the device while a dma-buf of it lives', () => {
  it('2021: notice, hard reset, and the opener is killed after the grace', async () => {
    const bench = benchOf('owner-2021');
    const user = bench.start();
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    await exportFd();
    await hlthunk.hlthunk_close(user.channel, fd);
    expect(bench.events[0]).toMatchObject({ kind: 'closedInUse', level: 'warn' });
    expect(bench.events[0]?.message).toMatch(/device still in use \[1 exported dma-buf\]/);
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'IN_RESET',
      exportedDmaBufs: 1,
    });
    await bench.sleep(999);
    expect(user.process.state).toBe('running');
    await bench.sleep(2);
    expect(user.process.state).toBe('exited');
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'OPERATIONAL',
      use: 'free',
      resets: { hard: 1, soft: 0 },
    });
  });

  it('2021: a user that lets go within the grace is not killed', async () => {
    const bench = benchOf('owner-2021');
    const user = bench.start();
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    const buffer = await exportFd();
    await hlthunk.hlthunk_close(user.channel, fd);
    await bench.sleep(500);
    await user.channel.call('close', { fd: buffer });
    await bench.sleep(1000);
    expect(user.process.state).toBe('running');
    expect(bench.device().driver.describe()).toMatchObject({ status: 'OPERATIONAL', use: 'free' });
  });

  it('2021: a holder in another process is not on the list: trials run out, device disabled', async () => {
    const bench = benchOf('owner-2021');
    const user = bench.start();
    const other = bench.start('c1');
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    const buffer = await exportFd();
    const passed = passDescriptor(user.process, buffer, other.process);
    await region(other.process, passed);
    await hlthunk.hlthunk_close(user.channel, fd);
    await bench.sleep(70_000);
    expect(user.process.state).toBe('exited');
    expect(other.process.state).toBe('running');
    expect(bench.device().driver.describe().status).toBe('MALFUNCTION');
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EPERM');
  });

  it('2023: the device waits, nobody is killed, and it is free with the last dma-buf', async () => {
    const bench = benchOf('owner');
    const user = bench.start();
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    const buffers = [await exportFd(), await exportFd()];
    await hlthunk.hlthunk_close(user.channel, fd);
    await bench.sleep(100_000);
    expect(user.process.state).toBe('running');
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'OPERATIONAL',
      use: 'releasing',
      exportedDmaBufs: 2,
      resets: { hard: 0, soft: 0 },
    });
    for (const buffer of buffers) {
      expect(await errnoOf(hlthunk.hlthunk_open(user.channel, 0))).toBe('EAGAIN');
      await user.channel.call('close', { fd: buffer });
    }
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(bench.events).toEqual([]);
  });
});

describe('R9: a reset takes dma-bufs back for a time, the close during it for good', () => {
  it('waits once, and the importer is told once', async () => {
    const bench = benchOf('revoke');
    const user = bench.start();
    const { exportFd } = await mappedMemory(user, PAGE);
    const buffer = await exportFd();
    const mr = await region(user.process, buffer, 'revocable');
    const reset = bench.device().driver.hardReset('test');
    await bench.sleep(1);
    expect(mr.state).toBe('revoked');
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'IN_RESET',
      exportedDmaBufs: 1,
    });
    expect(await bench.run(reset)).toBeUndefined();
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'OPERATIONAL',
      use: 'free',
      exportedDmaBufs: 0,
      resets: { hard: 1 },
    });
  });
});

describe('R10: an importer that says it can be stopped, and never lets go', () => {
  it('is reported as a bug, and the device is disabled rather than handed on', async () => {
    const bench = benchOf('revoke');
    const user = bench.start();
    const { fd, exportFd } = await mappedMemory(user, PAGE);
    const mr = await region(user.process, await exportFd(), 'liar');
    await bench.run(hlthunk.hlthunk_close(user.channel, fd));
    expect(bench.eventKinds).toEqual(['revokeBug', 'disabled']);
    expect(mr.read()).toBeUndefined();
    expect(await errnoOf(hlthunk.hlthunk_open(bench.start().channel, 0))).toBe('EPERM');
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'MALFUNCTION',
      use: 'releasing',
    });
  });

  it('also if the first to take the memory back was a reset', async () => {
    const bench = benchOf('revoke');
    const user = bench.start();
    const { exportFd } = await mappedMemory(user, PAGE);
    const other = bench.start('c1');
    const passed = passDescriptor(user.process, await exportFd(), other.process);
    await region(other.process, passed, 'liar');
    expect(await bench.run(bench.device().driver.hardReset('test'))).toBe('EPERM');
    expect(bench.device().driver.describe().status).toBe('MALFUNCTION');
  });
});

describe('R19: the trials of a hard reset run out', () => {
  it('the device is disabled and says why, and open gives EPERM for good', async () => {
    const bench = benchOf('owner');
    const user = bench.start();
    const other = bench.start('c1');
    const { fd } = await mappedMemory(user, PAGE);
    passDescriptor(user.process, fd, other.process);
    const reset = bench.device().driver.hardReset('test');
    expect(await bench.run(reset)).toBe('ETIME');
    expect(bench.scheduler.clock.now()).toBe(6 * 11_000);
    expect(bench.eventKinds.filter((kind) => kind === 'resetRetried')).toHaveLength(6);
    expect(bench.device().driver.describe()).toMatchObject({
      status: 'MALFUNCTION',
      disabledReason: expect.stringMatching(/still in use after 6 trials/),
    });
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EPERM');
    expect(await bench.device().driver.hardReset('again')).toBe('EPERM');
    other.process.exit();
    expect(bench.device().driver.describe().use).toBe('free');
    expect(await errnoOf(hlthunk.hlthunk_open(bench.start().channel, 0))).toBe('EPERM');
    const control = await hlthunk.hlthunk_open_control(bench.start().channel, 0);
    expect(control).toBe(0);
  });

  it('a kill that is answered in time leaves the device operational, its memory zeroed', async () => {
    const bench = benchOf('owner');
    const user = bench.start();
    const { exportFd } = await mappedMemory(user, 8 * PAGE);
    const mr = await region(user.process, await exportFd());
    mr.write(7);
    expect(await bench.run(bench.device().driver.hardReset('test'))).toBeUndefined();
    expect(user.process.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(bench.eventKinds).toEqual(['resetStarted', 'userKilled', 'resetEnded']);
    expect(
      bench
        .device()
        .hbm.view(PAGE, 64 * PAGE)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(bench.device().driver.describe()).toMatchObject({ status: 'OPERATIONAL', use: 'free' });
  });
});

describe('R20: who cannot open, and who always can', () => {
  it('second open EBUSY; open during scrub EAGAIN; the control node opens all the time', async () => {
    const bench = new DeviceBench(1, 64 * PAGE, { limits: { scrubSliceBytes: PAGE } });
    const user = bench.start();
    const other = bench.start('c1');
    const control = () => hlthunk.hlthunk_open_control(other.channel, 0);
    const { fd } = await mappedMemory(user, 4 * PAGE);
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EBUSY');
    await control();
    const closing = hlthunk.hlthunk_close(user.channel, fd);
    const { status, use } = bench.device().driver.describe();
    expect([status, use]).toEqual(['IN_RESET_AFTER_DEVICE_RELEASE', 'scrubbing']);
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EAGAIN');
    await control();
    await bench.run(closing);
    expect(typeof (await hlthunk.hlthunk_open(other.channel, 0))).toBe('number');
  });
});

import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { DeviceBench, errnoOf, passDescriptor, UNUSED } from './device-bench.ts';

const PAGE = 65536;

describe('exclusive open (policy owner)', () => {
  it('open twice: the second open gives EBUSY, from any process', async () => {
    const bench = new DeviceBench();
    const { channel } = bench.start();
    const other = bench.start();
    expect(await hlthunk.hlthunk_open(channel, 0)).toBe(0);
    expect(await errnoOf(hlthunk.hlthunk_open(channel, 0))).toBe('EBUSY');
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EBUSY');
  });

  it('open, close, open again, many times, with nothing left', async () => {
    const bench = new DeviceBench();
    const { channel } = bench.start();
    for (let round = 0; round < 10; round++) {
      const fd = await hlthunk.hlthunk_open(channel, 0);
      await hlthunk.hlthunk_close(channel, fd);
      expect(bench.device().usage()).toEqual(UNUSED);
    }
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const stats = await hlthunk.hlthunk_get_open_stats(channel, control);
    expect(stats).toEqual({
      openCounter: 10,
      lastOpenPeriodMs: 0,
      isComputeContextActive: false,
      computeContextInRelease: false,
    });
  });

  it('a device that does not exist gives ENXIO, another path ENOENT, other flags EINVAL', async () => {
    const { channel } = new DeviceBench().start();
    expect(await errnoOf(hlthunk.hlthunk_open(channel, 1))).toBe('ENXIO');
    expect(await errnoOf(hlthunk.hlthunk_open_control(channel, 1))).toBe('ENXIO');
    expect(await errnoOf(channel.call('open', { path: '/dev/null', flags: 2 }))).toBe('ENOENT');
    const path = '/dev/accel/accel0';
    expect(await errnoOf(channel.call('open', { path, flags: 4 }))).toBe('EINVAL');
  });

  it('the control node opens any number of times, also while the device is busy', async () => {
    const bench = new DeviceBench();
    const { channel } = bench.start();
    await hlthunk.hlthunk_open(channel, 0);
    for (let round = 0; round < 3; round++) {
      const fd = await hlthunk.hlthunk_open_control(bench.start().channel, 0);
      expect(fd).toBe(0);
    }
  });

  it('the device stays with its user while a duplicate descriptor is open', async () => {
    const bench = new DeviceBench();
    const { channel } = bench.start();
    const fd = await hlthunk.hlthunk_open(channel, 0);
    const copy = (await channel.call('dup', { fd })) as number;
    await hlthunk.hlthunk_close(channel, fd);
    expect(await errnoOf(hlthunk.hlthunk_open(channel, 0))).toBe('EBUSY');
    expect((await hlthunk.hlthunk_get_device_status_info(channel, copy)).status).toBe(
      'OPERATIONAL',
    );
    await hlthunk.hlthunk_close(channel, copy);
    expect(bench.device().usage()).toEqual(UNUSED);
  });

  it('a dma-buf keeps the closed device: EAGAIN until it is gone, and its memory stays', async () => {
    const bench = new DeviceBench();
    const { channel } = bench.start();
    const fd = await hlthunk.hlthunk_open(channel, 0);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    const dmabuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      ...[channel, fd, address, PAGE],
    );
    await hlthunk.hlthunk_close(channel, fd);
    expect(await errnoOf(hlthunk.hlthunk_open(channel, 0))).toBe('EAGAIN');
    expect(bench.device().usage()).toMatchObject({
      state: 'releasing',
      exports: 1,
      allocations: 1,
    });
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const stats = await hlthunk.hlthunk_get_open_stats(channel, control);
    expect(stats.computeContextInRelease).toBe(true);
    await hlthunk.hlthunk_close(channel, dmabuf);
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(typeof (await hlthunk.hlthunk_open(channel, 0))).toBe('number');
  });

  it('the next user finds the memory zeroed', async () => {
    const bench = new DeviceBench();
    const first = bench.start();
    const fd = await hlthunk.hlthunk_open(first.channel, 0);
    const handle = await hlthunk.hlthunk_device_memory_alloc(first.channel, fd, 4 * PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(first.channel, fd, handle);
    const tensors = [{ address, bytes: 4 * PAGE }];
    const job = { kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [3] } as const;
    const sequence = await hlthunk.hlthunk_command_submission(first.channel, fd, [job]);
    await bench.run(hlthunk.hlthunk_wait_for_cs(first.channel, fd, sequence, 1000));
    const { hbm } = bench.device();
    expect(hbm.view(PAGE, hbm.bytes).some((byte) => byte !== 0)).toBe(true);
    first.process.exit();
    expect(hbm.view(PAGE, hbm.bytes).every((byte) => byte === 0)).toBe(true);
  });
});

describe('process exit', () => {
  it('gives everything back: memory, mappings, dma-bufs, submissions and the device', async () => {
    const bench = new DeviceBench(2);
    const { process, channel } = bench.start();
    const addresses: number[] = [];
    for (const index of [0, 1]) {
      const fd = await hlthunk.hlthunk_open(channel, index);
      const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, 3 * PAGE);
      const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
      await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
      await hlthunk.hlthunk_host_memory_map(channel, fd, 64, 1000);
      await hlthunk.hlthunk_device_memory_alloc(channel, fd, 1);
      addresses.push(address);
    }
    const [a = 0, b = 0] = addresses;
    // Each device imports from the other: neither may keep the other for ever.
    const bufferOfA = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      channel,
      0,
      a,
      PAGE,
    );
    const bufferOfB = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      channel,
      1,
      b,
      PAGE,
    );
    const seenFromA = await hlthunk.hlthunk_import_dmabuf_fd(channel, 0, bufferOfB, PAGE);
    await hlthunk.hlthunk_import_dmabuf_fd(channel, 1, bufferOfA, PAGE);
    const job = { kind: 'dma', source: a, destination: seenFromA, bytes: PAGE } as const;
    await hlthunk.hlthunk_command_submission(channel, 0, [job]);
    const wait = hlthunk.hlthunk_wait_for_cs(channel, 0, 1, 1_000_000);
    process.exit();
    expect(await errnoOf(wait)).toBe('EINTR');
    expect(process.fds.openCount).toBe(0);
    // The interrupted wait holds the device file until it has returned.
    await bench.run(Promise.resolve());
    expect(bench.device(0).usage()).toEqual(UNUSED);
    expect(bench.device(1).usage()).toEqual(UNUSED);
  });

  it('a dma-buf that somebody else holds keeps the device until that one lets go', async () => {
    const bench = new DeviceBench(2);
    const owner = bench.start();
    const other = bench.start();
    await hlthunk.hlthunk_open(owner.channel, 0);
    const handle = await hlthunk.hlthunk_device_memory_alloc(owner.channel, 0, PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(owner.channel, 0, handle);
    const dmabuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      ...[owner.channel, 0, address, PAGE],
    );
    const fd = await hlthunk.hlthunk_open(other.channel, 1);
    const passed = passDescriptor(owner.process, dmabuf, other.process);
    await hlthunk.hlthunk_import_dmabuf_fd(other.channel, fd, passed, PAGE);
    await hlthunk.hlthunk_close(other.channel, passed);
    owner.process.exit();
    expect(bench.device(0).usage()).toMatchObject({ state: 'releasing', exports: 1 });
    expect(await errnoOf(hlthunk.hlthunk_open(other.channel, 0))).toBe('EAGAIN');
    other.process.exit();
    expect(bench.device(0).usage()).toEqual(UNUSED);
    expect(bench.device(1).usage()).toEqual(UNUSED);
  });
});

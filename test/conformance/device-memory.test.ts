/**
 * What the test suites of hl-thunk (HabanaAI/hl-thunk-open, tests/) ask of a driver, one test per behaviour
 * and named after it: memory and dmabuf.
 */
import { describe, expect, it } from 'vitest';
import { GiB, MiB } from '../../common/bytes.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { DeviceBench, errnoOf, mappedMemory, UNUSED } from '../node/device/device-bench.ts';
import { region } from '../node/device/region.ts';
import { dma, fill, opened } from './device-world.ts';

const PAGE = 65536;

describe('memory', () => {
  it('maps more than 4 GiB, and reaches the last byte', async () => {
    const { bench, alloc, map, submit, wait } = await opened(1 * GiB);
    const handle = await alloc(1 * GiB);
    const addresses: number[] = [];
    for (let index = 0; index < 5; index++) addresses.push(await map(handle));
    expect(Math.max(...addresses) - Math.min(...addresses)).toBe(4 * GiB);
    expect(await wait(await submit(fill(Math.max(...addresses) + 1 * GiB - 64, 1)))).toBe(
      'COMPLETED',
    );
    const { hbm } = bench.device();
    expect(hbm.view(PAGE + 1 * GiB - 2, 2)).toEqual(new Uint8Array([0x80, 0x3f]));
  });

  it.each([
    ['allocates until full', () => [false]],
    ['allocates until full, contiguous', () => [true]],
    ['allocates until full, contiguous and not in turn', () => [true, false]],
  ] as const)('%s: then ENOMEM, and everything can be freed', async (_, kinds) => {
    const { bench, channel, fd, alloc } = await opened();
    const handles: number[] = [];
    const order = kinds();
    while (handles.length < (4 * MiB) / (2 * PAGE)) {
      handles.push(await alloc(2 * PAGE, order[handles.length % order.length]));
    }
    expect(await errnoOf(alloc(1))).toBe('ENOMEM');
    for (const handle of handles) await hlthunk.hlthunk_device_memory_free(channel, fd, handle);
    expect(bench.device().usage()).toEqual({ ...UNUSED, state: 'open' });
  });

  it('submit after unmap: EFAULT', async () => {
    const { channel, fd, alloc, map, submit } = await opened();
    const address = await map(await alloc(PAGE));
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    expect(await errnoOf(submit(fill(address, 1)))).toBe('EFAULT');
  });

  it('submit and close: the device is free, and the work leaves nothing behind', async () => {
    const { bench, channel, fd, alloc, map, submit } = await opened();
    const address = await map(await alloc(PAGE));
    await submit(fill(address, 1), fill(address, 2));
    await bench.run(hlthunk.hlthunk_close(channel, fd));
    await bench.sleep(10);
    const { hbm } = bench.device();
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(hbm.view(PAGE, hbm.bytes).every((byte) => byte === 0)).toBe(true);
  });

  it('hint addresses: a free one is taken, a taken one is not, a bad one is ignored', async () => {
    const { alloc, map } = await opened();
    const handle = await alloc(PAGE);
    const first = await map(handle);
    expect(await map(handle, first + 8 * PAGE)).toBe(first + 8 * PAGE);
    expect(await map(handle, first)).not.toBe(first);
    expect((await map(handle, first + 4096)) % PAGE).toBe(0);
  });

  it.each([
    ['regular', PAGE],
    ['huge', 2 * MiB],
  ])('device MMU hints, %s pages', async (_, pageSize) => {
    const { channel, fd, map } = await opened(16 * MiB);
    const size = 2 * pageSize;
    const { hlthunk_device_memory_alloc } = hlthunk;
    const handle = await hlthunk_device_memory_alloc(channel, fd, size, pageSize);
    const hint = (await map(handle)) + 16 * size;
    expect(await map(handle, hint)).toBe(hint);
  });

  it('PDMA: writes and reads of parts of a cache line do not disturb its neighbours', async () => {
    const { process, channel, fd, alloc, map, submit, wait } = await opened();
    const device = await map(await alloc(PAGE));
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 4096, 4096);
    const bytes = process.userBytes(4096, 4096) ?? new Uint8Array();
    bytes.forEach((_, index) => {
      bytes[index] = index * 31;
    });
    const expected = bytes.slice(0, 128);
    const jobs = [dma(host, device, 128)];
    for (let at = 0; at < 128; at += 7)
      jobs.push(dma(host + at, device + at, Math.min(3, 128 - at)));
    jobs.push(dma(device, host + 2048, 128));
    expect(await wait(await submit(...jobs))).toBe('COMPLETED');
    expect(bytes.slice(2048, 2048 + 128)).toEqual(expected);
  });
});

describe('dmabuf', () => {
  it('basic: export, import, both see the same bytes, close', async () => {
    const bench = new DeviceBench(1, 16 * PAGE);
    const user = bench.start();
    const { address, exportFd, fd } = await mappedMemory(user, 2 * PAGE);
    const buffer = await exportFd();
    const mr = await region(user.process, buffer);
    mr.write(9);
    const host = await hlthunk.hlthunk_host_memory_map(user.channel, fd, 4096, 64);
    const job = dma(address + 2 * PAGE - 64, host, 64);
    const sequence = await hlthunk.hlthunk_command_submission(user.channel, fd, [job]);
    await bench.run(hlthunk.hlthunk_wait_for_cs(user.channel, fd, sequence, 1000));
    expect(user.process.userBytes(4096, 64)?.every((byte) => byte === 9)).toBe(true);
    await mr.close();
    await user.channel.call('close', { fd: buffer });
    expect(bench.device().usage()).toMatchObject({ state: 'open', exports: 0 });
  });

  it.each([
    ['shared', (): readonly number[] => Array(8).fill(0)],
    ['not shared', (): readonly number[] => Array.from({ length: 8 }, (_, index) => index * PAGE)],
  ])('many at a time, memory %s: each is one export, and none is left', async (_, offsets) => {
    const bench = new DeviceBench(1, 16 * PAGE);
    const user = bench.start();
    const { exportFd } = await mappedMemory(user, 8 * PAGE);
    const buffers = await Promise.all(offsets().map((offset) => exportFd(PAGE, offset)));
    expect(new Set(buffers).size).toBe(8);
    const regions = await Promise.all(buffers.map((buffer) => region(user.process, buffer)));
    expect(bench.device().driver.describe()).toMatchObject({
      exportedDmaBufs: 8,
      memoryRegions: 8,
    });
    regions.forEach((one, index) => {
      one.write(index + 1);
    });
    const seen = regions.map((one) => one.read());
    const isShared = new Set(offsets()).size === 1;
    expect(seen).toEqual(isShared ? Array(8).fill(8) : [1, 2, 3, 4, 5, 6, 7, 8]);
    await Promise.all(regions.map((one) => one.close()));
    for (const buffer of buffers) await user.channel.call('close', { fd: buffer });
    expect(bench.device().usage().exports).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { MiB } from '../../../common/bytes.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { DeviceBench, errnoOf, UNUSED } from './device-bench.ts';

const PAGE = 65536;

async function opened() {
  const bench = new DeviceBench();
  const { process, channel } = bench.start();
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const memory = (argument: Record<string, number | string | boolean>) =>
    channel.call('ioctl', { fd, request: 'HL_IOCTL_MEMORY', argument });
  return { bench, process, channel, fd, memory };
}

describe('device memory', () => {
  it('is allocated until full, then ENOMEM, and nothing is leaked', async () => {
    const { bench, channel, fd } = await opened();
    const handles: number[] = [];
    for (let left = 4 * MiB; left > 0; left -= PAGE) {
      handles.push(await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE - 5));
    }
    expect(handles[0]).toBe(1);
    expect(await errnoOf(hlthunk.hlthunk_device_memory_alloc(channel, fd, 1))).toBe('ENOMEM');
    expect(await hlthunk.hlthunk_get_dram_usage(channel, fd)).toEqual({
      dramFreeBytes: 0,
      contextDramBytes: 4 * MiB,
    });
    for (const handle of handles) await hlthunk.hlthunk_device_memory_free(channel, fd, handle);
    expect(bench.device().usage()).toEqual({ ...UNUSED, state: 'open' });
    const whole = await hlthunk.hlthunk_device_memory_alloc(channel, fd, 4 * MiB);
    expect(whole).toBe(handles.length + 1);
  });

  it.each([
    ['size 0', 0, 0],
    ['a page size that is no power of two', PAGE, 3 * PAGE],
    ['a page size below the DRAM page', PAGE, 4096],
  ])('refuses %s with EINVAL', async (_, size, pageSize) => {
    const { channel, fd } = await opened();
    const call = hlthunk.hlthunk_device_memory_alloc(channel, fd, size, pageSize);
    expect(await errnoOf(call)).toBe('EINVAL');
  });

  it('rounds sizes up to the page size asked for', async () => {
    const { bench, channel, fd } = await opened();
    await hlthunk.hlthunk_device_memory_alloc(channel, fd, 1, 2 * MiB);
    expect(bench.device().usage().allocatedBytes).toBe(2 * MiB);
  });

  it('refuses more than the device has without wrapping around', async () => {
    const { channel, fd } = await opened();
    const call = hlthunk.hlthunk_device_memory_alloc(channel, fd, Number.MAX_SAFE_INTEGER);
    expect(await errnoOf(call)).toBe('ENOMEM');
  });

  it('EINVAL: freeing an unknown, a mapped or a freed handle', async () => {
    const { channel, fd } = await opened();
    const free = (handle: number) => hlthunk.hlthunk_device_memory_free(channel, fd, handle);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    expect(await errnoOf(free(99))).toBe('EINVAL');
    expect(await errnoOf(free(handle))).toBe('EINVAL');
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    await free(handle);
    expect(await errnoOf(free(handle))).toBe('EINVAL');
    expect(await errnoOf(hlthunk.hlthunk_device_memory_map(channel, fd, handle))).toBe('EINVAL');
  });

  it('EINVAL: unmapping an address that is not the start of a mapping', async () => {
    const { channel, fd } = await opened();
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE);
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    expect(await errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, address + 4))).toBe('EINVAL');
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    expect(await errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, address))).toBe('EINVAL');
  });

  it('maps at a free hint; elsewhere if it is taken, or EINVAL if the hint is forced', async () => {
    const { channel, fd, memory } = await opened();
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, PAGE);
    const first = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    const hint = first + 16 * PAGE;
    expect(await hlthunk.hlthunk_device_memory_map(channel, fd, handle, hint)).toBe(hint);
    expect(await hlthunk.hlthunk_device_memory_map(channel, fd, handle, hint)).not.toBe(hint);
    for (const bad of [hint, hint + 4 * PAGE + 4096, 4096]) {
      const forced = { op: 'HL_MEM_OP_MAP', userptr: false, handle, hint: bad, forceHint: true };
      expect(await errnoOf(memory(forced))).toBe('EINVAL');
    }
  });

  it('maps user memory by address: EINVAL for size 0 or overflow, EFAULT outside the process', async () => {
    const { channel, fd } = await opened();
    const map = (at: number, size: number) =>
      hlthunk.hlthunk_host_memory_map(channel, fd, at, size);
    expect((await map(100, 50)) % 4096).toBe(100);
    expect(await errnoOf(map(0, 0))).toBe('EINVAL');
    expect(await errnoOf(map(1 * MiB - 10, 11))).toBe('EFAULT');
    expect(await errnoOf(map(Number.MAX_SAFE_INTEGER - 1, 1))).toBe('EFAULT');
    expect(await errnoOf(map(Number.MAX_SAFE_INTEGER, 1))).toBe('EINVAL');
  });

  it('finds the mapping that contains an address', async () => {
    const { channel, fd } = await opened();
    const find = (at: number) => hlthunk.hlthunk_device_memory_lookup(channel, fd, at);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, 1000);
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 64, 100);
    const mapping = { address, size: PAGE, kind: 'dram', handle };
    expect(await find(address)).toEqual(mapping);
    expect(await find(address + PAGE - 1)).toEqual(mapping);
    expect(await find(host + 99)).toEqual({ address: host, size: 100, kind: 'host', handle: 0 });
    expect(await errnoOf(find(address + PAGE))).toBe('EFAULT');
    expect(await errnoOf(find(host + 100))).toBe('EFAULT');
    expect(await errnoOf(find(0))).toBe('EFAULT');
  });
});

describe('malformed requests fail with an errno and have no effect', () => {
  it.each([
    ['no argument', undefined],
    ['null', null],
    ['an array', [1]],
    ['no op', {}],
    ['an unknown op', { op: 'HL_MEM_OP_MAP_BLOCK' }],
    ['an inherited field for op', { op: 'toString' }],
    ['a missing field', { op: 'HL_MEM_OP_FREE' }],
    ['a negative size', { op: 'HL_MEM_OP_ALLOC', size: -1, pageSize: 0 }],
    ['a fraction', { op: 'HL_MEM_OP_UNMAP', address: 0.5 }],
    ['NaN', { op: 'HL_MEM_OP_UNMAP', address: Number.NaN }],
    ['a string for a number', { op: 'HL_MEM_OP_UNMAP', address: '4096' }],
    ['an object for a number', { op: 'HL_MEM_OP_FREE', handle: { valueOf: 1 } }],
  ])('EINVAL: %s', async (_, argument) => {
    const { bench, channel, fd } = await opened();
    const call = channel.call('ioctl', { fd, request: 'HL_IOCTL_MEMORY', argument });
    expect(await errnoOf(call)).toBe('EINVAL');
    expect(bench.device().usage()).toEqual({ ...UNUSED, state: 'open' });
  });

  it('EBADF: no such descriptor; ENOTTY: not a request of this file', async () => {
    const { channel, fd } = await opened();
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const call = (on: number, request: string, argument = {}) =>
      errnoOf(channel.call('ioctl', { fd: on, request, argument }));
    expect(await call(77, 'HL_IOCTL_INFO')).toBe('EBADF');
    expect(await call(fd, 'HL_IOCTL_CB')).toBe('ENOTTY');
    expect(await call(control, 'HL_IOCTL_MEMORY')).toBe('ENOTTY');
    const lookup = hlthunk.hlthunk_device_memory_lookup(channel, control, 0);
    expect(await errnoOf(lookup)).toBe('EINVAL');
  });
});

describe('HL_IOCTL_INFO', () => {
  it('describes the device on both nodes', async () => {
    const { channel, fd } = await opened();
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    const info = await hlthunk.hlthunk_get_hw_ip_info(channel, fd);
    expect(info).toMatchObject({ vendorId: 0x1da3, moduleId: 0, dramBytes: 4 * MiB });
    expect(await hlthunk.hlthunk_get_hw_ip_info(channel, control)).toEqual(info);
    expect(await hlthunk.hlthunk_get_device_status_info(channel, control)).toEqual({
      status: 'OPERATIONAL',
    });
  });
});

import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { hlthunk_get_device_name_from_fd } from '../../../node/device/hlthunk-info.ts';
import { DeviceBench, errnoOf, UNUSED } from './device-bench.ts';
import { region } from './region.ts';

const PAGE = 65536;

async function opened() {
  const bench = new DeviceBench(1, 16 * PAGE, { asic: 'gaudi1' });
  const user = bench.start();
  const { process, channel } = user;
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const { dramBaseAddress } = await hlthunk.hlthunk_get_hw_ip_info(channel, fd);
  return { bench, user, process, channel, fd, dram: dramBaseAddress };
}

describe('the Gaudi 1 form: device memory by physical address', () => {
  it('calls itself GAUDI', async () => {
    const { channel, fd } = await opened();
    expect(await hlthunk_get_device_name_from_fd(channel, fd)).toBe('GAUDI');
  });

  it('ALLOC and FREE keep accounts only: handle 0, and no memory is set aside', async () => {
    const { bench, channel, fd } = await opened();
    expect(await hlthunk.hlthunk_device_memory_alloc(channel, fd, 5 * PAGE)).toBe(0);
    expect(await hlthunk.hlthunk_device_memory_alloc(channel, fd, 20 * PAGE)).toBe(0);
    const usage = () => hlthunk.hlthunk_get_dram_usage(channel, fd);
    expect(await usage()).toEqual({ dramFreeBytes: 0, contextDramBytes: 25 * PAGE });
    const free = (size: number) =>
      channel.call('ioctl', {
        fd,
        request: 'HL_IOCTL_MEMORY',
        argument: { op: 'HL_MEM_OP_FREE', handle: 0, size },
      });
    await free(20 * PAGE);
    expect(await usage()).toEqual({ dramFreeBytes: 11 * PAGE, contextDramBytes: 5 * PAGE });
    await free(99 * PAGE);
    expect(await usage()).toEqual({ dramFreeBytes: 16 * PAGE, contextDramBytes: 0 });
    expect(bench.device().usage()).toEqual({ ...UNUSED, state: 'open' });
    expect(await errnoOf(hlthunk.hlthunk_device_memory_map(channel, fd, 0))).toBe('EINVAL');
  });

  it('jobs name memory by physical address, up to its end', async () => {
    const { bench, channel, fd, dram } = await opened();
    const fill = (address: number) =>
      hlthunk.hlthunk_command_submission(channel, fd, [
        { kind: 'kernel', kernel: 'fill_f32', tensors: [{ address, bytes: 64 }], scalars: [2] },
      ]);
    const sequence = await fill(dram + 16 * PAGE - 64);
    const wait = hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, 1000);
    expect(await bench.run(wait)).toBe('COMPLETED');
    expect(bench.device().hbm.view(17 * PAGE - 2, 2)).toEqual(new Uint8Array([0, 0x40]));
    expect(await errnoOf(fill(dram + 16 * PAGE - 60))).toBe('EFAULT');
    expect(await errnoOf(fill(dram - 64))).toBe('EFAULT');
    expect(await errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, dram))).toBe('EINVAL');
  });

  it('exports any part of DRAM, allocated or not; the dma-buf reaches exactly that part', async () => {
    const { bench, process, channel, fd, dram } = await opened();
    const buffer = await hlthunk.hlthunk_device_memory_export_dmabuf_fd(
      ...[channel, fd, dram + 3 * PAGE, 2 * PAGE],
    );
    const mr = await region(process, buffer);
    mr.write(7);
    const { hbm } = bench.device();
    const written = Array.from({ length: 16 }, (_, page) =>
      hbm.view((page + 1) * PAGE, PAGE).every((byte) => byte === 7),
    );
    expect(written.flatMap((all, page) => (all ? [page] : []))).toEqual([3, 4]);
    expect(bench.device().driver.describe()).toMatchObject({ asic: 'gaudi1', mappings: 0 });
  });

  it('all memory is zeroed between users, for any of it may have been written', async () => {
    const { bench, process, fd } = await opened();
    const { hbm } = bench.device();
    hbm.view(PAGE, hbm.bytes).fill(1);
    process.fds.close(fd);
    expect(hbm.view(PAGE, hbm.bytes).every((byte) => byte === 0)).toBe(true);
    expect(bench.device().usage()).toEqual(UNUSED);
  });

  it('resets itself on release only if it was left busy', async () => {
    const { bench, process, channel, fd, dram } = await opened();
    process.fds.close(fd);
    expect(bench.device().driver.describe().resets.soft).toBe(0);
    await hlthunk.hlthunk_open(channel, 0);
    const tensors = [{ address: dram, bytes: 4 }];
    const job = { kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [1] } as const;
    await hlthunk.hlthunk_command_submission(channel, fd, [job]);
    process.fds.close(fd);
    expect(bench.device().driver.describe().resets.soft).toBe(1);
    await bench.sleep(1);
    expect(bench.device().usage()).toEqual(UNUSED);
  });
});

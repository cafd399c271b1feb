import { describe, expect, it } from 'vitest';
import { DRAM_BAR_BASE } from '../../../node/device/dma-buf-exporter.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import {
  dma_buf_attach,
  dma_buf_map_attachment_unlocked,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
} from '../../../node/dmabuf/attachment.ts';
import type {
  DmaBuf,
  DmaBufAttachment,
  DmaBufImporter,
  SgTable,
} from '../../../node/dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../../../node/dmabuf/export.ts';
import { dma_resv_get_fences, dma_resv_locked } from '../../../node/dmabuf/reservation.ts';
import { dma_buf_invalidate_mappings, dma_buf_revoke } from '../../../node/dmabuf/revoke.ts';
import { OPEN_FILES_MAX } from '../../../node/process/file.ts';
import { O_CLOEXEC, O_RDWR } from '../../../node/process/open-flags.ts';
import { DeviceBench, errnoOf, UNUSED } from './device-bench.ts';

const PAGE = 65536;
const NIC: DmaBufImporter = {
  name: 'nic0',
  allowPeer2Peer: true,
  maxSegmentBytes: 2 ** 31,
  kind: 'dynamic',
  invalidateMappings: (attachment) => dma_buf_unmap_attachment(attachment),
};

/** As the exporter would: under the lock. */
const takeBack = (dmaBuf: DmaBuf) =>
  dma_resv_locked(dmaBuf.reservation, () => dma_buf_invalidate_mappings(dmaBuf));

async function mapped(pages = 2) {
  const bench = new DeviceBench(2);
  const { process, channel } = bench.start();
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, pages * PAGE);
  const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
  const exported = (at: number, size: number, offset = 0, flags = O_RDWR | O_CLOEXEC) =>
    channel.call('ioctl', {
      fd,
      request: 'HL_IOCTL_MEMORY',
      argument: { op: 'HL_MEM_OP_EXPORT_DMABUF_FD', address: at, size, offset, flags },
    });
  const exportFd = (size = pages * PAGE, offset = 0) =>
    hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(channel, fd, address, size, offset);
  return { bench, process, channel, fd, handle, address, exported, exportFd };
}

function ok<T>(result: T): Exclude<T, string> {
  if (typeof result === 'string') throw new Error(`expected success but found ${result}`);
  return result as Exclude<T, string>;
}

describe('EXPORT_DMABUF_FD', () => {
  it.each([
    ['an address inside the mapping', 4096, 4096, 0],
    ['an address that is not page aligned', 4, 4096, 0],
    ['a size below a page', 0, 4095, 0],
    ['size 0', 0, 0, 0],
    ['an offset that is not page aligned', 0, 4096, 100],
    ['a size beyond the mapping', 0, 2 * PAGE + 1, 0],
    ['an offset and size beyond the mapping', 0, 2 * PAGE, 4096],
    ['an offset that overflows', 0, 4096, Number.MAX_SAFE_INTEGER - 4095],
    ['an address where nothing is', 16 * PAGE, 4096, 0],
  ])('EINVAL: %s', async (_, delta, size, offset) => {
    const { bench, address, exported } = await mapped();
    expect(await errnoOf(exported(address + delta, size, offset))).toBe('EINVAL');
    expect(bench.device().usage().exports).toBe(0);
  });

  it('EINVAL: host memory, and unknown flags', async () => {
    const { bench, channel, fd, address, exported } = await mapped();
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, 4096, 8192);
    expect(await errnoOf(exported(host, 4096))).toBe('EINVAL');
    expect(await errnoOf(exported(address, 4096, 0, 0o4))).toBe('EINVAL');
    const wrongFlags = hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      ...[channel, fd, address, 4096, 0, O_RDWR],
    );
    expect(await errnoOf(wrongFlags)).toBe('EINVAL');
    expect(bench.device().usage().exports).toBe(0);
  });

  it('EMFILE when the descriptor table is full, with no reference kept', async () => {
    const { bench, process, channel, fd, address, exported } = await mapped();
    while (process.fds.openCount < OPEN_FILES_MAX) await channel.call('dup', { fd });
    expect(await errnoOf(exported(address, 4096))).toBe('EMFILE');
    expect(bench.device().usage().exports).toBe(0);
    process.exit();
    expect(bench.device().usage()).toEqual(UNUSED);
  });

  it('EINVAL: unmap or free of exported memory, until the last dma-buf is gone', async () => {
    const { channel, fd, handle, address, exportFd } = await mapped();
    const buffers = [await exportFd(), await exportFd(4096, 4096)];
    for (const buffer of buffers) {
      expect(await errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, address))).toBe('EINVAL');
      const free = hlthunk.hlthunk_device_memory_free(channel, fd, handle);
      expect(await errnoOf(free)).toBe('EINVAL');
      await channel.call('close', { fd: buffer });
    }
    await hlthunk.hlthunk_memory_unmap(channel, fd, address);
    await hlthunk.hlthunk_device_memory_free(channel, fd, handle);
  });

  it('holds the device file', async () => {
    const { process, fd, exportFd } = await mapped();
    const file = ok(process.fds.lookup(fd));
    const buffer = await exportFd();
    expect(file.references).toBe(2);
    process.fds.close(buffer);
    expect(file.references).toBe(1);
  });

  it('gives fd 0 if that is free, and fd 0 can be imported', async () => {
    const { bench, channel, fd, address } = await mapped();
    const copy = (await channel.call('dup', { fd })) as number;
    await channel.call('close', { fd });
    const buffer = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
      ...[channel, copy, address, PAGE],
    );
    expect(buffer).toBe(0);
    const peer = await hlthunk.hlthunk_open(channel, 1);
    await hlthunk.hlthunk_import_dmabuf_fd(channel, peer, buffer, PAGE);
    expect(bench.device(1).usage().mappings).toBe(1);
  });
});

describe('a mapping of device memory', () => {
  async function attached(importer = NIC, size = 2 * PAGE, offset = 0) {
    const world = await mapped();
    const fd = await world.exportFd(size, offset);
    const dmaBuf: DmaBuf = ok(dma_buf_get(world.process, fd));
    await world.channel.call('close', { fd });
    const attachment: DmaBufAttachment = ok(dma_buf_attach(dmaBuf, importer));
    const map = () => dma_buf_map_attachment_unlocked(attachment, 'DMA_BIDIRECTIONAL');
    const release = () => dma_buf_teardown(attachment);
    return { ...world, dmaBuf, attachment, map, release };
  }

  it('is one segment of the very bytes of the device, at its bus address', async () => {
    const { bench, map, release } = await attached(NIC, PAGE, 4096);
    const table: SgTable = ok(await map());
    const [segment] = table.segments;
    expect(table.segments.length).toBe(1);
    expect(segment?.dmaAddress).toBe(DRAM_BAR_BASE + PAGE + 4096);
    segment?.bytes.fill(9);
    const { hbm } = bench.device();
    expect(hbm.view(PAGE + 4096, PAGE).every((byte) => byte === 9)).toBe(true);
    expect(hbm.view(PAGE + 4095, 1)[0]).toBe(0);
    await release();
    expect(bench.device().usage().exports).toBe(0);
  });

  it('is cut into segments that the importer can take', async () => {
    const { map, release } = await attached({ ...NIC, maxSegmentBytes: PAGE + 4000 });
    const table: SgTable = ok(await map());
    const shape = table.segments.map(({ dmaAddress, bytes }) => [dmaAddress, bytes.byteLength]);
    expect(shape).toEqual([
      [DRAM_BAR_BASE + PAGE, PAGE],
      [DRAM_BAR_BASE + 2 * PAGE, PAGE],
    ]);
    await release();
  });

  it('EPERM without a peer-to-peer path, EINVAL for segments below a page; attach succeeds', async () => {
    const hostOnly = await attached({ ...NIC, allowPeer2Peer: false });
    expect(await hostOnly.map()).toBe('EPERM');
    await hostOnly.release();
    const tiny = await attached({ ...NIC, maxSegmentBytes: 4095 });
    expect(await tiny.map()).toBe('EINVAL');
    await tiny.release();
  });

  it('loses its segments when it is invalidated, and can be mapped anew', async () => {
    const { dmaBuf, map, release } = await attached();
    const table: SgTable = ok(await map());
    const kept = table.segments;
    await takeBack(dmaBuf);
    expect([table.state, table.segments.length, kept.length]).toEqual(['unmapped', 0, 0]);
    expect(ok(await map()).segments.length).toBe(1);
    await release();
  });

  it('ENODEV after a revoke', async () => {
    const { bench, dmaBuf, map, release } = await attached();
    ok(await map());
    await dma_buf_revoke(dmaBuf, 'permanent', bench);
    expect(await map()).toBe('ENODEV');
    await release();
  });
});

describe('REG_DMABUF_FD: import into another device of the host', () => {
  async function imported(size = 2 * PAGE) {
    const world = await mapped();
    const { channel } = world;
    const buffer = await world.exportFd();
    const peer = await hlthunk.hlthunk_open(channel, 1);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, peer, 2 * PAGE);
    const own = await hlthunk.hlthunk_device_memory_map(channel, peer, handle);
    const remote = await hlthunk.hlthunk_import_dmabuf_fd(channel, peer, buffer, size);
    const dma = async (source: number, destination: number, bytes: number) => {
      const job = { kind: 'dma', source, destination, bytes } as const;
      const sequence = await hlthunk.hlthunk_command_submission(channel, peer, [job]);
      return world.bench.run(hlthunk.hlthunk_wait_for_cs(channel, peer, sequence, 1000));
    };
    return { ...world, buffer, peer, own, remote, dma };
  }

  it('DMA moves bytes between the devices in both directions', async () => {
    const { bench, own, remote, dma } = await imported();
    const [mine, theirs] = [bench.device(1).hbm, bench.device(0).hbm];
    theirs.view(PAGE, 2 * PAGE).forEach((_, index, bytes) => {
      bytes[index] = index * 7;
    });
    expect(await dma(remote, own, 2 * PAGE)).toBe('COMPLETED');
    expect(Buffer.compare(mine.view(PAGE, 2 * PAGE), theirs.view(PAGE, 2 * PAGE))).toBe(0);
    mine.view(PAGE, 8).fill(200);
    expect(await dma(own, remote + 5, 8)).toBe('COMPLETED');
    expect([...theirs.view(PAGE + 4, 10)]).toEqual([28, ...Array(8).fill(200), (13 * 7) & 255]);
  });

  it('outlives the descriptor, and UNMAP lets the exporter go', async () => {
    const { bench, channel, buffer, peer, remote } = await imported();
    await channel.call('close', { fd: buffer });
    expect(bench.device(0).usage().exports).toBe(1);
    await hlthunk.hlthunk_memory_unmap(channel, peer, remote);
    expect(bench.device(0).usage().exports).toBe(0);
  });

  it('jobs end ABORTED once the exporter has taken the memory back, and write nothing', async () => {
    const { bench, process, buffer, own, remote, dma } = await imported();
    const dmaBuf: DmaBuf = ok(dma_buf_get(process, buffer));
    await takeBack(dmaBuf);
    dma_buf_put(dmaBuf);
    bench.device(1).hbm.view(PAGE, PAGE).fill(3);
    expect(await dma(own, remote, 100)).toBe('ABORTED');
    expect(await dma(remote, own, 100)).toBe('ABORTED');
    expect(
      bench
        .device(0)
        .hbm.view(PAGE, 100)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(
      bench
        .device(1)
        .hbm.view(PAGE, 100)
        .every((byte) => byte === 3),
    ).toBe(true);
  });

  it('work in flight shows in the dma-buf until it has ended, and then how', async () => {
    const { bench, process, channel, buffer, peer, own, remote } = await imported();
    const { reservation } = ok(dma_buf_get(process, buffer)) as DmaBuf;
    const submit = (destination: number) =>
      hlthunk.hlthunk_command_submission(channel, peer, [
        { kind: 'dma', source: own, destination, bytes: 64 },
      ]);
    await submit(own + PAGE);
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([]);
    await submit(remote);
    await submit(remote + PAGE);
    const fences = dma_resv_get_fences(reservation, 'BOOKKEEP');
    expect(fences.map(({ state }) => state)).toEqual(['unsignaled', 'unsignaled']);
    expect(dma_resv_get_fences(reservation, 'READ')).toEqual([]);
    await hlthunk.hlthunk_memory_unmap(channel, peer, remote);
    await bench.sleep(1);
    expect(fences.map(({ state, error }) => [state, error])).toEqual([
      ['signaled', 'EIO'],
      ['signaled', 'EIO'],
    ]);
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([]);
  });

  it('EFAULT beyond the imported size, and for a kernel, which sees its own device alone', async () => {
    const { channel, peer, own, remote, dma } = await imported(PAGE);
    expect(await errnoOf(dma(remote + PAGE - 4, own, 8))).toBe('EFAULT');
    const tensors = [{ address: remote, bytes: 64 }];
    const job = { kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [1] } as const;
    const call = hlthunk.hlthunk_command_submission(channel, peer, [job]);
    expect(await errnoOf(call)).toBe('EFAULT');
  });

  it('refuses bad descriptors and sizes with nothing left behind', async () => {
    const { bench, process, channel, buffer, peer } = await imported();
    const call = (fd: number, size: number) =>
      errnoOf(hlthunk.hlthunk_import_dmabuf_fd(channel, peer, fd, size));
    const references = () => ok(process.fds.lookup(buffer)).references;
    const before = references();
    expect(await call(99, PAGE)).toBe('EBADF');
    expect(await call(peer, PAGE)).toBe('EINVAL');
    expect(await call(buffer, 0)).toBe('EINVAL');
    expect(await call(buffer, 2 * PAGE + 1)).toBe('EINVAL');
    const dmaBuf: DmaBuf = ok(dma_buf_get(process, buffer));
    await dma_buf_revoke(dmaBuf, 'permanent', bench);
    dma_buf_put(dmaBuf);
    expect(await call(buffer, PAGE)).toBe('ENODEV');
    expect(references()).toBe(before);
    expect(bench.device(1).usage().mappings).toBe(2);
    process.exit();
    expect([bench.device(0).usage(), bench.device(1).usage()]).toEqual([UNUSED, UNUSED]);
  });
});

import { describe, expect, it } from 'vitest';
import { KiB } from '../../../common/bytes.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import type { Job } from '../../../node/device/job.ts';
import type { OwnershipPolicy } from '../../../node/device/ownership.ts';
import type { DmaBuf } from '../../../node/dmabuf/dma-buf.ts';
import { dma_buf_fd, dma_buf_get, dma_buf_put } from '../../../node/dmabuf/export.ts';
import { dma_buf_revoke, dma_buf_unrevoke } from '../../../node/dmabuf/revoke.ts';
import {
  dma_buf_share,
  dma_buf_unshare,
  dma_buf_when_unshared,
} from '../../../node/dmabuf/share.ts';
import type { SharedMemory } from '../../../node/os/operating-system.ts';
import { isMissing, openDescriptors, thisSystem, whyMissing } from '../os/this-system.ts';
import { DeviceBench, mappedMemory, passDescriptor, UNUSED } from './device-bench.ts';
import { region } from './region.ts';

const PAGE = 64 * KiB;

function ok<T>(value: T | string): T {
  if (typeof value === 'string') throw new Error(`expected success but found ${value}`);
  return value;
}

/** Device 0 with memory that a process has exported, and device 1, which stands for one of a peer. */
async function exported(ownership: OwnershipPolicy = 'revoke', pages = 2) {
  const os = thisSystem();
  const options = { os, ownership, apertureBytes: 8 * PAGE };
  const bench = new DeviceBench(2, 16 * PAGE, options);
  const user = bench.start();
  const memory = await mappedMemory(user, pages * PAGE);
  const dmaBufFd = await memory.exportFd();
  const dmaBuf = ok(dma_buf_get(user.process, dmaBufFd));
  dma_buf_put(dmaBuf);
  const bytes = bench.device().hbm.view(PAGE, pages * PAGE);
  const peer = bench.device(1);
  const reach = (file: SharedMemory) => {
    const { offset, bytes: length } = ok(peer.importShared(file));
    return peer.hbm.view(offset, length);
  };
  const revoke = (buffer: DmaBuf, mode: 'temporary' | 'permanent') =>
    bench.run(dma_buf_revoke(buffer, mode, { scheduler: bench.scheduler }));
  const closeAll = () => user.process.exit();
  return { bench, user, ...memory, dmaBufFd, dmaBuf, bytes, peer, reach, revoke, closeAll };
}

describe.skipIf(isMissing)(`a dma-buf of a device as a file${whyMissing}`, () => {
  it('is the same file for every call, until it is revoked; then there is none', async () => {
    const { dmaBuf, reach, bytes, revoke } = await exported();
    const file = ok(dma_buf_share(dmaBuf));
    expect(dma_buf_share(dmaBuf)).toBe(file);
    bytes.fill(5);
    const seen = reach(file);
    expect(await revoke(dmaBuf, 'temporary')).toBeUndefined();
    expect(dma_buf_share(dmaBuf)).toBe('ENODEV');
    expect([seen[0], bytes[0]]).toEqual([0, 5]);
    expect(dma_buf_unrevoke(dmaBuf)).toBeUndefined();
    const again = reach(ok(dma_buf_share(dmaBuf)));
    seen.fill(9);
    expect([again[0], bytes[0]]).toEqual([5, 5]);
    expect(await revoke(dmaBuf, 'permanent')).toBeUndefined();
    expect([again[0], bytes[0]]).toEqual([0, 5]);
  });

  it('is taken back after the importers of its own host, whose last writes it keeps', async () => {
    const { user, dmaBufFd, dmaBuf, reach, bytes, revoke } = await exported();
    const seen = reach(ok(dma_buf_share(dmaBuf)));
    const local = await region(user.process, dmaBufFd, 'revocable');
    local.write(4);
    expect([seen[3], bytes[3]]).toEqual([4, 4]);
    expect(await revoke(dmaBuf, 'permanent')).toBeUndefined();
    expect([local.state, seen[3], bytes[3]]).toEqual(['revoked', 0, 4]);
  });

  it('ends with the last reference to the dma-buf, and the memory stays its owner’s', async () => {
    const { bench, user, dmaBufFd, dmaBuf, bytes, reach } = await exported('owner');
    const before = openDescriptors();
    const seen = reach(ok(dma_buf_share(dmaBuf)));
    seen.fill(3);
    user.process.fds.close(dmaBufFd);
    expect([seen[0], bytes[0], bench.device().hbm.sharedCount]).toEqual([0, 3, 0]);
    // Its memory is ready to be shared again.
    expect(openDescriptors()).toBe(before);
  });

  it('is a loan if it is to be in place: whoever shares the memory for good takes it back', async () => {
    const { bench, user, exportFd, dmaBuf, bytes, reach } = await exported();
    const twin = ok(dma_buf_get(user.process, await exportFd()));
    const part = ok(dma_buf_get(user.process, await exportFd(PAGE)));
    const told: number[] = [];
    const lent = ok(dma_buf_share(dmaBuf, { inPlace: true }));
    dma_buf_when_unshared(dmaBuf, () => told.push(bytes[0] ?? 0));
    const seen = reach(lent);
    seen.fill(6);
    expect([dma_buf_share(twin, { inPlace: true }), told]).toEqual(['EBUSY', []]);
    const file = ok(dma_buf_share(twin));
    expect(told).toEqual([6]);
    const next = reach(file);
    seen.fill(7);
    expect([next[0], bytes[0], bytes[2 * PAGE - 1]]).toEqual([6, 6, 6]);
    expect(dma_buf_share(dmaBuf, { inPlace: true })).toBe('EBUSY');
    expect(dma_buf_unshare(twin)).toBeUndefined();
    // It can be lent again; a part of it that is shared for good takes all of it back.
    reach(ok(dma_buf_share(dmaBuf, { inPlace: true }))).fill(8);
    const half = reach(ok(dma_buf_share(part)));
    expect([told.length, half.byteLength, half[0], bytes[0]]).toEqual([2, PAGE, 8, 8]);
    expect(bench.device().hbm.sharedCount).toBe(1);
    for (const buffer of [twin, part]) dma_buf_put(buffer);
  });

  it('is refused for parts of pages, for memory that is shared already, and without a system', async () => {
    const { bench, user, exportFd, dmaBuf } = await exported();
    const part = ok(dma_buf_get(user.process, await exportFd(4096, 4096)));
    expect(dma_buf_share(part)).toBe('EINVAL');
    const twin = ok(dma_buf_get(user.process, await exportFd()));
    ok(dma_buf_share(dmaBuf));
    expect(dma_buf_share(twin)).toBe('EBUSY');
    for (const buffer of [part, twin]) dma_buf_put(buffer);
    expect(bench.device().hbm.sharedCount).toBe(1);

    const without = new DeviceBench();
    const other = without.start();
    const fd = await (await mappedMemory(other, PAGE)).exportFd();
    const plain = ok(dma_buf_get(other.process, fd));
    expect(dma_buf_share(plain)).toBe('EOPNOTSUPP');
    dma_buf_put(plain);
  });

  it.each(['revoke', 'owner', 'owner-2021', 'none'] as const)(
    'is nobody’s under policy %s once its owner is gone, and never the next owner’s memory',
    async (ownership) => {
      const before = openDescriptors();
      const { bench, dmaBuf, bytes, reach, closeAll } = await exported(ownership);
      bytes.fill(5);
      const seen = reach(ok(dma_buf_share(dmaBuf)));
      closeAll();
      await bench.sleep(0);
      expect(bench.device().usage()).toEqual(UNUSED);
      expect(seen[0]).toBe(0);
      seen.fill(6);
      const next = await mappedMemory(bench.start(), 2 * PAGE);
      expect([next.address !== 0, bytes.every((byte) => byte === 0)]).toEqual([true, true]);
      expect(openDescriptors()).toBe(before + 1);
    },
  );

  it('under policy none, who still has the dma-buf cannot share the memory of the next owner', async () => {
    const { bench, user, fd, dmaBufFd, dmaBuf, reach } = await exported('none');
    const accomplice = bench.start();
    passDescriptor(user.process, dmaBufFd, accomplice.process);
    const seen = reach(ok(dma_buf_share(dmaBuf)));
    user.process.fds.close(dmaBufFd);
    await bench.run(user.channel.call('close', { fd }));
    await mappedMemory(bench.start(), 2 * PAGE);
    bench.device().hbm.view(PAGE, 1)[0] = 7;
    expect([seen[0], dma_buf_share(dmaBuf), bench.device().hbm.sharedCount]).toEqual([
      0,
      'ENODEV',
      0,
    ]);
  });

  it.each(['revoke', 'owner'] as const)(
    'ends at the latest with a hard reset under policy %s',
    async (ownership) => {
      const { bench, dmaBuf, bytes, reach } = await exported(ownership);
      bytes.fill(5);
      const seen = reach(ok(dma_buf_share(dmaBuf)));
      expect(await bench.run(bench.device().driver.hardReset('test'))).toBeUndefined();
      expect([seen[0], bytes[0], bench.device().hbm.sharedCount]).toEqual([0, 0, 0]);
      expect(bench.device().usage()).toEqual(UNUSED);
    },
  );
});

describe.skipIf(isMissing)(`memory of a peer in the import aperture${whyMissing}`, () => {
  /** Device 1 with a dma-buf of device 0's file mapped for its engine, and memory of its own. */
  async function imported() {
    const world = await exported();
    const { bench, dmaBuf, peer } = world;
    const file = ok(dma_buf_share(dmaBuf));
    const importBuffer = ok(peer.importDmaBuf(file));
    const user = bench.start();
    const own = await mappedMemory(user, PAGE, 1);
    const importFd = ok(dma_buf_fd(user.process, importBuffer, 0));
    const { channel } = user;
    const address = await hlthunk.hlthunk_import_dmabuf_fd(channel, own.fd, importFd, 2 * PAGE);
    const run = async (...jobs: Job[]) => {
      const sequence = await hlthunk.hlthunk_command_submission(channel, own.fd, jobs);
      return bench.run(hlthunk.hlthunk_wait_for_cs(channel, own.fd, sequence, 1_000_000));
    };
    const floats = (index: number, offset: number) => {
      const view = bench.device(index).hbm.view(offset, 4 * PAGE);
      return new Float32Array(view.buffer, view.byteOffset, view.byteLength / 4);
    };
    return { ...world, importer: user, importFd, importBuffer, own, address, run, floats };
  }

  it('is read and written in place by kernels and by the DMA engine', async () => {
    const { address, own, run, floats } = await imported();
    const theirs = floats(0, PAGE);
    const ours = floats(1, PAGE);
    theirs.fill(2, 0, 4);
    ours.fill(40, 0, 4);
    const tensor = (at: number) => ({ address: at, bytes: 16 });
    const add: Job = {
      kind: 'kernel',
      kernel: 'reduce_sum_f32',
      tensors: [tensor(address + 32), tensor(own.address), tensor(address)],
      scalars: [],
    };
    const copy: Job = { kind: 'dma', source: address + 32, destination: own.address, bytes: 16 };
    const back: Job = { kind: 'dma', source: own.address, destination: address + PAGE, bytes: 16 };
    expect(await run(add, copy, back)).toBe('COMPLETED');
    expect([...theirs.subarray(8, 12)]).toEqual([42, 42, 42, 42]);
    expect(ours[0]).toBe(42);
    expect(theirs[PAGE / 4]).toBe(42);
  });

  it('is zeros once its owner has taken it back, and takes no more bytes there', async () => {
    const { address, own, run, floats, dmaBuf, revoke } = await imported();
    const theirs = floats(0, PAGE);
    theirs.fill(2, 0, 4);
    expect(await revoke(dmaBuf, 'permanent')).toBeUndefined();
    const tensors = [{ address, bytes: 16 }];
    const read: Job = { kind: 'dma', source: address, destination: own.address, bytes: 16 };
    expect(await run(read)).toBe('COMPLETED');
    expect(floats(1, PAGE)[0]).toBe(0);
    expect(await run({ kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [9] })).toBe(
      'COMPLETED',
    );
    expect(theirs[0]).toBe(2);
  });

  it('is lost to jobs under way when the import is revoked on its own host', async () => {
    const { bench, importer, own, address, importBuffer, floats, revoke } = await imported();
    const { channel } = importer;
    const tensors = [{ address, bytes: 16 }];
    const fill = { kind: 'kernel', kernel: 'fill_f32', tensors, scalars: [9] } as const;
    const sequence = await hlthunk.hlthunk_command_submission(channel, own.fd, [fill]);
    const revocation = revoke(importBuffer, 'permanent');
    expect(await bench.run(hlthunk.hlthunk_wait_for_cs(channel, own.fd, sequence, 1_000_000))).toBe(
      'ABORTED',
    );
    expect(await revocation).toBeUndefined();
    expect(floats(0, PAGE)[0]).toBe(0);
  });

  it('is given back with the last reference, and not before', async () => {
    const { importer, own, address, importFd, peer } = await imported();
    importer.process.fds.close(importFd);
    expect(peer.hbm.importCount).toBe(1);
    await hlthunk.hlthunk_memory_unmap(importer.channel, own.fd, address);
    expect(peer.hbm.importCount).toBe(0);
  });

  it('is checked as a dma-buf too', async () => {
    const { peer } = await exported();
    const os = thisSystem();
    const fd = os.memoryFile('open', PAGE);
    expect(peer.importDmaBuf({ fd, bytes: PAGE })).toBe('EINVAL');
    os.closeFile(fd);
    const [without] = new DeviceBench().devices;
    expect(without?.importDmaBuf({ fd, bytes: PAGE })).toBe('EOPNOTSUPP');
  });
});

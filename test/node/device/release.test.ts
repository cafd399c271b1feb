import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import {
  isOwnershipPolicy,
  OWNERSHIP,
  OWNERSHIP_POLICIES,
  type OwnershipPolicy,
} from '../../../node/device/ownership.ts';
import { dma_buf_get, dma_buf_put } from '../../../node/dmabuf/export.ts';
import { dma_fence_init, dma_fence_signal } from '../../../node/dmabuf/fence.ts';
import {
  dma_resv_add_fence,
  dma_resv_locked,
  dma_resv_reserve_fences,
} from '../../../node/dmabuf/reservation.ts';
import { DeviceBench, errnoOf, mappedMemory, passDescriptor, UNUSED } from './device-bench.ts';
import { region } from './region.ts';

const PAGE = 65536;

async function exporting(
  ownership: OwnershipPolicy,
  options: ConstructorParameters<typeof DeviceBench>[2] = {},
) {
  const bench = new DeviceBench(2, 16 * PAGE, { ...options, ownership });
  const user = bench.start();
  const memory = await mappedMemory(user, 2 * PAGE);
  const buffer = await memory.exportFd();
  return { bench, user, ...memory, buffer, driver: bench.device().driver };
}

describe('the table of ownership policies', () => {
  it('has a row for each, and says what it does in words', () => {
    expect(Object.keys(OWNERSHIP)).toEqual([...OWNERSHIP_POLICIES]);
    const summaries = OWNERSHIP_POLICIES.map((policy) => OWNERSHIP[policy].summary);
    expect(new Set(summaries).size).toBe(OWNERSHIP_POLICIES.length);
    expect(OWNERSHIP_POLICIES.every(isOwnershipPolicy)).toBe(true);
    expect(['owner-2023', '', undefined, 3].some(isOwnershipPolicy)).toBe(false);
  });

  it.each(OWNERSHIP_POLICIES)(
    '%s: without a dma-buf the close frees the device at once',
    async (ownership) => {
      const bench = new DeviceBench(1, 16 * PAGE, { ownership });
      const user = bench.start();
      const { fd } = await mappedMemory(user, PAGE);
      user.process.fds.close(fd);
      expect(bench.device().usage()).toEqual(UNUSED);
    },
  );

  it.each(OWNERSHIP_POLICIES)(
    '%s: a process exit leaves nothing, two devices that import from each other included',
    async (ownership) => {
      const { bench, user, fd, address, buffer } = await exporting(ownership);
      const peer = await mappedMemory(user, PAGE, 1);
      const seen = await hlthunk.hlthunk_import_dmabuf_fd(user.channel, peer.fd, buffer, PAGE);
      const back = await hlthunk.hlthunk_import_dmabuf_fd(
        ...[user.channel, fd, await peer.exportFd(), PAGE],
      );
      const job = { kind: 'dma', source: address, destination: back, bytes: PAGE } as const;
      await hlthunk.hlthunk_command_submission(user.channel, fd, [job]);
      const other = { kind: 'dma', source: seen, destination: peer.address, bytes: PAGE } as const;
      await hlthunk.hlthunk_command_submission(user.channel, peer.fd, [other]);
      user.process.exit();
      await bench.run(user.process.descriptorsSettled);
      await bench.sleep(1);
      expect([bench.device(0).usage(), bench.device(1).usage()]).toEqual([UNUSED, UNUSED]);
      expect(bench.dmaBufs.dmaBufs).toEqual([]);
    },
  );
});

describe('policy revoke', () => {
  it('the close system call ends when the memory is nobody’s, and the dma-buf stays as a husk', async () => {
    const { bench, user, fd, buffer, driver } = await exporting('revoke');
    const mr = await region(user.process, buffer, 'revocable');
    const fence = dma_fence_init();
    const dmaBuf = dma_buf_get(user.process, buffer);
    if (typeof dmaBuf === 'string') throw new Error(dmaBuf);
    await dma_resv_locked(dmaBuf.reservation, () => {
      dma_resv_reserve_fences(dmaBuf.reservation, 1);
      dma_resv_add_fence(dmaBuf.reservation, fence, 'BOOKKEEP');
    });
    let closed = false;
    const closing = hlthunk.hlthunk_close(user.channel, fd).then(() => {
      closed = true;
    });
    await bench.sleep(5);
    // Taken from the importer at once, given up when its work has ended.
    expect([mr.read(), closed, driver.describe().use]).toEqual([undefined, false, 'releasing']);
    expect(await errnoOf(hlthunk.hlthunk_open(user.channel, 0))).toBe('EAGAIN');
    dma_fence_signal(fence);
    await bench.run(closing);
    expect(bench.device().usage()).toEqual(UNUSED);
    expect(dmaBuf.state).toBe('permanentlyRevoked');
    expect(bench.dmaBufs.dmaBufs).toEqual([dmaBuf]);
    dma_buf_put(dmaBuf);
    await mr.close();
    user.process.exit();
    expect(bench.dmaBufs.dmaBufs).toEqual([]);
  });

  it('jobs of another device on the memory end ABORTED, and its mapping stays until UNMAP', async () => {
    const { bench, user, fd, buffer } = await exporting('revoke');
    const peer = bench.start('c1');
    const passed = passDescriptor(user.process, buffer, peer.process);
    const { fd: peerFd, address } = await mappedMemory(peer, PAGE, 1);
    const seen = await hlthunk.hlthunk_import_dmabuf_fd(peer.channel, peerFd, passed, PAGE);
    await bench.run(hlthunk.hlthunk_close(user.channel, fd));
    const job = { kind: 'dma', source: seen, destination: address, bytes: 64 } as const;
    const sequence = await hlthunk.hlthunk_command_submission(peer.channel, peerFd, [job]);
    const wait = hlthunk.hlthunk_wait_for_cs(peer.channel, peerFd, sequence, 1000);
    expect(await bench.run(wait)).toBe('ABORTED');
    await hlthunk.hlthunk_memory_unmap(peer.channel, peerFd, seen);
    expect(bench.device(0).usage()).toEqual(UNUSED);
  });

  it('a dma-buf that is released before the close needs no revocation', async () => {
    const { bench, user, fd, buffer } = await exporting('revoke');
    await user.channel.call('close', { fd: buffer });
    user.process.fds.close(fd);
    expect(bench.device().usage()).toEqual(UNUSED);
  });
});

describe('policy none', () => {
  it('export holds nothing, and a dma-buf that outlives the user is counted until it goes', async () => {
    const { bench, user, fd, buffer, driver } = await exporting('none');
    const file = user.process.fds.lookup(fd);
    expect(typeof file === 'string' ? file : file.references).toBe(1);
    user.process.fds.close(fd);
    expect(driver.describe()).toMatchObject({ use: 'free', exportedDmaBufs: 1, allocations: 0 });
    const next = await mappedMemory(bench.start('c1'), PAGE);
    expect(next.fd).toBe(0);
    user.process.fds.close(buffer);
    expect(driver.describe()).toMatchObject({ use: 'open', exportedDmaBufs: 0 });
  });
});

describe('policy owner-2021', () => {
  it('export holds the memory, not the file', async () => {
    const { user, fd, handle, driver } = await exporting('owner-2021');
    const file = user.process.fds.lookup(fd);
    expect(typeof file === 'string' ? file : file.references).toBe(1);
    const free = hlthunk.hlthunk_device_memory_free(user.channel, fd, handle);
    expect(await errnoOf(free)).toBe('EINVAL');
    user.process.fds.close(fd);
    expect(driver.describe()).toMatchObject({ status: 'IN_RESET', allocations: 1 });
  });
});

describe('scrub', () => {
  it('goes slice by slice; the close waits for it, and the device is free last', async () => {
    const bench = new DeviceBench(1, 16 * PAGE, { limits: { scrubSliceBytes: 2 * PAGE } });
    const { hbm, driver } = bench.device();
    const user = bench.start();
    const { fd } = await mappedMemory(user, 5 * PAGE);
    hbm.view(PAGE, 5 * PAGE).fill(1);
    const dirtyPages = () =>
      [1, 2, 3, 4, 5].filter((page) => hbm.view(page * PAGE, PAGE).some((byte) => byte !== 0));
    const closing = hlthunk.hlthunk_close(user.channel, fd);
    expect([dirtyPages(), driver.describe().use]).toEqual([[3, 4, 5], 'scrubbing']);
    await bench.run(closing);
    expect([dirtyPages(), driver.describe().use]).toEqual([[], 'free']);
  });
});

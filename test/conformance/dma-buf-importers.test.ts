/**
 * Exporters and importers as user programs meet them, after the kernel's selftests of dmabuf-heaps, udmabuf
 * and iommufd: the device exports and imports, the NIC imports.
 */
import { describe, expect } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { DMA_BUF_SYNC_END, DMA_BUF_SYNC_RW, DMA_BUF_SYNC_START } from '../../node/dmabuf/ioctl.ts';
import { dma_buf_revoke, dma_buf_unrevoke } from '../../node/dmabuf/revoke.ts';
import { O_CLOEXEC, O_RDWR } from '../../node/process/open-flags.ts';
import { ibv_alloc_pd } from '../../node/verbs/context.ts';
import { ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../../node/verbs/mr.ts';
import { DeviceBench, errnoOf } from '../node/device/device-bench.ts';
import { ALL_RIGHTS, must, TestMemory, World } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './dma-buf-behaviours.ts';

const DRAM_PAGE = 65536;
const PAGE = 4096;

/** Device 0 with mapped memory to export, and device 1 that imports, of one process. */
async function devices() {
  const bench = new DeviceBench(2);
  const { process, channel } = bench.start();
  const allocate = async (fd: number) => {
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, DRAM_PAGE);
    return hlthunk.hlthunk_device_memory_map(channel, fd, handle);
  };
  const fd = await hlthunk.hlthunk_open(channel, 0);
  const address = await allocate(fd);
  const peer = await hlthunk.hlthunk_open(channel, 1);
  const peerAddress = await allocate(peer);
  const request = (argument: Record<string, number>) =>
    channel.call('ioctl', {
      fd,
      request: 'HL_IOCTL_MEMORY',
      argument: { op: 'HL_MEM_OP_EXPORT_DMABUF_FD', address, offset: 0, ...argument },
    });
  const exportFd = async (range: Record<string, number> = {}) => {
    const made = await request({ size: DRAM_PAGE, flags: O_RDWR | O_CLOEXEC, ...range });
    return (made as { fd: number }).fd;
  };
  const copy = async (on: number, source: number, destination: number, bytes: number) => {
    const job = { kind: 'dma', source, destination, bytes } as const;
    const sequence = await hlthunk.hlthunk_command_submission(channel, on, [job]);
    return bench.run(hlthunk.hlthunk_wait_for_cs(channel, on, sequence, 1_000_000));
  };
  const sync = (buffer: number, flags: number) =>
    channel.call('ioctl', { fd: buffer, request: 'DMA_BUF_IOCTL_SYNC', argument: { flags } });
  /** Host memory of the process, and its address for either device. */
  const userBytes = must(process.userBytes(PAGE, PAGE) ?? 'EFAULT');
  const host = (on: number) => hlthunk.hlthunk_host_memory_map(channel, on, PAGE, PAGE);
  return { bench, channel, fd, peer, address, peerAddress, exportFd, copy, sync, userBytes, host };
}

describe('dmabuf-heaps', () => {
  const SUITE = 'dmabuf-heaps';

  behaves(SUITE, 'allocate, write, import, and sync from start to end', async () => {
    const world = await devices();
    const { channel, fd, peer, address, peerAddress, copy, sync, userBytes } = world;
    const buffer = await world.exportFd();
    const remote = await hlthunk.hlthunk_import_dmabuf_fd(channel, peer, buffer, DRAM_PAGE);
    await sync(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
    userBytes.fill(7);
    expect(await copy(fd, await world.host(fd), address, PAGE)).toBe('COMPLETED');
    await sync(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
    expect(await copy(peer, remote, peerAddress, PAGE)).toBe('COMPLETED');
    userBytes.fill(0);
    expect(await copy(peer, peerAddress, await world.host(peer), PAGE)).toBe('COMPLETED');
    expect(userBytes.every((byte) => byte === 7)).toBe(true);
  });

  behaves(SUITE, 'a bad descriptor is refused', async () => {
    const { channel, peer } = await devices();
    const bad = (buffer: number) =>
      errnoOf(hlthunk.hlthunk_import_dmabuf_fd(channel, peer, buffer, DRAM_PAGE));
    expect([await bad(99), await bad(peer)]).toEqual(['EBADF', 'EINVAL']);
    const argument = { flags: DMA_BUF_SYNC_RW };
    const call = channel.call('ioctl', { fd: 99, request: 'DMA_BUF_IOCTL_SYNC', argument });
    expect(await errnoOf(call)).toBe('EBADF');
  });

  behaves(SUITE, 'bad descriptor flags are refused', async () => {
    const { exportFd } = await devices();
    expect(await errnoOf(exportFd({ flags: 0o4 }))).toBe('EINVAL');
    expect(await exportFd()).toBeGreaterThan(0);
  });

  behaves(SUITE, 'memory is zeroed', async () => {
    const { bench, channel, fd, address, copy, userBytes, host } = await devices();
    userBytes.fill(9);
    const mine = await host(fd);
    await copy(fd, mine, address, PAGE);
    await channel.call('close', { fd });
    await bench.sleep(1000);
    const again = await hlthunk.hlthunk_open(channel, 0);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, again, DRAM_PAGE);
    const anew = await hlthunk.hlthunk_device_memory_map(channel, again, handle);
    await copy(again, anew, await host(again), PAGE);
    expect(userBytes.every((byte) => byte === 0)).toBe(true);
  });

  behavesCompletely(SUITE);
});

describe('udmabuf', () => {
  const SUITE = 'udmabuf';

  behaves(SUITE, 'fails for an unaligned offset', async () => {
    const { exportFd } = await devices();
    expect(await errnoOf(exportFd({ offset: 100, size: PAGE }))).toBe('EINVAL');
  });

  behaves(SUITE, 'fails for an unaligned size', async () => {
    const { exportFd } = await devices();
    for (const size of [0, 100, PAGE - 1]) {
      expect(await errnoOf(exportFd({ size }))).toBe('EINVAL');
    }
  });

  behaves(SUITE, 'fails for memory of another kind', async () => {
    const { fd, exportFd, host } = await devices();
    expect(await errnoOf(exportFd({ address: await host(fd), size: PAGE }))).toBe('EINVAL');
  });

  behaves(SUITE, 'succeeds otherwise', async () => {
    const { bench, exportFd } = await devices();
    await exportFd({ offset: PAGE, size: DRAM_PAGE - PAGE });
    expect(bench.dmaBufs.dmaBufs.map(({ size }) => size)).toEqual([DRAM_PAGE - PAGE]);
  });

  behaves(SUITE, 'data stays consistent', async () => {
    const world = await devices();
    const { channel, fd, peer, address, peerAddress, copy, userBytes, host } = world;
    const buffer = await world.exportFd();
    const remote = await hlthunk.hlthunk_import_dmabuf_fd(channel, peer, buffer, DRAM_PAGE);
    const [mine, theirs] = [await host(fd), await host(peer)];
    // What either side writes, the other reads.
    userBytes.fill(1);
    await copy(fd, mine, address, PAGE);
    userBytes.fill(2);
    await copy(peer, theirs, peerAddress, 100);
    await copy(peer, peerAddress, remote + 200, 100);
    await copy(fd, address, mine, PAGE);
    const expected = Array.from({ length: PAGE }, (_, at) => (at >= 200 && at < 300 ? 2 : 1));
    expect([...userBytes]).toEqual(expected);
  });

  behavesCompletely(SUITE);
});

describe('iommufd', () => {
  const SUITE = 'iommufd';
  const options = ({ scheduler }: World) => ({ scheduler });

  function host() {
    const world = new World();
    const { a } = world;
    const memory = new TestMemory(2 * PAGE);
    const fd = memory.fd(a.process);
    const register = (offset: number, length: number, iova = offset) =>
      ibv_reg_dmabuf_mr(a.pd, offset, length, iova, fd, ALL_RIGHTS);
    return { world, a, memory, register };
  }

  behaves(
    SUITE,
    'dmabuf_simple: length 0, an offset past the end and a length beyond it are EINVAL',
    async () => {
      const { register } = host();
      expect(await register(0, 0)).toBe('EINVAL');
      expect(await register(2 * PAGE, PAGE)).toBe('EINVAL');
      expect(await register(0, 2 * PAGE + 1)).toBe('EINVAL');
    },
  );

  behaves(SUITE, 'dmabuf_simple: a mapping of everything succeeds', async () => {
    const { register } = host();
    expect(must(await register(0, 2 * PAGE)).state).toBe('VALID');
  });

  behaves(SUITE, 'dmabuf_revoke: the mapping is gone', async () => {
    const { world, memory, register } = host();
    const mr = must(await register(0, 2 * PAGE));
    await world.scheduler.run(dma_buf_revoke(memory.dmaBuf, 'temporary', options(world)));
    expect(mr.state).toBe('REVOKED');
    expect([...memory.dmaBuf.attachments].map(({ mapping }) => mapping)).toEqual([undefined]);
  });

  behaves(SUITE, 'dmabuf_revoke: a new domain can still be made', async () => {
    const { world, a, memory, register } = host();
    must(await register(0, PAGE));
    await world.scheduler.run(dma_buf_revoke(memory.dmaBuf, 'temporary', options(world)));
    expect(a.context.pds.has(ibv_alloc_pd(a.context))).toBe(true);
  });

  behaves(SUITE, 'dmabuf_revoke: a new mapping is ENODEV', async () => {
    const { world, memory, register } = host();
    await world.scheduler.run(dma_buf_revoke(memory.dmaBuf, 'temporary', options(world)));
    expect(await register(0, PAGE)).toBe('ENODEV');
  });

  behaves(
    SUITE,
    'dmabuf_revoke: after the un-revoke a mapping succeeds, at the old address too',
    async () => {
      const { world, memory, register } = host();
      const old = must(await register(0, PAGE, 0x10_0000));
      await world.scheduler.run(dma_buf_revoke(memory.dmaBuf, 'temporary', options(world)));
      expect(dma_buf_unrevoke(memory.dmaBuf)).toBeUndefined();
      const anew = must(await register(0, PAGE, 0x10_0000));
      expect([anew.state, anew.addr, old.state]).toEqual(['VALID', 0x10_0000, 'REVOKED']);
      expect(anew.rkey).not.toBe(old.rkey);
      void ibv_dereg_mr(old);
      expect(anew.state).toBe('VALID');
    },
  );

  behavesCompletely(SUITE);
});

/** What a dma-buf and a sync_file are as files (Documentation/driver-api/dma-buf.rst, sync_file.rst). */
import { describe, expect, it } from 'vitest';
import { dma_buf_teardown } from '../../node/dmabuf/attachment.ts';
import { describeDmaBufs } from '../../node/dmabuf/bufinfo.ts';
import type { DmaBufOperations } from '../../node/dmabuf/dma-buf.ts';
import { DmaBufList, dma_buf_fd, dma_buf_get, dma_buf_put } from '../../node/dmabuf/export.ts';
import {
  type DmaFence,
  dma_fence_init,
  dma_fence_set_error,
  dma_fence_signal,
} from '../../node/dmabuf/fence.ts';
import {
  DMA_BUF_NAME_LEN,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_READ,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_START,
  DMA_BUF_SYNC_WRITE,
} from '../../node/dmabuf/ioctl.ts';
import {
  type DmaResvUsage,
  dma_resv_add_fence,
  dma_resv_get_fences,
  dma_resv_reserve_fences,
} from '../../node/dmabuf/reservation.ts';
import type { PollEvent } from '../../node/process/file.ts';
import { O_CLOEXEC, O_RDWR } from '../../node/process/open-flags.ts';
import { SimProcess } from '../../node/process/sim-process.ts';
import type { SystemCallValue } from '../../node/process/system-call.ts';
import { attach, exported, IMPORTERS, locked, ok, SIZE } from './dma-buf-world.ts';

let lastPid = 0;

function opened(overrides: Partial<DmaBufOperations> = {}, list?: DmaBufList) {
  const world = exported('static', overrides, list);
  const process = new SimProcess({
    pid: ++lastPid,
    containerId: 'c',
    memory: new SharedArrayBuffer(0),
  });
  const fd = ok(dma_buf_fd(process, world.dmaBuf, O_RDWR | O_CLOEXEC));
  const operationsOf = (number: number) => ok(process.fds.lookup(number)).operations;
  const ioctl = async (request: string, argument: SystemCallValue, on = fd) =>
    operationsOf(on).ioctl?.(process, request, argument);
  const errno = (request: string, argument: SystemCallValue, on = fd) =>
    ioctl(request, argument, on).then(
      () => 'success',
      (reason) => (reason as { code: string }).code,
    );
  const poll = (events: PollEvent[], signal = AbortSignal.abort(), on = fd) =>
    operationsOf(on).poll?.(events, signal);
  return { ...world, process, fd, operations: operationsOf(fd), operationsOf, ioctl, errno, poll };
}

function add({ dmaBuf }: ReturnType<typeof opened>, usage: DmaResvUsage): DmaFence {
  const fence = dma_fence_init();
  locked(dmaBuf, () => {
    dma_resv_reserve_fences(dmaBuf.reservation, 1);
    dma_resv_add_fence(dmaBuf.reservation, fence, usage);
  });
  return fence;
}

describe('a dma-buf descriptor', () => {
  it('tells its size by lseek: END and SET with offset 0, else EINVAL', () => {
    const { operations } = opened();
    expect(operations.lseek?.(0, 'SEEK_END')).toBe(SIZE);
    expect(operations.lseek?.(0, 'SEEK_SET')).toBe(0);
    expect(operations.lseek?.(1, 'SEEK_END')).toBe('EINVAL');
    expect(operations.lseek?.(1, 'SEEK_SET')).toBe('EINVAL');
    expect(operations.lseek?.(0, 'SEEK_CUR')).toBe('EINVAL');
  });

  it('cannot be mapped: no exporter of hlsim has memory for a processor', () => {
    const { process, operations } = opened();
    expect(operations.mmap?.(process, 0, 4096)).toBe('EINVAL');
  });

  it('shows size, count, exporter and name in fdinfo', async () => {
    const { operations, ioctl, dmaBuf } = opened();
    expect(operations.fdinfo?.()).toEqual({ size: SIZE, count: 1, exp_name: 'test' });
    await ioctl('DMA_BUF_SET_NAME', { name: 'gradients' });
    dmaBuf.file.get();
    expect(operations.fdinfo?.()).toMatchObject({ count: 2, name: 'gradients' });
  });

  it('takes names of up to 31 bytes', async () => {
    const { errno } = opened();
    const name = 'n'.repeat(DMA_BUF_NAME_LEN - 1);
    expect(await errno('DMA_BUF_SET_NAME', { name })).toBe('success');
    expect(await errno('DMA_BUF_SET_NAME', { name: `${name}n` })).toBe('EINVAL');
  });

  it('has no other request: ENOTTY', async () => {
    expect(await opened().errno('DMA_BUF_IOCTL_FLY', {})).toBe('ENOTTY');
  });

  it('fd 0 is as good as any', () => {
    const { fd, process, dmaBuf } = opened();
    expect([fd, dma_buf_get(process, fd)]).toEqual([0, dmaBuf]);
  });
});

describe('DMA_BUF_IOCTL_SYNC', () => {
  const valid = [DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW].flatMap((access) => [
    access | DMA_BUF_SYNC_START,
    access | DMA_BUF_SYNC_END,
  ]);

  it('takes an access with START or END, and no other flag', async () => {
    const { errno, calls } = opened();
    for (let flags = 0; flags < 20; flags++) {
      const answer = await errno('DMA_BUF_IOCTL_SYNC', { flags });
      expect([flags, answer]).toEqual([flags, valid.includes(flags) ? 'success' : 'EINVAL']);
    }
    expect(calls).toEqual(valid.sort().map((flags) => `${flags < 4 ? 'begin' : 'end'}CpuAccess`));
  });

  it.each([
    [DMA_BUF_SYNC_READ, 'WRITE', 'READ'],
    [DMA_BUF_SYNC_WRITE, 'READ', 'BOOKKEEP'],
  ] as const)('with access %i waits for %s and not for %s', async (flags, waits, ignores) => {
    const world = opened();
    add(world, ignores);
    expect(await world.errno('DMA_BUF_IOCTL_SYNC', { flags })).toBe('success');
    const fence = add(world, waits);
    let isOver = false;
    const call = world.errno('DMA_BUF_IOCTL_SYNC', { flags }).then((answer) => {
      isOver = true;
      return answer;
    });
    await Promise.resolve();
    expect(isOver).toBe(false);
    dma_fence_signal(fence);
    expect(await call).toBe('success');
  });

  it('EINTR when the caller ends; what the exporter answers else', async () => {
    const world = opened();
    add(world, 'WRITE');
    const call = world.errno('DMA_BUF_IOCTL_SYNC', { flags: DMA_BUF_SYNC_READ });
    world.dmaBuf.file.get();
    world.process.exit();
    expect(await call).toBe('EINTR');
    const busy = opened({ beginCpuAccess: () => 'EAGAIN', endCpuAccess: () => 'EIO' });
    expect(await busy.errno('DMA_BUF_IOCTL_SYNC', { flags: DMA_BUF_SYNC_RW })).toBe('EAGAIN');
    const end = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END;
    expect(await busy.errno('DMA_BUF_IOCTL_SYNC', { flags: end })).toBe('EIO');
  });
});

describe('poll of a dma-buf', () => {
  it('POLLIN waits for writers, POLLOUT for everybody', async () => {
    const world = opened();
    expect(await world.poll(['POLLIN', 'POLLOUT'])).toEqual(['POLLIN', 'POLLOUT']);
    add(world, 'BOOKKEEP');
    expect(await world.poll(['POLLIN', 'POLLOUT'])).toEqual(['POLLIN', 'POLLOUT']);
    const read = add(world, 'READ');
    expect(await world.poll(['POLLIN', 'POLLOUT'])).toEqual(['POLLIN']);
    const write = add(world, 'WRITE');
    expect(await world.poll(['POLLIN', 'POLLOUT'])).toEqual([]);
    dma_fence_signal(read);
    expect(await world.poll(['POLLOUT'])).toEqual([]);
    dma_fence_signal(write);
    expect(await world.poll(['POLLOUT'])).toEqual(['POLLOUT']);
  });

  it('resolves when an event comes to hold, and with none when it is stopped', async () => {
    const world = opened();
    const fence = add(world, 'WRITE');
    const stop = new AbortController();
    const stopped = world.poll(['POLLIN'], stop.signal);
    const patient = world.poll(['POLLIN', 'POLLOUT'], new AbortController().signal);
    stop.abort();
    expect(await stopped).toEqual([]);
    dma_fence_signal(fence);
    expect(await patient).toEqual(['POLLIN', 'POLLOUT']);
  });
});

describe('sync files', () => {
  const EXPORT = 'DMA_BUF_IOCTL_EXPORT_SYNC_FILE';
  const IMPORT = 'DMA_BUF_IOCTL_IMPORT_SYNC_FILE';

  it.each([EXPORT, IMPORT])('%s takes a non-empty part of RW: else EINVAL', async (request) => {
    const world = opened();
    const { fd } = (await world.ioctl(EXPORT, { flags: DMA_BUF_SYNC_RW })) as { fd: number };
    for (let flags = 0; flags < 9; flags++) {
      const answer = await world.errno(request, { flags, fd });
      expect(answer).toBe(flags >= 1 && flags <= 3 ? 'success' : 'EINVAL');
    }
  });

  it('an exported one is ready when what it stands for has signalled', async () => {
    const world = opened();
    const [write, read] = [add(world, 'WRITE'), add(world, 'READ')];
    const exportFile = async (flags: number) =>
      ((await world.ioctl(EXPORT, { flags })) as { fd: number }).fd;
    const forReader = await exportFile(DMA_BUF_SYNC_READ);
    const forWriter = await exportFile(DMA_BUF_SYNC_WRITE);
    const ready = (on: number) => world.poll(['POLLIN'], AbortSignal.abort(), on);
    expect([await ready(forReader), await ready(forWriter)]).toEqual([[], []]);
    dma_fence_signal(write);
    expect([await ready(forReader), await ready(forWriter)]).toEqual([['POLLIN'], []]);
    const waiting = world.poll(['POLLIN'], new AbortController().signal, forWriter);
    dma_fence_signal(read);
    expect(await waiting).toEqual(['POLLIN']);
  });

  it('an imported one makes later accesses wait, as READ or WRITE', async () => {
    const source = opened();
    const [one, other] = [add(source, 'WRITE'), add(source, 'WRITE')];
    const { fd } = (await source.ioctl(EXPORT, { flags: DMA_BUF_SYNC_READ })) as { fd: number };
    const target = exported('static');
    const targetFd = ok(dma_buf_fd(source.process, target.dmaBuf, O_RDWR));
    await source.ioctl(IMPORT, { flags: DMA_BUF_SYNC_READ, fd }, targetFd);
    const { reservation } = target.dmaBuf;
    expect(dma_resv_get_fences(reservation, 'WRITE')).toEqual([]);
    expect(dma_resv_get_fences(reservation, 'READ')).toEqual([one, other]);
    await source.ioctl(IMPORT, { flags: DMA_BUF_SYNC_WRITE, fd }, targetFd);
    expect(dma_resv_get_fences(reservation, 'WRITE')).toEqual([one, other]);
    expect(await source.errno(IMPORT, { flags: DMA_BUF_SYNC_READ, fd: source.fd })).toBe('EINVAL');
  });

  it('merge and tell their fences', async () => {
    const world = opened();
    const [write, read] = [add(world, 'WRITE'), add(world, 'READ')];
    const make = async (flags: number) =>
      ((await world.ioctl(EXPORT, { flags })) as { fd: number }).fd;
    const [one, all] = [await make(DMA_BUF_SYNC_READ), await make(DMA_BUF_SYNC_WRITE)];
    const merged = await world.ioctl('SYNC_IOC_MERGE', { name: 'both', fd2: all }, one);
    const { fd } = merged as { fd: number };
    const info = () => world.ioctl('SYNC_IOC_FILE_INFO', {}, fd);
    expect(await info()).toMatchObject({ name: 'both', status: 0 });
    dma_fence_set_error(write, 'EIO');
    dma_fence_signal(write);
    dma_fence_signal(read);
    const { status, fences } = (await info()) as { status: number; fences: { status: number }[] };
    expect([status, ...fences.map((fence) => fence.status)]).toEqual([-5, -5, 1]);
    const nothing = { name: 'x', fd2: world.fd };
    expect(await world.errno('SYNC_IOC_MERGE', nothing, one)).toBe('ENOENT');
    expect(await world.errno('SYNC_IOC_MERGE', { name: 'n'.repeat(32), fd2: all }, one)).toBe(
      'EINVAL',
    );
    expect(await world.errno('SYNC_IOC_FLY', {}, one)).toBe('ENOTTY');
    world.process.exit();
  });
});

describe('bufinfo', () => {
  it('lists every dma-buf until it is released, with who is attached and what is under way', async () => {
    const list = new DmaBufList();
    const one = opened({}, list);
    const other = exported('dynamic', {}, list);
    const holder = { pid: 7, containerId: 'c7' };
    const attachment = attach(other.dmaBuf, { ...IMPORTERS.revocable, holder });
    await one.ioctl('DMA_BUF_SET_NAME', { name: 'weights' });
    add(one, 'READ');
    const described = describeDmaBufs(list);
    expect(described).toEqual([
      {
        exporter: 'test',
        name: 'weights',
        size: SIZE,
        references: 1,
        state: 'live',
        pins: 0,
        attachments: [],
        fences: { KERNEL: 0, WRITE: 0, READ: 1, BOOKKEEP: 0 },
      },
      {
        exporter: 'test',
        size: SIZE,
        references: 2,
        state: 'live',
        pins: 0,
        attachments: [
          { importer: 'revocable', holder, kind: 'dynamic', state: 'attached', revocable: true },
        ],
        fences: { KERNEL: 0, WRITE: 0, READ: 0, BOOKKEEP: 0 },
      },
    ]);
    expect(structuredClone(described)).toEqual(described);
    await dma_buf_teardown(attachment);
    dma_buf_put(other.dmaBuf);
    one.process.exit();
    expect(describeDmaBufs(list)).toEqual([]);
  });
});

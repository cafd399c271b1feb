/** Who owns what was made through the verbs device, and when it goes. */
import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import { dma_buf_get, dma_buf_put } from '../../../node/dmabuf/export.ts';
import { dma_resv_lock, dma_resv_unlock } from '../../../node/dmabuf/reservation.ts';
import { UNUSED } from '../device/device-bench.ts';
import {
  connect,
  errnoOf,
  exportMemory,
  IOVA,
  ibv,
  openQueuePair,
  openWithMemory,
  REGION_BYTES,
  REMOTE,
  rdma,
  type User,
  UserWorld,
} from './uverbs-world.ts';

/** Passes a descriptor of one process to another, as SCM_RIGHTS does: the number there. */
function pass(from: User, fd: number, to: User): number {
  const file = from.process.fds.lookup(fd);
  const number = to.process.fds.reserve();
  if (typeof file === 'string' || typeof number !== 'number') throw new Error(`cannot pass ${fd}`);
  to.process.fds.install(number, file.get());
  return number;
}

/** Closes the device and the dma-buf: only the region holds the memory. */
async function closeDevice({ channel, memory }: Awaited<ReturnType<typeof openWithMemory>>) {
  await hlthunk.hlthunk_close(channel, memory.dmaBuf);
  await hlthunk.hlthunk_close(channel, memory.device);
}

describe('the end of a verbs file', () => {
  it('closing it takes its regions, then the dma-buf, and the device is free', async () => {
    const world = new UserWorld();
    const end = await openWithMemory(world.a.start());
    await closeDevice(end);
    expect(world.a.nic.regionCount).toBe(1);
    expect(world.a.device.usage()).toMatchObject({ state: 'releasing', exports: 1 });
    expect(await errnoOf(hlthunk.hlthunk_open(world.a.start().channel, 0))).toBe('EAGAIN');

    await ibv.ibv_close_device(end.channel, end.context);
    expect(world.a.nic.regionCount).toBe(0);
    expect(world.a.nic.queuePairCount).toBe(0);
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
    expect(await errnoOf(ibv.ibv_alloc_pd(end.channel, end.context))).toBe('EBADF');
  });

  it('the end of the process does the same at once, even while it waits for a completion', async () => {
    const world = new UserWorld();
    const end = await openWithMemory(world.a.start());
    const waiting = errnoOf(ibv.waitForCompletions(end.channel, end.cq, 1, 60_000));
    end.user.process.exit();
    expect(world.a.nic.regionCount).toBe(0);
    expect(world.a.nic.queuePairCount).toBe(0);
    expect(await waiting).toBe('EINTR');
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('a wait ends when another call of the process closes the last descriptor', async () => {
    const world = new UserWorld();
    const { channel, context, cq } = await openQueuePair(world.a.start());
    const waiting = errnoOf(ibv.waitForCompletions(channel, cq, 1, 60_000));
    await ibv.ibv_close_device(channel, context);
    expect(await waiting).toBe('EINTR');
    expect(world.scheduler.clock.now()).toBeLessThan(1000);
  });

  it('a copy of the descriptor keeps everything, wherever it is', async () => {
    const world = new UserWorld();
    const end = await openWithMemory(world.a.start());
    const copy = (await end.channel.call('dup', { fd: end.context.fd })) as number;
    await ibv.ibv_close_device(end.channel, end.context);
    expect(world.a.nic.regionCount).toBe(1);
    const other = world.a.start();
    pass(end.user, copy, other);
    end.user.process.exit();
    expect(world.a.nic.regionCount).toBe(1);
    other.process.exit();
    expect(world.a.nic.regionCount).toBe(0);
  });

  it('who is passed the descriptor uses the objects behind it, after their maker has ended', async () => {
    const world = new UserWorld();
    const left = await openWithMemory(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const heir = world.a.start();
    const context = await ibv.ibv_import_device(
      heir.channel,
      pass(left.user, left.context.fd, heir),
    );
    left.user.process.exit();
    expect(world.a.device.usage()).toMatchObject({ state: 'releasing', exports: 1 });

    const target = await ibv.ibv_reg_mr(right.channel, right.pd, 0, REGION_BYTES, REMOTE);
    const mine = { ...left.mr, context };
    const qp = { ...left.qp, context };
    await ibv.ibv_post_send(heir.channel, qp, rdma('IBV_WR_RDMA_WRITE', 5, mine, target));
    const cq = { ...left.cq, context };
    const done = await world.run(ibv.waitForCompletions(heir.channel, cq, 1, 1000));
    expect(done).toMatchObject([{ wr_id: 5, status: 'IBV_WC_SUCCESS' }]);

    await ibv.ibv_dereg_mr(heir.channel, mine);
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('a dma-buf descriptor is looked up in the table of the caller, not of who opened the device', async () => {
    const world = new UserWorld();
    const opener = await openQueuePair(world.a.start());
    const caller = world.a.start();
    const { dmaBuf } = await exportMemory(caller, REGION_BYTES);
    const context = { fd: pass(opener.user, opener.context.fd, caller) };
    const register = (user: User, fd: number) =>
      ibv.ibv_reg_dmabuf_mr(
        user.channel,
        { ...opener.pd, context: user === caller ? context : opener.context },
        0,
        REGION_BYTES,
        IOVA,
        fd,
        REMOTE,
      );
    expect(await errnoOf(register(opener.user, 40))).toBe('EBADF');
    const mr = await register(caller, dmaBuf);
    expect(mr).toMatchObject({ addr: IOVA, length: REGION_BYTES });
    // The opener names it by its handle.
    await ibv.ibv_dereg_mr(opener.channel, { ...mr, context: opener.context });
    expect(world.a.nic.regionCount).toBe(0);
  });

  it('descriptor 0 is a dma-buf like any other', async () => {
    const world = new UserWorld();
    const user = world.a.start();
    const { channel } = user;
    const memory = await exportMemory(user, REGION_BYTES);
    // The lowest number that is free is given first: 0, once the device is closed.
    await hlthunk.hlthunk_close(channel, memory.device);
    const zero = (await channel.call('dup', { fd: memory.dmaBuf })) as number;
    expect(zero).toBe(0);
    await hlthunk.hlthunk_close(channel, memory.dmaBuf);
    const { pd } = await openQueuePair(user);
    const mr = await ibv.ibv_reg_dmabuf_mr(channel, pd, 0, REGION_BYTES, 0, zero, REMOTE);
    await hlthunk.hlthunk_close(channel, zero);
    expect(world.a.device.usage()).toMatchObject({ state: 'releasing', exports: 1 });
    await ibv.ibv_dereg_mr(channel, mr);
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('a registration that waits for the lock of its buffer finds the file closed, and holds nothing', async () => {
    const world = new UserWorld();
    const user = world.a.start();
    const memory = await exportMemory(user, REGION_BYTES);
    const { channel, context, pd } = await openQueuePair(user);
    const dmaBuf = dma_buf_get(user.process, memory.dmaBuf);
    if (typeof dmaBuf === 'string') throw new Error(dmaBuf);
    await dma_resv_lock(dmaBuf.reservation);
    const registering = errnoOf(
      ibv.ibv_reg_dmabuf_mr(channel, pd, 0, REGION_BYTES, IOVA, memory.dmaBuf, REMOTE),
    );
    await ibv.ibv_close_device(channel, context);
    dma_resv_unlock(dmaBuf.reservation);
    expect(await world.run(registering)).toBe('EINVAL');
    expect(dmaBuf.attachments.size).toBe(0);
    expect(world.a.nic.regionCount).toBe(0);
    dma_buf_put(dmaBuf);
    user.process.exit();
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('objects go in the order of their use, and EBUSY changes nothing', async () => {
    const world = new UserWorld();
    const { channel, context, pd, cq, qp, mr } = await openWithMemory(world.a.start());
    expect(await errnoOf(ibv.ibv_dealloc_pd(channel, pd))).toBe('EBUSY');
    expect(await errnoOf(ibv.ibv_destroy_cq(channel, cq))).toBe('EBUSY');
    await ibv.ibv_dereg_mr(channel, mr);
    expect(await errnoOf(ibv.ibv_dealloc_pd(channel, pd))).toBe('EBUSY');
    await ibv.ibv_destroy_qp(channel, qp);
    const waiting = ibv.waitForCompletions(channel, cq, 1, 50);
    expect(await errnoOf(ibv.ibv_destroy_cq(channel, cq))).toBe('EBUSY');
    expect(await world.run(waiting)).toEqual([]);
    await ibv.ibv_destroy_cq(channel, cq);
    await ibv.ibv_dealloc_pd(channel, pd);
    for (const gone of [
      ibv.ibv_dealloc_pd(channel, pd),
      ibv.ibv_poll_cq(channel, cq, 1),
      ibv.ibv_destroy_qp(channel, qp),
      ibv.ibv_dereg_mr(channel, mr),
    ]) {
      expect(await errnoOf(gone)).toBe('EINVAL');
    }
    await ibv.ibv_close_device(channel, context);
  });

  it('under policy revoke the close of the device ends the region, whose keys stay until it is deregistered', async () => {
    const world = new UserWorld('revoke');
    const left = await openWithMemory(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const own = await ibv.ibv_reg_mr(right.channel, right.pd, 0, REGION_BYTES, REMOTE);
    await world.run(hlthunk.hlthunk_close(left.channel, left.memory.device));
    expect(await ibv.ibv_query_mr(left.channel, left.mr)).toEqual({ state: 'REVOKED' });
    await world.wait(1000);
    expect(world.a.device.usage()).toMatchObject({ state: 'free', allocatedBytes: 0 });

    await ibv.ibv_post_send(right.channel, right.qp, rdma('IBV_WR_RDMA_READ', 1, own, left.mr));
    const done = await world.run(ibv.waitForCompletions(right.channel, right.cq, 1, 1000));
    expect(done).toMatchObject([{ status: 'IBV_WC_REM_ACCESS_ERR' }]);
    const { channel, pd, memory } = left;
    const again = ibv.ibv_reg_dmabuf_mr(channel, pd, 0, REGION_BYTES, 0, memory.dmaBuf, REMOTE);
    expect(await errnoOf(again)).toBe('ENODEV');
    expect(world.a.nic.regionCount).toBe(1);
    await ibv.ibv_dereg_mr(channel, left.mr);
    expect(world.a.nic.regionCount).toBe(0);
  });

  it('under policy revoke an importer that cannot be stopped is refused', async () => {
    const world = new UserWorld('revoke');
    const user = world.a.start();
    const { dmaBuf } = await exportMemory(user, REGION_BYTES);
    const { channel, pd } = await openQueuePair(user);
    const pinned = ibv.ibv_reg_dmabuf_mr(channel, pd, 0, REGION_BYTES, 0, dmaBuf, REMOTE, 'pinned');
    expect(await errnoOf(pinned)).toBe('EOPNOTSUPP');
  });

  it('closing waits until no link reads the memory any more', async () => {
    const world = new UserWorld('owner', { bandwidthBytesPerMs: 1000 });
    const left = await openWithMemory(world.a.start());
    const right = await openWithMemory(world.b.start());
    await connect(left, right);
    await world.wait(50);
    const { channel, qp, mr } = left;
    const list = [1, 2, 3].map((wr_id) => rdma('IBV_WR_RDMA_WRITE', wr_id, mr, right.mr));
    await ibv.ibv_post_send(channel, qp, list);
    await closeDevice(left);
    const startMs = world.scheduler.clock.now();
    const closing = ibv.ibv_close_device(channel, left.context);
    expect(world.a.nic.regionCount).toBe(0);
    expect(world.a.device.usage()).toMatchObject({ state: 'releasing' });
    await world.run(closing);
    expect(world.scheduler.clock.now()).toBeGreaterThan(startMs);
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('when the NIC closes, calls on the file fail and its end is quiet', async () => {
    const world = new UserWorld();
    const end = await openWithMemory(world.a.start());
    world.a.nic.close();
    expect(await errnoOf(ibv.ibv_alloc_pd(end.channel, end.context))).toBe('EIO');
    end.user.process.exit();
    expect(world.a.nic.contexts.size).toBe(0);
  });
});

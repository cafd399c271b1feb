/** Waiting for completions and for asynchronous events through the verbs device. */
import { describe, expect, it } from 'vitest';
import {
  connect,
  type End,
  errnoOf,
  ibv,
  openQueuePair,
  REMOTE,
  rdma,
  UserWorld,
} from './uverbs-world.ts';

async function connected(world: UserWorld): Promise<[End, End]> {
  const left = await openQueuePair(world.a.start());
  const right = await openQueuePair(world.b.start());
  await connect(left, right);
  return [left, right];
}

/** `left` writes where it may not: its queue pair and its peer's end in the error state. */
async function violate(world: UserWorld, left: End, right: End): Promise<void> {
  const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 64, []);
  const to = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 64, ['IBV_ACCESS_REMOTE_READ']);
  await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_WRITE', 1, from, to));
  const done = await world.run(ibv.waitForCompletions(left.channel, left.cq, 1, 1000));
  expect(done).toMatchObject([{ status: 'IBV_WC_REM_ACCESS_ERR' }]);
}

describe('waiting for completions', () => {
  it('gives nothing when the time is up, and not before', async () => {
    const world = new UserWorld();
    const { channel, cq } = await openQueuePair(world.a.start());
    expect(await ibv.ibv_poll_cq(channel, cq, 1)).toEqual([]);
    expect(world.scheduler.clock.now()).toBe(0);
    expect(await world.run(ibv.waitForCompletions(channel, cq, 1, 250))).toEqual([]);
    expect(world.scheduler.clock.now()).toBe(250);
  });

  it('wakes everybody who waits, in the order they came', async () => {
    const world = new UserWorld();
    const [left, right] = await connected(world);
    const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 64, []);
    const to = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 64, REMOTE);
    const waits = [1, 2, 3].map(() => ibv.waitForCompletions(left.channel, left.cq, 1, 1000));
    const list = [1, 2].map((wr_id) => rdma('IBV_WR_RDMA_WRITE', wr_id, from, to));
    await ibv.ibv_post_send(left.channel, left.qp, list);
    const taken = await world.run(Promise.all(waits));
    expect(taken.map((some) => some.map(({ wr_id }) => wr_id))).toEqual([[1], [2], []]);
  });

  it('no more than 64 calls wait for one queue', async () => {
    const world = new UserWorld();
    const { channel, context, cq } = await openQueuePair(world.a.start());
    const waits = Array.from({ length: 64 }, () =>
      errnoOf(ibv.waitForCompletions(channel, cq, 1, 1000)),
    );
    expect(await errnoOf(ibv.waitForCompletions(channel, cq, 1, 1000))).toBe('EAGAIN');
    await ibv.ibv_close_device(channel, context);
    expect(new Set(await Promise.all(waits))).toEqual(new Set(['EINTR']));
  });

  it('a queue that was overrun answers EIO, and says so by an event', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start(), 1);
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 64, []);
    const to = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 64, REMOTE);
    const list = [1, 2].map((wr_id) => rdma('IBV_WR_RDMA_WRITE', wr_id, from, to));
    await ibv.ibv_post_send(left.channel, left.qp, list);
    const event = await world.run(ibv.ibv_get_async_event(left.channel, left.context, 1000));
    expect(event).toMatchObject({
      event_type: 'IBV_EVENT_CQ_ERR',
      element: { cq: left.cq.handle },
    });
    expect(await errnoOf(ibv.waitForCompletions(left.channel, left.cq, 1, 1000))).toBe('EIO');
  });
});

describe('asynchronous events', () => {
  it('a refused write shows at its target, by the handle of the queue pair', async () => {
    const world = new UserWorld();
    const [left, right] = await connected(world);
    const waiting = ibv.ibv_get_async_event(right.channel, right.context, 1000);
    await violate(world, left, right);
    const event = await world.run(waiting);
    expect(event).toMatchObject({
      event_type: 'IBV_EVENT_QP_ACCESS_ERR',
      element: { qp: right.qp.handle },
    });
    await ibv.ibv_ack_async_event(right.channel, event);
    expect(await errnoOf(ibv.ibv_ack_async_event(right.channel, event))).toBe('EINVAL');
  });

  it('destroying a queue pair waits until its event is acknowledged', async () => {
    const world = new UserWorld();
    const [left, right] = await connected(world);
    await violate(world, left, right);
    const { channel, context, qp } = right;
    const event = await ibv.ibv_get_async_event(channel, context, 0);
    let destroyed = false;
    const destroying = ibv.ibv_destroy_qp(channel, qp).then(() => {
      destroyed = true;
    });
    await world.wait(100);
    expect(destroyed).toBe(false);
    await ibv.ibv_ack_async_event(channel, event);
    await world.run(destroying);
    expect(destroyed).toBe(true);
  });

  it('a program that never acknowledges is let go after a minute', async () => {
    const world = new UserWorld();
    const [left, right] = await connected(world);
    await violate(world, left, right);
    await ibv.ibv_get_async_event(right.channel, right.context, 0);
    const destroying = errnoOf(ibv.ibv_destroy_qp(right.channel, right.qp));
    expect(await world.run(destroying)).toBe('ETIMEDOUT');
    expect(world.b.nic.queuePairCount).toBe(0);
  });

  it('an event that comes to a process that has ended goes to who else has the file open', async () => {
    const world = new UserWorld();
    const [left, right] = await connected(world);
    const heir = world.b.start();
    const fd = heir.process.fds.reserve();
    const file = right.user.process.fds.lookup(right.context.fd);
    if (typeof file === 'string' || typeof fd !== 'number') throw new Error('cannot pass the file');
    heir.process.fds.install(fd, file.get());
    const lost = errnoOf(ibv.ibv_get_async_event(right.channel, right.context, 60_000));
    const to = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 64, ['IBV_ACCESS_REMOTE_READ']);
    right.user.process.exit();
    expect(await lost).toBe('EINTR');
    const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 64, []);
    await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_WRITE', 1, from, to));
    const event = await world.run(ibv.ibv_get_async_event(heir.channel, { fd }, 1000));
    expect(event).toMatchObject({ event_type: 'IBV_EVENT_QP_ACCESS_ERR' });
  });

  it('EAGAIN when there is none in time', async () => {
    const world = new UserWorld();
    const { channel, context } = await openQueuePair(world.a.start());
    expect(await errnoOf(ibv.ibv_get_async_event(channel, context, 0))).toBe('EAGAIN');
    const waiting = errnoOf(ibv.ibv_get_async_event(channel, context, 20));
    expect(await world.run(waiting)).toBe('EAGAIN');
  });

  it('the end of the process ends a wait for events, and the file goes at once', async () => {
    const world = new UserWorld();
    const { channel, context, user } = await openQueuePair(world.a.start());
    const waiting = errnoOf(ibv.ibv_get_async_event(channel, context, 60_000));
    user.process.exit();
    expect(await waiting).toBe('EINTR');
    expect(world.a.nic.contexts.size).toBe(0);
  });
});

/** Verbs by user processes: the chain from a device's memory to another host, and back. */
import { describe, expect, it } from 'vitest';
import {
  connect,
  dma,
  errnoOf,
  ibv,
  openQueuePair,
  openWithMemory,
  REGION_BYTES,
  REMOTE,
  rdma,
  UserWorld,
} from './uverbs-world.ts';

/** Where user memory is registered in these tests. */
const STAGING = 4096;

describe('verbs of user processes', () => {
  it('an RDMA write carries device memory to the device of another host, and a read brings it back', async () => {
    const world = new UserWorld();
    const left = await openWithMemory(world.a.start());
    const right = await openWithMemory(world.b.start());
    await connect(left, right);
    const staging = left.user.process.userBytes(STAGING, REGION_BYTES) ?? new Uint8Array();
    const sent = Uint8Array.from({ length: REGION_BYTES }, (_, index) => index * 7);
    staging.set(sent);
    await world.run(
      dma(left.user, left.memory.device, STAGING, left.memory.address, REGION_BYTES, 'toDevice'),
    );

    await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_WRITE', 7, left.mr, right.mr));
    const done = await world.run(ibv.waitForCompletions(left.channel, left.cq, 4, 1000));
    expect(done).toMatchObject([{ wr_id: 7, status: 'IBV_WC_SUCCESS', qp_num: left.qp.qp_num }]);
    const { device, address } = right.memory;
    await world.run(dma(right.user, device, STAGING, address, REGION_BYTES, 'fromDevice'));
    expect(right.user.process.userBytes(STAGING, REGION_BYTES)).toEqual(sent);

    staging.fill(0);
    const own = await ibv.ibv_reg_mr(left.channel, left.pd, STAGING, REGION_BYTES, REMOTE);
    expect(own).toMatchObject({ addr: STAGING, length: REGION_BYTES });
    await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_READ', 8, own, right.mr));
    const read = await world.run(ibv.waitForCompletions(left.channel, left.cq, 4, 1000));
    expect(read).toMatchObject([{ wr_id: 8, status: 'IBV_WC_SUCCESS', byte_len: REGION_BYTES }]);
    expect(staging).toEqual(sent);
  });

  it('a message goes from user memory into a posted receive, inline data without any key', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    const landing = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 64, REMOTE);
    const sg_list = [{ lkey: landing.lkey, address: 0, length: 64 }];
    await ibv.ibv_post_recv(right.channel, right.qp, { wr_id: 1, sg_list });
    await connect(left, right);

    const text = new TextEncoder().encode('no key at all');
    const bytes = left.user.process.userBytes(128, text.byteLength);
    bytes?.set(text);
    await ibv.ibv_post_send(left.channel, left.qp, {
      wr_id: 2,
      opcode: 'IBV_WR_SEND_WITH_IMM',
      imm_data: 0xffff_ffff,
      sg_list: [
        { lkey: 0, address: 128, length: 5 },
        { lkey: 0, address: 133, length: text.byteLength - 5 },
      ],
      send_flags: ['IBV_SEND_SIGNALED', 'IBV_SEND_INLINE'],
    });
    bytes?.fill(0);
    const received = await world.run(ibv.waitForCompletions(right.channel, right.cq, 1, 1000));
    expect(received).toMatchObject([
      { wr_id: 1, status: 'IBV_WC_SUCCESS', opcode: 'IBV_WC_RECV', imm_data: 0xffff_ffff },
    ]);
    expect(right.user.process.userBytes(0, text.byteLength)).toEqual(text);
  });

  it('atomics on the memory of another host add and swap 64 bits', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const result = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 8, REMOTE);
    const counter = await ibv.ibv_reg_mr(right.channel, right.pd, 0, 8, REMOTE);
    const common = {
      sg_list: [{ lkey: result.lkey, address: 0, length: 8 }],
      send_flags: ['IBV_SEND_SIGNALED'],
      remote_addr: counter.addr,
      rkey: counter.rkey,
    } as const;
    const before = 0xffff_ffff_0000_0000n;
    await ibv.ibv_post_send(left.channel, left.qp, [
      { ...common, wr_id: 1, opcode: 'IBV_WR_ATOMIC_FETCH_AND_ADD', compare_add: before },
      { ...common, wr_id: 2, opcode: 'IBV_WR_ATOMIC_FETCH_AND_ADD', compare_add: 5 },
      {
        ...common,
        wr_id: 3,
        opcode: 'IBV_WR_ATOMIC_CMP_AND_SWP',
        compare_add: before + 5n,
        swap: 2n ** 64n - 1n,
      },
    ]);
    await world.wait(100);
    const done = await ibv.ibv_poll_cq(left.channel, left.cq, 8);
    expect(done.map(({ wr_id, status }) => [wr_id, status])).toEqual([
      [1, 'IBV_WC_SUCCESS'],
      [2, 'IBV_WC_SUCCESS'],
      [3, 'IBV_WC_SUCCESS'],
    ]);
    expect(new BigUint64Array(left.user.process.memory, 0, 1)[0]).toBe(before + 5n);
    expect(new BigUint64Array(right.user.process.memory, 0, 1)[0]).toBe(2n ** 64n - 1n);
  });

  it('two processes of one host reach each other too', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.a.start());
    await connect(left, right);
    const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 256, []);
    const to = await ibv.ibv_reg_mr(right.channel, right.pd, 512, 256, REMOTE);
    left.user.process.userBytes(0, 256)?.fill(0x5a);
    await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_WRITE', 1, from, to));
    const done = await world.run(ibv.waitForCompletions(left.channel, left.cq, 1, 1000));
    expect(done).toMatchObject([{ status: 'IBV_WC_SUCCESS' }]);
    expect(right.user.process.userBytes(512, 256)).toEqual(new Uint8Array(256).fill(0x5a));
  });

  it('a region answers only to queue pairs of its own protection domain', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const other = await ibv.ibv_alloc_pd(right.channel, right.context);
    const hidden = await ibv.ibv_reg_mr(right.channel, other, 0, 256, REMOTE);
    const from = await ibv.ibv_reg_mr(left.channel, left.pd, 0, 256, []);
    await ibv.ibv_post_send(left.channel, left.qp, rdma('IBV_WR_RDMA_WRITE', 1, from, hidden));
    const done = await world.run(ibv.waitForCompletions(left.channel, left.cq, 1, 1000));
    expect(done).toMatchObject([{ wr_id: 1, status: 'IBV_WC_REM_ACCESS_ERR' }]);
  });

  it('a region of user memory takes on another range under new keys, a dma-buf one does not', async () => {
    const world = new UserWorld();
    const { channel, pd, mr: dmaBufMr } = await openWithMemory(world.a.start());
    const mr = await ibv.ibv_reg_mr(channel, pd, 0, 256, REMOTE);
    const translation = { address: 512, length: 128 };
    const changed = await ibv.ibv_rereg_mr(channel, mr, { translation });
    expect(changed).toMatchObject({ handle: mr.handle, addr: 512, length: 128 });
    expect(changed.rkey).not.toBe(mr.rkey);
    expect(await errnoOf(ibv.ibv_rereg_mr(channel, dmaBufMr, { translation }))).toBe('EINVAL');
    expect(await ibv.ibv_query_mr(channel, dmaBufMr)).toEqual({ state: 'VALID' });
  });

  it('the library tells what the device can do and what a queue pair is like', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    const attributes = await ibv.ibv_query_device(left.channel, left.context);
    expect(attributes).toMatchObject({ max_sge: 16, max_pd: 256, max_mr: 4096, max_qp: 256 });
    await connect(left, right);
    expect(await ibv.ibv_query_qp(left.channel, left.qp)).toMatchObject({
      qp_state: 'IBV_QPS_RTS',
      dest_qp_num: right.qp.qp_num,
      ah_attr: { nodeId: 'host-b' },
      cap: { max_send_wr: 16 },
    });
  });
});

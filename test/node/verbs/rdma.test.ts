import { describe, expect, it } from 'vitest';
import { ibv_alloc_pd } from '../../../node/verbs/context.ts';
import { frameHeader } from '../../../node/verbs/frame-header.ts';
import { type IbvMr, ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../../../node/verbs/mr.ts';
import { ibv_post_recv, ibv_post_send } from '../../../node/verbs/qp.ts';
import type { IbvSendWr, IbvWrOpcode } from '../../../node/verbs/work-request.ts';
import { ALL_RIGHTS, type End, must, pattern, statuses, TestMemory, World } from './world.ts';

const SIGNALED = ['IBV_SEND_SIGNALED'] as const;

function request(
  opcode: IbvWrOpcode,
  local: IbvMr,
  remote: { readonly addr: number; readonly rkey: number },
  length: number,
  more: Partial<IbvSendWr> = {},
): IbvSendWr {
  return {
    wr_id: opcode,
    opcode,
    sg_list: [{ lkey: local.lkey, address: local.addr, length }],
    send_flags: SIGNALED,
    remote_addr: remote.addr,
    rkey: remote.rkey,
    ...more,
  };
}

async function settle(world: World, end: End, count = 1): Promise<void> {
  await world.until(() => end.completions.length >= count);
}

describe('RDMA between two NICs, over dma-buf mappings', () => {
  it('WRITE puts the bytes of one device memory into the other', async () => {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 1000 });
    const source = await a.host.region(20_000);
    const target = await b.host.region(20_000);
    source.memory.bytes.set(pattern(20_000, 1));
    expect(
      ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, 20_000)),
    ).toBeUndefined();
    await settle(world, a);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS']);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
    expect(b.completions).toEqual([]);
    expect(a.qp.counters.writeBytesSent).toBe(20_000);
    expect(b.qp.counters.writeBytesReceived).toBe(20_000);
  });

  it('WRITE_WITH_IMM completes a receive with the immediate data', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const source = await a.host.region(4096);
    const target = await b.host.region(4096);
    source.memory.bytes.fill(7);
    ibv_post_recv(b.qp, { wr_id: 'receive', sg_list: [] });
    const wr = request('IBV_WR_RDMA_WRITE_WITH_IMM', source.mr, target.mr, 4096, {
      imm_data: 0xdead_beef,
    });
    ibv_post_send(a.qp, wr);
    await settle(world, b);
    expect(b.completions).toMatchObject([
      {
        wr_id: 'receive',
        status: 'IBV_WC_SUCCESS',
        opcode: 'IBV_WC_RECV_RDMA_WITH_IMM',
        byte_len: 4096,
        imm_data: 0xdead_beef,
      },
    ]);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });

  it('READ fetches the bytes of the peer', async () => {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 999 });
    const sink = await a.host.region(10_000);
    const target = await b.host.region(10_000);
    target.memory.bytes.set(pattern(10_000, 2));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_READ', sink.mr, target.mr, 10_000));
    await settle(world, a);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS']);
    expect(sink.memory.bytes).toEqual(target.memory.bytes);
    expect(a.qp.counters.readBytesReceived).toBe(10_000);
    expect(b.qp.counters.readBytesSent).toBe(10_000);
  });

  it('SEND gathers from several pieces and scatters into several', async () => {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 100 });
    const source = await a.host.region(8192);
    const target = await b.host.region(8192);
    source.memory.bytes.set(pattern(8192, 3));
    const piece = (mr: IbvMr, offset: number, length: number) => ({
      lkey: mr.lkey,
      address: mr.addr + offset,
      length,
    });
    ibv_post_recv(b.qp, {
      wr_id: 'receive',
      sg_list: [piece(target.mr, 0, 50), piece(target.mr, 5000, 1000)],
    });
    ibv_post_send(a.qp, {
      wr_id: 'send',
      opcode: 'IBV_WR_SEND',
      sg_list: [piece(source.mr, 4000, 333), piece(source.mr, 0, 0), piece(source.mr, 100, 7)],
      send_flags: SIGNALED,
    });
    await settle(world, b);
    expect(b.completions).toMatchObject([{ wr_id: 'receive', byte_len: 340 }]);
    const sent = [...source.memory.bytes.slice(4000, 4333), ...source.memory.bytes.slice(100, 107)];
    const received = [
      ...target.memory.bytes.slice(0, 50),
      ...target.memory.bytes.slice(5000, 5290),
    ];
    expect(received).toEqual(sent);
  });

  it('a queue pair connected to itself works', async () => {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 1000 }, world.a, world.a);
    const source = await a.host.region(5000, undefined, 0x1000);
    const target = await b.host.region(5000, undefined, 0x9000);
    source.memory.bytes.set(pattern(5000, 4));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, 5000));
    await settle(world, a);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });

  it('empty operations succeed without any key check', async () => {
    const world = new World();
    const [a] = await world.pair();
    for (const opcode of ['IBV_WR_RDMA_WRITE', 'IBV_WR_RDMA_READ'] as const) {
      ibv_post_send(a.qp, {
        wr_id: opcode,
        opcode,
        sg_list: [],
        send_flags: SIGNALED,
        remote_addr: 0,
        rkey: 12,
      });
    }
    await settle(world, a, 2);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
  });
});

describe('what the target refuses', () => {
  const length = 3000;

  async function refused(
    aim: (target: IbvMr) => { addr: number; rkey: number },
    options: {
      access?: Parameters<World['a']['region']>[1];
      opcode?: IbvWrOpcode;
      before?: (mr: IbvMr) => void;
    } = {},
  ) {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 512 });
    const source = await a.host.region(length);
    source.memory.bytes.fill(0xff);
    const target = await b.host.region(length, options.access);
    const aimed = aim(target.mr);
    options.before?.(target.mr);
    const opcode = options.opcode ?? 'IBV_WR_RDMA_WRITE';
    ibv_post_send(a.qp, request(opcode, source.mr, aimed, length));
    ibv_post_send(a.qp, request(opcode, source.mr, target.mr, length));
    await settle(world, a, 2);
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
    expect(a.qp.state).toBe('IBV_QPS_ERR');
    expect(b.qp.state).toBe('IBV_QPS_ERR');
    return statuses(a);
  }

  const REFUSED = ['IBV_WC_REM_ACCESS_ERR', 'IBV_WC_WR_FLUSH_ERR'];

  it('a key that does not exist', async () => {
    expect(await refused(({ addr }) => ({ addr, rkey: 1 }))).toEqual(REFUSED);
  });

  it('a range that starts before the region', async () => {
    expect(await refused(({ addr, rkey }) => ({ addr: addr - 1, rkey }))).toEqual(REFUSED);
  });

  it('a range that ends behind the region: not even the first frame is stored', async () => {
    expect(await refused(({ addr, rkey }) => ({ addr: addr + 1, rkey }))).toEqual(REFUSED);
  });

  it('a region without the right to be written', async () => {
    const access = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_READ'] as const;
    expect(await refused((mr) => mr, { access })).toEqual(REFUSED);
  });

  it('a region without the right to be read', async () => {
    const access = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'] as const;
    expect(await refused((mr) => mr, { access, opcode: 'IBV_WR_RDMA_READ' })).toEqual(REFUSED);
  });

  it('a region that has been deregistered', async () => {
    const aim = ({ addr, rkey }: IbvMr) => ({ addr, rkey });
    expect(await refused(aim, { before: (mr) => ibv_dereg_mr(mr) })).toEqual(REFUSED);
  });

  it('a queue pair without the right is an invalid request', async () => {
    const world = new World();
    const [a, b] = await world.pair({ access: ['IBV_ACCESS_LOCAL_WRITE'] });
    const source = await a.host.region(length);
    const target = await b.host.region(length);
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, length));
    await settle(world, a);
    expect(statuses(a)).toEqual(['IBV_WC_REM_INV_REQ_ERR']);
  });

  it('a region of another protection domain of the same process', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const source = await a.host.region(4096);
    source.memory.bytes.fill(1);
    const foreign = new TestMemory(4096);
    const fd = foreign.fd(b.host.process);
    const pd = ibv_alloc_pd(b.host.context);
    const mr = must(await ibv_reg_dmabuf_mr(pd, 0, 4096, 0, fd, ALL_RIGHTS));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, mr, 4096));
    await settle(world, a);
    expect(statuses(a)).toEqual(['IBV_WC_REM_ACCESS_ERR']);
    expect(foreign.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('a READ before the refused request is answered first, whatever the link takes', async () => {
    const world = new World({ bandwidthBytesPerMs: 1000, highWaterBytes: 1000 });
    const [a, b] = await world.pair({ path_mtu: 512 });
    const sink = await a.host.region(20_000);
    const target = await b.host.region(20_000);
    target.memory.bytes.set(pattern(20_000, 6));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_READ', sink.mr, target.mr, 20_000));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', sink.mr, { addr: 0, rkey: 1 }, 10));
    await settle(world, a, 2);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_REM_ACCESS_ERR']);
    expect(sink.memory.bytes).toEqual(target.memory.bytes);
  });

  it('frames of another epoch or another queue pair, however good their key is', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const target = await b.host.region(length);
    const forged = {
      first: true,
      last: true,
      destQpn: b.qp.qp_num,
      sourceQpn: a.qp.qp_num,
      qpEpoch: 1,
      psn: a.qp.attributes.sq_psn,
      remoteAddress: target.mr.addr,
      rkey: target.mr.rkey,
      messageLength: 8,
      payloadLength: 8,
    };
    const { nic } = b.host;
    const old = frameHeader('WRITE', { ...forged, qpEpoch: 0 });
    const stranger = frameHeader('WRITE', { ...forged, sourceQpn: a.qp.qp_num + 1 });
    expect(nic.place('host-a', old)).toBeNull();
    expect(nic.place('host-a', stranger)).toBeNull();
    expect(nic.place('host-c', frameHeader('WRITE', forged))).toBeNull();
    expect(nic.refused).toMatchObject({ wrongEpoch: 1, wrongPeer: 2 });
    expect(nic.place('host-a', frameHeader('WRITE', forged))).toHaveLength(1);
  });
});

describe('memory that is taken back in mid-run', () => {
  async function running() {
    const world = new World();
    const [a, b] = await world.pair({ path_mtu: 512 });
    const source = await a.host.region(8192);
    const target = await b.host.region(8192);
    source.memory.bytes.set(pattern(8192, 5));
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, 8192));
    await settle(world, a);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
    target.memory.bytes.fill(0);
    return { world, a, b, source, target };
  }

  it('at the source: the next request ends with a local protection error', async () => {
    const { world, a, source, target } = await running();
    source.memory.takeBack();
    expect(source.mr.state).toBe('REVOKED');
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, 8192));
    await settle(world, a, 2);
    expect(statuses(a)[1]).toBe('IBV_WC_LOC_PROT_ERR');
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('at the target: the next request ends with a remote access error', async () => {
    const { world, a, source, target } = await running();
    target.memory.takeBack();
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, 8192));
    await settle(world, a, 2);
    expect(statuses(a)[1]).toBe('IBV_WC_REM_ACCESS_ERR');
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('a revoked region keeps its key until it is deregistered', async () => {
    const { b, target } = await running();
    target.memory.takeBack();
    expect(b.host.nic.region(target.mr.rkey)).toBe(target.mr);
    void ibv_dereg_mr(target.mr);
    expect(b.host.nic.region(target.mr.rkey)).toBeUndefined();
    expect(target.memory.dmaBuf.attachments.size).toBe(0);
  });

  it('deregistering one region leaves another over the same buffer intact', async () => {
    const { world, a, b, source, target } = await running();
    const fd = target.memory.fd(b.host.process);
    const second = await ibv_reg_dmabuf_mr(b.host.pd, 4096, 4096, 0x4000, fd, [
      'IBV_ACCESS_LOCAL_WRITE',
      'IBV_ACCESS_REMOTE_WRITE',
    ]);
    if (typeof second === 'string') throw new Error(second);
    void ibv_dereg_mr(target.mr);
    ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, second, 4096));
    await settle(world, a, 2);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
    expect(target.memory.bytes.slice(4096)).toEqual(source.memory.bytes.slice(0, 4096));
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_TYPES, type FrameHeader, type FrameType } from '../../../node/transport/frame.ts';
import { ibv_close_device, ibv_dealloc_pd, ibv_open_device } from '../../../node/verbs/context.ts';
import { ibv_create_cq, ibv_destroy_cq, ibv_poll_cq } from '../../../node/verbs/cq.ts';
import { frameHeader } from '../../../node/verbs/frame-header.ts';
import {
  type IbvAccessFlag,
  ibv_dereg_mr,
  ibv_reg_dmabuf_mr,
  ibv_reg_mr,
} from '../../../node/verbs/mr.ts';
import { psnAdd } from '../../../node/verbs/psn.ts';
import {
  ibv_create_qp,
  ibv_destroy_qp,
  ibv_modify_qp,
  ibv_post_recv,
  ibv_post_send,
} from '../../../node/verbs/qp.ts';
import type { IbvQpAttr, IbvQpState } from '../../../node/verbs/qp-state.ts';
import { IBV_WC_STATUS } from '../../../node/verbs/wc.ts';
import { ALL_RIGHTS, connect, must, open, statuses, TestMemory, World } from './world.ts';

describe('ibv_reg_dmabuf_mr', () => {
  const host = () => new World().a;
  const PAGE = 4096;

  it('tells, once, that shared memory is taken back by others: exporter or another region', async () => {
    const a = host();
    const file = { fd: 0, bytes: PAGE };
    const memory = new TestMemory(PAGE, PAGE, { share: () => file, unshare: () => undefined });
    const fd = memory.fd(a.process);
    const region = async () => must(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, ALL_RIGHTS));
    const [one, other, silent] = [await region(), await region(), await region()];
    const told: string[] = [];
    const share = () => {
      for (const [name, mr] of Object.entries({ one, other })) {
        expect(mr.shared()).toBe(file);
        mr.whenTakenBack(() => told.push(name));
      }
    };
    silent.whenTakenBack(() => told.push('silent'));
    share();
    await one.unshare();
    await one.unshare();
    expect(told).toEqual(['other']);
    share();
    memory.takeBack();
    expect(told.toSorted()).toEqual(['one', 'one', 'other', 'other', 'silent']);
  });

  it('takes any part of the buffer whose offset and iova agree below the page size', async () => {
    const a = host();
    const memory = new TestMemory(3 * PAGE, 1000);
    const fd = memory.fd(a.process);
    const whole = must(await ibv_reg_dmabuf_mr(a.pd, 0, 3 * PAGE, 7 * PAGE, fd, ALL_RIGHTS));
    const part = must(await ibv_reg_dmabuf_mr(a.pd, 100, 5000, 100, fd, []));
    expect([whole.addr, whole.length, part.addr, part.length]).toEqual([28672, 12288, 100, 5000]);
    expect(whole.lkey).not.toBe(part.lkey);
    expect(memory.dmaBuf.attachments.size).toBe(2);
  });

  it.each<[string, [number, number, number, readonly IbvAccessFlag[]], string]>([
    ['a different page offset', [0, PAGE, 1, ALL_RIGHTS], 'EINVAL'],
    ['no bytes', [0, 0, 0, ALL_RIGHTS], 'EINVAL'],
    ['a range behind the end', [PAGE, 3 * PAGE, 0, ALL_RIGHTS], 'EINVAL'],
    ['a negative offset', [-PAGE, PAGE, 0, ALL_RIGHTS], 'EINVAL'],
    ['an address that overflows', [0, PAGE, 2 ** 53 - PAGE, ALL_RIGHTS], 'EINVAL'],
    ['remote write without local write', [0, PAGE, 0, ['IBV_ACCESS_REMOTE_WRITE']], 'EINVAL'],
    ['on-demand paging', [0, PAGE, 0, ['IBV_ACCESS_ON_DEMAND']], 'EINVAL'],
    ['memory windows', [0, PAGE, 0, ['IBV_ACCESS_MW_BIND']], 'EINVAL'],
  ])('refuses %s and holds nothing', async (_, [offset, length, iova, access], errno) => {
    const a = host();
    const memory = new TestMemory(2 * PAGE);
    const fd = memory.fd(a.process);
    const before = memory.dmaBuf.file.references;
    expect(await ibv_reg_dmabuf_mr(a.pd, offset, length, iova, fd, access)).toBe(errno);
    expect(memory.dmaBuf.file.references).toBe(before);
    expect(memory.dmaBuf.attachments.size).toBe(0);
    expect(a.pd.mrs.size).toBe(0);
  });

  it('refuses a number that is no fd, and an fd of another process', async () => {
    const world = new World();
    const fd = new TestMemory(PAGE).fd(world.b.process);
    expect(await ibv_reg_dmabuf_mr(world.a.pd, 0, PAGE, 0, fd, [])).toBe('EBADF');
    expect(must(await ibv_reg_dmabuf_mr(world.b.pd, 0, PAGE, 0, fd, [])).state).toBe('VALID');
  });

  it('accepts fd 0, and needs no fd once registered', async () => {
    const a = host();
    const memory = new TestMemory(PAGE);
    const fd = memory.fd(a.process);
    expect(fd).toBe(0);
    const mr = must(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, []));
    a.process.fds.close(fd);
    memory.dmaBuf.file.put();
    expect([mr.state, memory.released]).toEqual(['VALID', false]);
    void ibv_dereg_mr(mr);
    expect(memory.released).toBe(true);
  });

  it('never gives a key twice', () => {
    const a = host();
    const keys = new Set<number>();
    for (let count = 0; count < 500; count++) {
      const mr = must(ibv_reg_mr(a.pd, new Uint8Array(1), 0, []));
      keys.add(mr.rkey);
      void ibv_dereg_mr(mr);
    }
    expect(keys.size).toBe(500);
  });
});

describe('parents and children', () => {
  it('a domain with children, and a completion queue with queue pairs, are EBUSY', async () => {
    const world = new World();
    const [a] = await world.pair();
    const mr = must(ibv_reg_mr(a.host.pd, new Uint8Array(8), 0, []));
    expect(ibv_dealloc_pd(a.host.pd)).toBe('EBUSY');
    void ibv_dereg_mr(mr);
    expect(ibv_dealloc_pd(a.host.pd)).toBe('EBUSY');
    expect(ibv_destroy_cq(a.cq)).toBe('EBUSY');
    ibv_destroy_qp(a.qp);
    expect(ibv_destroy_cq(a.cq)).toBeUndefined();
    expect(ibv_dealloc_pd(a.host.pd)).toBeUndefined();
  });

  it('closing the device destroys what is left; twice is harmless', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const { memory } = await a.host.region(4096);
    ibv_close_device(a.host.context);
    ibv_close_device(a.host.context);
    expect(memory.dmaBuf.attachments.size).toBe(0);
    expect(a.host.nic.regionCount + a.host.nic.queuePairCount).toBe(0);
    expect(b.host.nic.queuePairCount).toBe(1);
  });

  it('the end of the process closes its device and nobody else’s', async () => {
    const { a } = new World();
    const other = ibv_open_device(a.nic, new World().b.process);
    const { memory } = await a.region(4096);
    a.process.exit();
    expect(memory.dmaBuf.attachments.size).toBe(0);
    expect(a.nic.contexts).toEqual(new Set([other]));
  });
});

describe('ibv_modify_qp', () => {
  const INIT: IbvQpAttr = { pkey_index: 0, port_num: 1, qp_access_flags: [] };
  const RTR: IbvQpAttr = {
    ah_attr: { nodeId: 'host-b' },
    path_mtu: 1024,
    dest_qp_num: 1,
    rq_psn: 0,
    max_dest_rd_atomic: 1,
    min_rnr_timer: 1,
  };
  const RTS: IbvQpAttr = { sq_psn: 0, max_rd_atomic: 1, retry_cnt: 1, rnr_retry: 1, timeout: 14 };
  const path: [IbvQpState, IbvQpAttr][] = [
    ['IBV_QPS_INIT', INIT],
    ['IBV_QPS_RTR', RTR],
    ['IBV_QPS_RTS', RTS],
  ];
  function qpIn(state: IbvQpState) {
    const { a } = new World();
    const cq = must(ibv_create_cq(a.context, 8, () => undefined));
    const cap = { max_send_wr: 2, max_recv_wr: 2, max_send_sge: 1, max_recv_sge: 1 };
    const qp = must(ibv_create_qp(a.pd, { send_cq: cq, recv_cq: cq, cap, epoch: 1 }));
    for (const [qp_state, attributes] of path) {
      if (qp.state === state || state === 'IBV_QPS_ERR') break;
      must(ibv_modify_qp(qp, { qp_state, ...attributes }));
    }
    if (state === 'IBV_QPS_ERR') {
      must(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_INIT', ...INIT }));
      must(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_ERR' }));
    }
    expect(qp.state).toBe(state);
    return { qp, cq };
  }

  it('needs every attribute of the transition, and takes no other and no value out of range', () => {
    const { qp } = qpIn('IBV_QPS_INIT');
    for (const name of Object.keys(RTR)) {
      expect(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTR', ...RTR, [name]: undefined })).toBe(
        'EINVAL',
      );
    }
    expect(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTR', ...RTR, timeout: 1 })).toBe('EINVAL');
    expect(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTR', ...RTR, path_mtu: 0 })).toBe('EINVAL');
    expect(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTR', ...RTR, rq_psn: 2 ** 32 })).toBe('EINVAL');
    expect(qp.state).toBe('IBV_QPS_INIT');
  });

  it('posting: EINVAL before its state, ENOMEM when full, EINVAL for too many pieces', () => {
    const write = {
      wr_id: 0,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [],
      remote_addr: 0,
      rkey: 0,
    } as const;
    const sge = { lkey: 0, address: 0, length: 0 };
    expect(ibv_post_recv(qpIn('IBV_QPS_RESET').qp, { wr_id: 0, sg_list: [] })).toBe('EINVAL');
    expect(ibv_post_send(qpIn('IBV_QPS_RTR').qp, write)).toBe('EINVAL');
    const { qp } = qpIn('IBV_QPS_RTS');
    expect(ibv_post_send(qp, { ...write, sg_list: [sge, sge] })).toBe('EINVAL');
    expect(ibv_post_send(qp, { wr_id: 0, opcode: 'IBV_WR_RDMA_WRITE', sg_list: [] })).toBe(
      'EINVAL',
    );
    const receive = { wr_id: 0, sg_list: [sge] };
    expect([0, 1, 2].map(() => ibv_post_send(qp, write))).toEqual([undefined, undefined, 'ENOMEM']);
    expect([0, 1, 2].map(() => ibv_post_recv(qp, receive))).toEqual([
      undefined,
      undefined,
      'ENOMEM',
    ]);
  });

  it('in the error state everything posted is flushed, in order; RESET forgets it all', () => {
    const { qp, cq } = qpIn('IBV_QPS_RTS');
    ibv_post_recv(qp, { wr_id: 'r1', sg_list: [] });
    ibv_post_send(qp, { wr_id: 's1', opcode: 'IBV_WR_SEND', sg_list: [] });
    ibv_modify_qp(qp, { qp_state: 'IBV_QPS_ERR' });
    ibv_post_send(qp, { wr_id: 's2', opcode: 'IBV_WR_SEND', sg_list: [] });
    ibv_post_recv(qp, { wr_id: 'r2', sg_list: [] });
    const flushed = must(ibv_poll_cq(cq, 3)) as { wr_id: unknown; status: string }[];
    expect(flushed.map(({ wr_id }) => wr_id)).toEqual(['s1', 'r1', 's2']);
    expect(new Set(flushed.map(({ status }) => status))).toEqual(new Set(['IBV_WC_WR_FLUSH_ERR']));
    ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RESET' });
    expect(ibv_poll_cq(cq, 8)).toEqual([]);
  });
});

describe('completion queues', () => {
  it('an overrun ends the queue and its queue pairs, and the reader is told', async () => {
    const world = new World();
    const [a] = await world.pair({ cqe: 2 });
    const write = { opcode: 'IBV_WR_RDMA_WRITE', sg_list: [], remote_addr: 0, rkey: 0 } as const;
    a.cq.take(8);
    for (const wr_id of [1, 2]) {
      ibv_post_send(a.qp, { ...write, wr_id, send_flags: ['IBV_SEND_SIGNALED'] });
    }
    ibv_modify_qp(a.qp, { qp_state: 'IBV_QPS_ERR' });
    ibv_post_send(a.qp, { ...write, wr_id: 3 });
    expect(a.cq.state).toBe('overrun');
    expect(ibv_poll_cq(a.cq, 8)).toBe('EIO');
  });

  it('sizes: 1 to max_cqe', () => {
    const { a } = new World();
    for (const cqe of [0, -1, 1.5, 65_537]) {
      expect(ibv_create_cq(a.context, cqe, () => undefined)).toBe('EINVAL');
    }
  });

  it('the status numbers are those of infiniband/verbs.h', () => {
    const numbers = Object.values(IBV_WC_STATUS).map(([number]) => number);
    expect(numbers).toEqual([0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13]);
  });
});

describe('receives', () => {
  const send = (lkey: number, length: number) =>
    ({
      wr_id: 's',
      opcode: 'IBV_WR_SEND',
      sg_list: [{ lkey, address: 0x10_0000, length }],
      send_flags: ['IBV_SEND_SIGNALED'],
    }) as const;

  it('too short: local length error there, remote invalid request here, not a byte stored', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const source = await a.host.region(4096);
    source.memory.bytes.fill(1);
    const sink = await b.host.region(4096);
    const { lkey, addr: address } = sink.mr;
    ibv_post_recv(b.qp, { wr_id: 'r', sg_list: [{ lkey, address, length: 10 }] });
    ibv_post_send(a.qp, send(source.mr.lkey, 11));
    await world.until(() => a.completions.length === 1);
    expect([statuses(a), statuses(b)]).toEqual([
      ['IBV_WC_REM_INV_REQ_ERR'],
      ['IBV_WC_LOC_LEN_ERR'],
    ]);
    expect(sink.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('with a bad lkey: local protection error there, remote operation error here', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const source = await a.host.region(4096);
    ibv_post_recv(b.qp, { wr_id: 'r', sg_list: [{ lkey: 5, address: 0, length: 100 }] });
    ibv_post_send(a.qp, send(source.mr.lkey, 11));
    await world.until(() => a.completions.length === 1);
    expect([statuses(a), statuses(b)]).toEqual([['IBV_WC_REM_OP_ERR'], ['IBV_WC_LOC_PROT_ERR']]);
  });
});

describe('frames that nobody asked for', () => {
  it('a queue pair of another epoch does not connect, and its frames are refused', async () => {
    const world = new World();
    const init = { epochs: [1, 2] } as const;
    const [left, right] = [open(world.a, init, 0), open(world.b, init, 1)];
    const [a, b] = [connect(left, right, init), connect(right, left, init)];
    await world.until(() => a.connection.state === 'failed' && b.connection.state === 'failed');
    expect(world.a.nic.refused.wrongEpoch).toBeGreaterThan(0);
    expect(a.qp.state).toBe('IBV_QPS_INIT');
  });

  it('no header, however forged, makes the NIC store a byte outside of what it may', async () => {
    // Numbers are given in order, so they are the same in every world.
    const { a, b, readOnly, writable } = await victim();
    const key = fc.constantFrom(readOnly.mr.rkey, writable.mr.rkey, writable.mr.rkey, 77);
    const offset = fc.oneof(fc.constant(0), fc.integer({ min: -5000, max: 5000 }));
    const header = fc.record({
      type: fc.constantFrom(...(Object.keys(FRAME_TYPES) as FrameType[])),
      first: fc.boolean(),
      last: fc.boolean(),
      destQpn: fc.constantFrom(b.qp.qp_num, b.qp.qp_num, 0),
      sourceQpn: fc.constantFrom(a.qp.qp_num, a.qp.qp_num, b.qp.qp_num),
      qpEpoch: fc.constantFrom(1, 1, 0),
      psn: fc.integer({ min: 0, max: 2 }).map((step) => psnAdd(a.qp.attributes.sq_psn, step)),
      remoteAddress: offset.map((from) => writable.mr.addr + from),
      rkey: key,
      messageLength: fc.oneof(fc.nat(128), fc.nat(6000)),
      messageOffset: fc.constantFrom(0, 0, 64, 128),
      payloadLength: fc.nat(64),
    });
    // Half of them are in good form, so that only what they aim at is wrong, or nothing at all.
    const frame = fc.tuple(fc.boolean(), header).map(([sound, fields]) =>
      sound
        ? {
            ...fields,
            first: true,
            last: true,
            messageOffset: 0,
            messageLength: fields.payloadLength,
          }
        : fields,
    );
    let stored = 0;
    const property = fc.asyncProperty(fc.array(frame, { maxLength: 6 }), async (headers) => {
      const target = await victim();
      for (const fields of headers) {
        const forged: FrameHeader = frameHeader(fields.type, fields);
        const views = target.b.host.nic.place('host-a', forged);
        if (views === null || forged.type === 'CM') continue;
        for (const view of views) {
          expect(view.buffer).toBe(target.writable.memory.bytes.buffer);
          stored += view.byteLength;
        }
        target.b.host.nic.landed('host-a', forged);
      }
    });
    await fc.assert(property, { numRuns: 500, seed: 7 });
    expect(stored).toBeGreaterThan(0);
  });
});

/** A connected end `b` with a region that peers may write and one that they may only read. */
async function victim() {
  const world = new World();
  const [a, b] = await world.pair({ path_mtu: 64 });
  const readOnly = await b.host.region(4096, ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_READ']);
  return { a, b, readOnly, writable: await b.host.region(4096, undefined, 0x40_0000) };
}

/**
 * Verbs conformance: every completion status, what brings it about, and what it does to both queue
 * pairs (ibv_poll_cq(3); InfiniBand Architecture Specification, volume 1, chapters 9 and 10).
 */
import { describe, expect, it } from 'vitest';
import { ibv_create_cq, ibv_poll_cq, ibv_resize_cq } from '../../node/verbs/cq.ts';
import { frameHeader } from '../../node/verbs/frame-header.ts';
import { ibv_post_recv, ibv_post_send, ibv_post_send_list } from '../../node/verbs/qp.ts';
import { IBV_WC_STATUS, ibv_wc_status_str } from '../../node/verbs/wc.ts';
import { must } from '../node/verbs/world.ts';
import {
  read,
  receive,
  type Scene,
  STATUS_ROWS,
  STATUSES_NOT_APPLICABLE,
  send,
  write,
} from './verbs-status-table.ts';
import {
  EVERY_RIGHT,
  eventNames,
  type JoinInit,
  joined,
  lastOf,
  outcomes,
  request,
} from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

describe.each(VERBS_PROVIDERS)('verbs conformance, completions: $name', (provider) => {
  const open = verbsWorlds(provider);

  async function scene(init: JoinInit = {}): Promise<Scene> {
    const world = await open();
    const [a, b] = await joined(world, init);
    const source = await world.a.region(4096, EVERY_RIGHT);
    const target = await world.b.region(4096, EVERY_RIGHT, 0x20_0000);
    await world.b.region(4096, ['IBV_ACCESS_LOCAL_WRITE'], 0x20_0000);
    source.memory.bytes.fill(7);
    return { world, a, b, source, target };
  }

  it.each(STATUS_ROWS.map((row) => [row.status, row.cause, row] as const))(
    '%s: %s',
    async (status, _, row) => {
      const made = await scene(row.init);
      const { world, a, b, target } = made;
      await row.act(made);
      await world.until(() => a.completions.length > 0);
      await world.wait(5);
      expect(outcomes(a)).toEqual([status]);
      expect([a.qp.state, b.qp.state]).toEqual([row.stateOfA, row.stateOfB]);
      expect(outcomes(b)).toEqual(row.receive === undefined ? [] : [row.receive]);
      expect(eventNames(world.b)).toEqual(row.events ?? []);
      expect(eventNames(world.a)).toEqual([]);
      const untouched = status !== 'IBV_WC_SUCCESS' && status !== 'IBV_WC_WR_FLUSH_ERR';
      if (untouched) expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
      expect(a.qp.failure).toBe(row.stateOfA === 'IBV_QPS_ERR' && untouched ? status : undefined);
    },
  );

  it('every status is in the table above, or is listed with the reason why it cannot be', () => {
    const tested = new Set<string>([
      ...STATUS_ROWS.flatMap(({ status, receive: other }) => [status, other ?? status]),
      // Reported as the failure of its queue pairs: the queue that could tell it is dead.
      'IBV_WC_LOC_QP_OP_ERR',
    ]);
    expect(tested).toEqual(new Set(Object.keys(IBV_WC_STATUS)));
    const numbers = Object.values(IBV_WC_STATUS).map(([number]) => number);
    const all = [...numbers, ...Object.keys(STATUSES_NOT_APPLICABLE).map(Number)].sort(
      (x, y) => x - y,
    );
    expect(all).toEqual(Array.from({ length: 22 }, (_, index) => index));
    expect(ibv_wc_status_str('IBV_WC_RNR_RETRY_EXC_ERR')).toBe('RNR retry counter exceeded');
  });

  it('rnr_retry 7 waits without end, and a receive that comes ends the wait', async () => {
    const made = await scene({ attributes: { rnr_retry: 7 } });
    send(made);
    await made.world.wait(30);
    expect(outcomes(made.a)).toEqual([]);
    receive(made, 64);
    await made.world.until(() => made.a.completions.length === 1);
    expect(outcomes(made.a)).toEqual(['IBV_WC_SUCCESS']);
  });

  it('a signalled success says that all requests before it are done', async () => {
    const { world, a, source, target } = await scene();
    const one = request('IBV_WR_RDMA_WRITE', source.mr, target.mr, { length: 1 });
    const list = Array.from({ length: 20 }, (_, index) => ({
      ...one,
      wr_id: index,
      remote_addr: target.mr.addr + index,
      send_flags: index === 19 ? (['IBV_SEND_SIGNALED'] as const) : [],
    }));
    expect(ibv_post_send_list(a.qp, list)).toBeUndefined();
    await world.until(() => a.completions.length === 1);
    expect(lastOf(a)).toMatchObject({ wr_id: 19, status: 'IBV_WC_SUCCESS', byte_len: 1 });
    expect(target.memory.bytes.subarray(0, 21)).toEqual(new Uint8Array(21).fill(7, 0, 20));
    expect(a.qp.requester.outstanding).toBe(0);
  });

  it('an error completes unsignalled requests too, and everything behind it is flushed', async () => {
    const { world, a, source, target } = await scene();
    const good = request('IBV_WR_RDMA_WRITE', source.mr, target.mr, { send_flags: [] });
    const list = [0, 1, 2, 3].map((wr_id) => ({ ...good, wr_id, ...(wr_id === 1 && { rkey: 1 }) }));
    must(ibv_post_recv(a.qp, { wr_id: 'receive', sg_list: [] }));
    expect(ibv_post_send_list(a.qp, list)).toBeUndefined();
    await world.until(() => a.completions.length === 4);
    expect(a.completions.map(({ wr_id, status }) => [wr_id, status])).toEqual([
      [1, 'IBV_WC_REM_ACCESS_ERR'],
      [2, 'IBV_WC_WR_FLUSH_ERR'],
      [3, 'IBV_WC_WR_FLUSH_ERR'],
      ['receive', 'IBV_WC_WR_FLUSH_ERR'],
    ]);
  });

  it('an overrun kills the queue: CQ_ERR, QP_FATAL, its queue pairs are in ERR', async () => {
    const { world, a, source, target } = await scene({ a: { cqe: 2, reads: false } });
    for (let count = 0; count < 3; count++) {
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr)));
    }
    await world.until(() => a.cq.state === 'overrun');
    expect(ibv_poll_cq(a.cq, 1)).toBe('EIO');
    expect([a.qp.state, a.qp.failure]).toEqual(['IBV_QPS_ERR', 'IBV_WC_LOC_QP_OP_ERR']);
    expect(eventNames(world.a)).toEqual(['IBV_EVENT_CQ_ERR', 'IBV_EVENT_QP_FATAL']);
  });

  it('sizes of a completion queue: 1 to max_cqe, and not below what waits in it', async () => {
    const { world, a, source, target } = await scene({ a: { cqe: 4, reads: false } });
    for (const cqe of [0, -1, 1.5, 65_537]) {
      expect(ibv_create_cq(world.a.context, cqe, () => undefined)).toBe('EINVAL');
      expect(ibv_resize_cq(a.cq, cqe)).toBe('EINVAL');
    }
    for (let count = 0; count < 3; count++) {
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr)));
    }
    await world.until(() => a.cq.length === 3);
    expect(ibv_resize_cq(a.cq, 2)).toBe('EINVAL');
    expect(a.cq.cqe).toBe(4);
    expect(ibv_resize_cq(a.cq, 3)).toBeUndefined();
    expect(ibv_resize_cq(a.cq, 100)).toBeUndefined();
    expect(must(ibv_poll_cq(a.cq, 100)).length).toBe(3);
  });

  describe('requests that come again', () => {
    /** Has b take a frame a second time; what it stores, if anything. */
    function again({ a, b, target }: Scene, type: 'WRITE' | 'SEND' | 'READ_REQUEST', psn: number) {
      const payloadLength = type === 'READ_REQUEST' ? 0 : 64;
      const header = frameHeader(type, {
        psn,
        destQpn: b.qp.qp_num,
        sourceQpn: a.qp.qp_num,
        qpEpoch: 1,
        first: true,
        last: true,
        messageLength: 64,
        payloadLength,
        remoteAddress: target.mr.addr,
        rkey: target.mr.rkey,
      });
      if (payloadLength > 0) return b.host.nic.place('host-a', header);
      b.host.nic.landed('host-a', header);
      return null;
    }

    it('WRITE and SEND are acknowledged again and not done again', async () => {
      const made = await scene();
      const { world, a, b } = made;
      receive(made, 64);
      write(made);
      send(made);
      await world.until(() => a.completions.length === 2);
      const before = world.b.transport.counters('host-a').framesSent;
      expect([again(made, 'WRITE', 0), again(made, 'SEND', 1)]).toEqual([null, null]);
      await world.until(() => world.b.transport.counters('host-a').framesSent > before);
      expect(outcomes(b)).toEqual(['IBV_WC_SUCCESS']);
      expect(b.qp.counters).toMatchObject({ writeBytesReceived: 64, sendBytesReceived: 64 });
    });

    it('READ is answered again', async () => {
      const made = await scene();
      const { world, a, b } = made;
      read(made);
      await world.until(() => a.completions.length === 1);
      again(made, 'READ_REQUEST', 0);
      await world.until(() => b.qp.counters.replayedBytesSent === 64);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS']);
    });

    it('a gap is refused once, and what was lost comes again', async () => {
      const made = await scene();
      const { world, a, b } = made;
      write(made);
      await world.until(() => a.completions.length === 1);
      expect(again(made, 'WRITE', 5)).toBeNull();
      expect(again(made, 'WRITE', 6)).toBeNull();
      write(made);
      await world.until(() => a.completions.length === 2);
      expect(b.qp.counters.writeBytesReceived).toBe(128);
    });
  });
});

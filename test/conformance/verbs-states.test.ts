/** Verbs conformance: states of a queue pair (ibv_modify_qp(3), Linux `qp_state_table`). */
import { describe, expect, it } from 'vitest';
import { LINK_MTU_BYTES } from '../../node/transport/frame.ts';
import {
  ibv_modify_qp,
  ibv_post_recv,
  ibv_post_send,
  ibv_post_send_list,
  ibv_query_qp,
} from '../../node/verbs/qp.ts';
import type { IbvQpAttr, IbvQpState } from '../../node/verbs/qp-state.ts';
import { must } from '../node/verbs/world.ts';
import {
  ENTRY_ATTRIBUTES,
  EVERY_RIGHT,
  entry,
  eventNames,
  IMPATIENT,
  joined,
  outcomes,
  request,
  sideIn,
} from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

/** Every transition of a reliable connection. SQE is entered by other transports only. */
const LEGAL: Readonly<Record<Exclude<IbvQpState, 'IBV_QPS_SQE'>, readonly IbvQpState[]>> = {
  IBV_QPS_RESET: ['IBV_QPS_RESET', 'IBV_QPS_INIT'],
  IBV_QPS_INIT: ['IBV_QPS_RESET', 'IBV_QPS_ERR', 'IBV_QPS_INIT', 'IBV_QPS_RTR'],
  IBV_QPS_RTR: ['IBV_QPS_RESET', 'IBV_QPS_ERR', 'IBV_QPS_RTS'],
  IBV_QPS_RTS: ['IBV_QPS_RESET', 'IBV_QPS_ERR', 'IBV_QPS_RTS', 'IBV_QPS_SQD'],
  IBV_QPS_SQD: ['IBV_QPS_RESET', 'IBV_QPS_ERR', 'IBV_QPS_RTS', 'IBV_QPS_SQD'],
  IBV_QPS_ERR: ['IBV_QPS_RESET', 'IBV_QPS_ERR'],
};
const FROM = Object.keys(LEGAL) as (keyof typeof LEGAL)[];
const TO: readonly IbvQpState[] = [...FROM, 'IBV_QPS_SQE'];

/** The attributes of a transition; those of a first entry belong to one transition only. */
function attributesOf(from: IbvQpState, to: IbvQpState): IbvQpAttr {
  const first: Readonly<Partial<Record<IbvQpState, IbvQpState>>> = {
    IBV_QPS_INIT: 'IBV_QPS_RESET',
    IBV_QPS_RTR: 'IBV_QPS_INIT',
    IBV_QPS_RTS: 'IBV_QPS_RTR',
  };
  const legal = FROM.includes(from as keyof typeof LEGAL) && isLegal(from, to);
  return legal && first[to] !== from ? { qp_state: to } : entry(to);
}

function isLegal(from: IbvQpState, to: IbvQpState): boolean {
  return (LEGAL[from as keyof typeof LEGAL] ?? []).includes(to);
}

/** What each value out of its range is refused in. */
const OUT_OF_RANGE: readonly (readonly [IbvQpState, IbvQpAttr])[] = [
  ['IBV_QPS_INIT', { pkey_index: 1 }],
  ['IBV_QPS_INIT', { port_num: 0 }],
  ['IBV_QPS_INIT', { port_num: 2 }],
  ['IBV_QPS_RTR', { path_mtu: 0 }],
  ['IBV_QPS_RTR', { path_mtu: LINK_MTU_BYTES + 1 }],
  ['IBV_QPS_RTR', { dest_qp_num: -1 }],
  ['IBV_QPS_RTR', { rq_psn: 2 ** 32 }],
  ['IBV_QPS_RTR', { max_dest_rd_atomic: 129 }],
  ['IBV_QPS_RTR', { min_rnr_timer: 32 }],
  ['IBV_QPS_RTS', { sq_psn: 0.5 }],
  ['IBV_QPS_RTS', { max_rd_atomic: 129 }],
  ['IBV_QPS_RTS', { retry_cnt: 8 }],
  ['IBV_QPS_RTS', { rnr_retry: 8 }],
  ['IBV_QPS_RTS', { timeout: 32 }],
  ['IBV_QPS_RTS', { cur_qp_state: 'IBV_QPS_INIT' }],
];

const BEFORE: Readonly<Partial<Record<IbvQpState, IbvQpState>>> = {
  IBV_QPS_INIT: 'IBV_QPS_RESET',
  IBV_QPS_RTR: 'IBV_QPS_INIT',
  IBV_QPS_RTS: 'IBV_QPS_RTR',
};

describe.each(VERBS_PROVIDERS)('verbs conformance, states: $name', (provider) => {
  const open = verbsWorlds(provider);

  it.each(FROM.flatMap((from) => TO.map((to) => [from, to] as const)))(
    '%s to %s',
    async (from, to) => {
      const { a } = await open();
      const { qp } = sideIn(a, from);
      const before = ibv_query_qp(qp);
      const legal = isLegal(from, to);
      expect(ibv_modify_qp(qp, attributesOf(from, to))).toBe(legal ? undefined : 'EINVAL');
      expect(qp.state).toBe(legal ? to : from);
      if (!legal) expect(ibv_query_qp(qp)).toEqual(before);
    },
  );

  it('a transition needs each of its attributes', async () => {
    const { a } = await open();
    for (const to of ['IBV_QPS_INIT', 'IBV_QPS_RTR', 'IBV_QPS_RTS'] as const) {
      const { qp } = sideIn(a, BEFORE[to] as IbvQpState);
      for (const name of Object.keys(ENTRY_ATTRIBUTES[to])) {
        expect(ibv_modify_qp(qp, { ...entry(to), [name]: undefined })).toBe('EINVAL');
      }
      expect(ibv_modify_qp(qp, entry(to))).toBeUndefined();
    }
  });

  it.each(OUT_OF_RANGE)('to %s with %o: EINVAL, and nothing has changed', async (to, wrong) => {
    const { a } = await open();
    const { qp } = sideIn(a, BEFORE[to] as IbvQpState);
    const before = ibv_query_qp(qp);
    expect(ibv_modify_qp(qp, { ...entry(to), ...wrong })).toBe('EINVAL');
    expect(ibv_query_qp(qp)).toEqual(before);
  });

  it('an attribute that the transition does not have: EINVAL', async () => {
    const { a } = await open();
    const { qp } = sideIn(a, 'IBV_QPS_RTS');
    for (const foreign of [{ path_mtu: 512 }, { sq_psn: 1 }, { timeout: 3 }, { rq_psn: 1 }]) {
      expect(ibv_modify_qp(qp, { ...foreign })).toBe('EINVAL');
    }
    expect(ibv_modify_qp(qp, { qp_access_flags: [], min_rnr_timer: 3 })).toBeUndefined();
    expect(ibv_query_qp(qp)).toMatchObject({ min_rnr_timer: 3, path_mtu: 1024, timeout: 18 });
  });

  it('in SQD the path and the timers may change, in RTS they may not', async () => {
    const { a } = await open();
    const { qp } = sideIn(a, 'IBV_QPS_SQD');
    const change = { timeout: 12, retry_cnt: 7, rnr_retry: 7, max_rd_atomic: 2 };
    expect(ibv_modify_qp(qp, change)).toBeUndefined();
    expect(ibv_modify_qp(qp, { path_mtu: 512 })).toBe('EINVAL');
    expect(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTS' })).toBeUndefined();
    expect(ibv_query_qp(qp)).toMatchObject({ qp_state: 'IBV_QPS_RTS', ...change });
    expect(ibv_modify_qp(qp, change)).toBe('EINVAL');
  });

  it('ibv_query_qp tells the state, the attributes and the limits', async () => {
    const { a } = await open();
    const info = ibv_query_qp(sideIn(a, 'IBV_QPS_RTS', { cap: { max_send_wr: 3 } }).qp);
    expect(info).toMatchObject({
      qp_state: 'IBV_QPS_RTS',
      sq_draining: false,
      ...ENTRY_ATTRIBUTES.IBV_QPS_INIT,
      ...ENTRY_ATTRIBUTES.IBV_QPS_RTR,
      ...ENTRY_ATTRIBUTES.IBV_QPS_RTS,
    });
    expect(info.cap).toMatchObject({ max_send_wr: 3, max_inline_data: 1024 });
  });

  describe('posting', () => {
    it.each([
      ['IBV_QPS_RESET', 'EINVAL', 'EINVAL'],
      ['IBV_QPS_INIT', undefined, 'EINVAL'],
      ['IBV_QPS_RTR', undefined, 'EINVAL'],
      ['IBV_QPS_RTS', undefined, undefined],
      ['IBV_QPS_SQD', undefined, undefined],
      ['IBV_QPS_ERR', undefined, undefined],
    ] as const)('in %s: a receive gives %s, a send %s', async (state, receive, send) => {
      const { a } = await open();
      const { mr } = await a.region(4096);
      const { qp } = sideIn(a, state);
      expect(ibv_post_recv(qp, { wr_id: 1, sg_list: [] })).toBe(receive);
      expect(ibv_post_send(qp, request('IBV_WR_SEND', mr, undefined))).toBe(send);
    });

    it('ENOMEM: a full queue; EINVAL: too many pieces, lengths that are none, no remote address', async () => {
      const { a } = await open();
      const { mr } = await a.region(4096);
      const cap = { max_send_wr: 2, max_recv_wr: 2, max_send_sge: 1, max_recv_sge: 1 };
      const { qp } = sideIn(a, 'IBV_QPS_RTS', { cap });
      const sge = { lkey: mr.lkey, address: mr.addr, length: 1 };
      const send = request('IBV_WR_SEND', mr, undefined);
      for (const bad of [
        { ...send, sg_list: [sge, sge] },
        { ...send, sg_list: [{ ...sge, length: -1 }] },
        { ...send, sg_list: [{ ...sge, length: 2 ** 31 + 1 }] },
        { ...send, sg_list: [{ ...sge, address: 0.5 }] },
        request('IBV_WR_RDMA_WRITE', mr, undefined),
        request('IBV_WR_RDMA_READ', mr, { addr: -1, rkey: 1 }),
      ]) {
        expect(ibv_post_send(qp, bad)).toBe('EINVAL');
      }
      expect(ibv_post_recv(qp, { wr_id: 1, sg_list: [sge, sge] })).toBe('EINVAL');
      expect([1, 2, 3].map(() => ibv_post_send(qp, send))).toEqual([
        undefined,
        undefined,
        'ENOMEM',
      ]);
      const receive = { wr_id: 1, sg_list: [sge] };
      expect([1, 2, 3].map(() => ibv_post_recv(qp, receive))).toEqual([
        undefined,
        undefined,
        'ENOMEM',
      ]);
    });

    it('a list stops at the first request that is refused, those before it are posted', async () => {
      const { a } = await open();
      const { mr } = await a.region(4096);
      const { qp } = sideIn(a, 'IBV_QPS_RTS');
      const good = request('IBV_WR_SEND', mr, undefined);
      const bad = request('IBV_WR_RDMA_WRITE', mr, undefined);
      expect(ibv_post_send_list(qp, [good, good, bad, good])).toEqual({
        errno: 'EINVAL',
        posted: 2,
      });
      expect(qp.requester.outstanding).toBe(2);
    });

    it('in ERR everything posted is flushed, signalled or not, in order', async () => {
      const world = await open();
      const { mr } = await world.a.region(4096);
      const side = sideIn(world.a, 'IBV_QPS_ERR');
      must(ibv_post_recv(side.qp, { wr_id: 'r', sg_list: [] }));
      must(ibv_post_send(side.qp, request('IBV_WR_SEND', mr, undefined, { send_flags: [] })));
      await world.until(() => side.completions.length === 2);
      expect(outcomes(side)).toEqual(['IBV_WC_WR_FLUSH_ERR', 'IBV_WC_WR_FLUSH_ERR']);
      expect(side.completions.map(({ wr_id }) => wr_id)).toEqual(['r', 'IBV_WR_SEND']);
    });
  });

  describe('the drained state', () => {
    it('what is under way ends, what is posted waits, and the end is an event', async () => {
      const world = await open();
      const [a, b] = await joined(world);
      const source = await world.a.region(4096);
      const target = await world.b.region(4096, EVERY_RIGHT);
      const write = request('IBV_WR_RDMA_WRITE', source.mr, target.mr);
      must(ibv_post_send(a.qp, write));
      await world.until(() => a.completions.length === 1);
      must(ibv_post_send(a.qp, { ...write, wr_id: 'under way' }));
      must(ibv_modify_qp(a.qp, { qp_state: 'IBV_QPS_SQD', en_sqd_async_notify: true }));
      expect(ibv_query_qp(a.qp)).toMatchObject({ qp_state: 'IBV_QPS_SQD', sq_draining: true });
      expect(ibv_modify_qp(a.qp, { qp_state: 'IBV_QPS_RTS' })).toBe('EINVAL');
      expect(ibv_modify_qp(a.qp, { timeout: 5 })).toBe('EINVAL');
      must(ibv_post_send(a.qp, { ...write, wr_id: 'later' }));
      await world.until(() => a.completions.length === 2);
      await world.wait(5);
      expect(a.completions.map(({ wr_id }) => wr_id)).toEqual(['IBV_WR_RDMA_WRITE', 'under way']);
      expect(eventNames(world.a)).toEqual(['IBV_EVENT_SQ_DRAINED']);
      expect(ibv_query_qp(a.qp).sq_draining).toBe(false);
      must(ibv_modify_qp(a.qp, { qp_state: 'IBV_QPS_RTS', cur_qp_state: 'IBV_QPS_SQD' }));
      await world.until(() => a.completions.length === 3);
      expect(a.completions.at(-1)).toMatchObject({ wr_id: 'later', status: 'IBV_WC_SUCCESS' });
      expect(b.qp.state).toBe('IBV_QPS_RTS');
    });

    it('without en_sqd_async_notify there is no event; a side in SQD still answers its peer', async () => {
      const world = await open();
      const [a, b] = await joined(world);
      const source = await world.a.region(4096);
      const target = await world.b.region(4096, EVERY_RIGHT);
      must(ibv_modify_qp(b.qp, { qp_state: 'IBV_QPS_SQD' }));
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_READ', source.mr, target.mr)));
      await world.until(() => a.completions.length === 1);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS']);
      expect(eventNames(world.b)).toEqual([]);
    });

    it('out by ERR or RESET while it drains', async () => {
      const world = await open();
      for (const next of ['IBV_QPS_ERR', 'IBV_QPS_RESET'] as const) {
        const { mr } = await world.a.region(4096);
        const side = sideIn(world.a, 'IBV_QPS_RTS');
        must(ibv_post_send(side.qp, request('IBV_WR_SEND', mr, undefined)));
        must(ibv_modify_qp(side.qp, { qp_state: 'IBV_QPS_SQD' }));
        expect(ibv_modify_qp(side.qp, { qp_state: next })).toBeUndefined();
        expect(ibv_query_qp(side.qp)).toMatchObject({ qp_state: next, sq_draining: false });
      }
    });
  });

  it('RESET forgets everything: requests, receives, completions, and the peer', async () => {
    const world = await open();
    const [a, b] = await joined(world, { a: { reads: false }, attributes: IMPATIENT });
    const source = await world.a.region(4096);
    const target = await world.b.region(4096, EVERY_RIGHT);
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr)));
    must(ibv_post_recv(a.qp, { wr_id: 1, sg_list: [] }));
    await world.until(() => a.cq.length === 1);
    must(ibv_modify_qp(a.qp, { qp_state: 'IBV_QPS_RESET' }));
    expect([a.cq.length, a.qp.requester.outstanding]).toEqual([0, 0]);
    must(ibv_modify_qp(a.qp, entry('IBV_QPS_INIT')));
    must(ibv_post_send(b.qp, request('IBV_WR_RDMA_READ', target.mr, source.mr)));
    await world.until(() => b.completions.length === 1);
    expect(outcomes(b)).toEqual(['IBV_WC_RETRY_EXC_ERR']);
    expect(world.a.nic.refused.wrongState).toBeGreaterThan(0);
  });
});

/**
 * Every completion status as data: what brings it about, and what it does to both queue pairs
 * (ibv_poll_cq(3); InfiniBand Architecture Specification, volume 1, chapters 9 and 10).
 */
import { expect } from 'vitest';
import { frameHeader } from '../../node/verbs/frame-header.ts';
import { type IbvMr, ibv_dereg_mr } from '../../node/verbs/mr.ts';
import {
  ibv_destroy_qp,
  ibv_modify_qp,
  ibv_post_recv,
  ibv_post_send,
} from '../../node/verbs/qp.ts';
import type { IbvQpState } from '../../node/verbs/qp-state.ts';
import type { IbvWcStatus } from '../../node/verbs/wc.ts';
import { must, type TestMemory, type VerbsWorld } from '../node/verbs/world.ts';
import { IMPATIENT, type JoinInit, request, type Side } from './verbs-steps.ts';

/** A queue pair at each end, and a region for it. */
export interface Scene {
  readonly world: VerbsWorld;
  readonly a: Side;
  readonly b: Side;
  readonly source: { readonly mr: IbvMr; readonly memory: TestMemory };
  readonly target: { readonly mr: IbvMr; readonly memory: TestMemory };
}

export interface StatusRow {
  /** How the request of `a` ends. */
  readonly status: IbvWcStatus;
  readonly cause: string;
  readonly init?: JoinInit;
  act(scene: Scene): void | Promise<void>;
  readonly stateOfA: IbvQpState;
  readonly stateOfB: IbvQpState;
  /** How the receive at the head of b's queue ends. */
  readonly receive?: IbvWcStatus;
  /** Asynchronous events of b. */
  readonly events?: readonly string[];
}

export const write = ({ a, source, target }: Scene, more = {}) =>
  must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target.mr, more)));
export const send = ({ a, source }: Scene, more = {}) =>
  must(ibv_post_send(a.qp, request('IBV_WR_SEND', source.mr, undefined, more)));
export const receive = ({ b, target }: Scene, length: number, lkey = target.mr.lkey) =>
  must(ibv_post_recv(b.qp, { wr_id: 'r', sg_list: [{ lkey, address: target.mr.addr, length }] }));

const BOTH_RTS = { stateOfA: 'IBV_QPS_RTS', stateOfB: 'IBV_QPS_RTS' } as const;
const BOTH_ERR = { stateOfA: 'IBV_QPS_ERR', stateOfB: 'IBV_QPS_ERR' } as const;
const A_ERR = { stateOfA: 'IBV_QPS_ERR', stateOfB: 'IBV_QPS_RTS' } as const;
const REQ_ERR = ['IBV_EVENT_QP_REQ_ERR'];
const ACCESS_ERR = ['IBV_EVENT_QP_ACCESS_ERR'];

export const STATUS_ROWS: readonly StatusRow[] = [
  {
    status: 'IBV_WC_SUCCESS',
    cause: 'acknowledged',
    act: write,
    ...BOTH_RTS,
  },
  {
    status: 'IBV_WC_REM_INV_REQ_ERR',
    cause: 'a message longer than the receive, which ends with LOC_LEN_ERR',
    act(scene) {
      receive(scene, 10);
      send(scene, { length: 11 });
    },
    ...BOTH_ERR,
    receive: 'IBV_WC_LOC_LEN_ERR',
  },
  {
    status: 'IBV_WC_LOC_PROT_ERR',
    cause: 'a local key that does not exist',
    act: (scene) => write(scene, { sg_list: [{ lkey: 1, address: 0, length: 8 }] }),
    ...A_ERR,
  },
  {
    status: 'IBV_WC_LOC_PROT_ERR',
    cause: 'a local range outside of the region',
    act: (scene) =>
      write(scene, { sg_list: [{ ...sgeOf(scene), address: scene.source.mr.addr + 4096 }] }),
    ...A_ERR,
  },
  {
    status: 'IBV_WC_LOC_PROT_ERR',
    cause: 'a READ into a region without LOCAL_WRITE',
    async act(scene) {
      const { mr } = await scene.world.a.region(4096, []);
      read(scene, { sg_list: [{ lkey: mr.lkey, address: mr.addr, length: 8 }] });
    },
    ...A_ERR,
  },
  {
    status: 'IBV_WC_REM_OP_ERR',
    cause: 'a receive with a bad key, which ends with LOC_PROT_ERR',
    act(scene) {
      receive(scene, 64, 1);
      send(scene);
    },
    ...BOTH_ERR,
    receive: 'IBV_WC_LOC_PROT_ERR',
  },
  {
    status: 'IBV_WC_WR_FLUSH_ERR',
    cause: 'outstanding when the queue pair goes to ERR',
    act(scene) {
      write(scene);
      must(ibv_modify_qp(scene.a.qp, { qp_state: 'IBV_QPS_ERR' }));
    },
    ...A_ERR,
  },
  {
    status: 'IBV_WC_BAD_RESP_ERR',
    cause: 'an answer to a READ that does not fit it',
    async act(scene) {
      const { world, a, b } = scene;
      b.host.nic.setPortState('IBV_PORT_DOWN');
      read(scene);
      await world.until(() => a.host.transport.counters('host-b').framesSent > 0);
      const forged = frameHeader('READ_RESPONSE', {
        psn: a.qp.attributes.sq_psn,
        destQpn: a.qp.qp_num,
        sourceQpn: b.qp.qp_num,
        qpEpoch: 1,
        first: true,
        last: true,
        messageLength: 9,
        payloadLength: 9,
      });
      expect(a.host.nic.place('host-b', forged)).toBeNull();
      b.host.nic.setPortState('IBV_PORT_ACTIVE');
    },
    events: ['IBV_EVENT_PORT_ERR', 'IBV_EVENT_PORT_ACTIVE'],
    ...A_ERR,
  },
  {
    status: 'IBV_WC_REM_ACCESS_ERR',
    cause: 'a WRITE with immediate data to a bad key; the receive ends with LOC_ACCESS_ERR',
    act(scene) {
      receive(scene, 64);
      const { a, source } = scene;
      const nowhere = { addr: 0, rkey: 1 };
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE_WITH_IMM', source.mr, nowhere)));
    },
    ...BOTH_ERR,
    receive: 'IBV_WC_LOC_ACCESS_ERR',
  },
  {
    status: 'IBV_WC_REM_INV_REQ_ERR',
    cause: 'a queue pair that does not allow writing',
    init: { accessOfB: ['IBV_ACCESS_REMOTE_READ'] },
    act: write,
    ...BOTH_ERR,
    events: REQ_ERR,
  },
  {
    status: 'IBV_WC_REM_INV_REQ_ERR',
    cause: 'a queue pair that does not allow reading',
    init: { accessOfB: ['IBV_ACCESS_REMOTE_WRITE'] },
    act: (scene) => read(scene),
    ...BOTH_ERR,
    events: REQ_ERR,
  },
  {
    status: 'IBV_WC_REM_INV_REQ_ERR',
    cause: 'a misaligned atomic',
    act: (scene) => atomic(scene, { remote_addr: scene.target.mr.addr + 4 }),
    ...BOTH_ERR,
    events: REQ_ERR,
  },
  {
    status: 'IBV_WC_REM_INV_REQ_ERR',
    cause: 'more READs under way than the responder allows',
    init: { attributes: { max_dest_rd_atomic: 0 } },
    act: (scene) => read(scene),
    ...BOTH_ERR,
    events: REQ_ERR,
  },
  {
    status: 'IBV_WC_REM_ACCESS_ERR',
    cause: 'an rkey that does not exist',
    act: (scene) => write(scene, { rkey: 1 }),
    ...BOTH_ERR,
    events: ACCESS_ERR,
  },
  {
    status: 'IBV_WC_REM_ACCESS_ERR',
    cause: 'a range that ends behind the region: not even its first frame is stored',
    act: (scene) => write(scene, { length: 4096, remote_addr: scene.target.mr.addr + 1 }),
    ...BOTH_ERR,
    events: ACCESS_ERR,
  },
  {
    status: 'IBV_WC_REM_ACCESS_ERR',
    cause: 'a region without the right',
    act: (scene) => read(scene, { rkey: readless(scene).rkey }),
    ...BOTH_ERR,
    events: ACCESS_ERR,
  },
  {
    status: 'IBV_WC_REM_ACCESS_ERR',
    cause: 'a region that has been deregistered',
    act(scene) {
      const { addr, rkey } = scene.target.mr;
      void ibv_dereg_mr(scene.target.mr);
      write(scene, { remote_addr: addr, rkey });
    },
    ...BOTH_ERR,
    events: ACCESS_ERR,
  },
  {
    status: 'IBV_WC_RETRY_EXC_ERR',
    cause: 'a peer that does not answer',
    init: { attributes: IMPATIENT },
    act(scene) {
      ibv_destroy_qp(scene.b.qp);
      write(scene);
    },
    stateOfA: 'IBV_QPS_ERR',
    stateOfB: 'IBV_QPS_RESET',
  },
  {
    status: 'IBV_WC_RNR_RETRY_EXC_ERR',
    cause: 'no receive, and rnr_retry is used up',
    act: (scene) => send(scene),
    ...A_ERR,
  },
];

/** Statuses of `enum ibv_wc_status` that nothing of hlsim ends with, by number. */
export const STATUSES_NOT_APPLICABLE: Readonly<Record<number, readonly [string, string]>> = {
  3: ['LOC_EEC_OP_ERR', 'end-to-end contexts belong to reliable datagrams'],
  6: ['MW_BIND_ERR', 'there are no memory windows'],
  14: ['LOC_RDD_VIOL_ERR', 'reliable datagrams only'],
  15: ['REM_INV_RD_REQ_ERR', 'reliable datagrams only'],
  16: ['REM_ABORT_ERR', 'reliable datagrams only'],
  17: ['INV_EECN_ERR', 'reliable datagrams only'],
  18: ['INV_EEC_STATE_ERR', 'reliable datagrams only'],
  19: ['FATAL_ERR', 'a device that fails flushes, and raises IBV_EVENT_DEVICE_FATAL'],
  20: ['RESP_TIMEOUT_ERR', 'no responder of a reliable connection waits for its requester'],
  21: ['GENERAL_ERR', 'every failure here has a status of its own'],
};

const sgeOf = ({ source: { mr } }: Scene) => ({ lkey: mr.lkey, address: mr.addr, length: 64 });

export function read({ a, source, target }: Scene, more = {}): void {
  const list = [{ lkey: source.mr.lkey, address: source.mr.addr, length: 8 }];
  const wr = request('IBV_WR_RDMA_READ', source.mr, target.mr, { sg_list: list, ...more });
  must(ibv_post_send(a.qp, wr));
}

function atomic({ a, source, target }: Scene, more = {}): void {
  const init = { length: 8, compare_add: 1n, ...more };
  const wr = request('IBV_WR_ATOMIC_FETCH_AND_ADD', source.mr, target.mr, init);
  must(ibv_post_send(a.qp, wr));
}

/** A region of b that may not be read by peers. */
function readless({ b }: Scene): IbvMr {
  for (const mr of b.host.pd.mrs) if (!mr.access.has('IBV_ACCESS_REMOTE_READ')) return mr;
  throw new Error('Expected a region without the right');
}

/** One RDMA WRITE of a whole run over a link: queue pairs, keys and every check included. */
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { isErrno } from '../../common/errno.ts';
import { SimProcess } from '../../node/process/sim-process.ts';
import { LINK_MTU_BYTES } from '../../node/transport/frame.ts';
import type { Transport } from '../../node/transport/transport.ts';
import { ibv_alloc_pd, ibv_open_device } from '../../node/verbs/context.ts';
import { ibv_create_cq, ibv_poll_cq } from '../../node/verbs/cq.ts';
import { type IbvMr, ibv_reg_mr } from '../../node/verbs/mr.ts';
import { createNic, type Nic } from '../../node/verbs/nic.ts';
import { type IbvQp, ibv_create_qp, ibv_modify_qp, ibv_post_send } from '../../node/verbs/qp.ts';
import { type End, type EndInit, filledMemory, type Introduction } from './end.ts';
import { introductionOf, linkTransport, peerOf } from './link-end.ts';

const LINK_POLL_MS = 1;

export class VerbsEnd implements End {
  readonly introduction: Introduction;
  readonly #init: EndInit;
  readonly #transport: Transport;
  readonly #nic: Nic;
  readonly #qp: IbvQp;
  readonly #source: IbvMr;
  #remoteKey = 0;
  #completed: Deferred<void> | undefined;

  constructor(init: EndInit, transport: Transport) {
    this.#init = init;
    this.#transport = transport;
    this.#nic = createNic({ transport, scheduler: init.scheduler });
    const user = new SimProcess({ pid: 1, containerId: 'rate', memory: new SharedArrayBuffer(0) });
    const context = ibv_open_device(this.#nic, user);
    const pd = ibv_alloc_pd(context);
    this.#source = made(ibv_reg_mr(pd, filledMemory(init.runBytes), 0, []));
    const access = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'] as const;
    const target = made(ibv_reg_mr(pd, filledMemory(init.runBytes), 0, access));
    const cq = made(
      ibv_create_cq(context, 16, () => {
        for (const { status } of made(ibv_poll_cq(cq, 16))) {
          if (status === 'IBV_WC_SUCCESS') this.#completed?.resolve();
          else this.#completed?.reject(new Error(`Expected success but found ${status}`));
        }
      }),
    );
    const cap = { max_send_wr: 4, max_recv_wr: 1, max_send_sge: 1, max_recv_sge: 1 };
    this.#qp = made(ibv_create_qp(pd, { send_cq: cq, recv_cq: cq, cap, epoch: 1 }));
    this.introduction = {
      ...introductionOf(transport),
      qpn: this.#qp.qp_num,
      rkey: target.rkey,
    };
  }

  static async create(init: EndInit): Promise<End> {
    return new VerbsEnd(init, await linkTransport(init));
  }

  async meet(other: Introduction): Promise<void> {
    const peer = peerOf(other);
    this.#remoteKey = Number(other['rkey']);
    this.#transport.connect(peer);
    connectQp(this.#qp, peer.nodeId, Number(other['qpn']));
    while (this.#transport.linkKind(peer.nodeId) === undefined) {
      await new Promise<void>((resolve) => {
        this.#init.scheduler.after(LINK_POLL_MS, resolve);
      });
    }
    const kind = this.#transport.linkKind(peer.nodeId);
    assert(kind === this.#init.kind, `Expected a link over ${this.#init.kind} but found ${kind}`);
  }

  async send(): Promise<void> {
    this.#completed = deferred<void>();
    const failure = ibv_post_send(this.#qp, {
      wr_id: 1,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [{ lkey: this.#source.lkey, address: 0, length: this.#init.runBytes }],
      remote_addr: 0,
      rkey: this.#remoteKey,
      send_flags: ['IBV_SEND_SIGNALED'],
    });
    assert(failure === undefined, `Expected the write to be posted but found ${failure}`);
    await this.#completed.promise;
  }

  async close(): Promise<void> {
    this.#nic.close();
    await this.#transport.close();
  }
}

function connectQp(qp: IbvQp, nodeId: string, dest_qp_num: number): void {
  const steps = [
    {
      qp_state: 'IBV_QPS_INIT',
      pkey_index: 0,
      port_num: 1,
      qp_access_flags: ['IBV_ACCESS_REMOTE_WRITE'],
    },
    {
      qp_state: 'IBV_QPS_RTR',
      ah_attr: { nodeId },
      path_mtu: LINK_MTU_BYTES,
      dest_qp_num,
      rq_psn: 0,
      max_dest_rd_atomic: 1,
      min_rnr_timer: 1,
    },
    {
      qp_state: 'IBV_QPS_RTS',
      sq_psn: 0,
      max_rd_atomic: 1,
      retry_cnt: 7,
      rnr_retry: 7,
      timeout: 20,
    },
  ] as const;
  for (const step of steps) {
    const errno = ibv_modify_qp(qp, step);
    assert(errno === undefined, `Expected ${step.qp_state} but found ${errno}`);
  }
}

function made<T>(result: T): Exclude<T, string> {
  assert(!isErrno(result), `Expected success but found ${String(result)}`);
  return result as Exclude<T, string>;
}

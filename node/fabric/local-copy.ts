/**
 * Copies from host memory into registered regions, done by the NIC: the library cannot write device
 * memory itself (libfabric has no copy into SynapseAI memory either: FI_ENOSYS). A pair of queue
 * pairs of this endpoint, connected with each other, reads the bytes into the region. One copy at a
 * time; what goes wrong with it takes the pair out of use, and the next copy gets a new one.
 */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import { CONNECTION_ATTRIBUTES } from '../verbs/cm.ts';
import { ibv_poll_cq } from '../verbs/cq.ts';
import { type IbvQp, ibv_modify_qp, ibv_post_send } from '../verbs/qp.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { IbvSge } from '../verbs/work-request.ts';
import type { FiDomain } from './domain.ts';
import type { HostRegion, HostRegions } from './host-region.ts';
import { closeQueuePair, openQueuePair } from './queue-pair.ts';

const FIRST_PSN = 0;
const SIGNALED = ['IBV_SEND_SIGNALED'] as const;

export interface LocalCopiesInit {
  readonly domain: FiDomain;
  readonly epoch: number;
  readonly regions: HostRegions;
}

interface Copy {
  readonly bytes: Uint8Array;
  readonly target: Omit<IbvSge, 'length'>;
  readonly done: (status: IbvWcStatus) => void;
}

export class LocalCopies {
  readonly #init: LocalCopiesInit;
  readonly #waiting: Copy[] = [];
  #pair: readonly [reader: IbvQp, server: IbvQp] | undefined;
  #current: { readonly copy: Copy; readonly region: HostRegion } | undefined;
  #isClosed = false;

  constructor(init: LocalCopiesInit) {
    this.#init = init;
  }

  /** Copies `bytes`, which must stay as they are; `done` is called once, unless closed before. */
  copy(
    bytes: Uint8Array,
    target: Omit<IbvSge, 'length'>,
    done: (status: IbvWcStatus) => void,
  ): void {
    this.#waiting.push({ bytes, target, done });
    this.#startNext();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#current = undefined;
    this.#closePair();
  }

  #startNext(): void {
    if (this.#isClosed || this.#current !== undefined) return;
    const copy = this.#waiting.shift();
    if (copy === undefined) return;
    const region = this.#init.regions.register(copy.bytes, 'IBV_ACCESS_REMOTE_READ');
    this.#current = { copy, region };
    this.#pair ??= this.#openPair();
    const errno = ibv_post_send(this.#pair[0], {
      wr_id: copy,
      opcode: 'IBV_WR_RDMA_READ',
      sg_list: [{ ...copy.target, length: copy.bytes.byteLength }],
      send_flags: SIGNALED,
      remote_addr: 0,
      rkey: region.mr.rkey,
    });
    if (errno !== undefined) this.#end('IBV_WC_LOC_QP_OP_ERR');
  }

  #poll(): void {
    const [reader] = this.#pair ?? [];
    if (reader === undefined) return;
    const completions = ibv_poll_cq(reader.send_cq, 1);
    assert(!isErrno(completions), 'Expected a queue as long as the send queue');
    const [completion] = completions;
    if (completion !== undefined) this.#end(completion.status);
  }

  #end(status: IbvWcStatus): void {
    const current = this.#current;
    this.#current = undefined;
    current?.region.close();
    if (status !== 'IBV_WC_SUCCESS') this.#closePair();
    current?.copy.done(status);
    this.#startNext();
  }

  #openPair(): readonly [IbvQp, IbvQp] {
    const { domain, epoch } = this.#init;
    const { nic } = domain;
    const user = { epoch, onCompletion: () => this.#poll(), onEvent: () => undefined };
    const reader = openQueuePair(domain, 'outbound', user);
    const server = openQueuePair(domain, 'inbound', user);
    nic.transport.connect({ nodeId: nic.transport.nodeId, address: nic.transport.address });
    connect(server, reader);
    connect(reader, server);
    return [reader, server];
  }

  #closePair(): void {
    for (const qp of this.#pair ?? []) closeQueuePair(qp);
    this.#pair = undefined;
  }
}

/** Takes `qp` to RTS, with a peer on the same host. */
function connect(qp: IbvQp, peer: IbvQp): void {
  const { nodeId } = qp.context.nic.transport;
  const { path_mtu, max_dest_rd_atomic, min_rnr_timer, ...sending } = CONNECTION_ATTRIBUTES;
  const receiving = { path_mtu, max_dest_rd_atomic, min_rnr_timer };
  const errors = [
    ibv_modify_qp(qp, {
      qp_state: 'IBV_QPS_RTR',
      ah_attr: { nodeId },
      dest_qp_num: peer.qp_num,
      rq_psn: FIRST_PSN,
      ...receiving,
    }),
    ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RTS', sq_psn: FIRST_PSN, ...sending }),
  ];
  assert(
    errors.every((error) => error === undefined),
    'Expected two queue pairs in INIT to connect',
  );
}

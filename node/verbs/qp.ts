/**
 * Queue pairs (`struct ibv_qp`; ibv_create_qp(3), ibv_modify_qp(3), ibv_post_send(3),
 * ibv_post_recv(3)), reliable connections only. The two halves have a file each: `qp-requester.ts`
 * runs what is posted here, `qp-responder.ts` executes what the peer asks for.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { FrameHeader, FrameType } from '../transport/frame.ts';
import type { SendOutcome } from '../transport/transport.ts';
import type { IbvContext, IbvPd } from './context.ts';
import type { IbvCq } from './cq.ts';
import { frameHeader } from './frame-header.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvAccessFlag } from './mr.ts';
import type { FrameRefusal } from './nic.ts';
import {
  type IbvQpCap,
  type IbvQpCounters,
  type IbvQpEvent,
  type IbvQpInitAttr,
  INITIAL_ATTRIBUTES,
  type QpAttributes,
} from './qp-attributes.ts';
import { Requester } from './qp-requester.ts';
import { Responder } from './qp-responder.ts';
import { type IbvQpAttr, type IbvQpState, isLegalModify } from './qp-state.ts';
import type { IbvWc, IbvWcStatus } from './wc.ts';
import {
  type IbvRecvWr,
  type IbvSendWr,
  type IbvSge,
  isWellFormed,
  OPCODES,
} from './work-request.ts';

export class IbvQp {
  readonly context: IbvContext;
  readonly pd: IbvPd;
  readonly qp_num: number;
  readonly send_cq: IbvCq;
  readonly recv_cq: IbvCq;
  readonly cap: IbvQpCap;
  readonly epoch: number;
  readonly counters: IbvQpCounters = {
    writeBytesSent: 0,
    writeBytesReceived: 0,
    sendBytesSent: 0,
    sendBytesReceived: 0,
    readBytesReceived: 0,
    readBytesSent: 0,
    replayedBytesSent: 0,
  };
  readonly requester: Requester;
  readonly responder: Responder;
  readonly #onEvent: (event: IbvQpEvent) => void;
  #state: IbvQpState = 'IBV_QPS_RESET';
  #attributes = INITIAL_ATTRIBUTES;
  #failure: IbvWcStatus | undefined;

  constructor(pd: IbvPd, qpn: number, init: IbvQpInitAttr) {
    this.context = pd.context;
    this.pd = pd;
    this.qp_num = qpn;
    this.send_cq = init.send_cq;
    this.recv_cq = init.recv_cq;
    this.cap = init.cap;
    this.epoch = init.epoch;
    this.#onEvent = (event) => init.onEvent?.(event);
    this.requester = new Requester(this);
    this.responder = new Responder(this);
  }

  get state(): IbvQpState {
    return this.#state;
  }

  /** What took it to the error state by itself: the status of the request that failed, here or there. */
  get failure(): IbvWcStatus | undefined {
    return this.#failure;
  }

  get attributes(): QpAttributes {
    return this.#attributes;
  }

  /** Applies a legal modification. */
  modify(attributes: IbvQpAttr): void {
    const { qp_state: next = this.#state, ...rest } = attributes;
    const previous = this.#state;
    this.#attributes = { ...this.#attributes, ...rest };
    this.#state = next;
    if (next === previous && next !== 'IBV_QPS_RESET') return;
    if (next === 'IBV_QPS_RESET') this.#reset();
    if (next === 'IBV_QPS_RTR') this.responder.start();
    if (next === 'IBV_QPS_RTR')
      this.context.nic.linkQueuePair(this, this.attributes.ah_attr.nodeId);
    if (next === 'IBV_QPS_RTS') this.requester.start();
    if (next === 'IBV_QPS_ERR') this.#flush();
  }

  /** Goes to the error state: every work request left ends with IBV_WC_WR_FLUSH_ERR. */
  fail(cause: IbvWcStatus): void {
    if (this.#state === 'IBV_QPS_ERR' || this.#state === 'IBV_QPS_RESET') return;
    this.#failure = cause;
    this.#state = 'IBV_QPS_ERR';
    this.#flush();
    this.#onEvent('fatal');
  }

  /** Removes it at once. Outstanding work requests vanish, completions not yet polled too. */
  destroy(): void {
    this.#reset();
    this.#state = 'IBV_QPS_RESET';
    this.context.nic.removeQueuePair(this);
    this.pd.qps.delete(this);
    this.send_cq.users.delete(this);
    this.recv_cq.users.delete(this);
  }

  event(event: IbvQpEvent): void {
    this.#onEvent(event);
  }

  /** Why a frame from there may not come to this queue pair, if so. */
  refusalOf(nodeId: string, sourceQpn: number, epoch: number): FrameRefusal | undefined {
    if (epoch !== this.epoch) return 'wrongEpoch';
    if (this.#state === 'IBV_QPS_RESET' || this.#state === 'IBV_QPS_INIT') return 'wrongState';
    const { ah_attr, dest_qp_num } = this.#attributes;
    if (ah_attr.nodeId !== nodeId || dest_qp_num !== sourceQpn) return 'wrongPeer';
    return undefined;
  }

  /** Sends a request, or part of an answer with payload, on the link here -> peer. */
  send(type: FrameType, fields: Partial<FrameHeader>, payload: readonly Uint8Array[]): SendOutcome {
    const header = this.#header(type, fields);
    return this.context.nic.transport.send(this.#attributes.ah_attr.nodeId, header, payload);
  }

  /** Sends an ACK or NAK back. If it is lost the peer asks again. */
  reply(type: 'ACK' | 'NAK', fields: Partial<FrameHeader>): void {
    const header = this.#header(type, fields);
    this.context.nic.transport.reply(this.#attributes.ah_attr.nodeId, header);
  }

  #header(type: FrameType, fields: Partial<FrameHeader>): FrameHeader {
    return frameHeader(type, {
      destQpn: this.#attributes.dest_qp_num,
      sourceQpn: this.qp_num,
      qpEpoch: this.epoch,
      ...fields,
    });
  }

  /** Local memory of a gather list, part [offset, offset + length); `undefined`: a check failed. */
  gather(
    list: readonly IbvSge[],
    range: { readonly offset: number; readonly length: number },
    right?: IbvAccessFlag,
  ): Uint8Array[] | undefined {
    const views: Uint8Array[] = [];
    let skip = range.offset;
    let left = range.length;
    for (const { lkey, address, length } of list) {
      const count = Math.min(left, length - skip);
      if (count > 0) {
        const region = this.context.nic.region(lkey);
        const part = region?.reach(this.pd, right, address + skip, count);
        if (part === undefined) return undefined;
        views.push(...part);
        left -= count;
      }
      skip = Math.max(0, skip - length);
    }
    assert(left === 0, 'Expected the range to lie inside the list');
    return views;
  }

  completeReceive(completion: Omit<IbvWc, 'qp_num'>): void {
    this.recv_cq.push({ ...completion, qp_num: this.qp_num });
  }

  completeSend(wr: IbvSendWr, status: IbvWcStatus, byteLength: number): void {
    const signaled = wr.send_flags?.includes('IBV_SEND_SIGNALED') ?? false;
    if (status === 'IBV_WC_SUCCESS' && !signaled) return;
    this.send_cq.push({
      wr_id: wr.wr_id,
      status,
      opcode: OPCODES[wr.opcode].completion,
      byte_len: byteLength,
      qp_num: this.qp_num,
    });
  }

  linkUp(): void {
    this.requester.linkUp();
    this.responder.pump();
  }

  linkDown(): void {
    this.requester.linkDown();
  }

  linkLost(): void {
    if (this.#state !== 'IBV_QPS_RTR' && this.#state !== 'IBV_QPS_RTS') return;
    this.requester.linkLost();
    this.fail('IBV_WC_RETRY_EXC_ERR');
  }

  /** Sends what waits. False if the link is full again. */
  writable(): boolean {
    return this.responder.pump() && this.requester.writable();
  }

  #flush(): void {
    this.requester.flush();
    this.responder.flush();
  }

  #reset(): void {
    this.#failure = undefined;
    this.requester.reset();
    this.responder.reset();
    this.context.nic.unlinkQueuePair(this);
    this.send_cq.purge(this.qp_num);
    this.recv_cq.purge(this.qp_num);
  }
}

/** Makes a queue pair in RESET. EINVAL: a limit of the device is exceeded, or a foreign CQ. */
export function ibv_create_qp(pd: IbvPd, init: IbvQpInitAttr): IbvQp | Errno {
  const { cap, send_cq, recv_cq } = init;
  const depths = [cap.max_send_wr, cap.max_recv_wr];
  const widths = [cap.max_send_sge, cap.max_recv_sge];
  if (depths.some((depth) => depth < 0 || depth > NIC_LIMITS.max_qp_wr)) return 'EINVAL';
  if (widths.some((width) => width < 0 || width > NIC_LIMITS.max_sge)) return 'EINVAL';
  const { context } = pd;
  if (!context.cqs.has(send_cq) || !context.cqs.has(recv_cq)) return 'EINVAL';
  assert(context.pds.has(pd), 'Expected an allocated domain');
  const qp = context.nic.addQueuePair((qpn) => new IbvQp(pd, qpn, init));
  pd.qps.add(qp);
  send_cq.users.add(qp);
  recv_cq.users.add(qp);
  return qp;
}

/** EINVAL: no such transition, an attribute missing, not allowed or out of range; nothing changed. */
export function ibv_modify_qp(qp: IbvQp, attributes: IbvQpAttr): Errno | undefined {
  if (!isLegalModify(qp.state, attributes)) return 'EINVAL';
  qp.modify(attributes);
  return undefined;
}

/**
 * Posts a request. EINVAL: the state is before RTS, or the request is malformed. ENOMEM: the send
 * queue is full. Keys are checked when it is executed. In the error state it is flushed at once.
 */
export function ibv_post_send(qp: IbvQp, wr: IbvSendWr): Errno | undefined {
  if (qp.state !== 'IBV_QPS_RTS' && qp.state !== 'IBV_QPS_ERR') return 'EINVAL';
  if (!isWellFormed(wr.sg_list, qp.cap.max_send_sge)) return 'EINVAL';
  if (OPCODES[wr.opcode].rdma && !isRemote(wr)) return 'EINVAL';
  if (wr.opcode === 'IBV_WR_RDMA_READ' && qp.attributes.max_rd_atomic === 0) return 'EINVAL';
  return qp.requester.post(wr);
}

/** Posts a receive. EINVAL: state RESET, or malformed. ENOMEM: the receive queue is full. */
export function ibv_post_recv(qp: IbvQp, wr: IbvRecvWr): Errno | undefined {
  if (qp.state === 'IBV_QPS_RESET') return 'EINVAL';
  if (!isWellFormed(wr.sg_list, qp.cap.max_recv_sge)) return 'EINVAL';
  return qp.responder.post(wr);
}

/** Destroys the queue pair: no completion and no access to memory for it from here on. */
export function ibv_destroy_qp(qp: IbvQp): undefined {
  qp.destroy();
}

function isRemote(wr: IbvSendWr): boolean {
  const { remote_addr: address, rkey } = wr;
  if (address === undefined || rkey === undefined) return false;
  return Number.isSafeInteger(address) && address >= 0 && Number.isInteger(rkey) && rkey >= 0;
}

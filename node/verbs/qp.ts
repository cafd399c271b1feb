/**
 * Queue pairs (`struct ibv_qp`; ibv_create_qp(3), ibv_modify_qp(3), ibv_query_qp(3), ibv_post_send(3),
 * ibv_post_recv(3)), reliable connections only. The two halves have a file each: `qp-requester.ts`
 * runs what is posted here, `qp-responder.ts` executes what the peer asks for.
 */
import type { Errno } from '../../common/errno.ts';
import type { FrameHeader, FrameType } from '../transport/frame.ts';
import type { SendOutcome } from '../transport/transport.ts';
import type { IbvContext, IbvPd } from './context.ts';
import type { IbvCq } from './cq.ts';
import { type FrameEnds, frameHeader } from './frame-header.ts';
import { type Gathered, gather } from './gather.ts';
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
import { prepareSend, type SendLimits } from './send-check.ts';
import type { IbvWc, IbvWcStatus } from './wc.ts';
import {
  type IbvRecvWr,
  type IbvSendWr,
  type IbvSge,
  isWellFormed,
  OPCODES,
} from './work-request.ts';

/** Events about a queue pair that stand for no completion. */
type QpEventType =
  | 'IBV_EVENT_QP_FATAL'
  | 'IBV_EVENT_QP_REQ_ERR'
  | 'IBV_EVENT_QP_ACCESS_ERR'
  | 'IBV_EVENT_SQ_DRAINED';

/** What of a frame's header its queue pair does not know by itself. */
type OwnFields = Partial<Omit<FrameHeader, keyof FrameEnds>>;

export class IbvQp implements SendLimits {
  readonly context: IbvContext;
  readonly pd: IbvPd;
  readonly qp_num: number;
  readonly send_cq: IbvCq;
  readonly recv_cq: IbvCq;
  readonly cap: Required<IbvQpCap>;
  readonly epoch: number;
  readonly counters: IbvQpCounters = {
    writeBytesSent: 0,
    writeBytesReceived: 0,
    sendBytesSent: 0,
    sendBytesReceived: 0,
    readBytesReceived: 0,
    readBytesSent: 0,
    atomicsExecuted: 0,
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
    this.cap = { max_inline_data: NIC_LIMITS.max_inline_data, ...init.cap };
    this.epoch = init.epoch;
    this.#onEvent = (event) => init.onEvent?.(event);
    this.requester = new Requester(this);
    this.responder = new Responder(this);
  }

  get state(): IbvQpState {
    return this.#state;
  }

  /** In SQD: requests that were under way have not completed. */
  get draining(): boolean {
    return this.requester.draining;
  }

  /** What took it to the error state by itself: the status of the request that failed, here or there. */
  get failure(): IbvWcStatus | undefined {
    return this.#failure;
  }

  get attributes(): QpAttributes {
    return this.#attributes;
  }

  get max_send_sge(): number {
    return this.cap.max_send_sge;
  }

  get max_inline_data(): number {
    return this.cap.max_inline_data;
  }

  /** Applies a legal modification. */
  modify(attributes: IbvQpAttr): void {
    const { qp_state, cur_qp_state: _, en_sqd_async_notify: notify, ...rest } = attributes;
    const previous = this.#state;
    const next = qp_state ?? previous;
    const moved = rest.ah_attr !== undefined && previous === 'IBV_QPS_SQD';
    this.#attributes = { ...this.#attributes, ...rest };
    this.#state = next;
    if (moved) this.#link();
    if (next === previous && next !== 'IBV_QPS_RESET') return;
    this.#enter(next, previous, notify ?? false);
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
    this.context.asyncEvents.purge(this);
    this.pd.qps.delete(this);
    this.send_cq.users.delete(this);
    this.recv_cq.users.delete(this);
  }

  event(event: IbvQpEvent): void {
    this.#onEvent(event);
  }

  raise(event_type: QpEventType): void {
    this.context.asyncEvents.push({ event_type, element: this });
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
  send(type: FrameType, fields: OwnFields, payload: readonly Uint8Array[]): SendOutcome {
    return this.transmit(this.#header(type, fields), payload);
  }

  /** As `send`, of a header that is complete. */
  transmit(header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    return this.context.nic.transmit(this.#attributes.ah_attr.nodeId, header, payload);
  }

  /** Sends an ACK or NAK back. If it is lost the peer asks again. */
  reply(type: 'ACK' | 'NAK', fields: OwnFields): void {
    this.context.nic.reply(this.#attributes.ah_attr.nodeId, this.#header(type, fields));
  }

  #header(type: FrameType, fields: OwnFields): FrameHeader {
    return frameHeader(type, fields, {
      destQpn: this.#attributes.dest_qp_num,
      sourceQpn: this.qp_num,
      qpEpoch: this.epoch,
    });
  }

  /** Local memory of a gather list, part [offset, offset + length). */
  gather(
    list: readonly IbvSge[],
    offset: number,
    length: number,
    right: IbvAccessFlag | undefined,
  ): Gathered {
    return gather(this.pd, list, { offset, length, right });
  }

  completeReceive({ wr_id, status, opcode, byte_len, imm_data }: Omit<IbvWc, 'qp_num'>): void {
    this.recv_cq.push({ wr_id, status, opcode, byte_len, imm_data, qp_num: this.qp_num });
  }

  completeSend(wr: IbvSendWr, status: IbvWcStatus, byteLength: number): void {
    const signaled = wr.send_flags?.includes('IBV_SEND_SIGNALED') ?? false;
    if (status === 'IBV_WC_SUCCESS' && !signaled) return;
    this.send_cq.push({
      wr_id: wr.wr_id,
      status,
      opcode: OPCODES[wr.opcode].completion,
      byte_len: byteLength,
      imm_data: undefined,
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
    if (!isConnected(this.#state)) return;
    this.requester.linkLost();
    this.fail('IBV_WC_RETRY_EXC_ERR');
  }

  /** Sends what waits. False if the link is full again. */
  writable(): boolean {
    return this.responder.pump() && this.requester.writable();
  }

  #enter(next: IbvQpState, previous: IbvQpState, notify: boolean): void {
    if (next === 'IBV_QPS_RESET') this.#reset();
    if (next === 'IBV_QPS_RTR') {
      this.responder.start();
      this.#link();
    }
    if (next === 'IBV_QPS_RTS' && previous === 'IBV_QPS_RTR') this.requester.start();
    if (next === 'IBV_QPS_RTS' && previous === 'IBV_QPS_SQD') this.requester.pump();
    if (next === 'IBV_QPS_SQD') this.requester.drain(notify);
    if (next === 'IBV_QPS_ERR') this.#flush();
  }

  #link(): void {
    this.context.nic.unlinkQueuePair(this);
    this.context.nic.linkQueuePair(this, this.#attributes.ah_attr.nodeId);
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

function isConnected(state: IbvQpState): boolean {
  return state === 'IBV_QPS_RTR' || state === 'IBV_QPS_RTS' || state === 'IBV_QPS_SQD';
}

/** Makes a queue pair in RESET. EINVAL: a limit of the device is exceeded, or a foreign CQ. */
export function ibv_create_qp(pd: IbvPd, init: IbvQpInitAttr): IbvQp | Errno {
  const { cap, send_cq, recv_cq } = init;
  const { max_qp_wr, max_sge, max_inline_data } = NIC_LIMITS;
  const depths = [cap.max_send_wr, cap.max_recv_wr];
  const widths = [cap.max_send_sge, cap.max_recv_sge];
  if (depths.some((depth) => depth < 0 || depth > max_qp_wr)) return 'EINVAL';
  if (widths.some((width) => width < 0 || width > max_sge)) return 'EINVAL';
  if ((cap.max_inline_data ?? 0) < 0 || (cap.max_inline_data ?? 0) > max_inline_data) {
    return 'EINVAL';
  }
  const { context } = pd;
  if (!context.cqs.has(send_cq) || !context.cqs.has(recv_cq)) return 'EINVAL';
  const qp = context.nic.addQueuePair((qpn) => new IbvQp(pd, qpn, init));
  pd.qps.add(qp);
  send_cq.users.add(qp);
  recv_cq.users.add(qp);
  return qp;
}

/**
 * Changes state or attributes. EINVAL, and nothing has changed: the transition does not exist, an
 * attribute is missing, not allowed, or out of range, or the send queue is still draining.
 */
export function ibv_modify_qp(qp: IbvQp, attributes: IbvQpAttr): Errno | undefined {
  if (!isLegalModify(qp, attributes)) return 'EINVAL';
  qp.modify(attributes);
  return undefined;
}

/** What ibv_query_qp(3) tells. */
export interface IbvQpInfo extends QpAttributes {
  readonly qp_state: IbvQpState;
  readonly sq_draining: boolean;
  readonly cap: Required<IbvQpCap>;
}

export function ibv_query_qp(qp: IbvQp): IbvQpInfo {
  return { ...qp.attributes, qp_state: qp.state, sq_draining: qp.draining, cap: qp.cap };
}

/**
 * Posts a request. EINVAL: state before RTS, malformed, or too many pieces. ENOMEM: the send
 * queue is full. Keys are checked when it is executed. In the error state it is flushed at once.
 */
export function ibv_post_send(qp: IbvQp, wr: IbvSendWr): Errno | undefined {
  const errno = enqueue(qp, wr);
  if (errno === undefined) qp.requester.pump();
  return errno;
}

/** How far a list got: `posted` requests are queued, the next one was refused with `errno`. */
export interface IbvPostListFailure {
  readonly errno: Errno;
  readonly posted: number;
}

/**
 * Posts requests in order, with one doorbell at the end. Stops at the first that is refused; those
 * before it are posted (`bad_wr` of ibv_post_send(3)).
 */
export function ibv_post_send_list(
  qp: IbvQp,
  list: readonly IbvSendWr[],
): IbvPostListFailure | undefined {
  let failure: IbvPostListFailure | undefined;
  for (const [posted, wr] of list.entries()) {
    const errno = enqueue(qp, wr);
    if (errno === undefined) continue;
    failure = { errno, posted };
    break;
  }
  qp.requester.pump();
  return failure;
}

/** Posts a receive. EINVAL: state RESET, or malformed. ENOMEM: the receive queue is full. */
export function ibv_post_recv(qp: IbvQp, wr: IbvRecvWr): Errno | undefined {
  if (qp.state === 'IBV_QPS_RESET') return 'EINVAL';
  if (!isWellFormed(wr.sg_list, qp.cap.max_recv_sge)) return 'EINVAL';
  return qp.responder.post(wr);
}

/**
 * Destroys the queue pair: no completion and no access to memory for it from here on, but for frames
 * that the link has been handed. A library returns from it after `ibv_events_acknowledged`.
 */
export function ibv_destroy_qp(qp: IbvQp): undefined {
  qp.destroy();
}

function enqueue(qp: IbvQp, wr: IbvSendWr): Errno | undefined {
  const { state } = qp;
  if (state !== 'IBV_QPS_RTS' && state !== 'IBV_QPS_SQD' && state !== 'IBV_QPS_ERR') {
    return 'EINVAL';
  }
  const request = prepareSend(wr, qp);
  return request === undefined ? 'EINVAL' : qp.requester.post(request);
}

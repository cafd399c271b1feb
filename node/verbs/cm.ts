/**
 * Connection management: two sides that know each other's service connect one queue pair each. There
 * is no listener and no caller; both call `connect`, in any order, and either may be long before the
 * other. Each side sends its HELLO again and again until it knows that the peer has it, so it works
 * over links that break and over networks that lose frames.
 *
 *   connecting --(peer's HELLO)--> queue pair is RTR, then RTS
 *   connecting --(HELLO that says "I have yours")--> connected
 *   connecting --(CM_DEADLINE_MS, or the link is lost)--> failed
 *
 * Requests may be posted once connected: the peer's queue pair is sure to take them.
 */
import { assert } from '../../common/assert.ts';
import type { CancelTimer } from '../../common/scheduler.ts';
import { type FrameHeader, LINK_MTU_BYTES } from '../transport/frame.ts';
import type { Peer } from '../transport/transport.ts';
import { decodeHello, encodeHello, type Hello } from './cm-message.ts';
import type { IbvContext } from './context.ts';
import { frameHeader } from './frame-header.ts';
import type { FrameRefusal } from './nic.ts';
import { psnDistance } from './psn.ts';
import { type IbvQp, ibv_modify_qp } from './qp.ts';

/** How long a HELLO waits for its answer before it is sent again: at first, and at most. */
export const CM_RESEND_MS = 50;
export const CM_RESEND_MS_MAX = 1_000;
/** How long a peer may take to connect, from this side's `connect` on. */
export const CM_DEADLINE_MS = 10_000;
/** HELLOs of peers that this side has not connected to yet, per service. */
export const CM_KEPT_HELLOS_MAX = 1_024;

/** Attributes of every connection that is made here; see `qp-state.ts` for units. */
export const CONNECTION_ATTRIBUTES = {
  path_mtu: LINK_MTU_BYTES,
  max_dest_rd_atomic: 16,
  max_rd_atomic: 16,
  /** 20.48 ms */
  min_rnr_timer: 22,
  rnr_retry: 6,
  retry_cnt: 7,
  /** 2147 ms: links do not lose frames, so a timeout means a peer that stands still. */
  timeout: 19,
} as const;

/** The other end: its host, and the id of its service. */
export interface CmPeer extends Peer {
  readonly serviceId: number;
}

export interface CmConnectInit {
  readonly peer: CmPeer;
  /** In state INIT. */
  readonly qp: IbvQp;
  /** Smaller than the default in tests. */
  readonly path_mtu?: number;
  /** Called once, not from within `connect`, unless the connection is closed first. */
  onSettled(outcome: 'connected' | 'failed'): void;
}

export class CmConnection {
  readonly #service: CmService;
  readonly #init: CmConnectInit;
  #state: 'connecting' | 'connected' | 'failed' | 'closed' = 'connecting';
  #remote: Hello | undefined;
  #cancelResend: CancelTimer = () => undefined;
  #cancelDeadline: CancelTimer = () => undefined;

  constructor(service: CmService, init: CmConnectInit) {
    this.#service = service;
    this.#init = init;
  }

  get state(): 'connecting' | 'connected' | 'failed' | 'closed' {
    return this.#state;
  }

  get peer(): CmPeer {
    return this.#init.peer;
  }

  start(): void {
    const { scheduler } = this.#service.nic;
    this.#cancelDeadline = scheduler.after(CM_DEADLINE_MS, () => this.#settle('failed'));
    this.#resend(CM_RESEND_MS);
  }

  receive(hello: Hello): FrameRefusal | undefined {
    if (this.#state === 'failed' || this.#state === 'closed') return 'wrongState';
    this.#remote ??= this.#accept(hello);
    const { qpn, psn } = this.#remote;
    if (hello.qpn !== qpn || hello.psn !== psn) return 'malformed';
    if (hello.seen) this.#settle('connected');
    if (hello.answerWanted) this.send();
    return undefined;
  }

  /** Sends the HELLO. If the link does not take it, the timer or `linkUp` does it again. */
  send(): void {
    const { nic, id, epoch } = this.#service;
    const { qp, peer } = this.#init;
    const payload = encodeHello({
      seen: this.#remote !== undefined,
      answerWanted: this.#state === 'connecting',
      qpn: qp.qp_num,
      psn: firstPsn(qp),
      credits: qp.responder.receivesPosted,
    });
    const header = frameHeader('CM', {
      first: true,
      last: true,
      destQpn: peer.serviceId,
      sourceQpn: id,
      qpEpoch: epoch,
      messageLength: payload.byteLength,
      payloadLength: payload.byteLength,
    });
    nic.transmit(peer.nodeId, header, [payload]);
  }

  linkUp(): void {
    if (this.#state === 'connecting') this.send();
  }

  linkLost(): void {
    this.#settle('failed');
  }

  /** Forgets the connection; the queue pair stays its owner's. Idempotent. */
  close(): void {
    this.#state = 'closed';
    this.#stop();
    this.#service.forget(this);
  }

  #resend(delayMs: number): void {
    this.send();
    this.#cancelResend = this.#service.nic.scheduler.after(delayMs, () =>
      this.#resend(Math.min(2 * delayMs, CM_RESEND_MS_MAX)),
    );
  }

  /** The peer's queue pair is known: this side can receive and send. */
  #accept(hello: Hello): Hello {
    const { qp, peer } = this.#init;
    const attributes = CONNECTION_ATTRIBUTES;
    const ready = ibv_modify_qp(qp, {
      qp_state: 'IBV_QPS_RTR',
      ah_attr: { nodeId: peer.nodeId },
      path_mtu: this.#init.path_mtu ?? attributes.path_mtu,
      dest_qp_num: hello.qpn,
      rq_psn: hello.psn,
      max_dest_rd_atomic: attributes.max_dest_rd_atomic,
      min_rnr_timer: attributes.min_rnr_timer,
    });
    assert(ready === undefined, `Expected a queue pair in INIT but found ${qp.state}`);
    const sending = ibv_modify_qp(qp, {
      qp_state: 'IBV_QPS_RTS',
      sq_psn: firstPsn(qp),
      max_rd_atomic: attributes.max_rd_atomic,
      retry_cnt: attributes.retry_cnt,
      rnr_retry: attributes.rnr_retry,
      timeout: attributes.timeout,
    });
    assert(sending === undefined, `Expected a queue pair in RTR but found ${qp.state}`);
    qp.requester.credits.grant(hello.credits);
    return hello;
  }

  #settle(outcome: 'connected' | 'failed'): void {
    if (this.#state !== 'connecting') return;
    this.#state = outcome;
    this.#stop();
    this.#service.nic.scheduler.soon(() => {
      if (this.#state !== 'closed') this.#init.onSettled(outcome);
    });
  }

  #stop(): void {
    this.#cancelResend();
    this.#cancelDeadline();
  }
}

/** A service: what peers address before they know a queue pair number. One per fabric endpoint. */
export class CmService {
  readonly context: IbvContext;
  readonly id: number;
  readonly epoch: number;
  readonly #connections = new Map<string, CmConnection>();
  readonly #kept = new Map<string, Hello>();

  constructor(context: IbvContext, id: number, epoch: number) {
    this.context = context;
    this.id = id;
    this.epoch = epoch;
  }

  get nic(): IbvContext['nic'] {
    return this.context.nic;
  }

  /** Connects `qp` with the queue pair that the peer's service has for this one. Once per peer. */
  connect(init: CmConnectInit): CmConnection {
    const { peer } = init;
    const key = keyOf(peer.nodeId, peer.serviceId);
    assert(!this.#connections.has(key), `Expected one connection to ${key}`);
    const connection = new CmConnection(this, init);
    this.#connections.set(key, connection);
    this.nic.transport.connect({ nodeId: peer.nodeId, address: peer.address });
    const hello = this.#kept.get(key);
    this.#kept.delete(key);
    if (hello !== undefined) connection.receive(hello);
    connection.start();
    return connection;
  }

  /** A `CM` frame for this service; why it is refused, if it is. */
  receive(nodeId: string, header: FrameHeader, payload: Uint8Array): FrameRefusal | undefined {
    if (header.qpEpoch !== this.epoch) return 'wrongEpoch';
    const hello = decodeHello(payload);
    if (hello === undefined) return 'malformed';
    const key = keyOf(nodeId, header.sourceQpn);
    const connection = this.#connections.get(key);
    if (connection !== undefined) return connection.receive(hello);
    if (!this.#kept.has(key) && this.#kept.size >= CM_KEPT_HELLOS_MAX) return 'backlogFull';
    this.#kept.set(key, newer(this.#kept.get(key), hello));
    return undefined;
  }

  linkUp(nodeId: string): void {
    for (const connection of this.#connectionsTo(nodeId)) connection.linkUp();
  }

  linkLost(nodeId: string): void {
    for (const connection of this.#connectionsTo(nodeId)) connection.linkLost();
  }

  forget(connection: CmConnection): void {
    const { nodeId, serviceId } = connection.peer;
    this.#connections.delete(keyOf(nodeId, serviceId));
  }

  /** Closes every connection; peers find nobody here any more. Idempotent. */
  close(): void {
    if (!this.context.services.delete(this)) return;
    for (const connection of [...this.#connections.values()]) connection.close();
    this.#kept.clear();
    this.nic.removeService(this.id);
  }

  #connectionsTo(nodeId: string): CmConnection[] {
    return [...this.#connections.values()].filter(({ peer }) => peer.nodeId === nodeId);
  }
}

/** Opens a service in `context`, for queue pairs of `epoch`. */
export function cm_open_service(context: IbvContext, epoch: number): CmService {
  assert(context.nic.contexts.has(context), 'Expected an open device');
  const service = context.nic.addService((id) => new CmService(context, id, epoch));
  context.services.add(service);
  return service;
}

function keyOf(nodeId: string, serviceId: number): string {
  return `${nodeId}/${serviceId}`;
}

/** Sequence numbers start anywhere; where, depends on nothing but the queue pair's number. */
function firstPsn(qp: IbvQp): number {
  return Math.imul(qp.qp_num, 0x9e37_79b1) >>> 0;
}

/** Of two HELLOs of one peer, the one with more credits; the rest is equal. */
function newer(known: Hello | undefined, hello: Hello): Hello {
  return known !== undefined && psnDistance(known.credits, hello.credits) > 0 ? known : hello;
}

/** The endpoint itself: its connections, its receives, and what completes. */
import { assert, defined } from '../../common/assert.ts';
import { type CmPeer, type CmService, cm_open_service } from '../verbs/cm.ts';
import { NIC_LIMITS } from '../verbs/limits.ts';
import type { IbvQpCounters } from '../verbs/qp-attributes.ts';
import type { IbvWc } from '../verbs/wc.ts';
import type { AvUser, FiAv } from './av.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import type { CqUser, FiCq } from './cq.ts';
import type { FiDomain } from './domain.ts';
import { encodeEndpointName } from './endpoint-name.ts';
import { fiErrnoOfStatus } from './error-map.ts';
import {
  FI_ADDR_UNSPEC,
  type FiAddr,
  type FiBuffer,
  type FiCompletion,
  type Fid,
  type FiEndpointCounters,
  type FiErrno,
  type FiMrBuffer,
} from './fabric.ts';
import { type ArrivedMessage, MatchQueue, type PostedReceive } from './match-queue.ts';
import { EAGER_BYTES } from './message-header.ts';
import { lkeyOf } from './mr.ts';
import { SendOperation } from './send-operation.ts';

export interface FiEndpointInit {
  /** Of the communicator: peers of another epoch cannot connect, and their frames are refused. */
  readonly epoch: number;
  /**
   * Called from the event loop after a call answered FI_EAGAIN, when trying again makes sense: a peer
   * is connected or lost, has credits, or something under way has completed.
   */
  readonly onProgress?: () => void;
}

export interface RmaRequest {
  readonly kind: 'write' | 'read';
  readonly local: FiMrBuffer;
  readonly remote: { readonly dest: FiAddr; readonly remoteAddress: number; readonly key: bigint };
  readonly context: unknown;
  /** Immediate data, 32 bit. */
  readonly data?: number;
}

/** Largest key of verbs. */
const RKEY_MAX = 0xffff_ffffn;

const NO_DETAILS: Omit<FiCompletion, 'kind' | 'context' | 'source'> = {
  length: 0,
  tag: 0n,
  data: 0,
};

export class FiEndpoint implements Fid, CqUser, AvUser, ConnectionOwner {
  readonly fclass = 'FI_CLASS_EP';
  readonly domain: FiDomain;
  readonly service: CmService;
  readonly #init: FiEndpointInit;
  readonly #receives = new MatchQueue();
  readonly #connections = new Map<FiAddr, Connection>();
  /** Counters of connections that are gone. */
  readonly #past: IbvQpCounters[] = [];
  #state: 'disabled' | 'enabled' | 'closed' = 'disabled';
  #av: FiAv | undefined;
  #cq: FiCq | undefined;
  #wakeScheduled = false;
  #progressScheduled = false;

  constructor(domain: FiDomain, init: FiEndpointInit) {
    this.domain = domain;
    this.#init = init;
    this.service = cm_open_service(domain.context, init.epoch);
    domain.children.add(this);
  }

  get name(): Uint8Array {
    const { nodeId, address } = this.domain.nic.transport;
    return encodeEndpointName({ nodeId, address, serviceId: this.service.id });
  }

  get cq(): FiCq {
    return defined(this.#cq, 'a completion queue');
  }

  get counters(): FiEndpointCounters {
    const sum: FiEndpointCounters = {
      rmaBytesSent: 0,
      rmaBytesReceived: 0,
      messageBytesSent: 0,
      messageBytesReceived: 0,
    };
    const present = [...this.#connections.values()].map(({ counters }) => counters);
    for (const counters of [...this.#past, ...present]) {
      sum.rmaBytesSent += counters.writeBytesSent + counters.readBytesSent;
      sum.rmaBytesReceived += counters.writeBytesReceived + counters.readBytesReceived;
      sum.messageBytesSent += counters.sendBytesSent;
      sum.messageBytesReceived += counters.sendBytesReceived;
    }
    return sum;
  }

  bindAv(av: FiAv): FiErrno | undefined {
    if (this.#state !== 'disabled' || this.#av !== undefined) return 'FI_EOPBADSTATE';
    this.#av = av;
    av.users.add(this);
    return undefined;
  }

  bindCq(cq: FiCq): FiErrno | undefined {
    if (this.#state !== 'disabled' || this.#cq !== undefined) return 'FI_EOPBADSTATE';
    this.#cq = cq;
    cq.users.add(this);
    return undefined;
  }

  enable(): FiErrno | undefined {
    if (this.#state !== 'disabled') return 'FI_EOPBADSTATE';
    if (this.#av === undefined) return 'FI_ENOAV';
    if (this.#cq === undefined) return 'FI_ENOCQ';
    this.#state = 'enabled';
    for (const [address, peer] of this.#av.peers()) this.peerInserted(address, peer);
    return undefined;
  }

  peerInserted(address: FiAddr, peer: CmPeer): void {
    if (this.#state !== 'enabled') return;
    this.#connections.set(address, new Connection({ owner: this, address, peer }));
  }

  peerRemoved(address: FiAddr): void {
    const connection = this.#connections.get(address);
    if (connection === undefined) return;
    this.#connections.delete(address);
    connection.cancel();
    this.#past.push({ ...connection.counters });
    this.failed(address, 'IBV_WC_WR_FLUSH_ERR', 'FI_ECANCELED');
    this.#receives.forget(address);
  }

  send(
    { tagged, tag }: { readonly tagged: boolean; readonly tag: bigint },
    buffer: FiBuffer,
    dest: FiAddr,
    context: unknown,
  ): FiErrno | undefined {
    const connection = this.#connectionTo(dest);
    if (typeof connection === 'string') return connection;
    const length = buffer.kind === 'host' ? buffer.bytes.byteLength : buffer.length;
    if (length > EAGER_BYTES) return 'FI_EMSGSIZE';
    const header = { tagged, tag: BigInt.asUintN(64, tag), length };
    return connection.postMessage(header, buffer, context);
  }

  rma({ kind, local, remote, context, data }: RmaRequest): FiErrno | undefined {
    const connection = this.#connectionTo(remote.dest);
    if (typeof connection === 'string') return connection;
    if (remote.key < 0n || remote.key > RKEY_MAX) return 'FI_EINVAL';
    if (local.length > NIC_LIMITS.max_msg_sz) return 'FI_EMSGSIZE';
    const writeOpcode = data === undefined ? 'IBV_WR_RDMA_WRITE' : 'IBV_WR_RDMA_WRITE_WITH_IMM';
    return connection.postRma(new SendOperation({ kind, context, length: local.length }), {
      opcode: kind === 'read' ? 'IBV_WR_RDMA_READ' : writeOpcode,
      sg_list: [{ lkey: lkeyOf(local.mr), address: local.address, length: local.length }],
      remote_addr: remote.remoteAddress,
      rkey: Number(remote.key),
      ...(data === undefined ? {} : { imm_data: data }),
    });
  }

  receive(receive: PostedReceive): FiErrno | undefined {
    if (this.#state !== 'enabled') return 'FI_EOPBADSTATE';
    if (this.#receives.isFull) return 'FI_EAGAIN';
    const { source } = receive;
    const connection = source === FI_ADDR_UNSPEC ? undefined : this.#connectionTo(source);
    if (typeof connection === 'string') return connection;
    const message = this.#receives.take(receive);
    if (message !== undefined) this.#deliver(message, receive);
    else if (connection?.isLost) return connection.error;
    else this.#receives.post(receive);
    if (this.#isHeldUp()) this.#progressSoon();
    return undefined;
  }

  cancel(context: unknown): void {
    const receive = this.#receives.cancel(context);
    if (receive === undefined) return;
    this.#failReceive(receive, 'FI_ECANCELED', '');
  }

  completed(operation: SendOperation, wc: IbvWc, peer: FiAddr): void {
    const { kind, context, length } = operation;
    const err = fiErrnoOfStatus(wc.status);
    if (err === undefined) {
      this.cq.push(this, { ...NO_DETAILS, kind, context, length, source: peer });
    } else {
      this.cq.pushError(this, { kind, context, err, prov_errno: wc.status, olen: 0, peer });
    }
  }

  remoteWriteData(data: number, length: number, source: FiAddr): void {
    const kind = 'remoteWriteData';
    this.cq.push(this, { ...NO_DETAILS, kind, context: undefined, data, length, source });
  }

  arrived(message: ArrivedMessage): boolean {
    const receive = this.#receives.receiveFor(message);
    if (receive !== undefined) {
      this.#deliver(message, receive);
      return true;
    }
    if (!this.#receives.hasRoomForUnexpected) return false;
    // The payload lies in a slot that is about to be posted again.
    this.#receives.keep({ ...message, payload: message.payload.slice() });
    return true;
  }

  /** A peer is lost: receives that wait for it alone will never complete. */
  failed(peer: FiAddr, status: string, error: FiErrno): void {
    for (const receive of this.#receives.cancelFrom(peer)) {
      this.#failReceive(receive, error, status);
    }
  }

  wake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    this.domain.nic.scheduler.soon(() => {
      this.#wakeScheduled = false;
      if (this.#state === 'enabled') this.#init.onProgress?.();
    });
  }

  cqHasRoom(): void {
    this.#progressSoon();
  }

  /** Idempotent. */
  close(): undefined {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const connection of this.#connections.values()) {
      connection.close();
      this.#past.push({ ...connection.counters });
    }
    this.#connections.clear();
    this.service.close();
    this.#cq?.purge(this);
    this.#cq?.users.delete(this);
    this.#av?.users.delete(this);
    this.domain.children.delete(this);
  }

  #connectionTo(dest: FiAddr): Connection | FiErrno {
    if (this.#state !== 'enabled') return 'FI_EOPBADSTATE';
    return this.#connections.get(dest) ?? 'FI_EINVAL';
  }

  #deliver({ payload, tag, source }: ArrivedMessage, { bytes, context }: PostedReceive): void {
    const length = Math.min(payload.byteLength, bytes.byteLength);
    bytes.set(payload.subarray(0, length));
    const olen = payload.byteLength - length;
    const kind = 'recv';
    if (olen > 0) {
      const err = 'FI_ETRUNC';
      this.cq.pushError(this, { kind, context, err, prov_errno: '', olen, peer: source });
    } else {
      this.cq.push(this, { ...NO_DETAILS, kind, context, length, tag, source });
    }
  }

  #failReceive({ context, source }: PostedReceive, err: FiErrno, prov_errno: string): void {
    assert(this.#state !== 'closed', 'Expected no completion of a closed endpoint');
    this.cq.pushError(this, { kind: 'recv', context, err, prov_errno, olen: 0, peer: source });
  }

  #isHeldUp(): boolean {
    for (const connection of this.#connections.values()) if (connection.isHeldUp) return true;
    return false;
  }

  #progressSoon(): void {
    if (this.#progressScheduled) return;
    this.#progressScheduled = true;
    this.domain.nic.scheduler.soon(() => {
      this.#progressScheduled = false;
      if (this.#state !== 'enabled') return;
      for (const connection of [...this.#connections.values()]) connection.progress();
    });
  }
}

/** The endpoint itself: its state, what is bound to it, and its connections. */
import { assert } from '../../common/assert.ts';
import type { CmPeer } from '../verbs/cm.ts';
import { NIC_LIMITS } from '../verbs/limits.ts';
import type { AvUser, FiAv } from './av.ts';
import type { CounterEvent, FiCntr } from './cntr.ts';
import {
  type Completing,
  CompletionPort,
  type CqBindFlag,
  type Direction,
} from './completion-port.ts';
import type { CqUser, FiCq } from './completion-queue.ts';
import { Connection, type ConnectionOwner, outboundServiceOf } from './connection.ts';
import type { FiDomain } from './domain.ts';
import { encodeEndpointName } from './endpoint-name.ts';
import type { FiEq } from './eq.ts';
import type { FiAddr, Fid, FiEndpointCounters, FiErrno } from './fabric.ts';
import type { FiFlag } from './flags.ts';
import { HostRegions } from './host-region.ts';
import type { FiInfo } from './info-types.ts';
import type { IncomingMessage } from './message-stream.ts';
import { EndpointOptions } from './options.ts';
import type { Outcome } from './outcome.ts';
import { bufferLength, type OutgoingMessage } from './outgoing-messages.ts';
import { openPeerService, type PeerService, peerKey } from './peer-service.ts';
import { Receiver, type ReceiverOwner } from './receiver.ts';
import type { SendOperation } from './send-operation.ts';
import { SoonOnce } from './soon-once.ts';
import { sumOfTraffic } from './traffic.ts';

export interface FiEndpointInit {
  /** Of the communicator: peers of another epoch cannot connect, and their frames are refused. */
  readonly epoch: number;
  /**
   * Called from the event loop after a call answered FI_EAGAIN, when trying again makes sense: a peer
   * is connected or lost, has credits, or something under way has completed.
   */
  readonly onProgress?: () => void;
}

/** What every transmit call says about its operation. */
export interface Transmit {
  readonly dest: FiAddr;
  readonly flags: readonly FiFlag[];
}

export class FiEndpoint implements Fid, CqUser, AvUser, ConnectionOwner, ReceiverOwner {
  readonly fclass = 'FI_CLASS_EP';
  readonly domain: FiDomain;
  readonly epoch: number;
  readonly isManaged: boolean;
  readonly services: { readonly inbound: PeerService; readonly outbound: PeerService };
  readonly options = new EndpointOptions();
  /** Host memory of single operations under way. */
  readonly regions: HostRegions;
  readonly receiver: Receiver;
  /** Flags of calls that take none. */
  readonly defaults: { readonly transmit: readonly FiFlag[]; readonly receive: readonly FiFlag[] };
  readonly #wakeSoon: SoonOnce;
  readonly #progressSoon: SoonOnce;
  readonly #port: CompletionPort;
  readonly #connections = new Map<FiAddr, Connection>();
  /** Number of the next message to a peer that was taken out, should it come back. */
  readonly #sequences = new Map<string, number>();
  /** Traffic of connections that are gone. */
  readonly #past: FiEndpointCounters[] = [];
  #state: 'disabled' | 'enabled' | 'closed' = 'disabled';
  #av: FiAv | undefined;
  #eq: FiEq | undefined;

  constructor(domain: FiDomain, info: FiInfo, { epoch, onProgress }: FiEndpointInit) {
    this.domain = domain;
    this.epoch = epoch;
    const { scheduler } = domain.nic;
    this.#wakeSoon = new SoonOnce(scheduler, () => {
      if (this.#state === 'enabled') onProgress?.();
    });
    this.#progressSoon = new SoonOnce(scheduler, () => this.#progress());
    this.isManaged = info.domain_attr.resource_mgmt !== 'FI_RM_DISABLED';
    this.defaults = {
      transmit: info.tx_attr?.op_flags ?? [],
      receive: info.rx_attr?.op_flags ?? [],
    };
    const inbound = openPeerService(domain.context, epoch);
    const outbound = openPeerService(domain.context, epoch);
    assert(
      outbound.id === outboundServiceOf(inbound.id),
      'Expected two services in a row to have numbers in a row',
    );
    this.services = { inbound, outbound };
    this.#port = new CompletionPort(this, this.isManaged);
    this.regions = new HostRegions(domain);
    this.receiver = new Receiver(this);
    domain.children.add(this);
  }

  get name(): Uint8Array {
    const { nodeId, address } = this.domain.nic.transport;
    return encodeEndpointName({ nodeId, address, serviceId: this.services.inbound.id });
  }

  get isEnabled(): boolean {
    return this.#state === 'enabled';
  }

  get counters(): FiEndpointCounters {
    const present = [...this.#connections.values()].map(({ traffic }) => traffic);
    return sumOfTraffic([], [...this.#past, ...present]);
  }

  bindAv(av: FiAv): FiErrno | undefined {
    if (this.#state !== 'disabled' || this.#av !== undefined) return 'FI_EOPBADSTATE';
    this.#av = av;
    av.users.add(this);
    return undefined;
  }

  bindCq(cq: FiCq, flags: readonly CqBindFlag[]): FiErrno | undefined {
    return this.#state === 'disabled' ? this.#port.bindCq(cq, flags) : 'FI_EOPBADSTATE';
  }

  bindCounter(counter: FiCntr, events: readonly CounterEvent[]): FiErrno | undefined {
    return this.#state === 'disabled' ? this.#port.bindCounter(counter, events) : 'FI_EOPBADSTATE';
  }

  bindEq(eq: FiEq): FiErrno | undefined {
    if (this.#state !== 'disabled' || this.#eq !== undefined) return 'FI_EOPBADSTATE';
    this.#eq = eq;
    eq.users.add(this);
    return undefined;
  }

  enable(): FiErrno | undefined {
    if (this.#state !== 'disabled') return 'FI_EOPBADSTATE';
    if (this.#av === undefined) return 'FI_ENOAV';
    if (!this.#port.isComplete) return 'FI_ENOCQ';
    this.#state = 'enabled';
    for (const [address, peer] of this.#av.peers()) this.peerInserted(address, peer);
    return undefined;
  }

  peerInserted(address: FiAddr, peer: CmPeer): void {
    if (this.#state !== 'enabled') return;
    const firstSequence = this.#sequences.get(peerKey(peer)) ?? 0;
    this.#sequences.delete(peerKey(peer));
    const connection = new Connection({ owner: this, address, peer, firstSequence });
    this.#connections.set(address, connection);
  }

  peerRemoved(address: FiAddr): void {
    const connection = this.#connections.get(address);
    if (connection === undefined) return;
    connection.cancel();
    this.#connections.delete(address);
    this.#sequences.set(peerKey(connection.peer), connection.sequence);
    this.#past.push(connection.traffic);
    this.receiver.lost(address, { err: 'FI_ECANCELED', prov_errno: 'IBV_WC_WR_FLUSH_ERR' });
    this.receiver.forget(address);
  }

  connection(peer: FiAddr): Connection | undefined {
    return this.#connections.get(peer);
  }

  sendMessage(message: OutgoingMessage, { dest, flags }: Transmit): FiErrno | undefined {
    const connection = this.#connectionTo(dest);
    if (typeof connection === 'string') return connection;
    if (bufferLength(message.buffer) > NIC_LIMITS.max_msg_sz) return 'FI_EMSGSIZE';
    return connection.postMessage(message, flags.includes('FI_FENCE'));
  }

  post(operation: SendOperation, { dest, flags }: Transmit): FiErrno | undefined {
    const connection = this.#connectionTo(dest);
    if (typeof connection === 'string') return connection;
    return connection.post(operation, flags.includes('FI_FENCE'));
  }

  /** Whether an operation with these flags asks for an entry in the queue. */
  isReported(direction: Direction, flags: readonly FiFlag[]): boolean {
    return flags.includes('FI_COMPLETION') || !this.#port.isSelective(direction);
  }

  complete(completing: Completing, outcome: Outcome): void {
    assert(this.#state !== 'closed', 'Expected no completion of a closed endpoint');
    this.#port.complete(completing, outcome);
  }

  room(direction: Direction): number {
    return this.#port.room(direction);
  }

  remoteWriteData(data: number, length: number, peer: FiAddr): void {
    const completing = {
      kind: 'remoteWriteData',
      isTagged: false,
      context: undefined,
      peer,
      isReported: true,
      length,
      tag: 0n,
      data,
      olen: 0,
    } as const;
    this.complete(completing, undefined);
  }

  arrived(message: IncomingMessage, peer: FiAddr): boolean {
    return this.receiver.arrived(message, peer);
  }

  failed(peer: FiAddr, outcome: NonNullable<Outcome>): void {
    this.receiver.lost(peer, outcome);
    const { err, prov_errno } = outcome;
    this.#eq?.pushError({ fid: this, err, prov_errno, data: peer });
  }

  wake(): void {
    this.#wakeSoon.request();
  }

  /** A receive was posted: messages that waited for room may go on. */
  receivePosted(): void {
    for (const connection of this.#connections.values()) {
      if (!connection.isHeldUp) continue;
      this.#progressSoon.request();
      return;
    }
  }

  cqHasRoom(): void {
    this.#progressSoon.request();
  }

  /** Idempotent. */
  close(): undefined {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const connection of this.#connections.values()) {
      connection.close();
      this.#past.push(connection.traffic);
    }
    this.#connections.clear();
    this.receiver.close();
    this.regions.close();
    this.services.inbound.close();
    this.services.outbound.close();
    this.#port.close();
    this.#av?.users.delete(this);
    this.#eq?.users.delete(this);
    this.domain.children.delete(this);
  }

  #connectionTo(dest: FiAddr): Connection | FiErrno {
    if (this.#state !== 'enabled') return 'FI_EOPBADSTATE';
    return this.#connections.get(dest) ?? 'FI_EINVAL';
  }

  #progress(): void {
    if (this.#state !== 'enabled') return;
    for (const connection of [...this.#connections.values()]) connection.progress();
  }
}

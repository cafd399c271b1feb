/**
 * `Transport` over any medium: which peers are wanted, which connection belongs to which link, and
 * when a peer is lost. Both providers are this class.
 */
import type { Socket } from 'node:net';
import { assert } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from './frame.ts';
import { InboundLink } from './inbound-link.ts';
import type {
  AcceptedConnection,
  DialIdentity,
  LinkCloseCode,
  LinkMedium,
  Refusal,
  WireMedium,
} from './link-medium.ts';
import { LoopbackLink } from './loopback-link.ts';
import { OutboundLink } from './outbound-link.ts';
import {
  type FrameSink,
  LINK_HIGH_WATER_BYTES,
  type LinkAddress,
  type LinkCounters,
  type LinkKind,
  type Peer,
  type SendOutcome,
  type Transport,
  type Wires,
} from './transport.ts';
import { UNEXPECTED_DIALS_MAX, UnexpectedDials } from './unexpected-dials.ts';

export interface LinkTransportInit {
  readonly nodeId: string;
  readonly medium: LinkMedium;
  readonly scheduler: Scheduler;
  /** Default `LINK_HIGH_WATER_BYTES`. */
  readonly highWaterBytes?: number;
}

interface PeerLinks {
  readonly peer: Peer;
  readonly outbound: OutboundLink;
  readonly inbound: InboundLink;
}

const NO_TRAFFIC: Readonly<LinkCounters> = {
  framesSent: 0,
  payloadBytesSent: 0,
  framesReceived: 0,
  payloadBytesReceived: 0,
  reconnects: 0,
};

export class LinkTransport implements Transport {
  readonly provider: 'ws' | 'memory';
  readonly nodeId: string;
  readonly address: LinkAddress;
  readonly wires?: Wires;
  readonly #medium: LinkMedium;
  readonly #scheduler: Scheduler;
  readonly #highWaterBytes: number;
  readonly #peers = new Map<string, PeerLinks>();
  readonly #counters = new Map<string, LinkCounters>();
  readonly #unexpected: UnexpectedDials;
  #sink: FrameSink | undefined;
  #loopback: LoopbackLink | undefined;
  #incarnation = 0;
  #closing: Promise<void> | undefined;

  constructor(init: LinkTransportInit) {
    this.provider = init.medium.provider;
    this.nodeId = init.nodeId;
    this.address = init.medium.address;
    this.#medium = init.medium;
    this.#scheduler = init.scheduler;
    this.#highWaterBytes = init.highWaterBytes ?? LINK_HIGH_WATER_BYTES;
    assert(this.#highWaterBytes > 0, 'Expected a high-water mark above 0 bytes');
    this.#unexpected = new UnexpectedDials(init.scheduler, (nodeId, reason) =>
      this.#sink?.protocolError(nodeId, reason),
    );
    const { wires } = init.medium;
    if (wires === undefined) return;
    this.wires = {
      offer: () => wires.offer(),
      dial: (nodeId, ticket) => this.#dialWire(wires, nodeId, ticket),
    };
  }

  attach(sink: FrameSink): void {
    assert(this.#sink === undefined, 'Expected attach() to be called once');
    this.#sink = sink;
    this.#medium.listen({
      admit: (dial) => this.#admit(dial),
      accepted: (connection) => this.#accepted(connection),
      turnedAway: (reason) => sink.protocolError(undefined, reason),
    });
  }

  connect(peer: Peer): void {
    const sink = this.#sink;
    assert(sink !== undefined, 'Expected attach() before connect()');
    // A connection that is tried again does not know that the host goes down.
    if (this.#closing !== undefined) return;
    const { nodeId } = peer;
    if (nodeId === this.nodeId) {
      this.#loopback ??= new LoopbackLink(this.#common(nodeId, sink));
      return;
    }
    if (this.#peers.has(nodeId)) return;
    const common = { ...this.#common(nodeId, sink), lost: this.#loser(nodeId) };
    const links: PeerLinks = {
      peer,
      outbound: new OutboundLink(common),
      inbound: new InboundLink({
        ...common,
        peer,
        medium: this.#medium,
        nextIncarnation: () => ++this.#incarnation,
      }),
    };
    this.#peers.set(nodeId, links);
    this.#scheduler.soon(() => this.#adoptEarlyDial(nodeId, links));
  }

  disconnect(nodeId: string): void {
    if (nodeId === this.nodeId) {
      this.#loopback?.close();
      this.#loopback = undefined;
      return;
    }
    this.#drop(nodeId, 'DISCONNECTED', `${this.nodeId} has disconnected`);
  }

  send(nodeId: string, header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    return this.#sendingLink(nodeId)?.send(header, payload) ?? 'down';
  }

  reply(nodeId: string, header: FrameHeader): SendOutcome {
    const link = nodeId === this.nodeId ? this.#loopback : this.#peers.get(nodeId)?.inbound;
    return link?.reply(header) ?? 'down';
  }

  linkKind(nodeId: string): LinkKind | undefined {
    if (nodeId === this.nodeId) return this.#loopback?.kind;
    const links = this.#peers.get(nodeId);
    return links?.outbound.kind ?? links?.inbound.kind;
  }

  isQuiet(nodeId: string): boolean {
    if (nodeId === this.nodeId) return this.#loopback?.isQuiet ?? true;
    const links = this.#peers.get(nodeId);
    return links === undefined || (links.outbound.isQuiet && links.inbound.isQuiet);
  }

  async quiesce(nodeId: string, deadlineMs: number): Promise<void> {
    if (nodeId === this.nodeId) {
      await this.#loopback?.quiesce();
      return;
    }
    const links = this.#peers.get(nodeId);
    if (links === undefined) return;
    await Promise.all([links.outbound.quiesce(deadlineMs), links.inbound.quiesce(deadlineMs)]);
  }

  counters(nodeId: string): LinkCounters {
    return { ...(this.#counters.get(nodeId) ?? NO_TRAFFIC) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  #sendingLink(nodeId: string): LoopbackLink | OutboundLink | undefined {
    return nodeId === this.nodeId ? this.#loopback : this.#peers.get(nodeId)?.outbound;
  }

  async #dialWire(wires: WireMedium, nodeId: string, ticket: string): Promise<Socket> {
    const { address } = this;
    const peer = nodeId === this.nodeId ? { nodeId, address } : this.#peers.get(nodeId)?.peer;
    if (peer !== undefined) return await wires.dial(peer, ticket);
    throw new HlsimError(
      'HLSIM_HOST_LOST',
      `Expected links to ${nodeId} before a wire to it but found none: it is lost, or was never connected`,
    );
  }

  #closeAll(): Promise<void> {
    this.disconnect(this.nodeId);
    for (const nodeId of [...this.#peers.keys()]) {
      this.#drop(nodeId, 'GOING_AWAY', `${this.nodeId} is going away`);
    }
    this.#unexpected.close();
    return this.#medium.close();
  }

  #admit(dial: DialIdentity): Refusal | undefined {
    const { nodeId, incarnation } = dial;
    if (this.#closing !== undefined) return { status: 503, reason: 'This host is going away' };
    if (nodeId === this.nodeId) {
      return {
        status: 409,
        reason: `Expected another host but found ${nodeId}, which is this one`,
      };
    }
    const links = this.#peers.get(nodeId);
    const newest = links?.outbound.newestIncarnation ?? this.#unexpected.newestIncarnation(nodeId);
    if (incarnation <= newest) {
      return {
        status: 412,
        reason: `Expected an incarnation above ${newest} but found ${incarnation}`,
      };
    }
    if (links === undefined && this.#unexpected.isFull && !this.#unexpected.has(nodeId)) {
      return {
        status: 503,
        reason: `Expected at most ${UNEXPECTED_DIALS_MAX} dials from hosts without links`,
      };
    }
    return undefined;
  }

  #accepted(connection: AcceptedConnection): void {
    const links = this.#peers.get(connection.nodeId);
    if (links === undefined) {
      this.#unexpected.hold(connection);
      return;
    }
    this.#unexpected.take(connection.nodeId)?.close('DISCONNECTED', 'The peer has dialled again');
    links.outbound.adopt(connection);
  }

  #adoptEarlyDial(nodeId: string, links: PeerLinks): void {
    if (this.#peers.get(nodeId) !== links) return;
    const connection = this.#unexpected.take(nodeId);
    if (connection !== undefined) links.outbound.adopt(connection);
  }

  /** Either link being beyond hope loses the peer: one direction alone is of no use. */
  #loser(nodeId: string): (reason: string) => void {
    return (reason) => {
      this.#drop(nodeId, 'GAVE_UP', `${this.nodeId} has given up: ${reason}`);
      this.#sink?.linkLost(nodeId, reason);
    };
  }

  #drop(nodeId: string, code: LinkCloseCode, reason: string): void {
    const links = this.#peers.get(nodeId);
    if (links === undefined) return;
    this.#peers.delete(nodeId);
    links.outbound.close(code, reason);
    links.inbound.close(code, reason);
  }

  #common(nodeId: string, sink: FrameSink) {
    return {
      nodeId,
      sink,
      scheduler: this.#scheduler,
      highWaterBytes: this.#highWaterBytes,
      counters: this.#countersOf(nodeId),
    };
  }

  #countersOf(nodeId: string): LinkCounters {
    const known = this.#counters.get(nodeId);
    if (known !== undefined) return known;
    const counters = { ...NO_TRAFFIC };
    this.#counters.set(nodeId, counters);
    return counters;
  }
}

/**
 * What a link is made of. `link-transport.ts` keeps peers, redials and incarnations; a medium only
 * opens and accepts single connections and moves whole frames over them. There are two: sockets
 * (`websocket-transport.ts`) and memory (`memory-transport.ts`), so both providers share every rule.
 *
 * Nothing here calls back synchronously: a callback never runs inside the call that caused it.
 */
import type { Socket } from 'node:net';
import type { FrameHeader } from './frame.ts';
import type { FrameReader } from './frame-receiver.ts';
import type { LinkAddress, LinkKind, Peer, SendOutcome, WireOffer } from './transport.ts';
import type { ViewLedger } from './view-ledger.ts';

/** How an end of a connection learns that it is over. `reason` is for people. */
export interface Closure {
  /**
   * `broken`: it failed or never came up; another dial may succeed.
   * `ended`: the other end refused, or closed on purpose; dialling again is pointless.
   * `violated`: the other end broke the protocol and this end has closed the connection.
   */
  readonly kind: 'broken' | 'ended' | 'violated';
  readonly reason: string;
}

/** Why this end closes a connection; the codes are those of RFC 6455 section 7.4, 4001 is ours. */
export const LINK_CLOSE_CODES = {
  /** `disconnect`: this host no longer wants the peer. */
  DISCONNECTED: 1000,
  /** `close`: this host is going away. */
  GOING_AWAY: 1001,
  /** The other end broke the protocol. */
  PROTOCOL_ERROR: 1002,
  /** This host has given up on the peer. */
  GAVE_UP: 4001,
} as const;

export type LinkCloseCode = keyof typeof LINK_CLOSE_CODES;

/** The end of a connection that `connect` dialled: it takes data and sends replies. */
export interface DialledEnd {
  readonly reader: FrameReader;
  opened(): void;
  /** Once, whether it was ever open or not; not after this end's own `close`. */
  closed(closure: Closure): void;
}

/** The end of a connection that was accepted: it sends data and takes replies. */
export interface AcceptedEnd {
  readonly reader: FrameReader;
  /** The medium has taken something that was queued: `queuedBytes` is lower. */
  drained(): void;
  /** Once; not after this end's own `close`. */
  closed(closure: Closure): void;
}

/** A connection that this host dialled. */
export interface DialledConnection {
  /** What carries it; `undefined` before it is open. */
  readonly kind: LinkKind | undefined;
  /** Sends a reply frame. */
  reply(header: FrameHeader): SendOutcome;
  /** Which views of `place` are still being filled. */
  readonly filling: ViewLedger;
  /**
   * What `place` has answered may not hold any more: before more of a payload that is under way is
   * stored than what the next read brings, `place` is asked again.
   */
  recall(): void;
  /** Breaks it; the end is told later. Nothing is stored any more. */
  abort(reason: string): void;
  /** Closes or abandons it, without a further callback. */
  close(code: LinkCloseCode, reason: string): void;
}

/** Who dials, as the handshake says. */
export interface DialIdentity {
  readonly nodeId: string;
  /** Rises with every dial of one host, so that two dials of one link are told apart. */
  readonly incarnation: number;
}

/** A connection that a peer dialled. */
export interface AcceptedConnection extends DialIdentity {
  readonly kind: LinkKind;
  readonly open: boolean;
  /** Bytes that the medium has not taken yet. */
  readonly queuedBytes: number;
  /** Replaces the end that takes callbacks. */
  bind(end: AcceptedEnd): void;
  /** Queues one frame. The payload views are read when the medium takes them. */
  write(header: FrameHeader, payload: readonly Uint8Array[]): void;
  /** Which payload views are still read. */
  readonly views: ViewLedger;
  /**
   * Breaks it, in both directions: what the medium has not taken is dropped, both ends are told later
   * that it broke.
   */
  abort(reason: string): void;
  /**
   * Closes it, without a further callback. Frames that the medium has not taken are dropped: their
   * payload may belong to somebody else by now.
   */
  close(code: LinkCloseCode, reason: string): void;
}

/** A dial that is not let in. */
export interface Refusal {
  /** HTTP status; 503 asks the dialler to try again, any other is final. */
  readonly status: number;
  readonly reason: string;
}

/** Who decides about incoming connections: the transport. */
export interface LinkDoor {
  /** Before the connection is accepted; `undefined` lets it in. */
  admit(dial: DialIdentity): Refusal | undefined;
  accepted(connection: AcceptedConnection): void;
  /** A stranger was turned away for breaking the protocol. */
  turnedAway(reason: string): void;
}

export interface DialRequest {
  readonly peer: Peer;
  readonly incarnation: number;
}

/** As `Wires` of `transport.ts`, for whoever knows where the peer is. */
export interface WireMedium {
  offer(): WireOffer;
  dial(peer: Peer, ticket: string): Promise<Socket>;
}

export interface LinkMedium {
  readonly provider: 'ws' | 'memory';
  readonly address: LinkAddress;
  /** From now on connections are accepted; before, dials are told to try again. */
  listen(door: LinkDoor): void;
  dial(request: DialRequest, end: DialledEnd): DialledConnection;
  /** Absent where there are no sockets. */
  readonly wires?: WireMedium;
  /** Resolves when nothing is open any more. All connections have been closed before. */
  close(): Promise<void>;
}

/** The name of an address in messages, and the authority part of its URL. */
export function formatLinkAddress(address: LinkAddress): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

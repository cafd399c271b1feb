/**
 * The cable. A transport keeps two directed links to each peer host and moves frames over them. It
 * knows no queue pair, no memory region and no communicator; `FrameSink` (the NIC) does.
 *
 * Direction. The link A -> B carries A's requests and data to B. It is *dialled by B*, the receiver of
 * the bulk data, so that bulk is never masked (RFC 6455 section 5.3 masks only client to server).
 * Small replies of B to A's traffic (ACK, NAK) go back on the same link, as client frames.
 *
 * Order. Frames of one link, one way, arrive in order and whole, or the link goes down. When it comes
 * up again it has a higher incarnation; what was in flight may be lost. Sequence numbers,
 * acknowledgement and replay are the queue pair's business (`node/verbs`).
 */
import type { Socket } from 'node:net';
import type { FrameHeader } from './frame.ts';

export interface LinkAddress {
  readonly host: string;
  readonly port: number;
}

/** Another host of the cluster; `nodeId` is unique over all hosts and all lives of a host. */
export interface Peer {
  readonly nodeId: string;
  readonly address: LinkAddress;
}

/**
 * `queued`: accepted, will be sent in order. `full`: nothing was accepted, wait for `writable`.
 * `down`: nothing was accepted, the link is not up.
 */
export type SendOutcome = 'queued' | 'full' | 'down';

/** What carries a link: a TCP connection, a Unix socket, or memory of one process. */
export type LinkKind = 'tcp' | 'unix' | 'memory';

/**
 * What the links between hosts may run over. `tcp`: TCP. `unix`: Unix sockets between hosts of one machine,
 * TCP to others; it is an error if this host cannot listen on one. `auto`: the same, but without a Unix
 * socket TCP will do.
 */
export const LINK_CHOICES = ['auto', 'tcp', 'unix'] as const;
export type LinkChoice = (typeof LINK_CHOICES)[number];

/** Who takes what arrives: the NIC. All calls come from the event loop, one at a time. */
export interface FrameSink {
  /**
   * A well-formed header with a payload has arrived on the link `peer -> here`; not one payload byte
   * has been stored. Returns the views that the payload fills, in order, `payloadLength` bytes in all;
   * `null` to have the payload dropped (then `landed` is not called for it).
   *
   * A payload may be stored while it arrives, after this call has returned; after a `quiesce` it is
   * asked again for the same frame. If the answer is other memory, or `null`, the rest is dropped.
   */
  place(nodeId: string, header: FrameHeader): readonly Uint8Array[] | null;
  /** A frame is complete: its payload, if any, is in the views that `place` returned. */
  landed(nodeId: string, header: FrameHeader): void;
  /**
   * The link here -> peer is up (for the first time, or again). The other link is independent: frames
   * of the peer may land before this.
   */
  linkUp(nodeId: string): void;
  /** The link here -> peer went down; the dialling side tries again for `REDIAL_MS`. */
  linkDown(nodeId: string): void;
  /**
   * The peer cannot be reached, refused a dial, or has closed its links on purpose. Both links are
   * closed and the peer is forgotten: only another `connect` starts anew. Once per `connect`, with
   * or without a `linkDown` before it. `reason` is for people.
   */
  linkLost(nodeId: string, reason: string): void;
  /** After `full`: half of the high-water mark is free again on the link here -> peer. */
  writable(nodeId: string): void;
  /**
   * A peer or stranger (`undefined`) broke the protocol and its connection was closed, or a stranger's
   * dial was refused. No memory has been touched.
   */
  protocolError(nodeId: string | undefined, reason: string): void;
}

/** Bytes and frames since the start, both directions of both links to one peer, `connect` or not. */
export interface LinkCounters {
  framesSent: number;
  payloadBytesSent: number;
  framesReceived: number;
  payloadBytesReceived: number;
  reconnects: number;
}

/** One dial that is expected. */
export interface WireOffer {
  /** For the host that is to dial, to name in its dial; 32 hexadecimal digits that nobody can guess. */
  readonly ticket: string;
  /** Rejects after `cancel`, when the transport closes, and after `WIRE_TIMEOUT_MS`. Need not be awaited. */
  readonly accepted: Promise<Socket>;
  /** Nothing happens any more once `accepted` is settled. */
  cancel(): void;
}

/**
 * Connections that somebody else than the transport reads and writes. Each is upgraded (RFC 6455): what
 * the host that accepted it sends is a server's, what the other sends a client's.
 *
 * The socket belongs to whoever gets it, who must destroy it. It is paused; the transport listens to its
 * 'error' and 'close' only, and destroys it when the transport closes. It is made to be read and written by its
 * descriptor: not a byte behind the handshake has been read from the one that `dial` gives, nor
 * may it be read as a stream.
 */
export interface Wires {
  /** Lets one dial with this ticket in. At most `WIRE_OFFERS_MAX` are open at a time: one more rejects. */
  offer(): WireOffer;
  /**
   * Dials a host that `connect` was called for, or this one, with the ticket that it has offered. Rejects
   * (`HlsimError`) if it cannot be reached or refuses, and after `WIRE_TIMEOUT_MS`.
   */
  dial(nodeId: string, ticket: string): Promise<Socket>;
}

export interface Transport {
  readonly provider: 'ws' | 'memory';
  readonly nodeId: string;
  /** Where peers dial this host. */
  readonly address: LinkAddress;
  /** Must be called once, before `connect`. Until then peers that dial are asked to try again. */
  attach(sink: FrameSink): void;
  /**
   * Wants both links to `peer`: dials the link peer -> here, and expects the peer to dial
   * here -> peer. Returns at once; `linkUp` or, after `CONNECT_MS`, `linkLost` follows. Idempotent; nothing after `close`.
   * A host may connect to itself: such frames are copied inside the process.
   */
  connect(peer: Peer): void;
  /**
   * Closes both links to a peer; no further events about it. Frames that are still queued are
   * dropped, their views are not read any more. Unknown peers are ignored.
   */
  disconnect(nodeId: string): void;
  /**
   * Sends a frame on the link here -> peer. The payload views are read when the socket takes them,
   * not now: they must stay unchanged until the frame is acknowledged by the peer's queue pair.
   * A header that breaks a rule of `docs/wire-protocol.md`, and a payload of another length than it
   * says, are programmer errors.
   */
  send(nodeId: string, header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome;
  /**
   * Sends a payload-less frame back on the link peer -> here (ACK, NAK). Never `full`: they are few,
   * and a peer that leaves megabytes of them unread has its connection closed.
   */
  reply(nodeId: string, header: FrameHeader): SendOutcome;
  /** What carries the link here -> peer, or if it is down the one peer -> here; `undefined` if both are. */
  linkKind(nodeId: string): LinkKind | undefined;
  /**
   * Whether no payload view that `send` was given for this peer is still read, and none that `place`
   * answered for it is still filled.
   */
  isQuiet(nodeId: string): boolean;
  /**
   * Resolves when every payload view that `send` has taken so far for this peer is not read any more:
   * the socket took it, or the connection is gone; and when none is filled any more that `place` would
   * not answer again. A connection on which this is not so after `deadlineMs` is broken and redialled,
   * so this ends in bounded time. For owners of memory who take it back: first they see to it that
   * `place` does not give it out any more, then they call this.
   */
  quiesce(nodeId: string, deadlineMs: number): Promise<void>;
  counters(nodeId: string): LinkCounters;
  /** Absent where the medium has no sockets. */
  readonly wires?: Wires;
  /** Closes everything; resolves when no socket and no port is held any more. */
  close(): Promise<void>;
}

/** How long a closed link is redialled. Whether the host is dead is the coordinator's verdict. */
export const REDIAL_MS = 500;
/** How long the first connection to a peer may take. */
export const CONNECT_MS = 5_000;
/** How long a wire may take, from the offer to the dial, and from the dial to the answer. */
export const WIRE_TIMEOUT_MS = 10_000;
/** Bytes queued on one link above which `send` answers `full`. */
export const LINK_HIGH_WATER_BYTES = 4 * 1024 * 1024;

/**
 * One frame of a link: a fixed 64-byte little-endian header and a raw payload. `docs/wire-protocol.md`
 * gives every field; `frame-codec.ts` reads and writes the bytes.
 *
 * The fields are those of an RDMA reliable connection packet (InfiniBand BTH, RETH, AETH, ImmDt)
 * in one layout, so that a header is read before a single payload byte is placed.
 */
export const FRAME_TYPES = {
  /** RDMA WRITE; payload for `remoteAddress` under `rkey`. */
  WRITE: 1,
  /** RDMA WRITE whose last frame also completes a receive with `immediate`. */
  WRITE_IMM: 2,
  /** SEND into the peer's next posted receive. */
  SEND: 3,
  SEND_IMM: 4,
  /** RDMA READ request for `messageLength` bytes at `remoteAddress`; no payload. */
  READ_REQUEST: 5,
  /** Part of the answer to the READ request that has the same `psn`. */
  READ_RESPONSE: 6,
  /** Everything up to and including `psn` has been executed. `credits`: see below. */
  ACK: 7,
  /** Refused at `psn`; `syndrome` says why. Everything before `psn` has been executed. */
  NAK: 8,
  /** Connection management between fabric endpoints; payload is theirs. */
  CM: 9,
  /** Compare and swap of 8 bytes at `remoteAddress`; payload: the two operands. */
  ATOMIC_CAS: 10,
  /** Fetch and add to 8 bytes at `remoteAddress`; payload: the operand. */
  ATOMIC_FAA: 11,
  /** What stood there before the atomic request that has the same `psn`; payload: 8 bytes. */
  ATOMIC_RESPONSE: 12,
} as const;

export type FrameType = keyof typeof FRAME_TYPES;

export const NAK_SYNDROMES = {
  NONE: 0,
  /** A gap in `psn`: send again from `psn`. */
  SEQUENCE_ERROR: 1,
  /** No receive is posted: try again after the RNR timer. */
  RNR: 2,
  INVALID_REQUEST: 3,
  REMOTE_ACCESS_ERROR: 4,
  REMOTE_OPERATION_ERROR: 5,
} as const;

export type NakSyndrome = keyof typeof NAK_SYNDROMES;

export interface FrameHeader {
  readonly type: FrameType;
  /** Position in its message: the first frame, the last frame, both, or neither. */
  readonly first: boolean;
  readonly last: boolean;
  /** Its sender does not wait for the acknowledgement, which may come with later ones (BTH AckReq is 0). */
  readonly ackLater: boolean;
  /** Queue pair (or, for `CM`, endpoint id) at the receiver of this frame. */
  readonly destQpn: number;
  readonly sourceQpn: number;
  /** Epoch of the communicator that made the queue pair; older ones are refused. */
  readonly qpEpoch: number;
  /** Packet sequence number, 32 bit, one per frame that asks for an acknowledgement. */
  readonly psn: number;
  /** WRITE, READ and atomics: device or host address in the peer's region, below 2^53. */
  readonly remoteAddress: number;
  readonly rkey: number;
  /** Bytes of the whole message. */
  readonly messageLength: number;
  /** Where this frame's payload starts in the message. */
  readonly messageOffset: number;
  /** Bytes of payload behind the header. */
  readonly payloadLength: number;
  /** Immediate data, 32 bit. */
  readonly immediate: number;
  readonly syndrome: NakSyndrome;
  /** ACK and NAK: how many receives the responder has posted in all since the start, modulo 2^32. */
  readonly credits: number;
}

export const FRAME_HEADER_BYTES = 64;
export const FRAME_VERSION = 3;

/** Payload of the frames whose payload has one length only: they are whole messages. */
export const FIXED_PAYLOAD_BYTES: Readonly<Partial<Record<FrameType, number>>> = {
  ATOMIC_CAS: 16,
  ATOMIC_FAA: 8,
  ATOMIC_RESPONSE: 8,
};

/** Payload bytes that one frame may carry; the path MTU of every queue pair. */
export const LINK_MTU_BYTES = 1024 * 1024;

/** Longest message of any kind: 2^31 bytes, as InfiniBand has it (IBTA volume 1, section 9.4.1). */
export const MAX_MESSAGE_BYTES = 2 ** 31;

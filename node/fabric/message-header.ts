/**
 * The header in front of everything that an endpoint sends to a peer by SEND, little-endian:
 *
 *   0   u64  tag; 0 for untagged messages
 *   8   u8   kind: 1 EAGER, 2 SEGMENT, 3 RTS, 4 ACK, 5 WRITTEN, 6 WINDOW_WANTED, 7 WINDOW
 *   9   u8   flags: 1 = tagged, 2 = has data, 4 = tell me when it is delivered
 *   10  u16  ACK: how the message ended, see `ACK_OUTCOMES`; WINDOW: 0 open, 2 refused; else 0
 *   12  u32  bytes of the whole message; WRITTEN: bytes that were written
 *   16  u32  sequence: number of this message on its way, modulo 2^32; equal for its segments
 *   20  u32  immediate data of the message; ACK: sequence of the message that it is about; WINDOW_WANTED,
 *            WINDOW: key of a region
 *
 * EAGER: the message, or its first `SEGMENT_BYTES`, follows. SEGMENT: the next part. RTS ("ready to
 * send"): the message waits at its sender; a u64 address and a u64 key follow, under which the
 * receiver reads it. ACK: the message of that number is delivered or dropped (as libfabric's RxM).
 *
 * Between endpoints of provider `p2p`: WRITTEN: the sender has written to memory of the receiver, and that with
 * data. WINDOW_WANTED: may the sender map the region with this key? WINDOW: the answer; `window-message.ts` has
 * what follows if it may. All three have data, and but for WRITTEN a length of 0.
 */
import { WINDOW_BODY_BYTES } from './window-message.ts';

export interface MessageHeader {
  readonly kind: MessageKind;
  readonly tagged: boolean;
  /** 64 bit. */
  readonly tag: bigint;
  /** Immediate data, 32 bit, if it has some; in an ACK, the number of the message; of a window, the key. */
  readonly data: number | undefined;
  /** An ACK is wanted. */
  readonly wantsAck: boolean;
  readonly outcome: AckOutcome;
  readonly length: number;
  readonly sequence: number;
}

export const MESSAGE_KINDS = {
  EAGER: 1,
  SEGMENT: 2,
  RTS: 3,
  ACK: 4,
  WRITTEN: 5,
  WINDOW_WANTED: 6,
  WINDOW: 7,
} as const;
export type MessageKind = keyof typeof MESSAGE_KINDS;

/**
 * DONE: delivered, or dropped on purpose. UNREADABLE: the sender's memory could not be read any more.
 * FAILED: the receiver's side failed.
 */
export const ACK_OUTCOMES = { DONE: 0, UNREADABLE: 1, FAILED: 2 } as const;
export type AckOutcome = keyof typeof ACK_OUTCOMES;

/** Where a message lies that its receiver fetches. */
export interface RemoteMessage {
  readonly address: number;
  readonly key: number;
}

export const MESSAGE_HEADER_BYTES = 24;
/** Bytes of the body of an RTS. */
export const RTS_BODY_BYTES = 16;
/** Message bytes of one SEND. */
export const SEGMENT_BYTES = 8192;
/** Longest message that is sent at once; longer ones wait until their receive is there. */
export const EAGER_BYTES = 16_384;

const TAGGED = 1;
const HAS_DATA = 2;
const WANTS_ACK = 4;
const KIND_NAMES = Object.keys(MESSAGE_KINDS) as MessageKind[];
const OUTCOME_NAMES = Object.keys(ACK_OUTCOMES) as AckOutcome[];

export function writeMessageHeader(header: MessageHeader, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, MESSAGE_HEADER_BYTES);
  view.setBigUint64(0, header.tag, true);
  view.setUint8(8, MESSAGE_KINDS[header.kind]);
  const tagged = header.tagged ? TAGGED : 0;
  const data = header.data === undefined ? 0 : HAS_DATA;
  view.setUint8(9, tagged | data | (header.wantsAck ? WANTS_ACK : 0));
  view.setUint16(10, ACK_OUTCOMES[header.outcome], true);
  view.setUint32(12, header.length, true);
  view.setUint32(16, header.sequence, true);
  view.setUint32(20, header.data ?? 0, true);
}

/** The header of `bytes`, a whole SEND; `undefined` if it is not one. */
export function readMessageHeader(bytes: Uint8Array): MessageHeader | undefined {
  if (bytes.byteLength < MESSAGE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = KIND_NAMES[view.getUint8(8) - 1];
  const flags = view.getUint8(9);
  const outcome = OUTCOME_NAMES[view.getUint16(10, true)];
  if (kind === undefined || outcome === undefined) return undefined;
  if (flags > (TAGGED | HAS_DATA | WANTS_ACK)) return undefined;
  const length = view.getUint32(12, true);
  const data = (flags & HAS_DATA) !== 0 ? view.getUint32(20, true) : undefined;
  const header: MessageHeader = {
    kind,
    tagged: (flags & TAGGED) !== 0,
    tag: view.getBigUint64(0, true),
    data,
    wantsAck: (flags & WANTS_ACK) !== 0,
    outcome,
    length,
    sequence: view.getUint32(16, true),
  };
  return fitsKind(header, bytes.byteLength - MESSAGE_HEADER_BYTES) ? header : undefined;
}

/** Whether a SEND with this header may have `body` bytes behind it. */
function fitsKind(
  { kind, outcome, length, data }: Pick<MessageHeader, 'kind' | 'outcome' | 'length' | 'data'>,
  body: number,
): boolean {
  switch (kind) {
    case 'EAGER':
      return body === Math.min(length, SEGMENT_BYTES) && length <= EAGER_BYTES;
    case 'SEGMENT':
      return body > 0 && body <= SEGMENT_BYTES && length <= EAGER_BYTES;
    case 'RTS':
      return body === RTS_BODY_BYTES;
    case 'ACK':
      return body === 0;
    case 'WRITTEN':
      return body === 0 && data !== undefined && outcome === 'DONE' && length > 0;
    case 'WINDOW_WANTED':
      return body === 0 && data !== undefined && outcome === 'DONE' && length === 0;
    case 'WINDOW':
      return body === windowBodyBytes(outcome) && data !== undefined && length === 0;
  }
}

/** `undefined`: there is no such answer. */
function windowBodyBytes(outcome: AckOutcome): number | undefined {
  return { DONE: WINDOW_BODY_BYTES, FAILED: 0, UNREADABLE: undefined }[outcome];
}

/** Writes the body of an RTS. */
export function writeRemoteMessage({ address, key }: RemoteMessage, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RTS_BODY_BYTES);
  view.setBigUint64(0, BigInt(address), true);
  view.setBigUint64(8, BigInt(key), true);
}

/** The body of an RTS; `undefined` if the numbers are none that verbs have. */
export function readRemoteMessage(bytes: Uint8Array): RemoteMessage | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RTS_BODY_BYTES);
  const [address, key] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
  if (address > BigInt(Number.MAX_SAFE_INTEGER) || key > 0xffff_ffffn) return undefined;
  return { address: Number(address), key: Number(key) };
}

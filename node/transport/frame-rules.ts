/**
 * The rules that a frame header obeys whatever its bytes are. The encoder asserts them, the decoder
 * reports them as values, and `loopback-link.ts`, which has no bytes, asserts them too.
 */
import { assert } from '../../common/assert.ts';
import {
  FIXED_PAYLOAD_BYTES,
  type FrameHeader,
  type FrameType,
  LINK_MTU_BYTES,
  MAX_MESSAGE_BYTES,
} from './frame.ts';

const UINT32_MAX = 0xffff_ffff;

/** Frames that may carry bytes, and whose `first` and `last` follow from their offsets. */
const PAYLOAD_TYPES: ReadonlySet<FrameType> = new Set<FrameType>([
  'WRITE',
  'WRITE_IMM',
  'SEND',
  'SEND_IMM',
  'READ_RESPONSE',
  'CM',
  'ATOMIC_CAS',
  'ATOMIC_FAA',
  'ATOMIC_RESPONSE',
]);

/** Frames that answer: the only ones the dialling end of a link may send, and nothing else may. */
const REPLY_TYPES: ReadonlySet<FrameType> = new Set<FrameType>(['ACK', 'NAK']);

/** Whether frames of this type travel from the dialling end back to the accepting end. */
export function isReply(type: FrameType): boolean {
  return REPLY_TYPES.has(type);
}

/** Asserts what the encoder needs; `loopback-link.ts`, which encodes nothing, asks for it too. */
export function assertFrameHeader(header: FrameHeader): void {
  const fault = faultOfNumbers(header) ?? faultOfHeader(header);
  assert(fault === undefined, fault ?? '');
}

/** What the rules between fields forbid; `undefined` if nothing. */
export function faultOfHeader(header: FrameHeader): string | undefined {
  const { type, messageLength, messageOffset, payloadLength, syndrome } = header;
  if (payloadLength > LINK_MTU_BYTES) {
    return `Expected a payload of at most ${LINK_MTU_BYTES} bytes but found ${payloadLength}`;
  }
  if (messageLength > MAX_MESSAGE_BYTES) {
    return `Expected a message of at most ${MAX_MESSAGE_BYTES} bytes but found ${messageLength}`;
  }
  if (messageOffset + payloadLength > messageLength) {
    return `Expected the payload within a message of ${messageLength} bytes but found it at ${messageOffset} + ${payloadLength}`;
  }
  if ((type === 'NAK') === (syndrome === 'NONE')) {
    return `Expected a syndrome on a NAK and on nothing else but found ${syndrome} on a ${type}`;
  }
  if (PAYLOAD_TYPES.has(type)) return faultOfPosition(header);
  if (payloadLength !== 0) {
    return `Expected no payload on a ${type} but found ${payloadLength} bytes`;
  }
  return undefined;
}

/** `first` and `last` are redundant with the offsets; a header in which they differ is forged. */
function faultOfPosition(header: FrameHeader): string | undefined {
  const { type, first, last, messageLength, messageOffset, payloadLength } = header;
  const fixed = FIXED_PAYLOAD_BYTES[type];
  if (fixed !== undefined && (payloadLength !== fixed || messageLength !== fixed)) {
    return `Expected a ${type} of ${fixed} bytes but found ${payloadLength} of ${messageLength}`;
  }
  if (payloadLength === 0 && messageLength > 0) {
    return `Expected payload in a ${type} of a message of ${messageLength} bytes but found none`;
  }
  if (first !== (messageOffset === 0)) {
    return `Expected the first flag of a ${type} at offset 0 only but found ${first} at ${messageOffset}`;
  }
  if (last !== (messageOffset + payloadLength === messageLength)) {
    return `Expected the last flag of a ${type} at the end only but found ${last} at ${messageOffset} + ${payloadLength} of ${messageLength}`;
  }
  return undefined;
}

/** Numbers that do not fit their field; bytes that were read always do. */
function faultOfNumbers(header: FrameHeader): string | undefined {
  const { remoteAddress } = header;
  if (!Number.isSafeInteger(remoteAddress) || remoteAddress < 0) {
    return `Expected a remote address below 2^53 but found ${remoteAddress}`;
  }
  const fits =
    isUint32(header.destQpn) &&
    isUint32(header.sourceQpn) &&
    isUint32(header.qpEpoch) &&
    isUint32(header.psn) &&
    isUint32(header.rkey) &&
    isUint32(header.messageLength) &&
    isUint32(header.messageOffset) &&
    isUint32(header.payloadLength) &&
    isUint32(header.immediate) &&
    isUint32(header.credits);
  return fits ? undefined : `Expected 32-bit fields but found ${JSON.stringify(header)}`;
}

/** Whether the value fits a 32-bit field. */
export function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= UINT32_MAX;
}

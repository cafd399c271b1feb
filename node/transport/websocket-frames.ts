/**
 * The frames of RFC 6455, section 5, as far as a link needs them: heads, and the payload of a close
 * frame. A link's own frame (`frame.ts`) is the payload of one or more of these.
 */
import { assert } from '../../common/assert.ts';

export const OPCODES = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;

export const FIN_BIT = 0x80;
export const RESERVED_BITS = 0x70;
export const OPCODE_BITS = 0x0f;
export const MASK_BIT = 0x80;
export const LENGTH_BITS = 0x7f;
/** In place of a length: 16 or 64 bits of it follow. */
export const LENGTH_IN_16_BITS = 126;
export const LENGTH_IN_64_BITS = 127;
export const MASK_BYTES = 4;
/** First two bytes, a length of 64 bits, a mask. */
export const HEAD_BYTES_MAX = 14;
export const CONTROL_PAYLOAD_BYTES_MAX = 125;

/** A close frame whose payload is empty says this (section 7.1.5); it is never sent. */
export const NO_STATUS = 1005;

const UINT16_LIMIT = 0x1_0000;
const CLOSE_CODE_BYTES = 2;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bytes of the head of a frame. */
export function headBytes(payloadBytes: number, isMasked: boolean): number {
  const mask = isMasked ? MASK_BYTES : 0;
  if (payloadBytes < LENGTH_IN_16_BITS) return 2 + mask;
  return (payloadBytes < UINT16_LIMIT ? 4 : 10) + mask;
}

/**
 * Writes the head of a whole message, or of a control frame, at `offset` and returns the offset
 * behind it. A mask is four zeros, which leaves the payload as it is; why that is right here is in
 * `docs/wire-protocol.md`.
 */
export function writeHead(
  target: Uint8Array,
  offset: number,
  opcode: number,
  payloadBytes: number,
  isMasked: boolean,
): number {
  const maskBit = isMasked ? MASK_BIT : 0;
  let at = offset;
  target[at++] = FIN_BIT | opcode;
  if (payloadBytes < LENGTH_IN_16_BITS) {
    target[at++] = maskBit | payloadBytes;
  } else if (payloadBytes < UINT16_LIMIT) {
    target[at++] = maskBit | LENGTH_IN_16_BITS;
    target[at++] = payloadBytes >>> 8;
    target[at++] = payloadBytes & 0xff;
  } else {
    assert(payloadBytes < 2 ** 32, `Expected a payload below 4 GiB but found ${payloadBytes}`);
    target[at++] = maskBit | LENGTH_IN_64_BITS;
    target.fill(0, at, at + 4);
    at += 4;
    target[at++] = payloadBytes >>> 24;
    target[at++] = (payloadBytes >>> 16) & 0xff;
    target[at++] = (payloadBytes >>> 8) & 0xff;
    target[at++] = payloadBytes & 0xff;
  }
  if (!isMasked) return at;
  target.fill(0, at, at + MASK_BYTES);
  return at + MASK_BYTES;
}

/** Payload of a close frame; `reason` is cut to what it holds, never in the middle of a character. */
export function closePayload(code: number, reason: string): Uint8Array {
  const room = CONTROL_PAYLOAD_BYTES_MAX - CLOSE_CODE_BYTES;
  let cut = reason.slice(0, room);
  while (Buffer.byteLength(cut) > room) cut = cut.slice(0, -1);
  const payload = Buffer.alloc(CLOSE_CODE_BYTES + Buffer.byteLength(cut));
  payload.writeUInt16BE(code, 0);
  payload.write(cut, CLOSE_CODE_BYTES);
  return payload;
}

/** What a close frame says, or what is wrong with it. */
export function readClosePayload(
  payload: Uint8Array,
): { readonly code: number; readonly reason: string } | string {
  if (payload.byteLength === 0) return { code: NO_STATUS, reason: '' };
  const [high, low] = payload;
  if (high === undefined || low === undefined) return 'Expected a close code but found one byte';
  const code = high * 256 + low;
  if (!isCloseCode(code)) return `Expected a close code that may be sent but found ${code}`;
  try {
    return { code, reason: utf8.decode(payload.subarray(CLOSE_CODE_BYTES)) };
  } catch {
    return 'Expected a close reason in UTF-8';
  }
}

/** Section 7.4: those of the registry that may travel, and those for applications. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** Takes the mask at `maskAt` off the bytes [from, to), in place. */
export function unmask(bytes: Uint8Array, from: number, to: number, maskAt: number): void {
  for (let at = from; at < to; at++) {
    bytes[at] = (bytes[at] ?? 0) ^ (bytes[maskAt + ((at - from) & 3)] ?? 0);
  }
}

/** Whether the mask at `maskAt` is four zeros: a link's own diallers send no other. */
export function isZeroMask(bytes: Uint8Array, maskAt: number): boolean {
  for (let at = maskAt; at < maskAt + MASK_BYTES; at++) if (bytes[at] !== 0) return false;
  return true;
}

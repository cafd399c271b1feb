/**
 * What travels on a wire: RFC 6455 frames of a server, which are not masked, each of them final.
 *
 *     CALL   text, always 512 bytes: the call that follows in words, padded with spaces; before the first
 *            DATA of a call that is not the one before it on this wire
 *     DATA   binary: header of 16 bytes, then the payload
 *
 *     0  operation (u32)   4  digest of the call (u32)   8  number in the operation (u32)   12  payload bytes (u32)
 *
 * All little-endian. Both ends run the same schedule, so the receiver knows each frame before it comes, and
 * chooses where the payload goes when its header is what it knows. See docs/wire-protocol.md.
 */

/** A CALL, all of it. */
export const CALL_BYTES = 512;
const CALL_HEAD_BYTES = 4;
const CALL_TEXT_BYTES = CALL_BYTES - CALL_HEAD_BYTES;
/** FIN with the opcodes of text and binary. */
export const CALL_OPCODE = 0x81;
export const DATA_OPCODE = 0x82;
const HEADER_BYTES = 16;
/** Header of DATA and of its frame, at most. */
export const DATA_HEAD_BYTES_MAX = 26;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** One DATA as both ends know it. */
export interface DataFrame {
  sequence: number;
  digest: number;
  /** Of those of the operation on this wire, from 0. */
  index: number;
  bytes: number;
}

/** Bytes before the payload: lengths are as short as RFC 6455 wants them. */
export function dataHeadBytes(bytes: number): number {
  const length = HEADER_BYTES + bytes;
  if (length < 126) return 2 + HEADER_BYTES;
  return (length < 0x1_0000 ? 4 : 10) + HEADER_BYTES;
}

/** Writes what stands before a payload; returns its length. */
export function writeDataHead(view: DataView, offset: number, frame: DataFrame): number {
  const length = HEADER_BYTES + frame.bytes;
  view.setUint8(offset, DATA_OPCODE);
  let at = offset + 2;
  if (length < 126) {
    view.setUint8(offset + 1, length);
  } else if (length < 0x1_0000) {
    view.setUint8(offset + 1, 126);
    view.setUint16(offset + 2, length);
    at += 2;
  } else {
    view.setUint8(offset + 1, 127);
    view.setUint32(offset + 2, 0);
    view.setUint32(offset + 6, length);
    at += 8;
  }
  view.setUint32(at, frame.sequence, true);
  view.setUint32(at + 4, frame.digest, true);
  view.setUint32(at + 8, frame.index, true);
  view.setUint32(at + 12, frame.bytes, true);
  return at + HEADER_BYTES - offset;
}

/**
 * Compares what came before a payload with what was to come. `other`: it is of another call, or of another
 * operation; `wrong`: no peer sends that.
 */
export function checkDataHead(
  view: DataView,
  offset: number,
  frame: DataFrame,
): 'expected' | 'other' | 'wrong' {
  if (view.getUint8(offset) !== DATA_OPCODE) return 'wrong';
  const found = view.getUint8(offset + 1);
  const size = found < 126 ? 2 : found === 126 ? 4 : 10;
  const at = offset + size;
  if (found > 127) return 'wrong';
  // What is of another length may still be of another call: the header says.
  const isSameSize = size + HEADER_BYTES === dataHeadBytes(frame.bytes);
  if (isSameSize || size === 2) {
    if (view.getUint32(at, true) !== frame.sequence) return 'other';
    if (view.getUint32(at + 4, true) !== frame.digest) return 'other';
  }
  if (!isSameSize) return 'wrong';
  if (frameLength(view, offset, size) !== HEADER_BYTES + frame.bytes) return 'wrong';
  if (view.getUint32(at + 12, true) !== frame.bytes) return 'wrong';
  return view.getUint32(at + 8, true) === frame.index ? 'expected' : 'wrong';
}

/** What a frame says of its length, with a head of so many bytes. */
function frameLength(view: DataView, offset: number, size: number): number {
  if (size === 2) return view.getUint8(offset + 1);
  if (size === 4) return view.getUint16(offset + 2);
  return view.getUint32(offset + 2) * 2 ** 32 + view.getUint32(offset + 6);
}

/** Writes a CALL. Longer texts are cut off. */
export function writeCall(bytes: Uint8Array, offset: number, text: string): void {
  bytes[offset] = CALL_OPCODE;
  bytes[offset + 1] = 126;
  bytes[offset + 2] = CALL_TEXT_BYTES >> 8;
  bytes[offset + 3] = CALL_TEXT_BYTES & 0xff;
  const start = offset + CALL_HEAD_BYTES;
  bytes.fill(0x20, start, offset + CALL_BYTES);
  bytes.set(ENCODER.encode(text).subarray(0, CALL_TEXT_BYTES), start);
}

/** The text of a CALL; `undefined` if it is none. */
export function readCall(bytes: Uint8Array, offset: number): string | undefined {
  const head = bytes.subarray(offset, offset + CALL_HEAD_BYTES);
  const isCall = head[0] === CALL_OPCODE && head[1] === 126;
  if (!isCall || (head[2] ?? 0) * 256 + (head[3] ?? 0) !== CALL_TEXT_BYTES) return undefined;
  // A copy: texts are not decoded from memory that threads share.
  const text = bytes.slice(offset + CALL_HEAD_BYTES, offset + CALL_BYTES);
  return DECODER.decode(text).trimEnd();
}

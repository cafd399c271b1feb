/**
 * The header in front of every message of a fabric endpoint, in the same SEND, little-endian:
 *
 *   0   u64  tag; 0 for untagged messages
 *   8   u16  flags: 1 = tagged
 *   10  u16  0
 *   12  u32  bytes of the message behind the header
 */
export interface MessageHeader {
  readonly tagged: boolean;
  /** 64 bit. */
  readonly tag: bigint;
  readonly length: number;
}

export const MESSAGE_HEADER_BYTES = 16;
/** Longest message; all of them are eager: they travel at once and land in a pre-posted receive. */
export const EAGER_BYTES = 4096;

const TAGGED = 1;

export function writeMessageHeader(header: MessageHeader, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, MESSAGE_HEADER_BYTES);
  view.setBigUint64(0, header.tag, true);
  view.setUint16(8, header.tagged ? TAGGED : 0, true);
  view.setUint16(10, 0, true);
  view.setUint32(12, header.length, true);
}

/** The header of a message of `bytes` in all; `undefined` if it is not one. */
export function readMessageHeader(bytes: Uint8Array): MessageHeader | undefined {
  if (bytes.byteLength < MESSAGE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(8, true);
  const length = view.getUint32(12, true);
  if (flags > TAGGED || view.getUint16(10, true) !== 0) return undefined;
  if (length !== bytes.byteLength - MESSAGE_HEADER_BYTES) return undefined;
  return { tagged: flags === TAGGED, tag: view.getBigUint64(0, true), length };
}

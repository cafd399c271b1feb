/**
 * READY: a rank has posted the receive for a message and tells its sender, in a tagged message of 16
 * bytes, little-endian:
 *
 *   0   u32  number of the message, among those from the one to the other
 *   4   u32  data type
 *   8   f64  elements
 */

/** Tag of every READY. */
export const READY_TAG = 2n;
export const READY_BYTES = 16;
/** Tag of the bytes of message 0; the others follow. Above every other tag of a communicator. */
const BYTES_TAG = 1n << 40n;

export interface Ready {
  readonly number: number;
  readonly count: number;
  readonly dataType: number;
}

/** Tag of the bytes of a message. */
export function bytesTag(number: number): bigint {
  return BYTES_TAG + BigInt(number);
}

export function encodeReady({ number, count, dataType }: Ready): Uint8Array {
  const view = new DataView(new ArrayBuffer(READY_BYTES));
  view.setUint32(0, number, true);
  view.setUint32(4, dataType, true);
  view.setFloat64(8, count, true);
  return new Uint8Array(view.buffer);
}

/** The message, or `undefined` if the bytes are not one: a peer that is broken. */
export function decodeReady(bytes: Uint8Array): Ready | undefined {
  if (bytes.byteLength !== READY_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    number: view.getUint32(0, true),
    dataType: view.getUint32(4, true),
    count: view.getFloat64(8, true),
  };
}

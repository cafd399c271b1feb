/**
 * The HELLO of connection management: what two sides tell each other before a reliable connection
 * works (rdma_cm(7) and the InfiniBand communication manager say the same with REQ, REP and RTU).
 * It is the payload of a `CM` frame, little-endian:
 *
 *   0  u8   version, 1
 *   1  u8   flags: 1 = I have your HELLO, 2 = please answer
 *   2  u16  0
 *   4  u32  queue pair number
 *   8  u32  first sequence number that this queue pair will send
 *   12 u32  receives posted so far (credits)
 *
 * The frame's header names the rest: `destQpn` and `sourceQpn` are the two services, `qpEpoch` the
 * communicator's epoch.
 */
export interface Hello {
  readonly seen: boolean;
  readonly answerWanted: boolean;
  readonly qpn: number;
  readonly psn: number;
  readonly credits: number;
}

export const HELLO_BYTES = 16;
/** Longest payload of a `CM` frame that is looked at; room for later versions. */
export const CM_PAYLOAD_BYTES_MAX = 256;

const VERSION = 1;
const SEEN = 1;
const ANSWER_WANTED = 2;

export function encodeHello(hello: Hello): Uint8Array {
  const bytes = new Uint8Array(HELLO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, (hello.seen ? SEEN : 0) | (hello.answerWanted ? ANSWER_WANTED : 0));
  view.setUint32(4, hello.qpn, true);
  view.setUint32(8, hello.psn, true);
  view.setUint32(12, hello.credits, true);
  return bytes;
}

/** `undefined` if the bytes are not a HELLO of this version. */
export function decodeHello(bytes: Uint8Array): Hello | undefined {
  if (bytes.byteLength !== HELLO_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint8(1);
  if (view.getUint8(0) !== VERSION || flags > (SEEN | ANSWER_WANTED) || view.getUint16(2) !== 0) {
    return undefined;
  }
  return {
    seen: (flags & SEEN) !== 0,
    answerWanted: (flags & ANSWER_WANTED) !== 0,
    qpn: view.getUint32(4, true),
    psn: view.getUint32(8, true),
    credits: view.getUint32(12, true),
  };
}

/**
 * The memory behind sendmsg(2) and recvmsg(2), used again for every call: `struct msghdr` with one
 * `struct iovec` and room for one descriptor (`struct cmsghdr`, cmsg(3)), as on 64-bit Linux.
 */
import { assert } from '../../common/assert.ts';

/** Longest message of a channel. */
export const UNIX_MESSAGE_BYTES_MAX = 256;

const MSGHDR_BYTES = 56;
const IOVEC_BYTES = 16;
/** CMSG_LEN(sizeof(int)): the kernel finds room for one descriptor and no more. */
const CONTROL_BYTES = 20;
/** Where in `struct msghdr` and `struct iovec`, both made of 8-byte words. */
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROL = 32;
const MSG_CONTROLLEN = 40;
const MSG_FLAGS = 48;
const IOV_LEN = 8;
/** Where in `struct cmsghdr`. */
const CMSG_LEVEL = 8;
const CMSG_TYPE = 12;
const CMSG_DATA = 16;

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x08;
const MSG_TRUNC = 0x20;

export class UnixMessage {
  readonly #header = bytesOf(MSGHDR_BYTES);
  readonly #iovec = bytesOf(IOVEC_BYTES);
  readonly #control = bytesOf(CONTROL_BYTES);
  readonly #payload = bytesOf(UNIX_MESSAGE_BYTES_MAX);
  readonly #controlAddress: bigint;

  constructor(addressOf: (bytes: Uint8Array) => bigint) {
    this.#controlAddress = addressOf(this.#control.bytes);
    this.#iovec.view.setBigUint64(0, addressOf(this.#payload.bytes), true);
    this.#header.view.setBigUint64(MSG_IOV, addressOf(this.#iovec.bytes), true);
    this.#header.view.setUint32(MSG_IOVLEN, 1, true);
  }

  /** The `struct msghdr` of a message and perhaps a descriptor. */
  toSend(message: Uint8Array, fd: number | undefined): Uint8Array {
    const { byteLength } = message;
    const fits = byteLength > 0 && byteLength <= UNIX_MESSAGE_BYTES_MAX;
    assert(fits, `Expected a message of 1 to ${UNIX_MESSAGE_BYTES_MAX} bytes, not ${byteLength}`);
    this.#payload.bytes.set(message);
    this.#prepare(byteLength, fd === undefined ? 0 : CONTROL_BYTES);
    if (fd !== undefined) {
      const { view } = this.#control;
      view.setUint32(0, CONTROL_BYTES, true);
      view.setInt32(CMSG_LEVEL, SOL_SOCKET, true);
      view.setInt32(CMSG_TYPE, SCM_RIGHTS, true);
      view.setInt32(CMSG_DATA, fd, true);
    }
    return this.#header.bytes;
  }

  /** The `struct msghdr` for whatever comes. */
  toReceive(): Uint8Array {
    this.#prepare(UNIX_MESSAGE_BYTES_MAX, CONTROL_BYTES);
    return this.#header.bytes;
  }

  /** What came: `isTruncated`: the message was longer; `isStripped`: there were more descriptors. */
  received(): { fd: number | undefined; isTruncated: boolean; isStripped: boolean } {
    const flags = this.#header.view.getInt32(MSG_FLAGS, true);
    const { view } = this.#control;
    const isRights =
      this.#header.view.getUint32(MSG_CONTROLLEN, true) >= CONTROL_BYTES &&
      view.getInt32(CMSG_LEVEL, true) === SOL_SOCKET &&
      view.getInt32(CMSG_TYPE, true) === SCM_RIGHTS;
    return {
      fd: isRights ? view.getInt32(CMSG_DATA, true) : undefined,
      isTruncated: (flags & MSG_TRUNC) !== 0,
      isStripped: (flags & MSG_CTRUNC) !== 0,
    };
  }

  /** The first `bytes` of the message, for its receiver to keep. */
  copy(bytes: number): Uint8Array {
    return this.#payload.bytes.slice(0, bytes);
  }

  #prepare(bytes: number, controlBytes: number): void {
    const { view } = this.#header;
    this.#iovec.view.setUint32(IOV_LEN, bytes, true);
    view.setBigUint64(MSG_CONTROL, controlBytes === 0 ? 0n : this.#controlAddress, true);
    view.setUint32(MSG_CONTROLLEN, controlBytes, true);
    view.setInt32(MSG_FLAGS, 0, true);
    this.#control.bytes.fill(0);
  }
}

/** Outside V8's heap, so that the address stays. */
function bytesOf(bytes: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  const buffer = new ArrayBuffer(bytes);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

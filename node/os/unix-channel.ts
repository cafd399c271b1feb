/**
 * Unix sockets of kind SOCK_SEQPACKET (unix(7)), which Node.js does not have: messages keep their
 * borders, and a descriptor of a file can go along (SCM_RIGHTS). Nothing here ever blocks.
 */
import { assert } from '../../common/assert.ts';
import { type Libc, OS_ERRNO, osError } from './libc.ts';
import type {
  OperatingSystem,
  PeerCredentials,
  UnixChannel,
  UnixListener,
} from './operating-system.ts';
import { UnixMessage } from './unix-message.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** `struct ucred`: pid, uid, gid. */
const UCRED_BYTES = 12;
/** Connections that wait to be accepted. */
const BACKLOG = 128;
/** `sun_path` of `struct sockaddr_un`, whose first byte is 0 for an abstract name. */
const SUN_PATH_BYTES = 108;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** The send queue, or what the kernel allows to be under way of descriptors, is full for now. */
const FULL: ReadonlySet<number> = new Set([
  OS_ERRNO.EAGAIN,
  OS_ERRNO.ENOBUFS,
  OS_ERRNO.ETOOMANYREFS,
]);
const NOT_NOW: ReadonlySet<number> = new Set([
  OS_ERRNO.EAGAIN,
  OS_ERRNO.EINTR,
  OS_ERRNO.ECONNABORTED,
]);
const GONE: ReadonlySet<number> = new Set([OS_ERRNO.EPIPE, OS_ERRNO.ECONNRESET]);

export function unixSockets(libc: Libc): Pick<OperatingSystem, 'listen' | 'connect'> {
  // All calls are synchronous: one message for all channels.
  const message = new UnixMessage(libc.addressOf);
  return {
    listen: (name) => listen(libc, message, name),
    connect: (name) => connect(libc, message, name),
  };
}

class Listener implements UnixListener {
  readonly #libc: Libc;
  readonly #message: UnixMessage;
  #fd: number | undefined;

  constructor(libc: Libc, message: UnixMessage, fd: number) {
    this.#libc = libc;
    this.#message = message;
    this.#fd = fd;
  }

  accept(): UnixChannel | undefined {
    const libc = this.#libc;
    assert(this.#fd !== undefined, 'Expected an open listener');
    const fd = libc.accept4(this.#fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return new Channel(libc, this.#message, fd);
    // EINTR and ECONNABORTED are of one connection: there may be another at the next call.
    if (NOT_NOW.has(libc.errno())) return undefined;
    throw osError(libc, 'accept4', 'accept a connection by unix socket');
  }

  close(): void {
    if (this.#fd === undefined) return;
    this.#libc.close(this.#fd);
    this.#fd = undefined;
  }
}

class Channel implements UnixChannel {
  readonly credentials: PeerCredentials;
  readonly #libc: Libc;
  readonly #message: UnixMessage;
  #fd: number | undefined;

  constructor(libc: Libc, message: UnixMessage, fd: number) {
    this.#libc = libc;
    this.#message = message;
    this.#fd = fd;
    const credentials = credentialsOf(libc, fd);
    if (credentials === undefined) {
      const error = osError(libc, 'getsockopt', 'tell who is at the other end of a unix socket');
      this.close();
      throw error;
    }
    this.credentials = credentials;
  }

  send(bytes: Uint8Array, fd?: number): 'sent' | 'full' | 'closed' {
    if (this.#fd === undefined) return 'closed';
    const libc = this.#libc;
    const header = this.#message.toSend(bytes, fd);
    if (libc.sendmsg(this.#fd, header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 'sent';
    const errno = libc.errno();
    if (FULL.has(errno)) return 'full';
    if (GONE.has(errno)) return 'closed';
    throw osError(libc, 'sendmsg', 'send a message by unix socket');
  }

  receive(): ReturnType<UnixChannel['receive']> {
    if (this.#fd === undefined) return 'closed';
    const libc = this.#libc;
    const header = this.#message.toReceive();
    const bytes = libc.recvmsg(this.#fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes < 0) {
      const errno = libc.errno();
      if (errno === OS_ERRNO.EAGAIN || errno === OS_ERRNO.EINTR) return 'empty';
      if (GONE.has(errno)) return 'closed';
      throw osError(libc, 'recvmsg', 'receive a message by unix socket');
    }
    const { fd, isTruncated, isStripped } = this.#message.received();
    // Of several descriptors one has arrived; and what is missing is not to be guessed.
    if (fd !== undefined && (bytes === 0 || isTruncated || isStripped)) libc.close(fd);
    if (bytes === 0) return 'closed';
    if (isTruncated) {
      this.close();
      return 'closed';
    }
    return { message: this.#message.copy(bytes), fd: isStripped ? undefined : fd };
  }

  close(): void {
    if (this.#fd === undefined) return;
    this.#libc.close(this.#fd);
    this.#fd = undefined;
  }
}

function listen(libc: Libc, message: UnixMessage, name: string): UnixListener {
  const fd = socketOf(libc);
  const address = abstractAddress(name);
  if (libc.bind(fd, address, address.byteLength) === 0 && libc.listen(fd, BACKLOG) === 0) {
    return new Listener(libc, message, fd);
  }
  const error = osError(libc, 'bind', `listen by the abstract unix socket name ${name}`);
  libc.close(fd);
  throw error;
}

function connect(libc: Libc, message: UnixMessage, name: string): UnixChannel | undefined {
  const fd = socketOf(libc);
  const address = abstractAddress(name);
  if (libc.connect(fd, address, address.byteLength) === 0) return new Channel(libc, message, fd);
  const isNobody = libc.errno() === OS_ERRNO.ECONNREFUSED;
  const error = osError(libc, 'connect', `connect to the abstract unix socket name ${name}`);
  libc.close(fd);
  if (isNobody) return undefined;
  throw error;
}

function socketOf(libc: Libc): number {
  const fd = libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw osError(libc, 'socket', 'make a unix socket');
  return fd;
}

/** `struct sockaddr_un` of a name that is no path. */
function abstractAddress(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  const fits = bytes.byteLength > 0 && bytes.byteLength < SUN_PATH_BYTES;
  assert(fits, `Expected a unix socket name of 1 to ${SUN_PATH_BYTES - 1} bytes: ${name}`);
  const address = new Uint8Array(3 + bytes.byteLength);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 3);
  return address;
}

function credentialsOf(libc: Libc, fd: number): PeerCredentials | undefined {
  const ucred = new DataView(new ArrayBuffer(UCRED_BYTES));
  const size = new DataView(new ArrayBuffer(4));
  size.setUint32(0, UCRED_BYTES, true);
  const value = new Uint8Array(ucred.buffer);
  const bytes = new Uint8Array(size.buffer);
  if (libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, bytes) !== 0) return undefined;
  return {
    pid: ucred.getInt32(0, true),
    uid: ucred.getUint32(4, true),
    gid: ucred.getUint32(8, true),
  };
}

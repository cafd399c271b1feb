/**
 * Streams over sockets that another has connected (tcp(7), unix(7)), read and written straight from memory.
 * Nothing here blocks but a poll set's wait, and nothing allocates.
 */
import { assert } from '../../common/assert.ts';
import { type Libc, OS_ERRNO, osError } from './libc.ts';
import type { OperatingSystem, PollSet } from './operating-system.ts';

/** The peer has sent all that it ever will. */
export const STREAM_ENDED = -1;
/** The connection is gone (ECONNRESET, EPIPE ...). */
export const STREAM_BROKEN = -2;
/** Waits until there is something to receive: bytes, or the end. */
export const POLL_IN = 1;
/** Waits until there is room to send. */
export const POLL_OUT = 4;

const SHUT_RDWR = 2;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/** `struct msghdr` and behind it two `struct iovec`, in words of 32 bits, as on 64-bit Linux. */
const MSG_IOV_WORD = 4;
const MSG_IOVLEN_WORD = 6;
const IOVEC_WORD = 14;
const IOVEC_WORDS = 4;
const VECTOR_WORDS = IOVEC_WORD + 2 * IOVEC_WORDS;

const WORD_BYTES = 4;
const WORD = 2 ** 32;

/** Nothing can be said now: try again when the descriptor is ready. */
const NOT_NOW: ReadonlySet<number> = new Set([OS_ERRNO.EAGAIN, OS_ERRNO.EINTR, OS_ERRNO.ENOBUFS]);
/** The call is wrong, not the connection. */
const WRONG_CALL: ReadonlySet<number> = new Set([
  OS_ERRNO.EBADF,
  OS_ERRNO.EFAULT,
  OS_ERRNO.EINVAL,
  OS_ERRNO.ENOTSOCK,
]);

type StreamSockets = Pick<
  OperatingSystem,
  'limitSendBuffer' | 'shutDown' | 'receive' | 'transmit' | 'pollSet'
>;

export function streamSockets(libc: Libc): StreamSockets {
  const { send, recv, sendmsgAt } = libc;
  // All calls are synchronous: one message for all sockets of the thread.
  const vector = new Uint32Array(new ArrayBuffer(VECTOR_WORDS * WORD_BYTES));
  const message = Number(libc.addressOf(new Uint8Array(vector.buffer)));
  setWide(vector, MSG_IOV_WORD, message + IOVEC_WORD * WORD_BYTES);
  vector[MSG_IOVLEN_WORD] = 2;

  /** What a call that returned -1 comes to. */
  function outcomeOf(call: string): number {
    const errno = libc.errno();
    if (NOT_NOW.has(errno)) return 0;
    if (!WRONG_CALL.has(errno)) return STREAM_BROKEN;
    throw osError(libc, call, 'move bytes between memory and a socket');
  }

  return {
    limitSendBuffer(fd, bytes) {
      const value = new Int32Array(new ArrayBuffer(WORD_BYTES));
      value[0] = bytes;
      const option = new Uint8Array(value.buffer);
      if (libc.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, option, WORD_BYTES) === 0) return;
      throw osError(libc, 'setsockopt', `give a socket a send buffer of ${bytes} bytes`);
    },
    shutDown(fd) {
      if (libc.shutdown(fd, SHUT_RDWR) === 0 || libc.errno() === OS_ERRNO.ENOTCONN) return;
      throw osError(libc, 'shutdown', `shut the connection of descriptor ${fd} down`);
    },
    receive(fd, address, bytes) {
      // The end of the stream could not be told from nothing.
      assert(bytes > 0, 'Expected room for a byte to receive');
      const count = recv(fd, address, bytes, MSG_DONTWAIT);
      if (count > 0) return count;
      return count === 0 ? STREAM_ENDED : outcomeOf('recv');
    },
    transmit(fd, head, headBytes, body, bodyBytes) {
      if (headBytes > 0 && bodyBytes > 0) {
        setIovec(vector, IOVEC_WORD, head, headBytes);
        setIovec(vector, IOVEC_WORD + IOVEC_WORDS, body, bodyBytes);
        const count = sendmsgAt(fd, message, SEND_FLAGS);
        return count >= 0 ? count : outcomeOf('sendmsg');
      }
      assert(headBytes > 0 || bodyBytes > 0, 'Expected bytes to transmit');
      const count =
        headBytes > 0
          ? send(fd, head, headBytes, SEND_FLAGS)
          : send(fd, body, bodyBytes, SEND_FLAGS);
      return count >= 0 ? count : outcomeOf('send');
    },
    pollSet: (capacity) => pollSet(libc, capacity),
  };
}

function pollSet(libc: Libc, capacity: number): PollSet {
  const { poll } = libc;
  // `struct pollfd`: the descriptor, and in one word what is asked and what was found.
  const entries = new Int32Array(new ArrayBuffer(2 * WORD_BYTES * capacity));
  const address = Number(libc.addressOf(new Uint8Array(entries.buffer)));
  return {
    set(index, fd, events) {
      assert(index >= 0 && index < capacity, 'Expected a place in the poll set');
      entries[2 * index] = fd;
      entries[2 * index + 1] = events;
    },
    wait(count, timeoutMs) {
      assert(count >= 0 && count <= capacity, 'Expected no more than the poll set holds');
      const ready = poll(address, count, timeoutMs);
      if (ready >= 0) return ready;
      if (NOT_NOW.has(libc.errno())) return 0;
      throw osError(libc, 'poll', 'wait for sockets');
    },
  };
}

function setIovec(words: Uint32Array, at: number, address: number, bytes: number): void {
  setWide(words, at, address);
  setWide(words, at + 2, bytes);
}

/** 64 bits, without a BigInt. */
function setWide(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0;
  words[at + 1] = value / WORD;
}

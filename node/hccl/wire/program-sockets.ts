/** The sockets of wires as the program's thread has them; given by the entry of the thread. */

export interface ProgramSockets {
  /**
   * Reads up to `bytes` bytes to `offset` of the device's memory. Above 0: bytes; 0: nothing is there now; -1: the
   * peer has ended; -2: the connection is broken.
   */
  receive(fd: number, offset: number, bytes: number): number;
  /**
   * Sends what there is room for of `headBytes` bytes at `head`, and then of `bodyBytes` at `body`, of the
   * device's memory. Bytes; -2: the connection is broken.
   */
  transmit(fd: number, head: number, headBytes: number, body: number, bodyBytes: number): number;
  pollSet(capacity: number): PollSet;
}

/** Descriptors that are waited for. */
export interface PollSet {
  /** `events`: `READABLE` or `WRITABLE`. */
  set(index: number, fd: number, events: number): void;
  /** Returns when one of the first `count` is ready, after `timeoutMs` at the latest: how many are. */
  wait(count: number, timeoutMs: number): number;
}

/** POLLIN, POLLOUT of poll(2) */
export const READABLE = 1;
export const WRITABLE = 4;

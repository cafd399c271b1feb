/**
 * What only the operating system gives: memory that processes share, descriptors that one process hands
 * to another, and a wait that one process can end for another. Linux alone has all of it, and Node.js
 * has none of it, so it is reached through koffi, which need not be installed.
 *
 * Every mapping lies over pages of a shared WebAssembly memory: V8 unmaps the whole memory at its end,
 * and with it whatever was mapped over its pages.
 */
import { loadLinux } from './linux.ts';

/** A file of memory that this process made, sealed: neither its size nor its seals can change. */
export interface SharedMemory {
  readonly fd: number;
  readonly bytes: number;
}

/** All calls return at once, unless they say otherwise, and throw `HLSIM_OS` if the system refuses. */
export interface OperatingSystem {
  /** Descriptor of a new file of zeros that can be sealed (memfd_create(2)). `name`: for /proc, to be read by people. */
  memoryFile(name: string, bytes: number): number;
  /** Nobody can shrink or grow the file any more, or take the seals off (F_ADD_SEALS). */
  seal(fd: number): void;
  /**
   * The file cannot shrink or grow, and never will: a file that can shrink kills whoever has it mapped
   * (SIGBUS). No for what is not a memory file at all.
   */
  isSealed(fd: number): boolean;
  /** Bytes of the file. */
  sizeOf(fd: number): number;
  /** Virtual address of byte 0. */
  addressOf(memory: ArrayBufferLike): bigint;
  /** Pages of the file from its start, shared and for reading and writing, instead of what was there. */
  mapFile(address: bigint, bytes: number, fd: number): void;
  /**
   * As `mapFile`, of pages from `fileOffset` on, which take on what was there. Bytes that another thread
   * writes meanwhile may be lost.
   */
  moveToFile(address: bigint, bytes: number, fd: number, fileOffset?: number): void;
  /** Private pages of zeros, which take no memory until they are touched, instead of what was there. */
  mapFresh(address: bigint, bytes: number): void;
  /** As `mapFresh`, but with what was there. Bytes that another thread writes meanwhile may be lost. */
  moveToFresh(address: bigint, bytes: number): void;
  /** The file's bytes [0, bytes) are zeros again, for everybody who has it mapped, and take no memory. */
  punchHole(fd: number, bytes: number): void;
  closeFile(fd: number): void;
  /**
   * Sleeps, the whole thread, as long as the 32-bit word is `expected`: until a wake, a change that it
   * sees, the time-out or a signal. The word may be shared with other processes (futex(2)).
   */
  futexWait(address: bigint, expected: number, timeoutMs: number): void;
  /** Wakes all who sleep on the word, in all processes. */
  futexWake(address: bigint): void;
  /** Lets another thread run on this core (sched_yield(2)). */
  yieldCpu(): void;
  /** memcpy(3): ranges that do not overlap. */
  copy(destination: bigint, source: bigint, bytes: number): void;
  /** Accepts connections by an abstract name: no file, gone with the process, of this machine's network namespace alone. */
  listen(name: string): UnixListener;
  /** `undefined`: nobody listens there, such as on another machine or in another container. */
  connect(name: string): UnixChannel | undefined;
  /** How much a socket takes that its peer has not; the system takes twice that (SO_SNDBUF of socket(7)). */
  limitSendBuffer(fd: number, bytes: number): void;
  /** No end of the connection can send any more; what is under way arrives (shutdown(2)). Nothing if it has ended. */
  shutDown(fd: number): void;
  /**
   * Up to `bytes` bytes, at least 1, of the stream into memory: how many there were, 0 if there are none for
   * now, or `STREAM_ENDED` (-1), `STREAM_BROKEN` (-2). Addresses are Numbers here and below: nothing is allocated.
   */
  receive(fd: number, address: number, bytes: number): number;
  /**
   * Sends as much as there is room for of the bytes at `head` and then those at `body`, either of which may
   * be none: how many, or `STREAM_BROKEN` (-2).
   */
  transmit(fd: number, head: number, headBytes: number, body: number, bodyBytes: number): number;
  /** A set of at most `capacity` descriptors to wait for. */
  pollSet(capacity: number): PollSet;
}

/** `struct pollfd` of poll(2), used again and again. */
export interface PollSet {
  /** What is waited for: `POLL_IN` (1), `POLL_OUT` (4) or both. */
  set(index: number, fd: number, events: number): void;
  /**
   * Sleeps, the whole thread, until one of the first `count` descriptors is ready or broken, for `timeoutMs`
   * milliseconds, or until a signal.
   */
  wait(count: number, timeoutMs: number): number;
}

export interface UnixListener {
  /** `undefined`: nobody has connected since. */
  accept(): UnixChannel | undefined;
  close(): void;
}

/** Who the kernel says is at the other end (SO_PEERCRED), at the time of the connection. */
export interface PeerCredentials {
  /** 0: a process that this one's pid namespace does not show. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Messages with their borders, in order, between two processes of one machine (SOCK_SEQPACKET). */
export interface UnixChannel {
  readonly credentials: PeerCredentials;
  /** 1 to `UNIX_MESSAGE_BYTES_MAX` bytes, with at most one descriptor, which stays the caller's too. */
  send(message: Uint8Array, fd?: number): 'sent' | 'full' | 'closed';
  /** `fd` is closed on exec, and the caller's to close. A message that is too long ends the channel. */
  receive(): { readonly message: Uint8Array; readonly fd: number | undefined } | 'empty' | 'closed';
  /** Idempotent. */
  close(): void;
}

/** Why there is none, for people to read. */
export interface NoOperatingSystem {
  readonly unavailable: string;
}

let loaded: OperatingSystem | NoOperatingSystem | undefined;

/** The operating system if it can be used, else why not. Loaded once per thread, at the first call. */
export function operatingSystem(): OperatingSystem | NoOperatingSystem {
  loaded ??= loadLinux();
  return loaded;
}

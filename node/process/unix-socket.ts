/**
 * A connected pair of unix sockets (SOCK_SEQPACKET, unix(7)): messages keep their borders, and carry
 * open files from one process to another (SCM_RIGHTS). A file in flight lives by a reference of the
 * message; whatever ends the message without a receiver drops it.
 */
import type { Errno } from '../../common/errno.ts';
import { type FileOperations, OpenFile, type PollEvent } from './file.ts';
import { landFile, type SocketMessage, type SocketRegistry } from './socket-registry.ts';

/** Messages that may wait for a receiver (net.unix.max_dgram_qlen is 10; ours are small). */
export const MESSAGES_WAITING_MAX = 64;
/** Bytes of one message (net.core.wmem_default). */
export const MESSAGE_BYTES_MAX = 212_992;
/** Files of one message (SCM_MAX_FD). */
export const MESSAGE_FILES_MAX = 253;
/** One end. Its file is made with it; the maker's reference is the caller's to hand on. */
export class UnixSocket implements FileOperations {
  readonly kind = 'socket';
  readonly file: OpenFile;
  readonly #registry: SocketRegistry<UnixSocket>;
  readonly #received: SocketMessage[] = [];
  readonly #watchers = new Set<() => void>();
  #peer: UnixSocket | undefined;
  /** Told once, by the next call (sk_err). */
  #error: Errno | undefined;

  constructor(registry: SocketRegistry<UnixSocket>) {
    this.#registry = registry;
    this.file = new OpenFile(this);
  }

  static pair(registry: SocketRegistry<UnixSocket>): readonly [UnixSocket, UnixSocket] {
    const ends = [new UnixSocket(registry), new UnixSocket(registry)] as const;
    ends[0].#peer = ends[1];
    ends[1].#peer = ends[0];
    for (const end of ends) registry.add(end);
    return ends;
  }

  /**
   * Queues a message for the other end, with a reference to each file of its own. EPIPE: the other
   * end is gone. EAGAIN: its queue is full. EMSGSIZE, EINVAL: more bytes or files than one message
   * may have. ETOOMANYREFS: too many files of the sender's container are in flight.
   */
  send(message: SocketMessage): Errno | undefined {
    const error = this.#takeError();
    if (error !== undefined) return error;
    if (message.data.byteLength > MESSAGE_BYTES_MAX) return 'EMSGSIZE';
    if (message.files.length > MESSAGE_FILES_MAX) return 'EINVAL';
    const peer = this.#peer;
    if (peer === undefined) return 'EPIPE';
    if (peer.#received.length >= MESSAGES_WAITING_MAX) return 'EAGAIN';
    if (!this.#registry.takeOff(message)) return 'ETOOMANYREFS';
    peer.#received.push(message);
    peer.changed();
    return undefined;
  }

  /**
   * The oldest message, whose references are the caller's from now on: it installs or drops each with
   * `landFile`. `end`: the other end is gone and nothing is left. EAGAIN: nothing is there yet.
   */
  receive(): SocketMessage | 'end' | Errno {
    const error = this.#takeError();
    if (error !== undefined) return error;
    const message = this.#received.shift();
    if (message === undefined) return this.#peer === undefined ? 'end' : 'EAGAIN';
    this.#registry.land(message);
    this.#peer?.changed();
    return message;
  }

  /** Calls `wake` whenever something may have changed. Returns a function that takes it back. */
  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  poll(events: readonly PollEvent[], signal: AbortSignal): Promise<readonly PollEvent[]> {
    return new Promise((resolve) => {
      const end = (ready: readonly PollEvent[]) => {
        forget();
        signal.removeEventListener('abort', aborted);
        resolve(ready);
      };
      const aborted = () => end([]);
      const look = () => {
        const ready = this.#ready(events);
        if (ready.length > 0) end(ready);
      };
      const forget = this.watch(look);
      signal.addEventListener('abort', aborted);
      look();
      if (signal.aborted) aborted();
    });
  }

  carried(): readonly OpenFile[] {
    return this.#received.flatMap(({ files }) => files);
  }

  fdinfo(): Record<string, number> {
    return { messages: this.#received.length, 'scm-fds': this.carried().length };
  }

  /** A descriptor of it is closed; perhaps the last one that could have received what is in flight. */
  flush(): void {
    this.#registry.collect();
  }

  /** The last reference is gone: unread messages are dropped, and the other end hears of it. */
  release(): void {
    this.#registry.remove(this);
    const peer = this.#peer;
    if (peer !== undefined) {
      peer.#peer = undefined;
      if (this.#received.length > 0) peer.#error = 'ECONNRESET';
    }
    this.purge();
    peer?.changed();
    this.#registry.collect();
  }

  /** Drops the messages that wait here. */
  purge(): void {
    for (const message of this.#received.splice(0)) {
      this.#registry.land(message);
      for (const file of message.files) landFile(file);
    }
  }

  #ready(events: readonly PollEvent[]): PollEvent[] {
    const readable = this.#received.length > 0 || this.#peer === undefined;
    const room = this.#peer === undefined || this.#peer.#received.length < MESSAGES_WAITING_MAX;
    const holding: Record<PollEvent, boolean> = {
      POLLIN: events.includes('POLLIN') && readable,
      POLLOUT: events.includes('POLLOUT') && room,
      POLLERR: this.#error !== undefined,
      POLLHUP: this.#peer === undefined,
    };
    return (Object.keys(holding) as PollEvent[]).filter((event) => holding[event]);
  }

  #takeError(): Errno | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  /** For the two ends of a pair and their registry: something may have changed here. */
  changed(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}

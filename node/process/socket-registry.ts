/**
 * All sockets of a host, and the files in flight by them. A socket may be in flight too, even in its
 * own queue. Then nobody may be left to receive it, while the message keeps it alive: such sockets are
 * found and emptied, as net/unix/garbage.c does.
 */
import { assert } from '../../common/assert.ts';
import { OPEN_FILES_MAX, type OpenFile } from './file.ts';

/** Files of one container in flight, as RLIMIT_NOFILE bounds those of one user. */
export const FILES_IN_FLIGHT_MAX = OPEN_FILES_MAX;

export interface SocketMessage {
  readonly data: Uint8Array;
  /** One reference each, the message's. */
  readonly files: readonly OpenFile[];
  /** Whose bound the files in flight count against. */
  readonly senderContainerId: string;
}

/** What the registry knows of a socket. */
export interface RegisteredSocket {
  readonly file: OpenFile;
  /** The files in its queue. */
  carried(): readonly OpenFile[];
  /** Drops its queue. */
  purge(): void;
}

/** The reference of a message that `receive` or `purge` has taken down is dropped. */
export function landFile(file: OpenFile): void {
  file.descriptorClosed();
}

/** All sockets of a host, and how many files each container has in flight. */
export class SocketRegistry<Socket extends RegisteredSocket> {
  readonly #sockets = new Map<OpenFile, Socket>();
  readonly #inFlight = new Map<OpenFile, number>();
  readonly #filesOfContainer = new Map<string, number>();
  #collecting: 'idle' | 'running' = 'idle';

  /** The socket that a file is, if it is one of this host's. */
  socketOf(file: OpenFile): Socket | undefined {
    return this.#sockets.get(file);
  }

  /** Sockets that are alive. */
  get count(): number {
    return this.#sockets.size;
  }

  add(socket: Socket): void {
    this.#sockets.set(socket.file, socket);
  }

  remove(socket: Socket): void {
    this.#sockets.delete(socket.file);
  }

  /** Takes a reference to each file of a message; false, and none, if its sender has too many in flight. */
  takeOff({ files, senderContainerId }: SocketMessage): boolean {
    const flying = this.#filesOfContainer.get(senderContainerId) ?? 0;
    if (flying + files.length > FILES_IN_FLIGHT_MAX) return false;
    add(this.#filesOfContainer, senderContainerId, files.length);
    for (const file of files) {
      file.get().descriptorOpened();
      if (this.#sockets.has(file)) add(this.#inFlight, file, 1);
    }
    return true;
  }

  /** A message has left its queue; its references are somebody's. */
  land({ files, senderContainerId }: SocketMessage): void {
    add(this.#filesOfContainer, senderContainerId, -files.length);
    for (const file of files) if (this.#sockets.has(file)) add(this.#inFlight, file, -1);
  }

  /** Drops the queues of sockets that nobody can reach: all their references lie in such queues. */
  collect(): void {
    if (this.#inFlight.size === 0 || this.#collecting === 'running') return;
    this.#collecting = 'running';
    try {
      const reached = this.#reached();
      for (const socket of [...this.#sockets.values()]) if (!reached.has(socket)) socket.purge();
    } finally {
      this.#collecting = 'idle';
    }
  }

  /** Sockets that a process or a running call holds, and those in flight to such. */
  #reached(): Set<Socket> {
    const sockets = [...this.#sockets.values()];
    const reached = new Set(sockets.filter(({ file }) => file.references > this.#flying(file)));
    for (const socket of reached) {
      for (const file of socket.carried()) {
        const inside = this.#sockets.get(file);
        if (inside !== undefined) reached.add(inside);
      }
    }
    return reached;
  }

  #flying(file: OpenFile): number {
    return this.#inFlight.get(file) ?? 0;
  }
}

/** Adds to a count; a count of 0 is not kept. */
function add<K>(counts: Map<K, number>, key: K, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  assert(count >= 0, 'Expected as many files to land as have taken off');
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

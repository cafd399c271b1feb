/**
 * Memory files handed from host to host on one machine, over unix sockets with SCM_RIGHTS. Every host
 * listens under its node id. The taker looks when it is told, over a link, that a file has been handed to
 * it: by then the file lies in its socket, so nobody waits here.
 *
 * Who is at the other end: the kernel says which user (SO_PEERCRED), and the first message must have the
 * cluster's token. Processes of another user are refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MemoryFile, PeerMemory } from './hccl/shared/shared-machine.ts';
import type { OperatingSystem, UnixChannel, UnixListener } from './os/operating-system.ts';

/** Peers that may be connected at a time, and files that may wait for one to be taken. */
const CHANNELS_MAX = 256;
const FILES_MAX = 1024;
const VERSION = 'hlsim-memory-1';
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export interface HostMemoryInit {
  readonly system: OperatingSystem;
  readonly nodeId: string;
  readonly token: string | undefined;
}

/** A peer that has connected, and what it has handed over. */
interface Giver {
  readonly channel: UnixChannel;
  /** Known from its first message on. */
  nodeId: string | undefined;
  /** By number: one file for each of this host's ranks that it is meant for. */
  readonly files: Map<number, MemoryFile[]>;
}

export class HostMemory implements PeerMemory {
  readonly #init: HostMemoryInit;
  readonly #listener: UnixListener;
  readonly #givers = new Set<Giver>();
  /** Channels that this host gives by, by peer. */
  readonly #takers = new Map<string, UnixChannel>();
  #lastNumber = 0;

  constructor(init: HostMemoryInit) {
    this.#init = init;
    this.#listener = init.system.listen(socketName(init.nodeId));
  }

  /** For what is handed over next; never given again. */
  nextNumber(): number {
    this.#lastNumber++;
    return this.#lastNumber;
  }

  offer(nodeId: string, id: number, { fd, bytes }: MemoryFile): 'offered' | 'refused' {
    const channel = this.#takers.get(nodeId) ?? this.#connect(nodeId);
    if (channel === undefined) return 'refused';
    const outcome = channel.send(ENCODER.encode(`${id} ${bytes}`), fd);
    if (outcome === 'sent') return 'offered';
    if (outcome === 'closed') this.#forget(nodeId);
    return 'refused';
  }

  take(nodeId: string, id: number): MemoryFile | undefined {
    this.#accept();
    for (const giver of this.#givers) this.#read(giver);
    for (const giver of this.#givers) {
      const files = giver.nodeId === nodeId ? giver.files.get(id) : undefined;
      const file = files?.shift();
      if (file === undefined) continue;
      if (files?.length === 0) giver.files.delete(id);
      return file;
    }
    return undefined;
  }

  close(): void {
    this.#listener.close();
    for (const giver of this.#givers) this.#drop(giver);
    for (const nodeId of [...this.#takers.keys()]) this.#forget(nodeId);
  }

  #connect(nodeId: string): UnixChannel | undefined {
    const channel = this.#init.system.connect(socketName(nodeId));
    if (channel === undefined) return undefined;
    const hello = `${VERSION} ${this.#init.nodeId} ${digestOf(this.#init.token)}`;
    if (!isOurUser(channel) || channel.send(ENCODER.encode(hello)) !== 'sent') {
      channel.close();
      return undefined;
    }
    this.#takers.set(nodeId, channel);
    return channel;
  }

  #forget(nodeId: string): void {
    this.#takers.get(nodeId)?.close();
    this.#takers.delete(nodeId);
  }

  #accept(): void {
    for (let channel = this.#listener.accept(); channel; channel = this.#listener.accept()) {
      if (this.#givers.size < CHANNELS_MAX && isOurUser(channel))
        this.#givers.add({ channel, nodeId: undefined, files: new Map() });
      else channel.close();
    }
  }

  /** Takes everything that a peer has sent. One that breaks the rules is dropped. */
  #read(giver: Giver): void {
    for (;;) {
      const received = giver.channel.receive();
      if (received === 'empty') return;
      if (received === 'closed') {
        // What it has handed over before it left is still to be taken.
        if (giver.files.size === 0) this.#drop(giver);
        return;
      }
      const text = DECODER.decode(received.message);
      if (this.#take(giver, text, received.fd)) continue;
      if (received.fd !== undefined) this.#init.system.closeFile(received.fd);
      this.#drop(giver);
      return;
    }
  }

  /** False: a message that is none. */
  #take(giver: Giver, text: string, fd: number | undefined): boolean {
    if (giver.nodeId === undefined) {
      const [version, nodeId, digest = ''] = text.split(' ');
      const isKnown = version === VERSION && isSame(digest, digestOf(this.#init.token));
      if (!isKnown || nodeId === undefined || fd !== undefined) return false;
      giver.nodeId = nodeId;
      return true;
    }
    const [id, bytes] = text.split(' ').map(Number);
    if (fd === undefined || !isCount(id) || !isCount(bytes)) return false;
    if (filesOf(giver).length >= FILES_MAX) return false;
    const files = giver.files.get(id) ?? [];
    giver.files.set(id, files);
    files.push({ fd, bytes });
    return true;
  }

  #drop(giver: Giver): void {
    this.#givers.delete(giver);
    giver.channel.close();
    for (const { fd } of filesOf(giver)) this.#init.system.closeFile(fd);
  }
}

function filesOf({ files }: Giver): MemoryFile[] {
  return [...files.values()].flat();
}

function socketName(nodeId: string): string {
  return `hlsim-${nodeId}`;
}

function isOurUser({ credentials }: UnixChannel): boolean {
  return credentials.uid === process.getuid?.();
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value > 0;
}

function digestOf(token: string | undefined): string {
  return createHash('sha256')
    .update(token ?? '')
    .digest('hex');
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

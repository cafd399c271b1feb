/** What the shared-memory path needs of the host it runs on; given by whoever starts the host. */
import type { Errno } from '../../../common/errno.ts';
import type { WireMachine } from '../wire/wire-machine.ts';

/** A file of memory of the operating system. */
export interface MemoryFile {
  readonly fd: number;
  readonly bytes: number;
}

/** The device whose memory a communicator works on. */
export interface SharedDevice {
  /** Index in its host. */
  readonly index: number;
  /** Maps the file into the import aperture, says where, and closes the descriptor. */
  importShared(file: MemoryFile): { readonly offset: number } | Errno;
  dropImport(offset: number): void;
}

/** Hands descriptors to other hosts of this machine. */
export interface PeerMemory {
  /** Hands a peer host a file under a number; `refused`: it cannot be reached, it is another machine. */
  offer(nodeId: string, id: number, file: MemoryFile): 'offered' | 'refused';
  /** What a peer host has handed over under a number. The descriptor is the caller's. */
  take(nodeId: string, id: number): MemoryFile | undefined;
}

export interface SharedMachine {
  /** Absent: the links of this host are no sockets. */
  readonly wires: WireMachine | undefined;
  readonly peers: PeerMemory;
  /** The device with this memory. */
  deviceOf(memory: ArrayBufferLike): SharedDevice;
  /** A number for a window, never used again by this host. */
  nextWindow(): number;
  /** Wakes who sleeps on a word of the memory. */
  wake(memory: ArrayBufferLike, offset: number): void;
}

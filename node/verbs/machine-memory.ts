/**
 * Memory that the hosts of one machine let each other map; given to the NIC by whoever starts the host, who
 * has the operating system and the devices. Nothing here waits.
 */
import type { SharedFile } from '../dmabuf/dma-buf.ts';

/** Memory that is mapped here and, perhaps, by another host. */
export interface MappedMemory {
  readonly bytes: Uint8Array;
  /** `bytes` reach nothing of it any more. Once. */
  unmap(): void;
}

/** What was handed over, and under which number; unique among all that this host hands over. */
export interface Handed {
  readonly number: number;
}

export interface MachineMemory {
  /** Hands a peer host a file. `undefined`: it cannot be reached, or is on another machine. */
  offer(nodeId: string, file: SharedFile): Handed | undefined;
  /** New memory of `MACHINE_PAGE_BYTES` zeros, handed to a peer host as well. `undefined`: as `offer`, or there is none. */
  createFor(nodeId: string): (Handed & MappedMemory) | undefined;
  /**
   * Maps what a peer host has handed over. `undefined`: nothing has come under this number, or it is shorter than
   * `leastBytes`, or its size could change, or there is no room. In no case is it there to be mapped again.
   */
  map(nodeId: string, number: number, leastBytes: number): MappedMemory | undefined;
  /** Lets go of what a peer host has handed over, unmapped. Nothing if nothing has come. */
  discard(nodeId: string, number: number): void;
}

/** Unit of which memory is mapped. */
export const MACHINE_PAGE_BYTES = 65_536;

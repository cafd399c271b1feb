/**
 * The part of a device's memory for memory of other processes' devices: their files are mapped over its
 * pages, so that kernels, the DMA engine and the NIC reach them as they reach the device's own.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { HlsimError } from '../../common/errors.ts';
import type { OperatingSystem, SharedMemory } from '../os/operating-system.ts';
import { RangeAllocator } from './range-allocator.ts';

/** Where in the device's memory an import lies. */
export interface ImportedRange {
  readonly offset: number;
  readonly bytes: number;
}

export class ImportAperture {
  readonly #os: OperatingSystem;
  readonly #start: bigint;
  readonly #pageBytes: number;
  readonly #ranges: RangeAllocator;
  readonly #imports = new Map<number, number>();

  /** The part [from, to) of the memory with the address `start`. */
  constructor(os: OperatingSystem, start: bigint, pageBytes: number, from: number, to: number) {
    this.#os = os;
    this.#start = start;
    this.#pageBytes = pageBytes;
    this.#ranges = new RangeAllocator(from, to);
  }

  get importCount(): number {
    return this.#imports.size;
  }

  /**
   * Maps another process's memory; the descriptor stays the caller's. What the other process says of it
   * is not believed. EINVAL: a file that is not sealed, not of whole pages or not of the size that was
   * announced: its end could move under the mapping; ENOMEM: no room; EACCES: the system does not let it
   * be mapped for reading and writing.
   */
  importShared({ fd, bytes }: SharedMemory): ImportedRange | Errno {
    const isWhole = Number.isSafeInteger(bytes) && bytes > 0 && bytes % this.#pageBytes === 0;
    if (!isWhole || !this.#os.isSealed(fd) || this.#os.sizeOf(fd) !== bytes) return 'EINVAL';
    const offset = this.#ranges.allocate(bytes, this.#pageBytes);
    if (typeof offset !== 'number') return offset;
    const address = this.#start + BigInt(offset);
    try {
      this.#os.mapFile(address, bytes, fd);
    } catch (reason) {
      this.#os.mapFresh(address, bytes);
      this.#ranges.free(offset);
      if (reason instanceof HlsimError && reason.code === 'HLSIM_OS') return 'EACCES';
      throw reason;
    }
    this.#imports.set(offset, bytes);
    return { offset, bytes };
  }

  /** The range reaches nothing of the other process any more. */
  dropImport(offset: number): void {
    const bytes = this.#imports.get(offset);
    assert(bytes !== undefined, `Expected an import at offset ${offset}`);
    this.#os.mapFresh(this.#start + BigInt(offset), bytes);
    this.#imports.delete(offset);
    this.#ranges.free(offset);
  }
}

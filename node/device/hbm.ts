/**
 * A device's memory: one shared `WebAssembly.Memory`, so that kernels, the DMA engine and the NIC's
 * sockets touch the same bytes. An address in it is a byte offset. Untouched pages cost nothing.
 *
 *     0         64 KiB                                               end
 *     | unused  | HBM, handed out by the allocator | import aperture |
 *
 * Offset 0 is never valid. The aperture is for memory of other processes' devices that is mapped in; both
 * need the operating system, without which memory is neither shared nor imported (EOPNOTSUPP).
 */
import { assert } from '../../common/assert.ts';
import { GiB, KiB, MiB } from '../../common/bytes.ts';
import type { Errno } from '../../common/errno.ts';
import { HlsimError } from '../../common/errors.ts';
import type { OperatingSystem, SharedMemory } from '../os/operating-system.ts';
import { ImportAperture, type ImportedRange } from './import-aperture.ts';
import { RangeAllocator } from './range-allocator.ts';
import { SharedRanges } from './shared-ranges.ts';

/** HBM of a device by default. */
export const HBM_BYTES_DEFAULT = 256 * MiB;

/**
 * DRAM page: unit of allocation. A Gaudi 1 has 2 MiB and a Gaudi 2 tens of MiB; here it is the page of
 * WebAssembly, so that many small buffers fit in a small HBM.
 */
export const DRAM_PAGE_BYTES = 64 * KiB;

/** Physical address of the memory's offset 0, far from anything that could be mistaken for an offset. */
export const DRAM_BASE = 0x20_0000_0000;

/** A WebAssembly memory has at most 65536 pages; one fewer keeps every end address below 2^32. */
export const MEMORY_PAGES_MAX = 65535;

const USABLE_BYTES_MAX = (MEMORY_PAGES_MAX - 1) * DRAM_PAGE_BYTES;

/** Import aperture of a device by default, if its HBM leaves so much of 4 GiB. */
export const APERTURE_BYTES_DEFAULT = 2 * GiB;

/** The import aperture of a device with so much HBM, where the operating system is there. */
export function apertureBytesBeside(hbmBytes: number): number {
  return Math.max(0, Math.min(APERTURE_BYTES_DEFAULT, USABLE_BYTES_MAX - hbmBytes));
}

export class Hbm {
  readonly memory: WebAssembly.Memory;
  /** Bytes that can be allocated. */
  readonly bytes: number;
  readonly apertureOffset: number;
  readonly apertureBytes: number;
  readonly #ranges: RangeAllocator;
  /** Pages that were in anybody's reach since the last scrub: the only ones that can hold data. */
  readonly #touched = new Set<number>();
  readonly #shared: SharedRanges | undefined;
  readonly #aperture: ImportAperture | undefined;

  /**
   * Sizes in bytes, multiples of `DRAM_PAGE_BYTES`. Throws `HLSIM_CONFIG` if they do not fit. With `os`
   * memory can be shared with other processes.
   */
  constructor(bytes: number = HBM_BYTES_DEFAULT, apertureBytes = 0, os?: OperatingSystem) {
    checkSizes(bytes, apertureBytes);
    const pages = (DRAM_PAGE_BYTES + bytes + apertureBytes) / DRAM_PAGE_BYTES;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = bytes;
    this.apertureOffset = DRAM_PAGE_BYTES + bytes;
    this.apertureBytes = apertureBytes;
    this.#ranges = new RangeAllocator(DRAM_PAGE_BYTES, this.apertureOffset);
    if (os === undefined) return;
    const { buffer } = this.memory;
    const start = os.addressOf(buffer);
    const [from, to] = [this.apertureOffset, buffer.byteLength];
    this.#shared = new SharedRanges(os, start, DRAM_PAGE_BYTES);
    this.#aperture = new ImportAperture(os, start, DRAM_PAGE_BYTES, from, to);
  }

  get allocatedBytes(): number {
    return this.#ranges.allocatedBytes;
  }

  get allocatedCount(): number {
    return this.#ranges.allocatedCount;
  }

  /** Ranges that other processes may have mapped. */
  get sharedCount(): number {
    return this.#shared?.count ?? 0;
  }

  /** Ranges of other processes' memory in the aperture. */
  get importCount(): number {
    return this.#aperture?.importCount ?? 0;
  }

  /** Offset of `bytes` contiguous bytes, at a multiple of `alignment`; both multiples of a page. */
  allocate(bytes: number, alignment: number): number | Errno {
    const offset = this.#ranges.allocate(bytes, alignment);
    if (typeof offset !== 'number') return offset;
    const errno = this.#shared?.allocated(offset, bytes);
    if (errno !== undefined) {
      this.#ranges.free(offset);
      return errno;
    }
    this.touch(offset, bytes);
    return offset;
  }

  /** No other process reaches the range when this returns. */
  free(offset: number): void {
    const bytes = this.#ranges.free(offset);
    this.#shared?.freed(offset, bytes);
  }

  /** There is an operating system to share memory by. */
  get canShare(): boolean {
    return this.#shared !== undefined;
  }

  /** As `SharedRanges.share`. */
  share(offset: number, bytes: number, recalled?: () => void): SharedMemory | Errno {
    return this.#shared?.share(offset, bytes, recalled) ?? 'EOPNOTSUPP';
  }

  /** As `SharedRanges.unsharing`, with the content kept. */
  *unsharing(memory: SharedMemory): Generator<undefined, void> {
    if (this.#shared !== undefined) yield* this.#shared.unsharing(memory, 'kept');
  }

  /** As `ImportAperture.importShared`. */
  importShared(memory: SharedMemory): ImportedRange | Errno {
    return this.#aperture?.importShared(memory) ?? 'EOPNOTSUPP';
  }

  /** As `ImportAperture.dropImport`. */
  dropImport(offset: number): void {
    this.#aperture?.dropImport(offset);
  }

  /** Whether bytes are of this memory. */
  holds(buffer: ArrayBufferLike): boolean {
    return buffer === this.memory.buffer;
  }

  /** The bytes [offset, offset + length). */
  view(offset: number, length: number): Uint8Array {
    assert(offset >= DRAM_PAGE_BYTES, `Expected an offset in HBM but found ${offset}`);
    return new Uint8Array(this.memory.buffer, offset, length);
  }

  /** Somebody may write to [offset, offset + bytes): the next scrub covers it. */
  touch(offset: number, bytes: number): void {
    const end = Math.ceil((offset + bytes) / DRAM_PAGE_BYTES);
    for (let page = Math.floor(offset / DRAM_PAGE_BYTES); page < end; page++) {
      this.#touched.add(page);
    }
  }

  /**
   * Zeroes up to `bytesMax` bytes, at least a page, of what was touched since the last scrub. Nothing may be
   * allocated, and nothing stays shared. Where the operating system has new pages all are zeros at once; it
   * takes as many turns all the same, as long as a device is known to take.
   */
  scrubSlice(bytesMax: number): 'done' | 'more' {
    assert(this.allocatedCount === 0, 'Expected no allocation when the memory is scrubbed');
    // New pages are zeros, and cost nothing before they are touched.
    this.#shared?.freed(DRAM_PAGE_BYTES, this.bytes);
    let pages = Math.max(1, Math.floor(bytesMax / DRAM_PAGE_BYTES));
    for (const page of this.#touched) {
      if (pages === 0) return 'more';
      pages--;
      if (this.#shared === undefined) this.view(page * DRAM_PAGE_BYTES, DRAM_PAGE_BYTES).fill(0);
      this.#touched.delete(page);
    }
    return 'done';
  }
}

/** The bytes of a device's memory, for a thread that runs kernels on it. */
export function bytesOfMemory(memory: WebAssembly.Memory): SharedArrayBuffer {
  return memory.buffer as unknown as SharedArrayBuffer;
}

function checkSizes(bytes: number, apertureBytes: number): void {
  const most = USABLE_BYTES_MAX;
  const isPages = (size: number) => Number.isSafeInteger(size) && size % DRAM_PAGE_BYTES === 0;
  const fits = bytes > 0 && apertureBytes >= 0 && bytes + apertureBytes <= most;
  if (isPages(bytes) && isPages(apertureBytes) && fits) return;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected HBM and import aperture of multiples of ${DRAM_PAGE_BYTES} bytes, ${most} together at most, but found ${bytes} and ${apertureBytes} bytes: choose another HBM size`,
  );
}

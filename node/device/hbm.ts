/**
 * A device's memory: one shared `WebAssembly.Memory`, so that kernels, the DMA engine and the NIC's
 * sockets touch the same bytes. An address in it is a byte offset. Untouched pages cost nothing.
 *
 *     0         64 KiB                                               end
 *     | unused  | HBM, handed out by the allocator | import aperture |
 *
 * Offset 0 is never valid. The aperture is for dma-bufs of other devices that are mapped in.
 */
import { assert } from '../../common/assert.ts';
import { KiB, MiB } from '../../common/bytes.ts';
import type { Errno } from '../../common/errno.ts';
import { HlsimError } from '../../common/errors.ts';
import { RangeAllocator } from './range-allocator.ts';

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

export class Hbm {
  readonly memory: WebAssembly.Memory;
  /** Bytes that can be allocated. */
  readonly bytes: number;
  readonly apertureOffset: number;
  readonly apertureBytes: number;
  readonly #ranges: RangeAllocator;
  /** Pages that were in anybody's reach since the last scrub: the only ones that can hold data. */
  readonly #touched = new Set<number>();

  /** Sizes in bytes, multiples of `DRAM_PAGE_BYTES`. Throws `HLSIM_CONFIG` if they do not fit. */
  constructor(bytes: number = HBM_BYTES_DEFAULT, apertureBytes = 0) {
    checkSizes(bytes, apertureBytes);
    const pages = (DRAM_PAGE_BYTES + bytes + apertureBytes) / DRAM_PAGE_BYTES;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = bytes;
    this.apertureOffset = DRAM_PAGE_BYTES + bytes;
    this.apertureBytes = apertureBytes;
    this.#ranges = new RangeAllocator(DRAM_PAGE_BYTES, this.apertureOffset);
  }

  get allocatedBytes(): number {
    return this.#ranges.allocatedBytes;
  }

  get allocatedCount(): number {
    return this.#ranges.allocatedCount;
  }

  /** Offset of `bytes` contiguous bytes, at a multiple of `alignment`; both multiples of a page. */
  allocate(bytes: number, alignment: number): number | Errno {
    const offset = this.#ranges.allocate(bytes, alignment);
    if (typeof offset !== 'number') return offset;
    this.touch(offset, bytes);
    return offset;
  }

  free(offset: number): void {
    this.#ranges.free(offset);
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
   * Zeroes up to `bytesMax` bytes, at least a page, of what was touched since the last scrub. Nothing may
   * be allocated.
   */
  scrubSlice(bytesMax: number): 'done' | 'more' {
    assert(this.allocatedCount === 0, 'Expected no allocation when the memory is scrubbed');
    let pages = Math.max(1, Math.floor(bytesMax / DRAM_PAGE_BYTES));
    for (const page of this.#touched) {
      if (pages === 0) return 'more';
      pages--;
      this.view(page * DRAM_PAGE_BYTES, DRAM_PAGE_BYTES).fill(0);
      this.#touched.delete(page);
    }
    return 'done';
  }
}

function checkSizes(bytes: number, apertureBytes: number): void {
  const most = (MEMORY_PAGES_MAX - 1) * DRAM_PAGE_BYTES;
  const isPages = (size: number) => Number.isSafeInteger(size) && size % DRAM_PAGE_BYTES === 0;
  const fits = bytes > 0 && apertureBytes >= 0 && bytes + apertureBytes <= most;
  if (isPages(bytes) && isPages(apertureBytes) && fits) return;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected HBM and import aperture of multiples of ${DRAM_PAGE_BYTES} bytes, ${most} together at most, but found ${bytes} and ${apertureBytes} bytes: choose another HBM size`,
  );
}

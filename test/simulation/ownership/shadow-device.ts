/**
 * The shadow model of one device's memory: who owns it, since which open; for each page which open has
 * dirtied it since it was last seen clean; for each granule which operation has written it last.
 */
import type { GaudiDevice } from '../../../node/device/device.ts';
import type { Findings } from './findings.ts';

/** Unit in which last writers are kept. Operations work on multiples of it. */
export const GRANULE_BYTES = 64;
export const PAGE_BYTES = 64 * 1024;
const GRANULES_PER_PAGE = PAGE_BYTES / GRANULE_BYTES;
const ZEROES = Buffer.alloc(PAGE_BYTES);

/**
 * One open of a device: from the successful `open` to the hand-over to somebody else. `closing`: no
 * descriptor is left.
 */
export interface Opening {
  readonly device: ShadowDevice;
  readonly number: number;
  readonly pid: number;
  /** Its memory is managed by a library whose registrations the model does not know one by one. */
  readonly library: boolean;
  /** Descriptors of the device file, in all processes. */
  descriptors: number;
  state: 'open' | 'closing' | 'over';
}

export interface Allocation {
  readonly opening: Opening | undefined;
  readonly offset: number;
  readonly bytes: number;
}

interface Page {
  /** The open that has written here since the page was last seen clean; 0: none. */
  dirtiedBy: number;
  allocation: Allocation | undefined;
  lastWriters: Int32Array | undefined;
  /** It has been allocated and not been scrubbed by a run that ended well. */
  isTouched: boolean;
}

export class ShadowDevice {
  readonly name: string;
  readonly device: GaudiDevice;
  readonly bytes: Uint8Array;
  readonly #findings: Findings;
  readonly #pages: Page[];
  /** Who has it, as far as the model knows. */
  current: Opening | undefined;
  openings = 0;
  /** Latest allocation, for the operation that has just made it. */
  lastAllocation: Allocation | undefined;

  constructor(name: string, device: GaudiDevice, findings: Findings) {
    this.name = name;
    this.device = device;
    this.#findings = findings;
    this.bytes = new Uint8Array(device.hbm.memory.buffer);
    this.#pages = Array.from({ length: this.bytes.byteLength / PAGE_BYTES }, () => ({
      dirtiedBy: 0,
      allocation: undefined,
      lastWriters: undefined,
      isTouched: false,
    }));
    this.#watchAllocator();
  }

  /** A successful open: from here on the memory is somebody else's. */
  handOver(pid: number, library: boolean): Opening {
    if (this.current !== undefined) this.current.state = 'over';
    this.openings++;
    this.current = {
      device: this,
      number: this.openings,
      pid,
      library,
      descriptors: 1,
      state: 'open',
    };
    return this.current;
  }

  allocationAt(offset: number): Allocation | undefined {
    return this.#pages[Math.floor(offset / PAGE_BYTES)]?.allocation;
  }

  /** Notes that `writer` (an operation's number) has written here on behalf of `opening`. */
  wrote(start: number, length: number, writer: number, opening: number): void {
    for (let at = start; at < start + length; ) {
      const page = this.#pages[Math.floor(at / PAGE_BYTES)];
      if (page === undefined) return;
      const pageEnd = at - (at % PAGE_BYTES) + PAGE_BYTES;
      const end = Math.min(start + length, pageEnd);
      page.dirtiedBy = opening;
      page.lastWriters ??= new Int32Array(GRANULES_PER_PAGE);
      const from = Math.floor((at % PAGE_BYTES) / GRANULE_BYTES);
      const to = Math.floor(((end - 1) % PAGE_BYTES) / GRANULE_BYTES);
      page.lastWriters.fill(writer, from, to + 1);
      at = end;
    }
  }

  /** Whole pages that nobody has written to since they were seen clean. */
  isUnwritten(start: number, length: number): boolean {
    if (start % PAGE_BYTES !== 0 || length % PAGE_BYTES !== 0) return false;
    for (let at = start; at < start + length; at += PAGE_BYTES) {
      if (this.#pages[at / PAGE_BYTES]?.dirtiedBy !== 0) return false;
    }
    return true;
  }

  lastWriter(offset: number): number {
    const page = this.#pages[Math.floor(offset / PAGE_BYTES)];
    return page?.lastWriters?.[Math.floor((offset % PAGE_BYTES) / GRANULE_BYTES)] ?? 0;
  }

  /** Whether the bytes of the page are those of nobody. */
  isClean(offset: number, length: number): boolean {
    for (let done = 0; done < length; done += PAGE_BYTES) {
      const page = Buffer.from(
        this.bytes.buffer,
        offset + done,
        Math.min(PAGE_BYTES, length - done),
      );
      if (!page.equals(ZEROES.subarray(0, page.byteLength))) return false;
    }
    return true;
  }

  /** Pages that may hold somebody's bytes. */
  touchedPages(): number[] {
    return this.#pages.flatMap(({ dirtiedBy, isTouched }, page) =>
      dirtiedBy !== 0 || isTouched ? [page] : [],
    );
  }

  #watchAllocator(): void {
    const { hbm } = this.device;
    const allocate = hbm.allocate.bind(hbm);
    const free = hbm.free.bind(hbm);
    hbm.allocate = (bytes, alignment) => {
      const offset = allocate(bytes, alignment);
      if (typeof offset === 'number') this.#allocated(offset, bytes);
      return offset;
    };
    hbm.free = (offset) => {
      this.#freed(offset);
      free(offset);
    };
  }

  #allocated(offset: number, bytes: number): void {
    const allocation: Allocation = { opening: this.current, offset, bytes };
    this.lastAllocation = allocation;
    const owner = this.current?.number ?? 0;
    for (let at = offset; at < offset + bytes; at += PAGE_BYTES) {
      const page = this.#pages[at / PAGE_BYTES];
      if (page === undefined) continue;
      if (page.dirtiedBy !== 0 && page.dirtiedBy !== owner) {
        this.#findings.check(
          'I5',
          this.isClean(at, PAGE_BYTES),
          () =>
            `Expected open ${owner} of ${this.name} to get clean memory at ${at} but found bytes of open ${page.dirtiedBy}`,
        );
        page.dirtiedBy = 0;
      }
      page.allocation = allocation;
      page.isTouched = true;
      page.lastWriters?.fill(0);
    }
  }

  #freed(offset: number): void {
    const allocation = this.allocationAt(offset);
    if (allocation === undefined) return;
    for (let at = offset; at < offset + allocation.bytes; at += PAGE_BYTES) {
      const page = this.#pages[at / PAGE_BYTES];
      if (page !== undefined) page.allocation = undefined;
    }
  }
}

/**
 * What one user has on the device (`struct hl_ctx`): allocations by handle, virtual addresses, exports
 * and submissions. Operations follow drivers/accel/habanalabs/common/memory.c and return its errno.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { isPowerOfTwo, roundUp } from '../../common/math.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { CommandSubmissions } from './command-submission.ts';
import { importDmaBuf, releaseImport } from './dma-buf-importer.ts';
import { DRAM_PAGE_BYTES, type Hbm } from './hbm.ts';
import type { KernelSet } from './kernels/kernels.ts';
import { type AddressHint, type Mapping, Mmu } from './mmu.ts';

/** Live allocations of one context; one more is ENOMEM. */
export const ALLOCATIONS_MAX = 65536;

/** The parts of a device that a context works with. */
export interface DeviceHardware {
  readonly index: number;
  readonly hbm: Hbm;
  readonly kernels: KernelSet;
  readonly scheduler: Scheduler;
}

interface Allocation {
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  mappingCount: number;
}

export class Context {
  readonly hardware: DeviceHardware;
  readonly mmu = new Mmu();
  readonly commands: CommandSubmissions;
  /** Live dma-bufs made of this context's memory. */
  exportCount = 0;
  readonly #allocations = new Map<number, Allocation>();
  #lastHandle = 0;

  constructor(hardware: DeviceHardware) {
    this.hardware = hardware;
    const { hbm, kernels, scheduler } = hardware;
    this.commands = new CommandSubmissions({ hbm, kernels, mmu: this.mmu }, scheduler);
  }

  get allocationCount(): number {
    return this.#allocations.size;
  }

  /**
   * A handle, from 1, for `size` bytes rounded up to the page size, physically contiguous. EINVAL: size
   * 0, or a page size that is no power of two or below the DRAM page; ENOMEM.
   */
  alloc(size: number, pageSize: number): number | Errno {
    const page = pageSize === 0 ? DRAM_PAGE_BYTES : pageSize;
    if (size === 0 || !isPowerOfTwo(page) || page < DRAM_PAGE_BYTES) return 'EINVAL';
    const { hbm } = this.hardware;
    if (size > hbm.bytes || this.#allocations.size >= ALLOCATIONS_MAX) return 'ENOMEM';
    const bytes = roundUp(size, page);
    const offset = hbm.allocate(bytes, page);
    if (typeof offset !== 'number') return offset;
    const handle = ++this.#lastHandle;
    this.#allocations.set(handle, { handle, offset, bytes, mappingCount: 0 });
    return handle;
  }

  /** EINVAL: no such handle, or still mapped (which an exported allocation is). */
  free(handle: number): Errno | undefined {
    const allocation = this.#allocations.get(handle);
    if (allocation === undefined || allocation.mappingCount > 0) return 'EINVAL';
    this.#allocations.delete(handle);
    this.hardware.hbm.free(allocation.offset);
    return undefined;
  }

  /** Device virtual address of the allocation. EINVAL: no such handle, or a forced hint; ENOMEM. */
  map(handle: number, hint: AddressHint): number | Errno {
    const allocation = this.#allocations.get(handle);
    if (allocation === undefined) return 'EINVAL';
    const mapping = this.mmu.mapDram(allocation, hint);
    if (typeof mapping === 'string') return mapping;
    allocation.mappingCount++;
    return mapping.virtualAddress;
  }

  /** Device virtual address of user memory of `caller`. EINVAL: size 0; EFAULT: not its memory. */
  mapHost(caller: SimProcess, userAddress: number, size: number): number | Errno {
    if (size === 0) return 'EINVAL';
    const view = caller.userBytes(userAddress, size);
    if (view === undefined) return 'EFAULT';
    const mapping = this.mmu.mapHost(view, userAddress);
    return typeof mapping === 'string' ? mapping : mapping.virtualAddress;
  }

  /** Device virtual address of the first `size` bytes of a dma-buf; see `importDmaBuf`. */
  mapDmaBuf(caller: SimProcess, fd: number, size: number): number | Errno {
    const name = `accel${this.hardware.index}`;
    const mapping = importDmaBuf(this.mmu, name, caller, fd, size);
    return typeof mapping === 'string' ? mapping : mapping.virtualAddress;
  }

  /** EINVAL: not the start of a mapping, or exported. */
  unmap(virtualAddress: number): Errno | undefined {
    const mapping = this.mmu.mappingAt(virtualAddress);
    if (mapping === undefined) return 'EINVAL';
    if (mapping.kind === 'dram' && mapping.exports > 0) return 'EINVAL';
    this.#unmap(mapping);
    return undefined;
  }

  /**
   * No descriptor names the device file any more: work ends, and what is held of other devices is given
   * back. (Two devices that import from each other would otherwise keep each other for ever.)
   */
  close(): void {
    this.commands.abortAll();
    for (const mapping of this.mmu.mappings) if (mapping.kind === 'import') this.#unmap(mapping);
  }

  /** The end: nothing refers to this context's memory any more. Unmaps and frees what the user left. */
  destroy(): void {
    assert(this.exportCount === 0, 'Expected no live dma-buf when a context ends');
    for (const mapping of this.mmu.mappings) this.#unmap(mapping);
    for (const handle of [...this.#allocations.keys()]) {
      const errno = this.free(handle);
      assert(errno === undefined, 'Expected an unmapped allocation to be freed');
    }
  }

  #unmap(mapping: Mapping): void {
    this.mmu.remove(mapping);
    if (mapping.kind === 'import') releaseImport(mapping);
    if (mapping.kind !== 'dram') return;
    const allocation = this.#allocations.get(mapping.handle);
    assert(allocation !== undefined, 'Expected a mapped allocation to be live');
    allocation.mappingCount--;
  }
}

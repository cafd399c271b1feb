/**
 * What one user has on the device (`struct hl_ctx`): allocations by handle, virtual addresses, exports
 * and submissions. Operations follow drivers/accel/habanalabs/common/memory.c and return its errno.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { isPowerOfTwo, roundUp } from '../../common/math.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { CommandSubmissions, type CsObserver } from './command-submission.ts';
import { importDmaBuf, releaseImport } from './dma-buf-importer.ts';
import { MEMORY_ERRORS } from './errno-tables.ts';
import type { DeviceHardware } from './hardware.ts';
import { DRAM_BASE, DRAM_PAGE_BYTES, type Hbm } from './hbm.ts';
import { type AddressHint, type DramMapping, type Mapping, Mmu } from './mmu.ts';

interface Allocation {
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  mappingCount: number;
}

/** Who wants to know what happens in a context. */
export interface ContextObserver extends CsObserver {
  /** A dma-buf of this context's memory is gone. */
  exportReleased(): void;
}

export class Context {
  readonly hardware: DeviceHardware;
  readonly mmu: Mmu;
  readonly commands: CommandSubmissions;
  /** Live dma-bufs made of this context's memory that were not taken back for good. */
  exportCount = 0;
  /** HL_DEBUG_OP_SET_MODE: ends with the context at the latest. */
  debugMode: 'off' | 'on' = 'off';
  readonly #observer: ContextObserver;
  readonly #allocations = new Map<number, Allocation>();
  /** Gaudi 1: what the user says that it uses. */
  #accountedBytes = 0;
  #lastHandle = 0;
  #state: 'open' | 'closed' | 'destroyed' = 'open';

  constructor(hardware: DeviceHardware, observer: ContextObserver) {
    this.hardware = hardware;
    this.#observer = observer;
    const { hbm, kernels, scheduler, limits, asic } = hardware;
    const physical = asic === 'gaudi1' ? physicalMapping(hbm) : undefined;
    this.mmu = new Mmu(physical, limits.mappingsMax, hbm.memory.buffer);
    const memory = { hbm, kernels, mmu: this.mmu };
    this.commands = new CommandSubmissions(memory, scheduler, limits.csTimeoutMs, observer);
  }

  get allocationCount(): number {
    return this.#allocations.size;
  }

  /** Its memory is its user's no more, whoever may still reach it. */
  get isDestroyed(): boolean {
    return this.#state === 'destroyed';
  }

  /** Device memory of this context. */
  get dramBytes(): number {
    return this.hardware.hbm.allocatedBytes + this.#accountedBytes;
  }

  /** For the dma-bufs of this context. */
  exportReleased(): void {
    this.#observer.exportReleased();
  }

  /**
   * A handle, from 1, for `size` bytes rounded up to the page size, physically contiguous: the ALLOC rows
   * of `MEMORY_ERRORS`. A Gaudi 1 only keeps accounts, and gives handle 0.
   */
  alloc(size: number, pageSize: number): number | Errno {
    const { hbm, asic, limits } = this.hardware;
    const { allocSize, allocPageSize, allocFull, allocHandles } = MEMORY_ERRORS;
    if (size === 0) return allocSize.errno;
    if (asic === 'gaudi1') {
      this.#accountedBytes += size;
      return 0;
    }
    const page = pageSize === 0 ? DRAM_PAGE_BYTES : pageSize;
    if (!isPowerOfTwo(page) || page < DRAM_PAGE_BYTES) return allocPageSize.errno;
    if (size > hbm.bytes) return allocFull.errno;
    const bytes = roundUp(size, page);
    const offset = hbm.allocate(bytes, page);
    if (typeof offset !== 'number') return allocFull.errno;
    if (this.#allocations.size >= limits.allocationsMax) {
      hbm.free(offset);
      return allocHandles.errno;
    }
    const handle = ++this.#lastHandle;
    this.#allocations.set(handle, { handle, offset, bytes, mappingCount: 0 });
    return handle;
  }

  /** The FREE rows of `MEMORY_ERRORS`. A Gaudi 1 takes `size` off its accounts. */
  free(handle: number, size = 0): Errno | undefined {
    if (this.hardware.asic === 'gaudi1') {
      this.#accountedBytes = Math.max(0, this.#accountedBytes - size);
      return undefined;
    }
    const allocation = this.#allocations.get(handle);
    if (allocation === undefined) return MEMORY_ERRORS.freeUnknown.errno;
    // An exported allocation is mapped: UNMAP refuses it.
    if (allocation.mappingCount > 0) return MEMORY_ERRORS.freeMapped.errno;
    this.#forget(allocation);
    return undefined;
  }

  /** Device virtual address of the allocation. EINVAL: no such handle, or a forced hint; ENOMEM. */
  map(handle: number, hint: AddressHint): number | Errno {
    const allocation = this.#allocations.get(handle);
    if (allocation === undefined) return MEMORY_ERRORS.mapUnknown.errno;
    const mapping = this.mmu.mapDram(allocation, hint);
    if (typeof mapping === 'string') return mapping;
    allocation.mappingCount++;
    return mapping.virtualAddress;
  }

  /** Device virtual address of user memory of `caller`. EINVAL: size; EFAULT: not its memory; ENOMEM. */
  mapHost(caller: SimProcess, userAddress: number, size: number): number | Errno {
    if (size === 0) return MEMORY_ERRORS.mapHostSize.errno;
    if (!Number.isSafeInteger(userAddress + size)) return MEMORY_ERRORS.mapHostOverflow.errno;
    const view = caller.userBytes(userAddress, size);
    if (view === undefined) return MEMORY_ERRORS.mapHostPointer.errno;
    const mapping = this.mmu.mapHost(view, userAddress);
    return typeof mapping === 'string' ? mapping : mapping.virtualAddress;
  }

  /**
   * Device virtual address of the first `size` bytes of a dma-buf; see `importDmaBuf`. EBADF if the
   * device was closed meanwhile.
   */
  async mapDmaBuf(caller: SimProcess, fd: number, size: number): Promise<number | Errno> {
    const name = `accel${this.hardware.index}`;
    const mapping = await importDmaBuf(this.mmu, name, caller, fd, size);
    if (typeof mapping === 'string') return mapping;
    if (this.#state === 'open') return mapping.virtualAddress;
    if (mapping.state === 'mapped') this.#unmap(mapping);
    return 'EBADF';
  }

  /** EINVAL: not the start of a mapping, or exported. */
  unmap(virtualAddress: number): Errno | undefined {
    const mapping = this.mmu.mappingAt(virtualAddress);
    if (mapping === undefined) return MEMORY_ERRORS.unmapUnknown.errno;
    if (mapping.kind === 'dram' && mapping.exports > 0) return MEMORY_ERRORS.unmapExported.errno;
    this.#unmap(mapping);
    return undefined;
  }

  /**
   * No descriptor names the device file any more: work ends, and what is held of other devices is given
   * back. (Two devices that import from each other would otherwise keep each other for ever.)
   */
  close(): void {
    this.#state = 'closed';
    this.commands.abortAll('ABORTED');
    for (const mapping of this.mmu.mappings) if (mapping.kind === 'import') this.#unmap(mapping);
  }

  /**
   * The end. Unmaps and frees what the user left; who still reaches the memory then, by a dma-buf that
   * was neither awaited nor taken back, reaches that of the next user.
   */
  destroy(): void {
    assert(this.#state === 'closed', 'Expected a context to be closed before it ends');
    for (const mapping of this.mmu.mappings) this.#unmap(mapping);
    for (const allocation of [...this.#allocations.values()]) {
      assert(allocation.mappingCount === 0, 'Expected an allocation to be unmapped');
      this.#forget(allocation);
    }
    this.#accountedBytes = 0;
    this.#state = 'destroyed';
  }

  #forget(allocation: Allocation): void {
    this.#allocations.delete(allocation.handle);
    this.hardware.hbm.free(allocation.offset);
  }

  #unmap(mapping: Mapping): void {
    this.mmu.remove(mapping);
    if (mapping.kind === 'import') void releaseImport(mapping);
    if (mapping.kind !== 'dram') return;
    const allocation = this.#allocations.get(mapping.handle);
    assert(allocation !== undefined, 'Expected a mapped allocation to be live');
    allocation.mappingCount--;
  }
}

/** All that users can have of device memory, which is all in their reach from now on. */
function physicalMapping(hbm: Hbm): DramMapping {
  hbm.touch(DRAM_PAGE_BYTES, hbm.bytes);
  return {
    kind: 'dram',
    handle: 0,
    virtualAddress: DRAM_BASE + DRAM_PAGE_BYTES,
    offset: DRAM_PAGE_BYTES,
    bytes: hbm.bytes,
    state: 'mapped',
    exports: 0,
  };
}

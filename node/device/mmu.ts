/**
 * Device virtual addresses of one context. Three kinds of memory have them: the device's own DRAM, the
 * user's memory on the host (through the PMMU), and dma-bufs of other devices. Each mapping is one
 * block of virtual addresses; nothing translates across two.
 */

import { GiB } from '../../common/bytes.ts';
import type { Errno } from '../../common/errno.ts';
import { roundUp } from '../../common/math.ts';
import type { DmaBufAttachment, SgTable } from '../dmabuf/dma-buf.ts';
import { DRAM_PAGE_BYTES } from './hbm.ts';
import { DEVICE_LIMITS } from './limits.ts';
import { RangeAllocator } from './range-allocator.ts';

/** Page of the host, of the PMMU, and unit of dma-buf export. */
export const PAGE_SIZE = 4096;

/** Virtual addresses of device DRAM, and of everything that is reached over PCIe. */
export const DRAM_VA_BASE = 0x1000_0000_0000;
export const HOST_VA_BASE = 0x2000_0000_0000;
const VA_SPACE_BYTES = 1024 * GiB;

interface MappingBase {
  readonly virtualAddress: number;
  readonly bytes: number;
  state: 'mapped' | 'unmapped';
}

/** An allocation of this device. */
export interface DramMapping extends MappingBase {
  readonly kind: 'dram';
  readonly handle: number;
  /** Offset in the device's memory. */
  readonly offset: number;
  /** Live dma-bufs made from it. */
  exports: number;
}

/** A range of the user's memory. */
export interface HostMapping extends MappingBase {
  readonly kind: 'host';
  readonly view: Uint8Array;
}

/** A dma-buf, reached through the segments of its mapping and nothing else. */
export interface ImportMapping extends MappingBase {
  readonly kind: 'import';
  readonly attachment: DmaBufAttachment;
  readonly table: SgTable;
  /**
   * Offset in the device's own memory, where kernels reach it: of what is mapped into the import aperture.
   * `undefined`: it is in another device's memory.
   */
  readonly deviceOffset: number | undefined;
}

export type Mapping = DramMapping | HostMapping | ImportMapping;

/** A range inside one mapping. */
export interface MappedRange {
  readonly mapping: Mapping;
  /** Bytes from the mapping's start. */
  readonly offset: number;
  readonly bytes: number;
}

/** Where a mapping lies in the device's own memory, which is all that its kernels reach. */
export function deviceOffsetOf(mapping: Mapping): number | undefined {
  switch (mapping.kind) {
    case 'dram':
      return mapping.offset;
    case 'host':
      return undefined;
    case 'import':
      return mapping.deviceOffset;
  }
}

/** The range's memory has not been taken away since it was translated. */
export function isLive({ mapping }: MappedRange): boolean {
  if (mapping.state !== 'mapped') return false;
  return mapping.kind !== 'import' || mapping.table.state === 'mapped';
}

export interface AddressHint {
  /** 0: none. */
  readonly address: number;
  /** HL_MEM_FORCE_HINT: EINVAL rather than another address. */
  readonly force: boolean;
}

export const NO_HINT: AddressHint = { address: 0, force: false };

export class Mmu {
  /** All of device memory at its physical address, for a device without an MMU of its own. */
  readonly physical: DramMapping | undefined;
  readonly #dramAddresses = new RangeAllocator(DRAM_VA_BASE, DRAM_VA_BASE + VA_SPACE_BYTES);
  readonly #hostAddresses = new RangeAllocator(HOST_VA_BASE, HOST_VA_BASE + VA_SPACE_BYTES);
  readonly #mappings = new Map<number, Mapping>();
  /** Start addresses, ascending. */
  readonly #starts: number[] = [];
  /** Start of the block of virtual addresses of each mapping. */
  readonly #blocks = new Map<Mapping, number>();
  readonly #mappingsMax: number;
  readonly #ownMemory: ArrayBufferLike | undefined;

  /** At most `mappingsMax` mappings; one more is ENOMEM. `ownMemory`: what the device's kernels reach. */
  constructor(
    physical?: DramMapping,
    mappingsMax: number = DEVICE_LIMITS.mappingsMax,
    ownMemory?: ArrayBufferLike,
  ) {
    this.physical = physical;
    this.#mappingsMax = mappingsMax;
    this.#ownMemory = ownMemory;
  }

  /** What users made; not the physical one. */
  get mappings(): readonly Mapping[] {
    return [...this.#mappings.values()];
  }

  mapDram(
    dram: Pick<DramMapping, 'handle' | 'offset' | 'bytes'>,
    hint: AddressHint,
  ): DramMapping | Errno {
    const block = this.#allocateDram(dram.bytes, hint);
    if (typeof block !== 'number') return block;
    const state = 'mapped' as const;
    return this.#add({ kind: 'dram', ...dram, virtualAddress: block, state, exports: 0 }, block);
  }

  /** The address keeps the user address's place in its page, as a PMMU mapping does. */
  mapHost(view: Uint8Array, userAddress: number): HostMapping | Errno {
    const inPage = userAddress % PAGE_SIZE;
    const block = this.#allocateHost(inPage + view.byteLength);
    if (typeof block !== 'number') return block;
    const virtualAddress = block + inPage;
    const bytes = view.byteLength;
    return this.#add({ kind: 'host', view, virtualAddress, bytes, state: 'mapped' }, block);
  }

  mapImport(attachment: DmaBufAttachment, table: SgTable, bytes: number): ImportMapping | Errno {
    const deviceOffset = offsetIn(this.#ownMemory, table);
    const block = this.#allocateHost(bytes);
    if (typeof block !== 'number') return block;
    const state = 'mapped' as const;
    return this.#add(
      { kind: 'import', attachment, table, deviceOffset, virtualAddress: block, bytes, state },
      block,
    );
  }

  /** The mapping that starts at exactly this address. */
  mappingAt(virtualAddress: number): Mapping | undefined {
    return this.#mappings.get(virtualAddress);
  }

  /** The mapping that contains this address. */
  mappingContaining(virtualAddress: number): Mapping | undefined {
    const index = this.#firstAbove(virtualAddress) - 1;
    const mapping = this.#mappings.get(this.#starts[index] ?? -1);
    return [mapping, this.physical].find(
      (one) => one !== undefined && contains(one, virtualAddress),
    );
  }

  /** EFAULT unless all of [virtualAddress, virtualAddress + bytes) lies in one mapping. */
  translate(virtualAddress: number, bytes: number): MappedRange | Errno {
    const mapping = this.mappingContaining(virtualAddress);
    if (mapping === undefined) return 'EFAULT';
    const offset = virtualAddress - mapping.virtualAddress;
    if (offset + bytes > mapping.bytes) return 'EFAULT';
    return { mapping, offset, bytes };
  }

  /** Takes the mapping out; ranges translated before see its state change. */
  remove(mapping: Mapping): void {
    const block = this.#blocks.get(mapping);
    if (block === undefined) return;
    mapping.state = 'unmapped';
    this.#blocks.delete(mapping);
    this.#mappings.delete(mapping.virtualAddress);
    this.#starts.splice(this.#firstAbove(mapping.virtualAddress) - 1, 1);
    const addresses = mapping.kind === 'dram' ? this.#dramAddresses : this.#hostAddresses;
    addresses.free(block);
  }

  #allocateDram(bytes: number, hint: AddressHint): number | Errno {
    if (this.#mappings.size >= this.#mappingsMax) return 'ENOMEM';
    if (hint.address !== 0) {
      const isAligned = hint.address % DRAM_PAGE_BYTES === 0;
      const block = isAligned ? this.#dramAddresses.allocateAt(hint.address, bytes) : 'EINVAL';
      if (typeof block === 'number') return block;
      if (hint.force) return 'EINVAL';
    }
    return this.#dramAddresses.allocate(bytes, DRAM_PAGE_BYTES);
  }

  #allocateHost(bytes: number): number | Errno {
    if (this.#mappings.size >= this.#mappingsMax) return 'ENOMEM';
    return this.#hostAddresses.allocate(roundUp(bytes, PAGE_SIZE), PAGE_SIZE);
  }

  #add<M extends Mapping>(mapping: M, block: number): M {
    this.#starts.splice(this.#firstAbove(mapping.virtualAddress), 0, mapping.virtualAddress);
    this.#mappings.set(mapping.virtualAddress, mapping);
    this.#blocks.set(mapping, block);
    return mapping;
  }

  /** Index of the first start address above `address`. */
  #firstAbove(address: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as number) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function contains({ virtualAddress, bytes }: Mapping, address: number): boolean {
  return address >= virtualAddress && address < virtualAddress + bytes;
}

/** Where in `memory` a dma-buf lies, in one piece; `undefined` if it does not. */
function offsetIn(memory: ArrayBufferLike | undefined, { segments }: SgTable): number | undefined {
  const [segment] = segments;
  if (segments.length !== 1 || segment?.bytes.buffer !== memory) return undefined;
  return segment?.bytes.byteOffset;
}

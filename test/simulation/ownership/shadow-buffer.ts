/**
 * What the shadow model knows of an exported buffer, of a registration of it, and of the slots that
 * work requests use in it.
 */
import type { DmaBuf } from '../../../node/dmabuf/dma-buf.ts';
import type { IbvAccessFlag, IbvMr } from '../../../node/verbs/mr.ts';
import type { BufferWatch } from './buffer-watch.ts';
import type { Opening } from './shadow-device.ts';

/** A work request reads from one slot and writes to another, so that its bytes can be told apart. */
export const SLOT_BYTES = 4096;

/** `revoking`: asked for and not answered yet. */
export type BufferState = 'live' | 'revoking' | 'temporarilyRevoked' | 'permanentlyRevoked';

/** A piece of an allocation. The first one of each allocation is for atomics. */
export interface Slot {
  /** In the device's memory. */
  readonly offset: number;
  /** The work request that may write here now; it stays when it has failed, for its frames may be late. */
  writer: number;
  /** Work requests that read from here now. */
  readers: number;
}

/** What the 8 bytes at the start of an allocation count: fetch-and-adds of 1, each exactly once. */
export interface Counter {
  /** Those that succeeded. */
  added: number;
  /** Those that did not, and may have been executed all the same. */
  uncertain: number;
  /** Those under way. */
  outstanding: number;
  /** Values that were fetched. */
  readonly fetched: Set<bigint>;
}

export function slotsOf(offset: number, bytes: number): Slot[] {
  return Array.from({ length: bytes / SLOT_BYTES }, (_, index) => ({
    offset: offset + index * SLOT_BYTES,
    writer: 0,
    readers: 0,
  }));
}

export class ShadowBuffer {
  readonly id: number;
  readonly opening: Opening;
  readonly host: number;
  readonly offset: number;
  readonly size: number;
  readonly dmaBuf: DmaBuf;
  /** Of the allocation: buffers made of the same memory share them. */
  readonly slots: readonly Slot[];
  readonly counter: Counter;
  state: BufferState = 'live';
  /** Revocations so far. */
  epoch = 0;
  watch: BufferWatch | undefined;
  /** Descriptors of it, in all processes. */
  descriptors = 0;
  readonly regions = new Set<ShadowRegion>();
  readonly imports = new Set<ShadowImport>();

  constructor(init: {
    readonly id: number;
    readonly opening: Opening;
    readonly host: number;
    readonly offset: number;
    readonly size: number;
    readonly dmaBuf: DmaBuf;
    readonly slots: readonly Slot[];
    readonly counter: Counter;
  }) {
    this.id = init.id;
    this.opening = init.opening;
    this.host = init.host;
    this.offset = init.offset;
    this.size = init.size;
    this.dmaBuf = init.dmaBuf;
    this.slots = init.slots;
    this.counter = init.counter;
  }
}

/**
 * `revoking`: the exporter takes the memory back, access may still happen. `closing`: the key is dead,
 * frames that were handed to the link before may still be read. `dead`: no access at all.
 */
export type RegionState = 'live' | 'revoking' | 'closing' | 'dead';

export interface ShadowRegion {
  readonly mr: IbvMr;
  readonly key: number;
  readonly host: number;
  readonly pid: number;
  readonly buffer: ShadowBuffer;
  /** In the device's memory. */
  readonly start: number;
  readonly length: number;
  readonly iova: number;
  readonly access: ReadonlySet<IbvAccessFlag>;
  readonly mode: 'revocable' | 'pinned' | 'dynamic';
  /** Protection domain, by identity. */
  readonly pd: object;
  state: RegionState;
  /** It was not live at some time: requests that used it had a reason to fail. */
  wasInterrupted: boolean;
}

/** A buffer that another device's DMA engine reaches. */
export interface ShadowImport {
  readonly buffer: ShadowBuffer;
  /** The open of the importing device. */
  readonly opening: Opening;
  readonly pid: number;
  /** Device address, in the importing device. */
  readonly address: number;
  state: 'live' | 'revoking' | 'dead';
}

/** Whether [start, start + length) lies in the region. */
export function covers(region: ShadowRegion, start: number, length: number): boolean {
  return start >= region.start && start + length <= region.start + region.length;
}

/** What a device tells the world about itself: plain, serialisable values for tools and tests. */
import type { OwnershipPolicy } from './ownership.ts';
import type { Asic, DeviceStatus } from './uapi.ts';

/** A process, as the device knows it. */
export interface DeviceProcess {
  readonly pid: number;
  readonly containerId: string;
}

/** `opener`: it opened the device; the descriptors may be elsewhere by now. `importer`: another device works for it on a dma-buf. */
export interface Holder extends DeviceProcess {
  readonly how: 'opener' | 'importer';
  /** The device node, or the importing device. */
  readonly what: string;
}

/** `releasing`: closed, but dma-bufs (or a revocation) keep it. `scrubbing`: its memory is being zeroed. */
export type DeviceUse = 'free' | 'open' | 'releasing' | 'scrubbing';

export interface DeviceDescription {
  readonly index: number;
  readonly asic: Asic;
  readonly pciBusId: string;
  readonly status: DeviceStatus;
  readonly use: DeviceUse;
  readonly ownership: OwnershipPolicy;
  /** Whose memory is on the device, also after the close; `null` if it is nobody's. */
  readonly owner: DeviceProcess | null;
  /** Who a hard reset kills. */
  readonly openers: readonly DeviceProcess[];
  readonly hbmBytes: number;
  readonly hbmUsedBytes: number;
  readonly allocations: number;
  readonly mappings: number;
  /** dma-bufs that can still reach the memory. */
  readonly exportedDmaBufs: number;
  /** Attachments of other devices to them. */
  readonly memoryRegions: number;
  readonly submissions: number;
  readonly resets: { readonly hard: number; readonly soft: number };
  /** Why, if the status is MALFUNCTION. */
  readonly disabledReason?: string;
}

/** Something that an administrator would find in the kernel's log. */
export interface DeviceEvent {
  readonly kind:
    | 'unsafeOwnership'
    | 'closedInUse'
    | 'revokeBug'
    | 'submissionTimedOut'
    | 'needsReset'
    | 'resetStarted'
    | 'resetRetried'
    | 'resetEnded'
    | 'userKilled'
    | 'userNotKilled'
    | 'disabled'
    | 'removed';
  readonly level: 'info' | 'warn' | 'error';
  readonly device: number;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

/**
 * The driver's user interface (Linux include/uapi/drm/habanalabs_accel.h, Gaudi 2 form): requests,
 * operations and what each takes and gives. Shared by the driver and by the hl-thunk library, which
 * runs in the user's worker.
 */
import type { CsStatus, Job } from './job.ts';

export type DeviceRequest =
  | 'HL_IOCTL_INFO'
  | 'HL_IOCTL_CS'
  | 'HL_IOCTL_WAIT_CS'
  | 'HL_IOCTL_MEMORY'
  | 'HL_IOCTL_DEBUG'
  /** hlsim's own, on the control node: the hard_reset file of sysfs. EPERM without privilege. */
  | 'HLSIM_IOCTL_RESET';

/**
 * The two forms of the driver. `gaudi1`: no MMU for device memory; users name it by physical address,
 * and ALLOC only keeps accounts. `gaudi2`: allocations have handles and device virtual addresses.
 */
export type Asic = 'gaudi1' | 'gaudi2';

/** HL_MAX_MINORS */
export const DEVICES_PER_HOST_MAX = 256;

/** The device itself: one user at a time. */
export function deviceNodePath(index: number): string {
  return `/dev/accel/accel${index}`;
}

/** Information about the device, for anybody, also while it is in use. */
export function controlNodePath(index: number): string {
  return `/dev/accel/accel_controlD${index}`;
}

/** Where the device sits on its host's PCI bus: domain, bus, device and function. */
export function pciBusId(index: number): string {
  return `0000:${(index + 1).toString(16).padStart(2, '0')}:00.0`;
}

/** `enum hl_device_status`, with its values. */
export const DEVICE_STATUSES = {
  OPERATIONAL: 0,
  IN_RESET: 1,
  /** Disabled: nothing but a new start of the driver helps. */
  MALFUNCTION: 2,
  NEEDS_RESET: 3,
  IN_DEVICE_CREATION: 4,
  IN_RESET_AFTER_DEVICE_RELEASE: 5,
} as const;
export type DeviceStatus = keyof typeof DEVICE_STATUSES;

export type InfoArgument =
  | { readonly op: 'HL_INFO_HW_IP_INFO' }
  | { readonly op: 'HL_INFO_DRAM_USAGE' }
  | { readonly op: 'HL_INFO_HW_IDLE' }
  | { readonly op: 'HL_INFO_DEVICE_STATUS' }
  | { readonly op: 'HL_INFO_RESET_COUNT' }
  | { readonly op: 'HL_INFO_TIME_SYNC' }
  | { readonly op: 'HL_INFO_OPEN_STATS' }
  | { readonly op: 'HL_INFO_DEV_MEM_ALLOC_PAGE_SIZES' }
  | { readonly op: 'HL_INFO_LAST_ERR_OPEN_DEV_TIME' }
  | { readonly op: 'HL_INFO_CS_TIMEOUT_EVENT' }
  | { readonly op: 'HL_INFO_PAGE_FAULT_EVENT' }
  | { readonly op: 'HL_INFO_REGISTER_EVENTFD' }
  | { readonly op: 'HL_INFO_UNREGISTER_EVENTFD' }
  /** In the kernel one waits for the eventfd first; here the request itself waits. */
  | { readonly op: 'HL_INFO_GET_EVENTS'; readonly timeoutUs: number }
  /** hlsim's own. */
  | { readonly op: 'HLSIM_INFO_MEMORY_LOOKUP'; readonly address: number };

/** `struct hl_info_hw_ip_info`, in part. */
export interface HwIpInfo {
  readonly deviceName: 'GAUDI' | 'GAUDI2';
  /** PCI vendor: 0x1da3, Habana Labs. */
  readonly vendorId: number;
  readonly pciBusId: string;
  /** Index of the device in its host (`module_id`). */
  readonly moduleId: number;
  /** Physical address of the first byte of DRAM that users can have. */
  readonly dramBaseAddress: number;
  readonly dramBytes: number;
  readonly dramPageBytes: number;
  readonly importApertureBytes: number;
}

/** `struct hl_info_dram_usage` */
export interface DramUsage {
  readonly dramFreeBytes: number;
  /** What the caller's context holds; 0 from the control node. */
  readonly contextDramBytes: number;
}

/** `struct hl_info_hw_idle` */
export interface HwIdle {
  readonly isIdle: boolean;
}

export interface DeviceStatusInfo {
  readonly status: DeviceStatus;
}

/** `struct hl_info_reset_count`: since the device was created. */
export interface ResetCount {
  readonly hardResetCount: number;
  readonly softResetCount: number;
}

/** `struct hl_info_time_sync`: the device's clock and the host's, here one, in nanoseconds. */
export interface TimeSync {
  readonly deviceTimeNs: number;
  readonly hostTimeNs: number;
}

/** `struct hl_info_dev_memalloc_page_sizes`: bit n set for pages of 2^n bytes. */
export interface DevMemAllocPageSizes {
  readonly pageOrderBitmask: number;
}

/** `struct hl_open_stats_info` */
export interface OpenStats {
  /** Opens of the compute node since the device was created. */
  readonly openCounter: number;
  /** How long the last user had the device open, in milliseconds; 0 before the first close. */
  readonly lastOpenPeriodMs: number;
  readonly isComputeContextActive: boolean;
  /** The last user's descriptors are closed, but something (a dma-buf, the scrub) keeps the device. */
  readonly computeContextInRelease: boolean;
}

/** `struct hl_info_last_err_open_dev_time`, `_cs_timeout_event`, `_page_fault_event`: the first since the open. */
export interface EventRecord {
  /** When, in milliseconds of the host's clock; 0 if it has not happened. */
  readonly timestampMs: number;
  /** The submission it happened to; 0 if none. */
  readonly sequence: number;
}

/** Bits of `HL_NOTIFIER_EVENT_*` that happened since the last look. */
export interface NotifierEvents {
  readonly events: number;
}

/** The mapping that contains an address. */
export interface MemoryLookup {
  readonly address: number;
  /** Bytes of the mapping, a multiple of the DRAM page for device memory. */
  readonly size: number;
  readonly kind: 'dram' | 'host' | 'import';
  /** Handle of the allocation; 0 unless `kind` is `dram`. */
  readonly handle: number;
}

export type MemoryArgument =
  | {
      readonly op: 'HL_MEM_OP_ALLOC';
      readonly size: number;
      /** 0: the DRAM page; else a power of two, at least the DRAM page. */
      readonly pageSize: number;
      /** HL_MEM_CONTIGUOUS, HL_MEM_SHARED: taken, and true anyway of one context with flat memory. */
      readonly contiguous: boolean;
      readonly shared: boolean;
    }
  /** `size`: for the accounts of a Gaudi 1, which has no handles. */
  | { readonly op: 'HL_MEM_OP_FREE'; readonly handle: number; readonly size?: number }
  | {
      readonly op: 'HL_MEM_OP_MAP';
      readonly userptr: false;
      readonly handle: number;
      readonly hint: number;
      readonly forceHint: boolean;
    }
  | {
      readonly op: 'HL_MEM_OP_MAP';
      readonly userptr: true;
      readonly userAddress: number;
      readonly size: number;
    }
  | { readonly op: 'HL_MEM_OP_UNMAP'; readonly address: number }
  | {
      readonly op: 'HL_MEM_OP_EXPORT_DMABUF_FD';
      readonly address: number;
      readonly size: number;
      readonly offset: number;
      readonly flags: number;
    }
  /** Downstream only: the dma-buf's first `size` bytes get a device address; undone by UNMAP. */
  | { readonly op: 'HL_MEM_OP_REG_DMABUF_FD'; readonly fd: number; readonly size: number };

export interface CsArgument {
  readonly jobs: readonly Job[];
  /** HL_CS_FLAGS_CUSTOM_TIMEOUT: how long it may run before the device counts as stuck. */
  readonly timeoutSeconds?: number;
  /** Runs inside the call, which answers with its status: jobs of at most `NOW_BYTES_MAX` bytes in all. */
  readonly now?: boolean;
}

export interface WaitCsArgument {
  readonly sequence: number;
  readonly timeoutUs: number;
}

export interface WaitCsResult {
  readonly status: CsStatus;
}

/** HL_WAIT_CS_FLAGS_MULTI_CS: until any of them has ended. */
export interface WaitMultiCsArgument {
  readonly sequences: readonly number[];
  readonly timeoutUs: number;
}

export interface WaitMultiCsResult {
  /** COMPLETED (or ABORTED: at least one of those that ended failed) once any has ended. */
  readonly status: CsStatus;
  /** Bit n set: the n-th has ended. */
  readonly completedMask: number;
}

/** HL_DEBUG_OP_SET_MODE, the one debug operation there is. */
export interface DebugArgument {
  readonly op: 'HL_DEBUG_OP_SET_MODE';
  readonly enable: boolean;
}

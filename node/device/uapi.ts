/**
 * The driver's user interface (Linux include/uapi/drm/habanalabs_accel.h, Gaudi 2 form): requests,
 * operations and what each takes and gives. Shared by the driver and by the hl-thunk library, which
 * runs in the user's worker.
 */
import type { CsStatus, Job } from './job.ts';

export type DeviceRequest =
  | 'HL_IOCTL_INFO'
  | 'HL_IOCTL_MEMORY'
  | 'HL_IOCTL_CS'
  | 'HL_IOCTL_WAIT_CS';

/** The device itself: one user at a time. */
export function deviceNodePath(index: number): string {
  return `/dev/accel/accel${index}`;
}

/** Information about the device, for anybody, also while it is in use. */
export function controlNodePath(index: number): string {
  return `/dev/accel/accel_control${index}`;
}

export type InfoArgument =
  | { readonly op: 'HL_INFO_HW_IP_INFO' }
  | { readonly op: 'HL_INFO_DRAM_USAGE' }
  | { readonly op: 'HL_INFO_DEVICE_STATUS' }
  | { readonly op: 'HL_INFO_OPEN_STATS' }
  /** hlsim's own. */
  | { readonly op: 'HLSIM_INFO_MEMORY_LOOKUP'; readonly address: number };

/** `struct hl_info_hw_ip_info`, in part. */
export interface HwIpInfo {
  /** PCI vendor: 0x1da3, Habana Labs. */
  readonly vendorId: number;
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

/** `enum hl_device_status`. This version has no reset: a device that exists is operational. */
export interface DeviceStatusInfo {
  readonly status: 'OPERATIONAL';
}

/** `struct hl_open_stats_info` */
export interface OpenStats {
  /** Opens of the compute node since the device was created. */
  readonly openCounter: number;
  /** How long the last user had the device open, in milliseconds; 0 before the first close. */
  readonly lastOpenPeriodMs: number;
  readonly isComputeContextActive: boolean;
  /** The last user's descriptors are closed, but something (a dma-buf) keeps the context. */
  readonly computeContextInRelease: boolean;
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
  | { readonly op: 'HL_MEM_OP_FREE'; readonly handle: number }
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
}

export interface WaitCsArgument {
  readonly sequence: number;
  readonly timeoutUs: number;
}

export interface WaitCsResult {
  readonly status: CsStatus;
}

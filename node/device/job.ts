/**
 * What a user program submits to a device, as serialisable values. Addresses are device virtual
 * addresses (of `hlthunk_device_memory_map`, `hlthunk_host_memory_map`, `hlthunk_import_dmabuf_fd`).
 */
import type { KernelName } from './kernels/table.ts';

/** The DMA engine copies `bytes` bytes. The ranges must not overlap. */
export interface DmaJob {
  readonly kind: 'dma';
  readonly source: number;
  readonly destination: number;
  readonly bytes: number;
}

/** A whole tensor in device memory, aligned to its elements, whose size the kernel says. */
export interface Tensor {
  readonly address: number;
  readonly bytes: number;
}

/** A TPC kernel; tensors and scalars in the order of its row in `kernels/table.ts`. */
export interface KernelJob {
  readonly kind: 'kernel';
  readonly kernel: KernelName;
  readonly tensors: readonly Tensor[];
  readonly scalars: readonly number[];
}

export type Job = DmaJob | KernelJob;

/** HL_MAX_JOBS_PER_CS */
export const JOBS_PER_CS_MAX = 512;
/** HL_MAX_PENDING_CS: submissions in flight; one more fails with EAGAIN. */
export const CS_IN_FLIGHT_MAX = 64;

/** Bytes of all tensors and copies of a submission that runs inside its call. */
export const NOW_BYTES_MAX = 2 * 1024 * 1024;

/** HL_WAIT_MULTI_CS_LIST_MAX_LEN: submissions of one wait. */
export const MULTI_CS_MAX = 32;
/** Longest time that a submission can ask for, in seconds. */
export const CS_TIMEOUT_MAX_SECONDS = 3600;

/**
 * COMPLETED: every job ran. BUSY: not yet, and the caller did not want to wait. TIMEDOUT: not yet, and
 * the wait's time is over. ABORTED: a job failed (its memory went away) or the device file closed. What
 * the device itself did to a submission is an errno: EIO (rolled back by a reset), ETIMEDOUT (given up).
 */
export type CsStatus = 'COMPLETED' | 'BUSY' | 'TIMEDOUT' | 'ABORTED';

/** Longest wait for a submission that can be asked for, in microseconds: the CS timeout of a Gaudi. */
export const CS_WAIT_TIMEOUT_MAX_US = 600_000_000;

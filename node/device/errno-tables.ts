/**
 * Which call of the driver fails with which errno, and when: the tables that the code answers from, the
 * tests walk through and docs/errors.md shows. Conditions and codes are those of Linux
 * drivers/accel/habanalabs (memory.c, habanalabs_ioctl.c, command_submission.c, device.c); of two kernel
 * eras the newest. EACCES and EOPNOTSUPP rows are hlsim's own choice.
 */
import type { Errno } from '../../common/errno.ts';

export interface ErrnoRow {
  readonly call: string;
  readonly condition: string;
  readonly errno: Errno;
  /** Why it cannot happen here; the row is listed so that nobody looks for it. */
  readonly never?: string;
}

/** HL_IOCTL_MEMORY, and what importers of its dma-bufs meet. */
export const MEMORY_ERRORS = {
  notOperational: row('any', 'the device is in reset, disabled, or needs a reset', 'EBUSY'),
  removed: row('any', 'the device was removed from its host', 'ENODEV'),
  notOwner: row('any', 'the caller is not the process that opened the device', 'EACCES'),
  unknownOp: row(
    'any',
    'no such operation, or a field that is missing or of another kind',
    'EINVAL',
  ),

  allocSize: row('ALLOC', 'size 0', 'EINVAL'),
  allocPageSize: row('ALLOC', 'page size not a power of two, or below the DRAM page', 'EINVAL'),
  allocFull: row('ALLOC', 'no contiguous block that large', 'ENOMEM'),
  allocHandles: row('ALLOC', 'no handle left', 'EFAULT'),

  freeUnknown: row('FREE', 'no such handle', 'EINVAL'),
  freeMapped: row('FREE', 'still mapped', 'EINVAL'),
  freeExported: row('FREE', 'still exported', 'EINVAL'),

  mapUnknown: row('MAP', 'no such handle', 'EINVAL'),
  mapHint: row('MAP', 'forced hint that is taken, or not at a page', 'EINVAL'),
  mapHostSize: row('MAP', 'host memory of size 0', 'EINVAL'),
  mapHostOverflow: row('MAP', 'host address and size overflow', 'EINVAL'),
  mapForeign: {
    ...row('MAP', 'handle of another address space, and not SHARED', 'EPERM'),
    never: 'a device has one context at a time, and handles are looked up in it',
  },
  mapFull: row('MAP', 'no virtual address space left', 'ENOMEM'),
  mapHostPointer: row('MAP', 'host memory that is not the caller’s', 'EFAULT'),

  unmapUnknown: row('UNMAP', 'not the start of a mapping', 'EINVAL'),
  unmapExported: row('UNMAP', 'a live dma-buf was made from it', 'EINVAL'),

  exportAlignment: row('EXPORT', 'address or offset not a multiple of the page size', 'EINVAL'),
  exportSize: row('EXPORT', 'size below the page size', 'EINVAL'),
  exportNotMapped: row('EXPORT', 'Gaudi 2: not exactly the start of a device mapping', 'EINVAL'),
  exportBeyond: row('EXPORT', 'Gaudi 2: offset and size beyond the mapping', 'EINVAL'),
  exportOffset: row('EXPORT', 'Gaudi 1: offset not 0', 'EINVAL'),
  exportRange: row('EXPORT', 'Gaudi 1: outside the user’s part of DRAM, or overflowing', 'EINVAL'),
  exportBar: row('EXPORT', 'outside what the PCI BAR shows of DRAM', 'EINVAL'),
  exportFlags: row('EXPORT', 'flags that no descriptor has', 'EINVAL'),
  exportCount: row('EXPORT', 'no memory for the export', 'ENOMEM'),
  exportDescriptors: row('EXPORT', 'descriptor table full', 'EMFILE'),

  attachNotRevocable: row(
    'attach',
    'policy revoke: an importer that cannot be stopped',
    'EOPNOTSUPP',
  ),
  attachRevoked: row('attach', 'the dma-buf was revoked', 'ENODEV'),
  mapPeerToPeer: row('map_dma_buf', 'importer without a peer-to-peer path', 'EPERM'),
  mapSegment: row('map_dma_buf', 'importer takes no segment of a whole page', 'EINVAL'),
} as const satisfies Record<string, ErrnoRow>;

/** HL_IOCTL_CS and HL_IOCTL_WAIT_CS. */
export const SUBMISSION_ERRORS = {
  notOperational: row('CS', 'the device is in reset, disabled, or needs a reset', 'EBUSY'),
  jobs: row('CS', 'no job, too many, or one that makes no sense', 'EINVAL'),
  address: row('CS', 'a job names memory that is not mapped', 'EFAULT'),
  inFlight: row('CS', 'too many submissions in flight', 'EAGAIN'),
  unknown: row('WAIT_CS', 'no such submission, or a bad number of them', 'EINVAL'),
  timeout: row('WAIT_CS', 'a longer wait than there is', 'EINVAL'),
  waits: row('WAIT_CS', 'too many waits pending', 'EAGAIN'),
  interrupted: row('WAIT_CS', 'the process ended while it waited', 'EINTR'),
  timedOut: row('WAIT_CS', 'the submission ran for too long and was given up', 'ETIMEDOUT'),
  aborted: row('WAIT_CS', 'rolled back by a reset', 'EIO'),
  wantsReset: row('WAIT_CS', 'the device is in hard reset, disabled, or needs a reset', 'ENODEV'),
} as const satisfies Record<string, ErrnoRow>;

/** HLSIM_IOCTL_RESET, and a hard reset however it was started. */
export const RESET_ERRORS = {
  privilege: row('RESET', 'the caller is not privileged', 'EPERM'),
  disabled: row('RESET', 'the device is disabled', 'EPERM'),
  removed: row('RESET', 'the device was removed from its host', 'ENODEV'),
  busy: row('hard reset', 'users are still there after the kill: it is tried again', 'EBUSY'),
  exhausted: row('hard reset', 'no trial left: the device is disabled', 'ETIME'),
} as const satisfies Record<string, ErrnoRow>;

function row<E extends Errno>(call: string, condition: string, errno: E) {
  return { call, condition, errno } as const;
}

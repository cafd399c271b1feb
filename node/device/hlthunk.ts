/**
 * The hl-thunk library (HabanaAI/hl-thunk, include/uapi/hlthunk.h) for user programs: same names, with
 * the process's channel first. Where C returns a negative errno or 0, these throw `SystemCallError` of
 * family `errno`; what C gives through pointers is returned. It knows the driver's user interface only.
 */
import { O_CLOEXEC, O_RDWR } from '../process/open-flags.ts';
import { errnoFailure, type SystemCallChannel } from '../process/system-call.ts';
import { info, memory, numberOf, request } from './hlthunk-request.ts';
import type { CsStatus, Job } from './job.ts';
import {
  type CsArgument,
  controlNodePath,
  type DeviceStatusInfo,
  type DramUsage,
  deviceNodePath,
  type HwIpInfo,
  type MemoryLookup,
  type OpenStats,
  type WaitCsArgument,
  type WaitCsResult,
} from './uapi.ts';

const OPEN_FLAGS = O_RDWR | O_CLOEXEC;

/**
 * A descriptor of the device. EBUSY: in use; EAGAIN: in reset, or the last user's memory is not given up
 * yet; EPERM: disabled; ENXIO: no device.
 */
export async function hlthunk_open(
  channel: SystemCallChannel,
  deviceIndex: number,
): Promise<number> {
  const path = deviceNodePath(deviceIndex);
  return (await channel.call('open', { path, flags: OPEN_FLAGS })) as number;
}

/** A descriptor for information only; also while the device is in use. */
export async function hlthunk_open_control(
  channel: SystemCallChannel,
  deviceIndex: number,
): Promise<number> {
  const path = controlNodePath(deviceIndex);
  return (await channel.call('open', { path, flags: OPEN_FLAGS })) as number;
}

export async function hlthunk_close(channel: SystemCallChannel, fd: number): Promise<void> {
  await channel.call('close', { fd });
}

/** hlsim's own (sysfs hard_reset): resets the device behind a control descriptor. EPERM; ETIME; ENODEV. */
export async function hlthunk_device_reset(
  channel: SystemCallChannel,
  controlFd: number,
): Promise<void> {
  await request(channel, controlFd, 'HLSIM_IOCTL_RESET', {});
}

export function hlthunk_get_hw_ip_info(channel: SystemCallChannel, fd: number): Promise<HwIpInfo> {
  return info(channel, fd, { op: 'HL_INFO_HW_IP_INFO' });
}

export function hlthunk_get_dram_usage(channel: SystemCallChannel, fd: number): Promise<DramUsage> {
  return info(channel, fd, { op: 'HL_INFO_DRAM_USAGE' });
}

export function hlthunk_get_device_status_info(
  channel: SystemCallChannel,
  fd: number,
): Promise<DeviceStatusInfo> {
  return info(channel, fd, { op: 'HL_INFO_DEVICE_STATUS' });
}

export function hlthunk_get_open_stats(channel: SystemCallChannel, fd: number): Promise<OpenStats> {
  return info(channel, fd, { op: 'HL_INFO_OPEN_STATS' });
}

/** hlsim's own: the mapping that contains `address`. EFAULT: none does. */
export function hlthunk_device_memory_lookup(
  channel: SystemCallChannel,
  fd: number,
  address: number,
): Promise<MemoryLookup> {
  return info(channel, fd, { op: 'HLSIM_INFO_MEMORY_LOOKUP', address });
}

/** A handle for `size` bytes of device memory, rounded up to the page size. EINVAL; ENOMEM. */
export async function hlthunk_device_memory_alloc(
  channel: SystemCallChannel,
  fd: number,
  size: number,
  pageSize = 0,
  contiguous = true,
  shared = false,
): Promise<number> {
  const op = 'HL_MEM_OP_ALLOC';
  const result = await memory(channel, fd, { op, size, pageSize, contiguous, shared });
  return numberOf(result, 'handle');
}

/** EINVAL: no such handle, or still mapped. */
export async function hlthunk_device_memory_free(
  channel: SystemCallChannel,
  fd: number,
  handle: number,
): Promise<void> {
  await memory(channel, fd, { op: 'HL_MEM_OP_FREE', handle });
}

/** Device virtual address of an allocation; at `hint`, if it is not 0 and free. EINVAL; ENOMEM. */
export async function hlthunk_device_memory_map(
  channel: SystemCallChannel,
  fd: number,
  handle: number,
  hint = 0,
): Promise<number> {
  const op = 'HL_MEM_OP_MAP';
  const result = await memory(channel, fd, { op, userptr: false, handle, hint, forceHint: false });
  return numberOf(result, 'address');
}

/** Device virtual address of [userAddress, userAddress + size) of the caller's memory. EFAULT; EINVAL. */
export async function hlthunk_host_memory_map(
  channel: SystemCallChannel,
  fd: number,
  userAddress: number,
  size: number,
): Promise<number> {
  const op = 'HL_MEM_OP_MAP';
  const result = await memory(channel, fd, { op, userptr: true, userAddress, size });
  return numberOf(result, 'address');
}

/** Undoes any of the maps. EINVAL: not the start of a mapping, or exported. */
export async function hlthunk_memory_unmap(
  channel: SystemCallChannel,
  fd: number,
  address: number,
): Promise<void> {
  await memory(channel, fd, { op: 'HL_MEM_OP_UNMAP', address });
}

/**
 * A dma-buf of [address + offset, address + offset + size), where `address` is the start of a mapping.
 * EINVAL: flags other than O_RDWR | O_CLOEXEC (checked by this library, as in C), or a range that
 * cannot be exported; EMFILE.
 */
export async function hlthunk_device_mapped_memory_export_dmabuf_fd(
  channel: SystemCallChannel,
  fd: number,
  address: number,
  size: number,
  offset = 0,
  flags: number = O_RDWR | O_CLOEXEC,
): Promise<number> {
  if (flags !== (O_RDWR | O_CLOEXEC)) {
    throw errnoFailure('EINVAL', `expected flags O_RDWR | O_CLOEXEC but found ${flags}`);
  }
  const op = 'HL_MEM_OP_EXPORT_DMABUF_FD';
  return numberOf(await memory(channel, fd, { op, address, size, offset, flags }), 'fd');
}

/**
 * The Gaudi 1 form: a dma-buf of [address, address + size) of device memory, by physical address. EINVAL:
 * a range that cannot be exported; EMFILE.
 */
export function hlthunk_device_memory_export_dmabuf_fd(
  channel: SystemCallChannel,
  fd: number,
  address: number,
  size: number,
): Promise<number> {
  return hlthunk_device_mapped_memory_export_dmabuf_fd(channel, fd, address, size, 0);
}

/**
 * Device virtual address of the first `size` bytes of a dma-buf, usually another device's, for DMA jobs
 * (REG_DMABUF_FD of the downstream driver). hlthunk_memory_unmap undoes it. EBADF; EINVAL; ENODEV.
 */
export async function hlthunk_import_dmabuf_fd(
  channel: SystemCallChannel,
  fd: number,
  dmabufFd: number,
  size: number,
): Promise<number> {
  const op = 'HL_MEM_OP_REG_DMABUF_FD';
  return numberOf(await memory(channel, fd, { op, fd: dmabufFd, size }), 'address');
}

/** Queues jobs and returns their sequence number. EINVAL; EFAULT; EAGAIN: too many in flight. */
export async function hlthunk_command_submission(
  channel: SystemCallChannel,
  fd: number,
  jobs: readonly Job[],
): Promise<number> {
  const argument: CsArgument = { jobs };
  return numberOf(await request(channel, fd, 'HL_IOCTL_CS', argument), 'sequence');
}

/**
 * Waits at most `timeoutUs` microseconds (0: not at all) for a submission to end. EIO: rolled back by a
 * reset; ETIMEDOUT: it ran for too long and was given up; ENODEV: the device is in reset or wants one.
 */
export async function hlthunk_wait_for_cs(
  channel: SystemCallChannel,
  fd: number,
  sequence: number,
  timeoutUs: number,
): Promise<CsStatus> {
  const argument: WaitCsArgument = { sequence, timeoutUs };
  const result = await request(channel, fd, 'HL_IOCTL_WAIT_CS', argument);
  return (result as unknown as WaitCsResult).status;
}

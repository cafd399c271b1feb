/** hl-thunk: more of what a device says about itself, and its events. On both nodes. */
import type { SystemCallChannel } from '../process/system-call.ts';
import { info } from './hlthunk-request.ts';
import type {
  DevMemAllocPageSizes,
  EventRecord,
  HwIdle,
  HwIpInfo,
  InfoArgument,
  NotifierEvents,
  ResetCount,
  TimeSync,
} from './uapi.ts';

/** `GAUDI` or `GAUDI2` */
export async function hlthunk_get_device_name_from_fd(
  channel: SystemCallChannel,
  fd: number,
): Promise<HwIpInfo['deviceName']> {
  return (await info<HwIpInfo>(channel, fd, { op: 'HL_INFO_HW_IP_INFO' })).deviceName;
}

/** As `0000:01:00.0`. */
export async function hlthunk_get_pci_bus_id_from_fd(
  channel: SystemCallChannel,
  fd: number,
): Promise<string> {
  return (await info<HwIpInfo>(channel, fd, { op: 'HL_INFO_HW_IP_INFO' })).pciBusId;
}

/** EBUSY unless the device is operational, as of the next one. */
export async function hlthunk_is_device_idle(
  channel: SystemCallChannel,
  fd: number,
): Promise<boolean> {
  return (await info<HwIdle>(channel, fd, { op: 'HL_INFO_HW_IDLE' })).isIdle;
}

export function hlthunk_get_time_sync_info(
  channel: SystemCallChannel,
  fd: number,
): Promise<TimeSync> {
  return info(channel, fd, { op: 'HL_INFO_TIME_SYNC' });
}

export function hlthunk_get_reset_count_info(
  channel: SystemCallChannel,
  fd: number,
): Promise<ResetCount> {
  return info(channel, fd, { op: 'HL_INFO_RESET_COUNT' });
}

/** Bit n set: hlthunk_device_memory_alloc takes pages of 2^n bytes. */
export async function hlthunk_get_dev_memalloc_page_orders(
  channel: SystemCallChannel,
  fd: number,
): Promise<number> {
  const op = 'HL_INFO_DEV_MEM_ALLOC_PAGE_SIZES';
  return (await info<DevMemAllocPageSizes>(channel, fd, { op })).pageOrderBitmask;
}

const EVENT_RECORDS = {
  HLTHUNK_OPEN_DEV: 'HL_INFO_LAST_ERR_OPEN_DEV_TIME',
  HLTHUNK_CS_TIMEOUT: 'HL_INFO_CS_TIMEOUT_EVENT',
  HLTHUNK_PAGE_FAULT: 'HL_INFO_PAGE_FAULT_EVENT',
} as const satisfies Record<string, InfoArgument['op']>;

/** The first event of a kind since the last open: readable after the crash, from the control node. */
export function hlthunk_get_event_record(
  channel: SystemCallChannel,
  fd: number,
  event: keyof typeof EVENT_RECORDS,
): Promise<EventRecord> {
  return info(channel, fd, { op: EVENT_RECORDS[event] });
}

/** Events of the device are collected for this descriptor from now on. EINVAL: they are already. */
export async function hlthunk_notifier_create(
  channel: SystemCallChannel,
  fd: number,
): Promise<void> {
  await info(channel, fd, { op: 'HL_INFO_REGISTER_EVENTFD' });
}

/**
 * Bits (`NOTIFIER_EVENTS`) of what happened since the last look; 0 if nothing did within `timeoutUs`
 * microseconds. EINVAL: no notifier was created.
 */
export async function hlthunk_notifier_recv(
  channel: SystemCallChannel,
  fd: number,
  timeoutUs: number,
): Promise<number> {
  return (await info<NotifierEvents>(channel, fd, { op: 'HL_INFO_GET_EVENTS', timeoutUs })).events;
}

/** EINVAL: there is none. */
export async function hlthunk_notifier_release(
  channel: SystemCallChannel,
  fd: number,
): Promise<void> {
  await info(channel, fd, { op: 'HL_INFO_UNREGISTER_EVENTFD' });
}

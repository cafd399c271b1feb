/** HL_IOCTL_INFO (habanalabs_ioctl.c, hl_info_ioctl): what anybody with a node of the device may ask. */
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import {
  integerField,
  recordOf,
  type SystemCallRecord,
  stringField,
} from '../process/system-call-argument.ts';
import type { Context } from './context.ts';
import { succeed, waitTimeoutUs } from './device-requests.ts';
import type { DeviceState } from './device-state.ts';
import { MEMORY_ERRORS } from './errno-tables.ts';
import type { EventNotifier } from './events.ts';
import { DRAM_BASE, DRAM_PAGE_BYTES } from './hbm.ts';
import {
  type DevMemAllocPageSizes,
  type DramUsage,
  type EventRecord,
  type HwIdle,
  type HwIpInfo,
  type InfoArgument,
  type MemoryLookup,
  type OpenStats,
  pciBusId,
  type ResetCount,
  type TimeSync,
} from './uapi.ts';

/** PCI vendor id of Habana Labs. */
const PCI_VENDOR_HABANA = 0x1da3;
/** Largest page of ALLOC that the page-size mask names: 2^30 bytes. */
const PAGE_ORDER_MAX = 30;

/** Who asks: the compute node's user has a context, the control node's has none. */
export interface InfoCaller {
  readonly context: Context | undefined;
  readonly notifier: EventNotifier;
}

type InfoOp = InfoArgument['op'];
type InfoAnswer = (
  device: DeviceState,
  caller: InfoCaller,
  record: SystemCallRecord,
) => SystemCallValue | Promise<SystemCallValue>;

/** Answered in every state of the device. */
const ALWAYS: Partial<Record<InfoOp, InfoAnswer>> = {
  HL_INFO_HW_IP_INFO: (device) => ({ ...hwIpInfo(device) }),
  HL_INFO_DEVICE_STATUS: ({ status }) => ({ status }),
  HL_INFO_RESET_COUNT: ({ resets }): SystemCallValue => {
    const count: ResetCount = { hardResetCount: resets.hard, softResetCount: resets.soft };
    return { ...count };
  },
  HL_INFO_OPEN_STATS: (device) => ({ ...openStats(device) }),
  HL_INFO_DEV_MEM_ALLOC_PAGE_SIZES: () => ({ ...pageSizes() }),
  HL_INFO_LAST_ERR_OPEN_DEV_TIME: ({ errors }) => eventRecord(errors.openTime),
  HL_INFO_CS_TIMEOUT_EVENT: ({ errors }) => eventRecord(errors.of('csTimeout')),
  HL_INFO_PAGE_FAULT_EVENT: ({ errors }) => eventRecord(errors.of('pageFault')),
  HL_INFO_REGISTER_EVENTFD: (_device, { notifier }) =>
    succeed(notifier.register(), 'HL_INFO_REGISTER_EVENTFD: there is one already'),
  HL_INFO_UNREGISTER_EVENTFD: (_device, { notifier }) =>
    succeed(notifier.unregister(), 'HL_INFO_UNREGISTER_EVENTFD: there is none'),
  HL_INFO_GET_EVENTS: async (_device, { notifier }, record) => ({
    events: succeed(await notifier.receive(waitTimeoutUs(record)), 'HL_INFO_GET_EVENTS'),
  }),
};

/** EBUSY unless the device is operational. */
const OPERATIONAL: Partial<Record<InfoOp, InfoAnswer>> = {
  HL_INFO_DRAM_USAGE: (device, { context }) => ({ ...dramUsage(device, context) }),
  HL_INFO_HW_IDLE: ({ user }): SystemCallValue => {
    const idle: HwIdle = { isIdle: (user?.context.commands.inFlightCount ?? 0) === 0 };
    return { ...idle };
  },
  HL_INFO_TIME_SYNC: ({ hardware }) => ({ ...timeSync(hardware.scheduler.clock.now()) }),
  HLSIM_INFO_MEMORY_LOOKUP: (_device, { context }, record) => {
    if (context !== undefined) return lookup(context, integerField(record, 'address'));
    throw errnoFailure('EINVAL', 'the control node has no memory to look up');
  },
};

export function infoRequest(
  device: DeviceState,
  caller: InfoCaller,
  argument: SystemCallValue,
): SystemCallValue | Promise<SystemCallValue> {
  const record = recordOf(argument, 'the argument of HL_IOCTL_INFO');
  const op = stringField(record, 'op');
  const always = answerOf(ALWAYS, op);
  if (always !== undefined) return always(device, caller, record);
  const answer = answerOf(OPERATIONAL, op);
  if (answer === undefined) throw errnoFailure('EINVAL', `HL_IOCTL_INFO has no op ${op}`);
  if (device.status === 'OPERATIONAL') return answer(device, caller, record);
  throw errnoFailure(MEMORY_ERRORS.notOperational.errno, `${op}: device is ${device.status}`);
}

/** Own rows only: `toString` is no operation. */
function answerOf(
  table: Readonly<Record<string, InfoAnswer | undefined>>,
  op: string,
): InfoAnswer | undefined {
  return Object.hasOwn(table, op) ? table[op] : undefined;
}

function hwIpInfo({ hardware }: DeviceState): HwIpInfo {
  const { index, hbm, asic } = hardware;
  return {
    deviceName: asic === 'gaudi1' ? 'GAUDI' : 'GAUDI2',
    vendorId: PCI_VENDOR_HABANA,
    pciBusId: pciBusId(index),
    moduleId: index,
    dramBaseAddress: DRAM_BASE + DRAM_PAGE_BYTES,
    dramBytes: hbm.bytes,
    dramPageBytes: DRAM_PAGE_BYTES,
    importApertureBytes: hbm.apertureBytes,
  };
}

function dramUsage({ hardware, user }: DeviceState, context: Context | undefined): DramUsage {
  const { bytes, allocatedBytes } = hardware.hbm;
  const used = user?.context.dramBytes ?? allocatedBytes;
  return { dramFreeBytes: Math.max(0, bytes - used), contextDramBytes: context?.dramBytes ?? 0 };
}

function openStats({ openCount, lastOpenPeriodMs, user }: DeviceState): OpenStats {
  return {
    openCounter: openCount,
    lastOpenPeriodMs,
    isComputeContextActive: user !== undefined,
    computeContextInRelease: user !== undefined && user.state !== 'open',
  };
}

/** ALLOC takes every power of two from the DRAM page on. */
function pageSizes(): DevMemAllocPageSizes {
  let pageOrderBitmask = 0;
  for (let order = Math.log2(DRAM_PAGE_BYTES); order <= PAGE_ORDER_MAX; order++) {
    pageOrderBitmask += 2 ** order;
  }
  return { pageOrderBitmask };
}

function timeSync(nowMs: number): TimeSync {
  const ns = Math.round(nowMs * 1e6);
  return { deviceTimeNs: ns, hostTimeNs: ns };
}

function eventRecord(record: EventRecord): SystemCallValue {
  return { ...record };
}

function lookup(context: Context, address: number): SystemCallValue {
  const mapping = context.mmu.mappingContaining(address);
  if (mapping === undefined) throw errnoFailure('EFAULT', `nothing is mapped at ${address}`);
  const { kind, virtualAddress, bytes } = mapping;
  const handle = mapping.kind === 'dram' ? mapping.handle : 0;
  return { address: virtualAddress, size: bytes, kind, handle } satisfies MemoryLookup;
}

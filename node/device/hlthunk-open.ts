/** hl-thunk: opening a device by what it is called rather than by its minor number. */
import { errnoFailure, type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import { hlthunk_close, hlthunk_open, hlthunk_open_control } from './hlthunk.ts';
import { info } from './hlthunk-request.ts';
import { DEVICES_PER_HOST_MAX, type HwIpInfo } from './uapi.ts';

/** EINVAL: no device at this PCI address; or as hlthunk_open. */
export async function hlthunk_open_by_bus_id(
  channel: SystemCallChannel,
  busId: string,
): Promise<number> {
  return hlthunk_open(channel, await minorWhere(channel, ({ pciBusId }) => pciBusId === busId));
}

/** EINVAL: no such module; or as hlthunk_open. */
export async function hlthunk_open_by_module_id(
  channel: SystemCallChannel,
  moduleId: number,
): Promise<number> {
  return hlthunk_open(channel, await minorWhere(channel, (found) => found.moduleId === moduleId));
}

/** The first device of this name that can be opened. EINVAL: none has it; or why the last one cannot. */
export async function hlthunk_open_by_name(
  channel: SystemCallChannel,
  name: HwIpInfo['deviceName'],
): Promise<number> {
  let reason: unknown;
  for await (const [minor, { deviceName }] of devices(channel)) {
    if (deviceName !== name) continue;
    try {
      return await hlthunk_open(channel, minor);
    } catch (failure) {
      reason = failure;
    }
  }
  throw reason ?? errnoFailure('EINVAL', `no device is a ${name}`);
}

/** EINVAL: no device at this PCI address. */
export async function hlthunk_open_control_by_bus_id(
  channel: SystemCallChannel,
  busId: string,
): Promise<number> {
  const minor = await minorWhere(channel, ({ pciBusId }) => pciBusId === busId);
  return hlthunk_open_control(channel, minor);
}

/** EINVAL: no such module. */
export async function hlthunk_open_control_by_module_id(
  channel: SystemCallChannel,
  moduleId: number,
): Promise<number> {
  const minor = await minorWhere(channel, (found) => found.moduleId === moduleId);
  return hlthunk_open_control(channel, minor);
}

/** The control node of the first device of this name. EINVAL: none has it. */
export async function hlthunk_open_control_by_name(
  channel: SystemCallChannel,
  name: HwIpInfo['deviceName'],
): Promise<number> {
  const minor = await minorWhere(channel, ({ deviceName }) => deviceName === name);
  return hlthunk_open_control(channel, minor);
}

async function minorWhere(
  channel: SystemCallChannel,
  isWanted: (found: HwIpInfo) => boolean,
): Promise<number> {
  for await (const [minor, found] of devices(channel)) if (isWanted(found)) return minor;
  throw errnoFailure('EINVAL', 'no such device');
}

/** Every device of the host, looked at through its control node. */
async function* devices(channel: SystemCallChannel): AsyncGenerator<[number, HwIpInfo]> {
  for (let minor = 0; minor < DEVICES_PER_HOST_MAX; minor++) {
    let fd: number;
    try {
      fd = await hlthunk_open_control(channel, minor);
    } catch (reason) {
      if (reason instanceof SystemCallError && reason.code === 'ENXIO') return;
      throw reason;
    }
    try {
      yield [minor, await info<HwIpInfo>(channel, fd, { op: 'HL_INFO_HW_IP_INFO' })];
    } finally {
      await hlthunk_close(channel, fd);
    }
  }
}

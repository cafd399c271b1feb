/** How the hl-thunk library talks to the driver: ioctls over the process's channel. */
import type { SystemCallChannel, SystemCallValue } from '../process/system-call.ts';
import type {
  CsArgument,
  DebugArgument,
  DeviceRequest,
  InfoArgument,
  MemoryArgument,
  WaitCsArgument,
  WaitMultiCsArgument,
} from './uapi.ts';

type DeviceArgument =
  | InfoArgument
  | MemoryArgument
  | CsArgument
  | WaitCsArgument
  | WaitMultiCsArgument
  | DebugArgument
  | Readonly<Record<string, never>>;

/** HL_IOCTL_INFO: what the driver answers to the op. */
export async function info<T>(
  channel: SystemCallChannel,
  fd: number,
  argument: InfoArgument,
): Promise<T> {
  return (await request(channel, fd, 'HL_IOCTL_INFO', argument)) as T;
}

/** HL_IOCTL_MEMORY */
export function memory(
  channel: SystemCallChannel,
  fd: number,
  argument: MemoryArgument,
): Promise<SystemCallValue> {
  return request(channel, fd, 'HL_IOCTL_MEMORY', argument);
}

/** Any ioctl of a device node. */
export function request(
  channel: SystemCallChannel,
  fd: number,
  name: DeviceRequest,
  argument: DeviceArgument,
): Promise<SystemCallValue> {
  return channel.call('ioctl', {
    fd,
    request: name,
    argument: argument as unknown as SystemCallValue,
  });
}

/** A number that the driver gave, by its name. */
export function numberOf(result: SystemCallValue, name: string): number {
  return (result as Readonly<Record<string, number>>)[name] as number;
}

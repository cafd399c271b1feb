/** The files behind the device's two nodes: what a descriptor of each can do. */
import type { Errno } from '../../common/errno.ts';
import { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import type { Context } from './context.ts';
import { debugRequest, memoryRequest, submissionRequest, waitRequest } from './device-requests.ts';
import type { DeviceState, User } from './device-state.ts';
import { MEMORY_ERRORS, RESET_ERRORS, SUBMISSION_ERRORS } from './errno-tables.ts';
import { EventNotifier } from './events.ts';
import { infoRequest } from './info.ts';
import { closeSettled, userClosed, userReleased } from './release.ts';

/** A request of the compute node's user. */
type Request = (
  context: Context,
  file: OpenFile,
  caller: SimProcess,
  argument: SystemCallValue,
) => SystemCallValue | Promise<SystemCallValue>;

const REQUESTS: Readonly<Record<string, Request>> = {
  HL_IOCTL_MEMORY: memoryRequest,
  HL_IOCTL_CS: (context, _file, _caller, argument) => submissionRequest(context, argument),
  HL_IOCTL_WAIT_CS: (context, _file, _caller, argument) => waitRequest(context, argument),
  HL_IOCTL_DEBUG: (context, _file, _caller, argument) => debugRequest(context, argument),
};

/** `reset` starts a hard reset, and says how it ended. */
export function computeFile(
  device: DeviceState,
  user: User,
  reset: (reason: string) => void,
): OpenFile {
  const { context } = user;
  const notifier = newNotifier(device);
  const file: OpenFile = new OpenFile({
    kind: 'accel',
    ioctl(caller, request, argument) {
      checkPresence(device, request);
      checkOwner(user, caller, request);
      if (request === 'HL_IOCTL_INFO') return infoRequest(device, { context, notifier }, argument);
      const serve = Object.hasOwn(REQUESTS, request) ? REQUESTS[request] : undefined;
      if (serve === undefined) throw errnoFailure('ENOTTY', `the device has no ${request}`);
      checkOperational(device, request);
      return serve(context, file, caller, argument);
    },
    closed() {
      closeNotifier(device, notifier);
      userClosed(device, user);
    },
    release: () => userReleased(device, user, reset),
    settled: () => closeSettled(device, user),
  });
  return file;
}

/** Information, and for the administrator the reset. */
export function controlFile(
  device: DeviceState,
  reset: (reason: string) => Promise<Errno | undefined>,
): OpenFile {
  const notifier = newNotifier(device);
  return new OpenFile({
    kind: 'accel_control',
    ioctl(caller, request, argument) {
      checkPresence(device, request);
      if (request === 'HL_IOCTL_INFO') {
        return infoRequest(device, { context: undefined, notifier }, argument);
      }
      if (request === 'HLSIM_IOCTL_RESET') return resetRequest(caller, reset);
      throw errnoFailure('ENOTTY', `the control node has no ${request}`);
    },
    closed: () => closeNotifier(device, notifier),
    release: () => undefined,
  });
}

/** The hard_reset file of sysfs: the call ends when the reset does. */
async function resetRequest(
  caller: SimProcess,
  reset: (reason: string) => Promise<Errno | undefined>,
): Promise<SystemCallValue> {
  if (!caller.privileged) {
    throw errnoFailure(RESET_ERRORS.privilege.errno, `process ${caller.pid} may not reset devices`);
  }
  const errno = await reset(`asked for by process ${caller.pid}`);
  if (errno !== undefined) throw errnoFailure(errno, 'hard reset');
  return undefined;
}

function checkPresence({ presence }: DeviceState, request: string): void {
  if (presence === 'present') return;
  throw errnoFailure(MEMORY_ERRORS.removed.errno, `${request}: the device was removed`);
}

/** A descriptor can be passed on; the ownership of the device cannot (as with drm_master). */
function checkOwner({ opener }: User, caller: SimProcess, request: string): void {
  if (caller.pid === opener.pid) return;
  throw errnoFailure(
    MEMORY_ERRORS.notOwner.errno,
    `${request}: the device is process ${opener.pid}'s, not process ${caller.pid}'s`,
  );
}

function checkOperational({ status }: DeviceState, request: string): void {
  if (status === 'OPERATIONAL') return;
  const waits = request === 'HL_IOCTL_WAIT_CS';
  const { errno } = waits ? SUBMISSION_ERRORS.wantsReset : SUBMISSION_ERRORS.notOperational;
  throw errnoFailure(errno, `${request}: device is ${status}`);
}

function newNotifier(device: DeviceState): EventNotifier {
  const notifier = new EventNotifier(device.hardware.scheduler);
  device.notifiers.add(notifier);
  return notifier;
}

function closeNotifier(device: DeviceState, notifier: EventNotifier): void {
  notifier.close();
  device.notifiers.delete(notifier);
}

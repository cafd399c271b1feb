/**
 * Hard reset (hl_device_reset, device_kill_open_processes): work is rolled back, users are asked to
 * leave, then killed, and the device starts anew with clean memory. Users that cannot be made to leave
 * cost the device.
 *
 *     IN_RESET -> roll back -> [take dma-bufs back] -> (grace -> kill -> wait) x trials -> scrub -> OPERATIONAL
 *                                                                             \-> ETIME: MALFUNCTION
 */
import { deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { revokeExports } from './device-exports.ts';
import type { DeviceState, User } from './device-state.ts';
import { RESET_ERRORS } from './errno-tables.ts';
import { scrub } from './scrub.ts';

/**
 * Resolves when the device is operational again, or with why it is not: ETIME, users would not leave;
 * EPERM, it was disabled meanwhile. Within the call if nobody has the device and its memory is small.
 */
export async function hardReset(device: DeviceState, reason: string): Promise<Errno | undefined> {
  device.status = 'IN_RESET';
  const { limits } = device.hardware;
  device.report('resetStarted', 'warn', `hard reset: ${reason}`, {
    exports: device.user?.context.exportCount ?? 0,
  });
  device.notify('DEVICE_RESET');
  device.user?.context.commands.abortAll('EIO');
  if (device.user !== undefined) {
    await stopImporters(device, device.user);
    await endUser(device);
  }
  if (device.status !== 'IN_RESET') return RESET_ERRORS.disabled.errno;
  if (device.user !== undefined) {
    const { pid } = device.user.opener;
    device.disable(
      `still in use after ${limits.resetTrials} trials of a hard reset, opened by ${pid}`,
    );
    return RESET_ERRORS.exhausted.errno;
  }
  return restart(device);
}

/** Policy revoke: nobody waits for users while others read or write their memory. */
async function stopImporters(device: DeviceState, { context, opener }: User): Promise<void> {
  if (device.hardware.ownership.closeWithExports !== 'revoke') return;
  if (context.exportCount === 0) return;
  // What could not be stopped shows again, and costs the device, when the exports are revoked for good.
  await revokeExports(context, 'temporary', (message) => {
    device.report('revokeBug', 'error', message, { pid: opener.pid });
  });
}

/** Until the device has no user, or no trial is left. */
async function endUser(device: DeviceState): Promise<void> {
  const { scheduler, limits } = device.hardware;
  for (let trial = 1; trial <= limits.resetTrials; trial++) {
    const { user } = device;
    if (user === undefined || device.status !== 'IN_RESET') return;
    if ((await goneWithin(scheduler, user, limits.resetGraceMs)) === 'gone') continue;
    if (device.status !== 'IN_RESET') return;
    // One that has gone already, whose memory is being scrubbed, only takes its time.
    if (user.state !== 'scrubbing') kill(device, user);
    if ((await goneWithin(scheduler, user, limits.resetWaitMs)) === 'gone') continue;
    const { errno } = RESET_ERRORS.busy;
    const { pid } = user.opener;
    const message = `${errno}: user ${pid} is still there after trial ${trial} of ${limits.resetTrials}`;
    device.report('resetRetried', 'warn', message, { pid, trial });
  }
}

function kill(device: DeviceState, { opener }: User): void {
  const { pid, containerId } = opener;
  const errno = device.processes === undefined ? 'ENOSYS' : device.processes.kill(pid, 'SIGKILL');
  if (errno === undefined) {
    device.report('userKilled', 'warn', `killed process ${pid}`, { pid, containerId });
    return;
  }
  const message = `${errno}: opener ${pid} could not be killed`;
  device.report('userNotKilled', 'warn', message, { pid, containerId, errno });
}

/** `late`: after `deadlineMs` it is still there. */
function goneWithin(
  scheduler: Scheduler,
  user: User,
  deadlineMs: number,
): Promise<'gone' | 'late'> {
  return new Promise((resolve) => {
    const cancel = scheduler.after(deadlineMs, () => resolve('late'));
    void user.gone.promise.then(() => {
      cancel();
      resolve('gone');
    });
  });
}

async function restart(device: DeviceState): Promise<Errno | undefined> {
  const { hbm, scheduler, limits } = device.hardware;
  const scrubbed = deferred<void>();
  let state: 'running' | 'done' = 'running';
  device.scrub = 'running';
  scrub(hbm, scheduler, limits.scrubSliceBytes, () => {
    device.scrub = 'idle';
    state = 'done';
    scrubbed.resolve();
  });
  // Small memory is clean already: the device is then free within the call that asked for the reset.
  if (state === 'running') await scrubbed.promise;
  if (device.status !== 'IN_RESET') return RESET_ERRORS.disabled.errno;
  device.status = 'OPERATIONAL';
  device.resets.hard++;
  device.report('resetEnded', 'info', 'hard reset done', { resets: device.resets.hard });
  return undefined;
}

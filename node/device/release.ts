/**
 * Giving the device up: what happens between the last close and the next open (hl_device_release,
 * hpriv_release). The device becomes free last, so that no new user can see old memory.
 *
 *     closed -> released (no reference to the file) -> [dma-bufs gone, or taken back] -> scrubbed -> free
 */
import { assert } from '../../common/assert.ts';
import { revokeExports } from './device-exports.ts';
import type { DeviceState, User } from './device-state.ts';
import { scrub } from './scrub.ts';

/** No descriptor names the device file any more. */
export function userClosed(device: DeviceState, user: User): void {
  const { context } = user;
  user.state = 'releasing';
  user.closedWhile = context.commands.inFlightCount === 0 ? 'idle' : 'busy';
  context.close();
  const takesBack = device.hardware.ownership.closeWithExports === 'revoke';
  if (takesBack && context.exportCount > 0) {
    user.revocation = revokeExports(context, 'permanent', (message) => {
      device.report('revokeBug', 'error', message, { pid: user.opener.pid });
    });
  }
}

/**
 * Nothing refers to the device file any more. `reset` starts a hard reset, for a policy that answers so
 * to live dma-bufs.
 */
export function userReleased(
  device: DeviceState,
  user: User,
  reset: (reason: string) => void,
): void {
  assert(device.user === user, 'Expected the device to be released by its user');
  user.file = 'released';
  const { exportCount } = user.context;
  const { closeWithExports } = device.hardware.ownership;
  if (user.revocation !== undefined) {
    void afterRevocation(device, user, user.revocation);
  } else if (exportCount === 0 || closeWithExports === 'forget') {
    giveUp(device, user);
  } else {
    const reason = `user process closed FD but device still in use [${exportCount} exported dma-buf]`;
    const { pid, containerId } = user.opener;
    device.report('closedInUse', 'warn', reason, { pid, containerId, exports: exportCount });
    if (closeWithExports === 'reset') reset(reason);
  }
}

/** A dma-buf of the user's memory is gone. */
export function exportReleased(device: DeviceState, user: User): void {
  const isLast = user.context.exportCount === 0;
  if (isLast && user.file === 'released' && user.revocation === undefined) giveUp(device, user);
}

/** Resolves when the close of the device has had its consequences, as far as they come by themselves. */
export async function closeSettled(device: DeviceState, user: User): Promise<void> {
  const isUnderWay = user.revocation !== undefined || user.state === 'scrubbing';
  if (isUnderWay && device.user === user && device.status !== 'MALFUNCTION') {
    await user.gone.promise;
  }
}

async function afterRevocation(
  device: DeviceState,
  user: User,
  revocation: NonNullable<User['revocation']>,
): Promise<void> {
  const errno = await revocation;
  if (errno === undefined) {
    giveUp(device, user);
    return;
  }
  // Somebody may still reach the memory: it is handed to nobody any more.
  device.disable(`${errno} when its dma-bufs were taken back`);
  user.gone.resolve();
}

function giveUp(device: DeviceState, user: User): void {
  if (device.user !== user || user.state === 'scrubbing') return;
  const { hardware } = device;
  const { hbm, scheduler, limits } = hardware;
  user.context.destroy();
  device.lastOpenPeriodMs = scheduler.clock.now() - user.openedAtMs;
  if (device.status === 'IN_RESET') {
    // The reset has waited for this, and scrubs.
    free(device, user);
    return;
  }
  user.state = 'scrubbing';
  device.scrub = 'running';
  // Gaudi 2 resets itself on every release, a Gaudi 1 only if it was left busy.
  const resets = hardware.asic === 'gaudi2' || user.closedWhile === 'busy';
  if (resets && device.status === 'OPERATIONAL') {
    device.status = 'IN_RESET_AFTER_DEVICE_RELEASE';
    device.resets.soft++;
  }
  scrub(hbm, scheduler, limits.scrubSliceBytes, () => {
    device.scrub = 'idle';
    if (device.status === 'IN_RESET_AFTER_DEVICE_RELEASE') device.status = 'OPERATIONAL';
    free(device, user);
  });
}

function free(device: DeviceState, user: User): void {
  device.user = undefined;
  user.gone.resolve();
}

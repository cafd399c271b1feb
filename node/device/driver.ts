/**
 * The habanalabs driver: who may have the device, what its files do, and how it is taken away again
 * (habanalabs_drv.c, device.c). One user at a time; when the next one may come is the ownership
 * policy's to say (`ownership.ts`).
 */
import { deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { Context } from './context.ts';
import { describeDevice, holdersOf } from './describe.ts';
import type { DeviceDescription, Holder } from './description.ts';
import { computeFile, controlFile } from './device-files.ts';
import { DeviceState, type DeviceStateInit, type User } from './device-state.ts';
import { RESET_ERRORS } from './errno-tables.ts';
import { openError } from './open-errors.ts';
import { exportReleased } from './release.ts';
import { hardReset } from './reset.ts';
import { controlNodePath } from './uapi.ts';

/** What is in use on a device; all zero and `free` once everybody has closed. */
export interface DeviceUsage {
  readonly state: 'free' | 'open' | 'releasing';
  readonly allocations: number;
  readonly allocatedBytes: number;
  readonly mappings: number;
  readonly exports: number;
  readonly submissions: number;
}

export class Driver {
  readonly #device: DeviceState;
  #resetting: Promise<Errno | undefined> | undefined;

  /** A device in creation: nobody can open it before `start`. */
  constructor(init: DeviceStateInit) {
    this.#device = new DeviceState(init);
  }

  /** The device is ready for its first user. */
  start(): void {
    const device = this.#device;
    device.status = 'OPERATIONAL';
    const { ownership } = device.hardware;
    if (ownership.closeWithExports !== 'forget') return;
    device.report(
      'unsafeOwnership',
      'warn',
      `ownership policy ${device.policy}: ${ownership.summary}`,
    );
  }

  /** The compute node, or a row of `OPEN_ERRORS`. */
  openCompute(caller: SimProcess): OpenFile | Errno {
    const device = this.#device;
    const errno = openError(device.openConditions);
    if (errno !== undefined) return errno;
    const openedAtMs = device.hardware.scheduler.clock.now();
    const { pid, containerId } = caller;
    const context: Context = new Context(device.hardware, {
      exportReleased: () => exportReleased(device, user),
      timedOut: (sequence) => this.#submissionTimedOut(sequence),
      faulted: (sequence) => {
        device.errors.record('pageFault', device.hardware.scheduler.clock.now(), sequence);
        device.notify('PAGE_FAULT');
      },
    });
    const user: User = {
      opener: { pid, containerId },
      context,
      openedAtMs,
      state: 'open',
      file: 'live',
      closedWhile: 'idle',
      revocation: undefined,
      gone: deferred(),
    };
    device.user = user;
    device.openCount++;
    device.errors.opened(openedAtMs);
    return computeFile(device, user, (reason) => void this.hardReset(reason));
  }

  /** Information, any number of times, whatever the device does. ENXIO: it is gone. */
  openControl(): OpenFile | Errno {
    if (this.#device.presence === 'removed') return 'ENXIO';
    return controlFile(this.#device, (reason) => this.hardReset(reason));
  }

  /**
   * Takes the device from whoever has it and starts it anew. Joins a reset that is under way. EPERM: it
   * is disabled; ENODEV: it was removed; ETIME: its user could not be made to leave, and it is disabled.
   * Within the call if nobody has the device and its memory is small.
   */
  hardReset(reason: string): Promise<Errno | undefined> {
    const { status, presence } = this.#device;
    if (presence === 'removed') return Promise.resolve(RESET_ERRORS.removed.errno);
    if (status === 'MALFUNCTION') return Promise.resolve(RESET_ERRORS.disabled.errno);
    if (this.#resetting !== undefined && status === 'IN_RESET') return this.#resetting;
    this.#resetting = hardReset(this.#device, reason);
    return this.#resetting;
  }

  /** Gives the device up for good: open answers EPERM, and work in flight ends with EIO. */
  disable(reason: string): void {
    this.#device.disable(reason);
  }

  /** Hard unplug: nodes answer ENXIO, and what is open ENODEV. */
  remove(): void {
    this.#device.presence = 'removed';
    this.#device.disable(`${controlNodePath(this.#device.hardware.index)} was removed`);
  }

  usage(): DeviceUsage {
    const { user, hardware } = this.#device;
    const context = user?.context;
    return {
      state: user === undefined ? 'free' : user.state === 'open' ? 'open' : 'releasing',
      allocations: hardware.hbm.allocatedCount,
      allocatedBytes: hardware.hbm.allocatedBytes,
      mappings: context?.mmu.mappings.length ?? 0,
      exports: hardware.exports.count,
      submissions: context?.commands.inFlightCount ?? 0,
    };
  }

  /** For status displays. */
  describe(): DeviceDescription {
    return describeDevice(this.#device);
  }

  /**
   * Who keeps the device from its next user: its opener, then those for whom other devices work on its
   * memory. (Who holds a descriptor of it or of its dma-bufs is the process table's to say.)
   */
  holders(): Holder[] {
    return holdersOf(this.#device);
  }

  #submissionTimedOut(sequence: number): void {
    const device = this.#device;
    const reason = `submission ${sequence} timed out`;
    device.errors.record('csTimeout', device.hardware.scheduler.clock.now(), sequence);
    device.report('submissionTimedOut', 'error', reason, { sequence });
    device.notify('CS_TIMEOUT');
    if (device.status !== 'OPERATIONAL') return;
    if (device.resetOnLockup) {
      void this.hardReset(reason);
      return;
    }
    device.status = 'NEEDS_RESET';
    device.report('needsReset', 'error', `device needs a reset: ${reason}`);
    device.notify('DEVICE_UNAVAILABLE');
    device.user?.context.commands.abortAll('EIO');
  }
}

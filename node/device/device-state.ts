/**
 * What the driver knows of its device: status, user, counters, and who listens. `release.ts` and
 * `reset.ts` move it from state to state:
 *
 *     IN_DEVICE_CREATION -> OPERATIONAL (free -> open -> releasing -> scrubbing -> free)
 *     a release that resets:  ... -> IN_RESET_AFTER_DEVICE_RELEASE -> OPERATIONAL (free)
 *     any -> IN_RESET -> OPERATIONAL (free) | MALFUNCTION
 *     OPERATIONAL -> NEEDS_RESET -> IN_RESET
 */
import type { Deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import type { Signal } from '../process/signal.ts';
import type { Context } from './context.ts';
import type { DeviceEvent, DeviceProcess } from './description.ts';
import { ErrorRecords, type EventNotifier, type NotifierEvent } from './events.ts';
import type { DeviceHardware } from './hardware.ts';
import type { OpenConditions } from './open-errors.ts';
import type { OwnershipPolicy } from './ownership.ts';
import type { DeviceStatus } from './uapi.ts';

/** Ends processes in the driver's name. ESRCH: there is none with this pid. */
export interface ProcessKiller {
  kill(pid: number, signal: Signal): Errno | undefined;
}

/** The user that has the device, from open until the device is given up. */
export interface User {
  /** Who opened it. The descriptors may have been passed on. */
  readonly opener: DeviceProcess;
  readonly context: Context;
  readonly openedAtMs: number;
  state: 'open' | 'releasing' | 'scrubbing';
  /** `released`: nothing refers to the device file any more. */
  file: 'live' | 'released';
  /** Whether work was in flight when the last descriptor closed. */
  closedWhile: 'idle' | 'busy';
  /** Taking the dma-bufs back, once that has begun. */
  revocation: Promise<Errno | undefined> | undefined;
  /** Resolves when the device is given up. */
  readonly gone: Deferred<void>;
}

export interface DeviceStateInit {
  readonly hardware: DeviceHardware;
  readonly policy: OwnershipPolicy;
  readonly resetOnLockup: boolean;
  readonly processes: ProcessKiller | undefined;
  readonly log: ((event: DeviceEvent) => void) | undefined;
}

export class DeviceState {
  readonly hardware: DeviceHardware;
  readonly policy: OwnershipPolicy;
  /** Kernel parameter reset_on_lockup: a stuck submission brings about a hard reset by itself. */
  readonly resetOnLockup: boolean;
  readonly processes: ProcessKiller | undefined;
  readonly notifiers = new Set<EventNotifier>();
  readonly errors = new ErrorRecords();
  readonly resets = { hard: 0, soft: 0 };
  presence: 'present' | 'removed' = 'present';
  status: DeviceStatus = 'IN_DEVICE_CREATION';
  scrub: 'idle' | 'running' = 'idle';
  user: User | undefined;
  openCount = 0;
  lastOpenPeriodMs = 0;
  disabledReason: string | undefined;
  readonly #log: ((event: DeviceEvent) => void) | undefined;

  constructor(init: DeviceStateInit) {
    this.hardware = init.hardware;
    this.policy = init.policy;
    this.resetOnLockup = init.resetOnLockup;
    this.processes = init.processes;
    this.#log = init.log;
  }

  get openConditions(): OpenConditions {
    const { presence, status, scrub, user } = this;
    const context = user === undefined ? 'none' : user.state === 'open' ? 'active' : 'releasing';
    return { presence, status, scrub, context };
  }

  /** Tells the administrator. */
  report(
    kind: DeviceEvent['kind'],
    level: DeviceEvent['level'],
    message: string,
    fields: DeviceEvent['fields'] = {},
  ): void {
    this.#log?.({ kind, level, device: this.hardware.index, message, fields });
  }

  /** Tells everybody who has a node of the device open. */
  notify(event: NotifierEvent): void {
    for (const notifier of this.notifiers) notifier.notify(event);
  }

  /** For good: only a new start of the host brings the device back. Work in flight ends with EIO. */
  disable(reason: string): void {
    if (this.status === 'MALFUNCTION') return;
    this.status = 'MALFUNCTION';
    this.disabledReason = reason;
    this.user?.context.commands.abortAll('EIO');
    this.report('disabled', 'error', `device disabled: ${reason}`);
    this.notify('DEVICE_UNAVAILABLE');
  }
}

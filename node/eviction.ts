/**
 * Frees a device by ending whoever keeps it: the last resort of the mail thread's second option, where
 * "an admin or orchestrator kills processes until" nothing keeps the dma-buf alive any more.
 *
 * Intuition. A room is booked for you and people are still in it. You ask those at the desk first, then
 * those who have left their coats, then those who only have a key; each gets time to go, then is shown
 * out, and after each you look whether the room is empty. If somebody you cannot find keeps coming
 * back, you lock the room for good: nobody has it, but nobody shares it with a stranger either.
 *
 *     trial:  free? -> done
 *             next holder -> SIGTERM -> grace -> SIGKILL -> ended -> look again
 *             no holder left -> next trial, after a while
 *     no trial left: the device is disabled
 */
import type { Scheduler } from '../common/scheduler.ts';
import { delay } from '../common/scheduler.ts';
import type { EvictStep } from '../coordinator/hlcp/device-messages.ts';
import type { DeviceDescription } from './device/description.ts';
import type { DeviceHolder } from './held-device.ts';
import type { ProcessTable } from './process/process-table.ts';
import type { SimProcess } from './process/sim-process.ts';

/** After SIGKILL, which cannot be handled: how long a process may take to be gone. */
export const EVICT_KILL_WAIT_MS = 2_000;
/** After a process has ended: how long the device may take to let go of what was the process's. */
export const EVICT_SETTLE_MS = 1_000;
/** How long a reset or scrub under way may take: as long as the driver gives a pending reset (HL_PENDING_RESET_PER_SEC). */
export const EVICT_RESET_WAIT_MS = 10_000;
/** Processes that are ended in one trial; those that are left are the next one's. */
const HOLDERS_PER_TRIAL_MAX = 64;
const POLL_MS = 20;

/** What an eviction needs of a device. */
export interface EvictableDevice {
  readonly index: number;
  describe(): Pick<DeviceDescription, 'status' | 'use' | 'disabledReason'>;
  /** In the order in which they are to be ended. */
  holders(): readonly DeviceHolder[];
  /** Nobody opens it any more. */
  disable(reason: string): void;
}

export interface EvictionInit {
  readonly device: EvictableDevice;
  readonly processes: Pick<ProcessTable, 'get' | 'kill'>;
  readonly scheduler: Scheduler;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** Trials after the first. */
  readonly retries: number;
  readonly report: (step: EvictStep) => void;
  /** The host ends: nothing more is done. */
  readonly signal: AbortSignal;
}

/** `free`; or `disabled` and in one sentence why. `stopped`: the host has ended first. */
export type EvictionResult =
  | { readonly outcome: 'free' | 'stopped' }
  | { readonly outcome: 'disabled'; readonly reason: string };

/** Never rejects. Bounded: by the trials, the processes of a host, and the waits for each of them. */
export function evictDevice(init: EvictionInit): Promise<EvictionResult> {
  return new Eviction(init).run();
}

class Eviction {
  readonly #init: EvictionInit;
  #trial = 0;

  constructor(init: EvictionInit) {
    this.#init = init;
  }

  async run(): Promise<EvictionResult> {
    const { retries, signal } = this.#init;
    if (this.#isFree) {
      this.#trial = 1;
      this.#look();
    }
    while (!this.#isFree && this.#disabledReason === undefined && this.#trial <= retries) {
      this.#trial++;
      await this.#endHolders();
      if (signal.aborted) return { outcome: 'stopped' };
    }
    return this.#isFree ? { outcome: 'free' } : { outcome: 'disabled', reason: this.#disable() };
  }

  /** One trial: every holder once, those that turn up meanwhile included, until the device is free. */
  async #endHolders(): Promise<void> {
    const { device, signal } = this.#init;
    const ended = new Set<number>();
    while (!this.#isFree && !signal.aborted && ended.size < HOLDERS_PER_TRIAL_MAX) {
      const holder = device.holders().find(({ pid }) => !ended.has(pid));
      if (holder === undefined) {
        this.#step('found', `Nobody is known to hold device ${device.index}`);
        await this.#settle(ended);
        this.#look();
        return;
      }
      ended.add(holder.pid);
      await this.#endHolder(holder);
      await this.#settle(ended);
      this.#look();
    }
  }

  async #endHolder(holder: DeviceHolder): Promise<void> {
    const { graceMs } = this.#init;
    this.#step(
      'found',
      `${who(holder)} keeps device ${this.#init.device.index}: ${reasonOf(holder)}`,
      { process: holder },
    );
    if (await this.#signal(holder, 'SIGTERM', graceMs)) return;
    const waited = graceMs === 0 ? '' : ` has not ended in ${graceMs} ms`;
    this.#step('survived', `${who(holder)}${waited}`, { process: holder });
    if (await this.#signal(holder, 'SIGKILL', EVICT_KILL_WAIT_MS)) return;
    this.#step('survived', `${who(holder)} has not ended after SIGKILL`, { process: holder });
  }

  /** Whether the process has ended within `waitMs` of the signal. */
  async #signal(
    holder: DeviceHolder,
    signal: 'SIGTERM' | 'SIGKILL',
    waitMs: number,
  ): Promise<boolean> {
    const { processes, scheduler } = this.#init;
    const process = processes.get(holder.pid);
    if (process !== undefined) {
      this.#step('signalled', `${signal} to ${who(holder)}`, { process: holder, signal });
      processes.kill(holder.pid, signal);
      if (!(await hasEnded(process, scheduler, waitMs))) return false;
    }
    this.#step('ended', `${who(holder)} has ended`, { process: holder });
    return true;
  }

  /** Gives the device time to let go, as long as nobody else is known to keep it. */
  async #settle(ended: ReadonlySet<number>): Promise<void> {
    const { device, scheduler, signal } = this.#init;
    let waitedMs = 0;
    while (!this.#isFree && !signal.aborted) {
      const others = device.holders().some(({ pid }) => !ended.has(pid));
      const limitMs = this.#isInTransition ? EVICT_RESET_WAIT_MS : others ? 0 : EVICT_SETTLE_MS;
      if (waitedMs >= limitMs) return;
      await delay(scheduler, POLL_MS);
      waitedMs += POLL_MS;
    }
  }

  #look(): void {
    const { device } = this.#init;
    const { use } = device.describe();
    const state = use === 'free' && !this.#isFree ? this.#status : use;
    if (!this.#isFree) {
      this.#step('checked', `Device ${device.index} is not free: ${state}`);
      return;
    }
    // Without ownership a device is free although somebody still reaches its memory.
    const left = device.holders();
    const warning =
      left.length === 0 ? '' : `, though its memory is still held by ${left.map(who).join(', ')}`;
    this.#step('checked', `Device ${device.index} is free${warning}`);
  }

  /** Returns why the device is disabled. */
  #disable(): string {
    const { device } = this.#init;
    const already = this.#disabledReason;
    if (already !== undefined) {
      this.#step('disabled', `Device ${device.index} is disabled: ${already}`);
      return already;
    }
    const holders = device.holders();
    const by =
      holders.length === 0 ? 'by nobody that is known' : `by ${holders.map(who).join(', ')}`;
    const reason = `still held ${by} after ${this.#trial} ${this.#trial === 1 ? 'trial' : 'trials'} to evict`;
    device.disable(reason);
    this.#step('disabled', `Device ${device.index} is disabled: ${reason}`);
    return reason;
  }

  get #status(): string {
    return this.#init.device.describe().status;
  }

  get #isFree(): boolean {
    const { status, use } = this.#init.device.describe();
    return status === 'OPERATIONAL' && use === 'free';
  }

  get #disabledReason(): string | undefined {
    const { status, disabledReason } = this.#init.device.describe();
    return status === 'MALFUNCTION' ? (disabledReason ?? 'it does not work') : undefined;
  }

  /** It is on its way to be free, or to be found unfit. */
  get #isInTransition(): boolean {
    const { status, use } = this.#init.device.describe();
    return use === 'scrubbing' || status.startsWith('IN_');
  }

  #step(
    action: EvictStep['action'],
    text: string,
    about: { readonly process?: DeviceHolder; readonly signal?: 'SIGTERM' | 'SIGKILL' } = {},
  ): void {
    this.#init.report({ trial: this.#trial, action, status: this.#status, text, ...about });
  }
}

/** Whether it ends within `waitMs`, its descriptors' consequences included. */
async function hasEnded(
  process: SimProcess,
  scheduler: Scheduler,
  waitMs: number,
): Promise<boolean> {
  let cancel: () => void = () => undefined;
  const late = new Promise<false>((resolve) => {
    cancel = scheduler.after(waitMs, () => resolve(false));
  });
  const ended = new Promise<void>((resolve) => {
    if (process.state === 'exited') resolve();
    else process.onExit(resolve);
  });
  // The hook runs before the descriptors are closed; their promise is there in the next turn.
  const settled = ended.then(() => process.descriptorsSettled).then(() => true);
  const inTime = await Promise.race([settled, late]);
  cancel();
  return inTime || process.state === 'exited';
}

function who({ pid, containerId }: DeviceHolder): string {
  return `pid ${pid} (${containerId})`;
}

function reasonOf({ how, what }: DeviceHolder): string {
  switch (how) {
    case 'opener':
      return `it has ${what} open`;
    case 'importer':
      return `${what} works on its memory for it`;
    case 'descriptor':
      return `it has ${what} of its memory open`;
  }
}

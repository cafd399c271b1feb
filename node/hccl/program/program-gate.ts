/**
 * The host's hand on the program's thread while that runs a communicator's collectives: what both see
 * (`control-page.ts`), how the thread is kept out, and what it notes down for traces.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { delay, type Scheduler } from '../../../common/scheduler.ts';
import type { DeviceSession } from '../device-session.ts';
import type { EngineTap } from '../events.ts';
import { CONTROL_PAGE_BYTES, ControlPage } from './control-page.ts';
import { type OwnPage, ownPage } from './own-page.ts';
import { ProgramTrace } from './program-trace.ts';

/** How long the program's thread may take to leave what it is in the middle of. */
const LEAVE_MS = 1_000;
/** The same, when nothing can be awaited. */
const ABANDON_MS = 20;

export interface ProgramGateInit {
  readonly rank: Rank;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly key: { readonly uniqueId: string };
  readonly observe: EngineTap | undefined;
}

export class ProgramGate {
  readonly control: ControlPage;
  readonly memory: SharedArrayBuffer;
  /** Of the control page in the device's memory. */
  readonly offset: number;
  readonly #init: ProgramGateInit;
  readonly #page: OwnPage;
  #trace: { readonly source: ProgramTrace; end(): Promise<void> } | undefined;

  constructor(init: ProgramGateInit, page: OwnPage) {
    this.#init = init;
    this.#page = page;
    this.memory = page.memory;
    this.offset = page.offset;
    this.control = new ControlPage(page.memory, page.offset);
  }

  /** The program's thread is in the middle of something. */
  get isBusy(): boolean {
    return this.control.isBusy;
  }

  /** From here on somebody may want to know what the thread does. */
  openTrace(): void {
    const { observe, rank, key, session } = this.#init;
    const source = new ProgramTrace({
      ...{ memory: this.memory, control: this.control, rank, uniqueId: key.uniqueId },
      allocate: (bytes) => ownPage(session, bytes),
      release: (address) => session.release(address),
      idle: () => this.idle(),
    });
    const end = observe?.addSource(source) ?? (() => Promise.resolve());
    this.#trace = { source, end };
  }

  /** Resolves when the program's thread has left what it was in the middle of. */
  async idle(): Promise<void> {
    const { scheduler } = this.#init;
    const deadline = scheduler.clock.now() + LEAVE_MS;
    while (this.isBusy && scheduler.clock.now() < deadline) await delay(scheduler, 1);
  }

  /** As `idle` where nothing can be awaited: what the thread is in the middle of takes less than this. */
  waitBusy(): void {
    const { clock } = this.#init.scheduler;
    const deadline = clock.now() + ABANDON_MS;
    while (this.isBusy && clock.now() < deadline);
  }

  /** Gives everything back. The gate must be closed, and the process alive. */
  async release(): Promise<void> {
    await this.idle();
    await this.#trace?.end();
    await this.#init.session.release(this.#page.address);
  }

  /** The process has ended, and its memory goes with it. The gate must be closed. */
  abandon(): void {
    this.waitBusy();
    this.#trace?.source.abandon();
    void this.#trace?.end();
  }
}

/** A gate, which is open. If there is no memory for it, `beside` is given back: it is of no use alone. */
export async function openGate(init: ProgramGateInit, beside: OwnPage): Promise<ProgramGate> {
  try {
    return new ProgramGate(init, await ownPage(init.session, CONTROL_PAGE_BYTES));
  } catch (reason) {
    await init.session.release(beside.address);
    throw reason;
  }
}

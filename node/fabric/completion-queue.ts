/** The completion queue itself; `cq.ts` has the calls. First in, first out, errors too. */
import type { FiDomain } from './domain.ts';
import type { FiCompletion, FiCompletionError, Fid, FiErrno } from './fabric.ts';
import { Waiters } from './waiters.ts';

/** Largest `size`, and the one taken for 0. */
export const CQ_SIZE_MAX = 65_536;
export const CQ_SIZE_DEFAULT = 1_024;

/** Who completes here and may have been held up by a full queue. */
export interface CqUser {
  /** There is room again. */
  cqHasRoom(): void;
}

/** Which fields of an entry a program wants: each has those of the one before it. */
export type FiCqFormat =
  | 'FI_CQ_FORMAT_CONTEXT'
  | 'FI_CQ_FORMAT_MSG'
  | 'FI_CQ_FORMAT_DATA'
  | 'FI_CQ_FORMAT_TAGGED'
  /** The provider's choice: TAGGED. */
  | 'FI_CQ_FORMAT_UNSPEC';

export type FiWaitObject =
  | 'FI_WAIT_NONE'
  | 'FI_WAIT_UNSPEC'
  | 'FI_WAIT_FD'
  | 'FI_WAIT_MUTEX_COND'
  | 'FI_WAIT_YIELD'
  | 'FI_WAIT_POLLFD';

export interface FiCqInit {
  /** Completions it holds before its endpoints are held up; 0: CQ_SIZE_DEFAULT. */
  readonly size: number;
  readonly format?: FiCqFormat;
  /** FI_WAIT_NONE: fi_cq_sread is not used. */
  readonly wait_obj?: FiWaitObject;
  /**
   * Called from the event loop, outside of any fabric call, when entries have become available, and
   * not again until a reader has emptied the queue.
   */
  readonly onCompletion?: () => void;
}

type Entry =
  | { readonly user: CqUser; readonly completion: FiCompletion; readonly error?: undefined }
  | { readonly user: CqUser; readonly completion?: undefined; readonly error: FiCompletionError };

/** Fields that a format lacks, with the value they then have. */
const MASKS: Readonly<Record<FiCqFormat, Partial<FiCompletion> | undefined>> = {
  FI_CQ_FORMAT_CONTEXT: { flags: [], length: 0, data: 0, tag: 0n },
  FI_CQ_FORMAT_MSG: { data: 0, tag: 0n },
  FI_CQ_FORMAT_DATA: { tag: 0n },
  FI_CQ_FORMAT_TAGGED: undefined,
  FI_CQ_FORMAT_UNSPEC: undefined,
};

export class FiCq implements Fid {
  readonly fclass = 'FI_CLASS_CQ';
  readonly users = new Set<CqUser>();
  readonly waiters: Waiters;
  readonly canWait: boolean;
  readonly #domain: FiDomain;
  readonly #size: number;
  readonly #onCompletion: (() => void) | undefined;
  readonly #mask: Partial<FiCompletion> | undefined;
  #entries: Entry[] = [];
  #notified = false;
  #state: 'open' | 'overrun' | 'closed' = 'open';
  #isSignalled = false;

  constructor(domain: FiDomain, init: FiCqInit) {
    const { size, format = 'FI_CQ_FORMAT_UNSPEC', wait_obj, onCompletion } = init;
    this.#domain = domain;
    this.#size = size === 0 ? CQ_SIZE_DEFAULT : size;
    this.#mask = MASKS[format];
    this.#onCompletion = onCompletion;
    this.canWait = wait_obj !== 'FI_WAIT_NONE';
    this.waiters = new Waiters(domain.nic.scheduler);
    domain.children.add(this);
  }

  get state(): 'open' | 'overrun' | 'closed' {
    return this.#state;
  }

  /**
   * How many completions endpoints may bring now. What is over before it could wait comes in any
   * case: errors, and messages that were there before their receive.
   */
  get room(): number {
    return Math.max(0, this.#size - this.#entries.length);
  }

  push(user: CqUser, completion: FiCompletion): void {
    this.#append({ user, completion });
  }

  pushError(user: CqUser, error: FiCompletionError): void {
    this.#append({ user, error });
  }

  /** An endpoint with FI_RM_DISABLED found no room: from here on entries are lost. */
  overrun(): void {
    if (this.#state !== 'open') return;
    this.#state = 'overrun';
    this.#notify();
  }

  /** Takes completions up to the first error. */
  take(max: number): FiCompletion[] {
    const wasFull = this.room === 0;
    const taken: FiCompletion[] = [];
    for (const { completion } of this.#entries) {
      if (completion === undefined || taken.length === max) break;
      taken.push(this.#mask === undefined ? completion : { ...completion, ...this.#mask });
    }
    this.#entries.splice(0, taken.length);
    this.#emptied(wasFull);
    return taken;
  }

  get headError(): FiCompletionError | undefined {
    return this.#entries[0]?.error;
  }

  takeError(): FiCompletionError | undefined {
    const error = this.headError;
    if (error === undefined) return undefined;
    const wasFull = this.room === 0;
    this.#entries.shift();
    this.#emptied(wasFull);
    return error;
  }

  /** Wakes one reader, or the next that would wait. */
  signal(): void {
    this.#isSignalled = true;
    this.waiters.wake();
  }

  takeSignal(): boolean {
    const wasSignalled = this.#isSignalled;
    this.#isSignalled = false;
    return wasSignalled;
  }

  /** Drops the entries of an endpoint that is gone. */
  purge(user: CqUser): void {
    this.#entries = this.#entries.filter((entry) => entry.user !== user);
    this.#emptied(true);
  }

  close(): FiErrno | undefined {
    if (this.users.size > 0) return 'FI_EBUSY';
    this.#state = 'closed';
    this.#entries = [];
    this.#domain.children.delete(this);
    this.waiters.wake();
    return undefined;
  }

  #append(entry: Entry): void {
    if (this.#state !== 'open') return;
    this.#entries.push(entry);
    this.#notify();
  }

  #notify(): void {
    this.waiters.wake();
    if (this.#notified || this.#onCompletion === undefined || !this.#isNews) return;
    this.#notified = true;
    this.#domain.nic.scheduler.soon(() => {
      if (this.#isNews) this.#onCompletion?.();
    });
  }

  /** A reader would find something. */
  get #isNews(): boolean {
    if (this.#state === 'closed') return false;
    return this.#entries.length > 0 || this.#state === 'overrun';
  }

  #emptied(wasFull: boolean): void {
    if (this.#entries.length === 0) this.#notified = false;
    if (!wasFull || this.room === 0) return;
    for (const user of this.users) user.cqHasRoom();
  }
}

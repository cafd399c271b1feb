/** Completion queues (`struct fid_cq`; fi_cq(3)), format TAGGED. First in, first out, errors too. */
import type { FiDomain } from './domain.ts';
import type { FiCompletion, FiCompletionError, Fid, FiErrno } from './fabric.ts';

/** Largest `size`. */
export const CQ_SIZE_MAX = 65_536;

/** Who completes here and may have been held up by a full queue. */
export interface CqUser {
  /** There is room again. */
  cqHasRoom(): void;
}

type Entry =
  | { readonly user: CqUser; readonly completion: FiCompletion; readonly error?: undefined }
  | { readonly user: CqUser; readonly completion?: undefined; readonly error: FiCompletionError };

export interface FiCqInit {
  /** Completions it holds before its endpoints are held up. */
  readonly size: number;
  /**
   * Called from the event loop, outside of any fabric call, when entries have become available, and
   * not again until a reader has emptied the queue.
   */
  readonly onCompletion: () => void;
}

export class FiCq implements Fid {
  readonly fclass = 'FI_CLASS_CQ';
  readonly users = new Set<CqUser>();
  readonly #domain: FiDomain;
  readonly #init: FiCqInit;
  #entries: Entry[] = [];
  #notified = false;
  #closed = false;

  constructor(domain: FiDomain, init: FiCqInit) {
    this.#domain = domain;
    this.#init = init;
    domain.children.add(this);
  }

  /**
   * How many completions endpoints may bring now. What is over before it could wait comes in any
   * case: errors, and messages that were there before their receive.
   */
  get room(): number {
    return Math.max(0, this.#init.size - this.#entries.length);
  }

  push(user: CqUser, completion: FiCompletion): void {
    this.#append({ user, completion });
  }

  pushError(user: CqUser, error: FiCompletionError): void {
    this.#append({ user, error });
  }

  /** Takes completions up to the first error. */
  take(max: number): FiCompletion[] {
    const wasFull = this.room === 0;
    const taken: FiCompletion[] = [];
    for (const { completion } of this.#entries) {
      if (completion === undefined || taken.length === max) break;
      taken.push(completion);
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

  /** Drops the entries of an endpoint that is gone. */
  purge(user: CqUser): void {
    this.#entries = this.#entries.filter((entry) => entry.user !== user);
    this.#emptied(true);
  }

  close(): FiErrno | undefined {
    if (this.users.size > 0) return 'FI_EBUSY';
    this.#closed = true;
    this.#entries = [];
    this.#domain.children.delete(this);
    return undefined;
  }

  #append(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#notified) return;
    this.#notified = true;
    this.#domain.nic.scheduler.soon(() => {
      if (!this.#closed && this.#entries.length > 0) this.#init.onCompletion();
    });
  }

  #emptied(wasFull: boolean): void {
    if (this.#entries.length === 0) this.#notified = false;
    if (!wasFull || this.room === 0) return;
    for (const user of this.users) user.cqHasRoom();
  }
}

/** Opens a queue. FI_EINVAL: `size` is not in 1..CQ_SIZE_MAX. */
export function fi_cq_open(domain: FiDomain, init: FiCqInit): FiCq | FiErrno {
  const { size } = init;
  if (!Number.isInteger(size) || size < 1 || size > CQ_SIZE_MAX) return 'FI_EINVAL';
  return new FiCq(domain, init);
}

/** Up to `max` completions. FI_EAGAIN: there is none. FI_EAVAIL: an error is next, read that first. */
export function fi_cq_read(cq: FiCq, max: number): FiCompletion[] | 'FI_EAGAIN' | 'FI_EAVAIL' {
  if (cq.headError !== undefined) return 'FI_EAVAIL';
  const completions = cq.take(max);
  return completions.length === 0 ? 'FI_EAGAIN' : completions;
}

/** The error that is next. FI_EAGAIN: none is. */
export function fi_cq_readerr(cq: FiCq): FiCompletionError | 'FI_EAGAIN' {
  return cq.takeError() ?? 'FI_EAGAIN';
}

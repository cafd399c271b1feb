/** Event queues (`struct fid_eq`; fi_eq(3)). First in, first out; an error stops the reader until it is read. */
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiFabric } from './domain.ts';
import type { FiAddr, Fid, FiErrno } from './fabric.ts';
import { Waiters } from './waiters.ts';

/** Events of a queue for which no size is given, and the largest size. */
export const EQ_SIZE_DEFAULT = 64;
export const EQ_SIZE_MAX = 65_536;

export interface FiEqAttr {
  /** Whose time fi_eq_sread waits in. */
  readonly scheduler: Scheduler;
  /** 0: EQ_SIZE_DEFAULT. */
  readonly size?: number;
  /** FI_WRITE: programs may write events. */
  readonly flags?: readonly ('FI_WRITE' | 'FI_AFFINITY')[];
}

/** An event: its number or name, and what belongs to it. */
export interface FiEqEvent {
  readonly event: string;
  readonly data: unknown;
}

/** `struct fi_eq_err_entry`: an endpoint that is bound to the queue has lost a peer. */
export interface FiEqError {
  /** The endpoint. */
  readonly fid: Fid;
  readonly err: FiErrno;
  readonly prov_errno: string;
  /** The peer's address. */
  readonly data: FiAddr;
}

type Entry =
  | { readonly event: FiEqEvent; readonly error?: undefined }
  | { readonly event?: undefined; readonly error: FiEqError };

export class FiEq implements Fid {
  readonly fclass = 'FI_CLASS_EQ';
  readonly waiters: Waiters;
  readonly isWritable: boolean;
  /** Endpoints that report to it. */
  readonly users = new Set<Fid>();
  readonly #fabric: FiFabric;
  readonly #size: number;
  readonly #entries: Entry[] = [];
  #isClosed = false;

  constructor(fabric: FiFabric, { scheduler, size = 0, flags = [] }: FiEqAttr) {
    this.#fabric = fabric;
    this.#size = size === 0 ? EQ_SIZE_DEFAULT : size;
    this.isWritable = flags.includes('FI_WRITE');
    this.waiters = new Waiters(scheduler);
    fabric.queues.add(this);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get head(): Entry | undefined {
    return this.#entries[0];
  }

  /** FI_EAGAIN: it is full. */
  push(event: FiEqEvent): 'FI_EAGAIN' | undefined {
    if (this.#entries.length >= this.#size) return 'FI_EAGAIN';
    this.#entries.push({ event });
    this.waiters.wake();
    return undefined;
  }

  /** Errors are few (one for each peer) and come even if it is full. */
  pushError(error: FiEqError): void {
    if (this.#isClosed) return;
    this.#entries.push({ error });
    this.waiters.wake();
  }

  shift(): void {
    this.#entries.shift();
  }

  close(): FiErrno | undefined {
    if (this.users.size > 0) return 'FI_EBUSY';
    this.#isClosed = true;
    this.#entries.length = 0;
    this.#fabric.queues.delete(this);
    this.waiters.wake();
    return undefined;
  }
}

/** Opens a queue. FI_EINVAL: `size` is not in 0..EQ_SIZE_MAX. FI_EBADFLAGS: a flag that it has not. */
export function fi_eq_open(fabric: FiFabric, attr: FiEqAttr): FiEq | FiErrno {
  const { size = 0, flags = [] } = attr;
  if (!Number.isInteger(size) || size < 0 || size > EQ_SIZE_MAX) return 'FI_EINVAL';
  if (flags.some((flag) => flag !== 'FI_WRITE')) return 'FI_EBADFLAGS';
  return new FiEq(fabric, attr);
}

/** The next event; with FI_PEEK it stays. FI_EAGAIN: none. FI_EAVAIL: an error is next. */
export function fi_eq_read(
  eq: FiEq,
  flags: readonly 'FI_PEEK'[] = [],
): FiEqEvent | 'FI_EAGAIN' | 'FI_EAVAIL' {
  const { head } = eq;
  if (head === undefined) return 'FI_EAGAIN';
  if (head.event === undefined) return 'FI_EAVAIL';
  if (!flags.includes('FI_PEEK')) eq.shift();
  return head.event;
}

/** The error that is next; with FI_PEEK it stays. FI_EAGAIN: none is. */
export function fi_eq_readerr(eq: FiEq, flags: readonly 'FI_PEEK'[] = []): FiEqError | 'FI_EAGAIN' {
  const error = eq.head?.error;
  if (error === undefined) return 'FI_EAGAIN';
  if (!flags.includes('FI_PEEK')) eq.shift();
  return error;
}

/** Writes an event. FI_EINVAL: not opened with FI_WRITE. FI_EAGAIN: full. */
export function fi_eq_write(eq: FiEq, event: FiEqEvent): FiErrno | undefined {
  return eq.isWritable ? eq.push(event) : 'FI_EINVAL';
}

/**
 * As fi_eq_read, but waits for up to `timeoutMs` of the scheduler's time; then FI_EAGAIN.
 * FI_ECANCELED: the queue was closed.
 */
export async function fi_eq_sread(
  eq: FiEq,
  timeoutMs: number,
  flags: readonly 'FI_PEEK'[] = [],
): Promise<FiEqEvent | 'FI_EAGAIN' | 'FI_EAVAIL' | 'FI_ECANCELED'> {
  const found = await eq.waiters.wait(timeoutMs, () => {
    const read = fi_eq_read(eq, flags);
    if (read !== 'FI_EAGAIN') return read;
    return eq.isClosed ? 'FI_ECANCELED' : undefined;
  });
  return found ?? 'FI_EAGAIN';
}

/** Counters (`struct fid_cntr`; fi_cntr(3)): how many operations of an endpoint have ended, and failed. */
import type { CqUser } from './completion-queue.ts';
import type { FiDomain } from './domain.ts';
import type { Fid, FiErrno } from './fabric.ts';
import { Waiters } from './waiters.ts';

/** Which operations of an endpoint a counter counts (fi_ep_bind). */
export type CounterEvent = 'FI_SEND' | 'FI_RECV' | 'FI_READ' | 'FI_WRITE' | 'FI_REMOTE_WRITE';

/** `struct fi_cntr_attr` */
export interface FiCntrAttr {
  /** FI_CNTR_EVENTS_BYTES is FI_ENOSYS. */
  readonly events?: 'FI_CNTR_EVENTS_COMP' | 'FI_CNTR_EVENTS_BYTES';
}

export class FiCntr implements Fid {
  readonly fclass = 'FI_CLASS_CNTR';
  readonly users = new Set<CqUser>();
  readonly waiters: Waiters;
  readonly #domain: FiDomain;
  #value = 0;
  #errors = 0;
  #isClosed = false;

  constructor(domain: FiDomain) {
    this.#domain = domain;
    this.waiters = new Waiters(domain.nic.scheduler);
    domain.children.add(this);
  }

  get value(): number {
    return this.#value;
  }

  get errors(): number {
    return this.#errors;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  count(): void {
    this.set(this.#value + 1, this.#errors);
  }

  countError(): void {
    this.set(this.#value, this.#errors + 1);
  }

  set(value: number, errors: number): void {
    this.#value = value;
    this.#errors = errors;
    this.waiters.wake();
  }

  close(): FiErrno | undefined {
    if (this.users.size > 0) return 'FI_EBUSY';
    this.#isClosed = true;
    this.waiters.wake();
    this.#domain.children.delete(this);
    return undefined;
  }
}

/** Opens a counter at 0. FI_ENOSYS: it should count bytes. */
export function fi_cntr_open(domain: FiDomain, attr: FiCntrAttr = {}): FiCntr | FiErrno {
  return attr.events === 'FI_CNTR_EVENTS_BYTES' ? 'FI_ENOSYS' : new FiCntr(domain);
}

/** Operations that went well. */
export function fi_cntr_read(counter: FiCntr): number {
  return counter.value;
}

/** Operations that failed. */
export function fi_cntr_readerr(counter: FiCntr): number {
  return counter.errors;
}

export function fi_cntr_add(counter: FiCntr, value: number): FiErrno | undefined {
  return change(counter, counter.value + value, counter.errors);
}

export function fi_cntr_adderr(counter: FiCntr, value: number): FiErrno | undefined {
  return change(counter, counter.value, counter.errors + value);
}

export function fi_cntr_set(counter: FiCntr, value: number): FiErrno | undefined {
  return change(counter, value, counter.errors);
}

export function fi_cntr_seterr(counter: FiCntr, value: number): FiErrno | undefined {
  return change(counter, counter.value, value);
}

/**
 * Waits until the counter has reached `threshold`. FI_ETIMEDOUT: not within `timeoutMs` of the
 * scheduler's time. FI_EAVAIL: an operation has failed meanwhile. FI_ECANCELED: the counter was
 * closed.
 */
export async function fi_cntr_wait(
  counter: FiCntr,
  threshold: number,
  timeoutMs: number,
): Promise<'FI_ETIMEDOUT' | 'FI_EAVAIL' | 'FI_ECANCELED' | undefined> {
  const { errors } = counter;
  const ended = await counter.waiters.wait(timeoutMs, () => {
    if (counter.value >= threshold) return { answer: undefined };
    if (counter.errors !== errors) return { answer: 'FI_EAVAIL' as const };
    return counter.isClosed ? { answer: 'FI_ECANCELED' as const } : undefined;
  });
  return ended === undefined ? 'FI_ETIMEDOUT' : ended.answer;
}

/** FI_EINVAL: not a count. */
function change(counter: FiCntr, value: number, errors: number): FiErrno | undefined {
  if (![value, errors].every((one) => Number.isSafeInteger(one) && one >= 0)) return 'FI_EINVAL';
  counter.set(value, errors);
  return undefined;
}

/**
 * ww_mutex (Linux kernel/locking/ww_mutex.h, Documentation/locking/ww-mutex-design.rst): a lock of which
 * one may hold several at once in any order, under one acquire context, without deadlock.
 *
 * Wait-die, as dma_resv uses it (`DEFINE_WD_CLASS`): each context has a stamp; the older stamp wins. Who
 * holds other locks and would wait for an older context gets EDEADLK: it lets everything go, takes the
 * contended lock first (`dma_resv_lock_slow`) and starts again with the same stamp, so it becomes the oldest in time.
 *
 * A lock that is free is taken within the call. One thread runs everything, so a lock is contended only
 * while its holder awaits something.
 */
import { assert } from '../../common/assert.ts';

export type WwLockFailure = 'EDEADLK' | 'EALREADY' | 'EINTR';
export type WwLockResult = WwLockFailure | undefined;

/** Locks of one class share a sequence of stamps. */
export class WwClass {
  readonly name: string;
  #lastStamp = 0;

  constructor(name: string) {
    this.name = name;
  }

  nextStamp(): number {
    return ++this.#lastStamp;
  }
}

/** Who takes several locks (`struct ww_acquire_ctx`). */
export class WwAcquireContext {
  readonly wwClass: WwClass;
  /** Smaller is older. */
  readonly stamp: number;
  /** Locks held. */
  acquired = 0;
  /** The lock that answered EDEADLK, until it is taken. */
  contending: WwMutex | undefined;
  state: 'acquiring' | 'done' | 'finished' = 'acquiring';

  constructor(wwClass: WwClass) {
    this.wwClass = wwClass;
    this.stamp = wwClass.nextStamp();
  }
}

export function ww_acquire_init(wwClass: WwClass): WwAcquireContext {
  return new WwAcquireContext(wwClass);
}

/** Ends the phase in which the context takes locks: it will take no more. */
export function ww_acquire_done(context: WwAcquireContext): void {
  assert(context.state === 'acquiring', 'Expected a context that still takes locks');
  context.state = 'done';
}

/** The context is used no more; it holds no lock. */
export function ww_acquire_fini(context: WwAcquireContext): void {
  assert(context.state !== 'finished', 'Expected a context to be finished once');
  assert(context.acquired === 0, `Expected no lock to be held but found ${context.acquired}`);
  context.state = 'finished';
}

interface Waiter {
  readonly context: WwAcquireContext | undefined;
  settle(result: WwLockResult): void;
}

export class WwMutex {
  readonly wwClass: WwClass;
  #state: 'free' | 'locked' = 'free';
  #owner: WwAcquireContext | undefined;
  /** Those with a context by age, those without where they came. */
  readonly #waiters: Waiter[] = [];

  constructor(wwClass: WwClass) {
    this.wwClass = wwClass;
  }

  get isLocked(): boolean {
    return this.#state === 'locked';
  }

  get waiterCount(): number {
    return this.#waiters.length;
  }

  /** The context that holds the lock, if it was taken under one. */
  get owner(): WwAcquireContext | undefined {
    return this.#owner;
  }

  /** `false`: somebody holds it. */
  tryLock(context?: WwAcquireContext): boolean {
    this.#checkUse(context);
    if (this.#state === 'locked') return false;
    this.#grant(context);
    return true;
  }

  /**
   * Takes the lock, at once if it is free. EALREADY: the context holds it. EDEADLK: the context must let
   * all its locks go first. EINTR: `signal` was aborted while it waited.
   */
  lock(context?: WwAcquireContext, signal?: AbortSignal): WwLockResult | Promise<WwLockResult> {
    this.#checkUse(context);
    if (this.#state === 'free') {
      this.#grant(context);
      return undefined;
    }
    if (context !== undefined && this.#owner === context) return 'EALREADY';
    if (signal?.aborted === true) return 'EINTR';
    if (context !== undefined && this.#mustDie(context)) return this.#refuse(context);
    return this.#wait(context, signal);
  }

  /** The next in the queue has the lock when this returns: nobody comes in between. */
  unlock(): void {
    assert(this.#state === 'locked', 'Expected a lock that is held');
    if (this.#owner !== undefined) this.#owner.acquired--;
    this.#owner = undefined;
    this.#state = 'free';
    const next = this.#waiters.shift();
    if (next === undefined) return;
    this.#grant(next.context);
    next.settle(undefined);
  }

  #checkUse(context: WwAcquireContext | undefined): void {
    if (context === undefined) return;
    assert(context.wwClass === this.wwClass, 'Expected a context of the class of the lock');
    assert(context.state === 'acquiring', 'Expected a context that still takes locks');
    if (context.contending === undefined) return;
    assert(context.acquired === 0, 'Expected every lock to be let go after EDEADLK');
    const contended = context.contending === this;
    assert(contended, 'Expected the contended lock to be taken first after EDEADLK');
  }

  #grant(context: WwAcquireContext | undefined): void {
    this.#state = 'locked';
    this.#owner = context;
    if (context === undefined) return;
    context.acquired++;
    context.contending = undefined;
  }

  /** Whether an older context holds the lock or is before us in the queue, and we hold locks. */
  #mustDie(context: WwAcquireContext): boolean {
    if (context.acquired === 0) return false;
    const older = (other: WwAcquireContext | undefined) =>
      other !== undefined && other.stamp < context.stamp;
    return older(this.#owner) || this.#waiters.some((waiter) => older(waiter.context));
  }

  #refuse(context: WwAcquireContext): 'EDEADLK' {
    context.contending = this;
    return 'EDEADLK';
  }

  /** Waiters that hold locks and are younger than `context`, which goes before them. */
  #killYounger(context: WwAcquireContext): void {
    const dying = this.#waiters.filter(
      (waiter) =>
        waiter.context !== undefined &&
        waiter.context.acquired > 0 &&
        waiter.context.stamp > context.stamp,
    );
    for (const waiter of dying) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      if (waiter.context !== undefined) waiter.settle(this.#refuse(waiter.context));
    }
  }

  #wait(
    context: WwAcquireContext | undefined,
    signal: AbortSignal | undefined,
  ): Promise<WwLockResult> {
    return new Promise((resolve) => {
      const interrupted = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve('EINTR');
      };
      const waiter: Waiter = {
        context,
        settle(result) {
          signal?.removeEventListener('abort', interrupted);
          resolve(result);
        },
      };
      signal?.addEventListener('abort', interrupted, { once: true });
      if (context !== undefined) this.#killYounger(context);
      this.#waiters.splice(this.#placeOf(context), 0, waiter);
    });
  }

  /** Before every younger context; behind everybody without a context who waits already. */
  #placeOf(context: WwAcquireContext | undefined): number {
    if (context === undefined) return this.#waiters.length;
    const younger = this.#waiters.findIndex(
      (waiter) => waiter.context !== undefined && waiter.context.stamp > context.stamp,
    );
    return younger === -1 ? this.#waiters.length : younger;
  }
}

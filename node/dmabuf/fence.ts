/**
 * dma_fence (Linux drivers/dma-buf/dma-fence.c): a promise of hardware that signals once, in bounded time.
 *
 * The rules kept: a fence signals at most once and never goes back; its error is set before it signals
 * and can be read only after; each callback runs exactly once, or was removed, or was refused. Code on
 * the way to signalling never takes a reservation lock, as its holder may be waiting for the fence.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { lockOrder } from './lock-order.ts';

export type DmaFenceCallback = (fence: DmaFence) => void;

/** What a driver adds to a fence (`struct dma_fence_ops`). */
export interface DmaFenceOperations {
  readonly driverName: string;
  readonly timelineName: string;
  /** Called once, when somebody first wants to be told. `false`: it has signalled already. */
  enableSignaling?(fence: DmaFence): boolean;
  /** Whether the work has ended, for those who ask before the hardware tells. */
  signaled?(fence: DmaFence): boolean;
  /** The last reference is gone. */
  release?(fence: DmaFence): void;
}

export interface DmaFence {
  /** The timeline it is on: fences of one context signal in the order of their numbers. */
  readonly context: number;
  readonly seqno: number;
  readonly operations: DmaFenceOperations;
  /** Of the fence as it stands; `dma_fence_is_signaled()` asks the driver too. */
  readonly state: 'unsignaled' | 'signaled';
  /** Why the work failed; `undefined` until the fence has signalled. */
  readonly error: Errno | undefined;
}

export interface DmaFenceInit {
  readonly operations?: DmaFenceOperations;
  /** Absent: a context of its own. */
  readonly context?: number;
  readonly seqno?: number;
}

const NO_DRIVER: DmaFenceOperations = { driverName: 'hlsim', timelineName: 'unbound' };

let lastContext = 0;

/** The first of `count` numbers of timelines that nobody else has. */
export function dma_fence_context_alloc(count: number): number {
  assert(count > 0, 'Expected at least one context');
  const first = lastContext + 1;
  lastContext += count;
  return first;
}

/** The one implementation of `DmaFence`, which fences made of others extend. For this folder only. */
export class Fence implements DmaFence {
  readonly context: number;
  readonly seqno: number;
  readonly operations: DmaFenceOperations;
  state: 'unsignaled' | 'signaled' = 'unsignaled';
  signaling: 'disabled' | 'enabled' = 'disabled';
  pendingError: Errno | undefined;
  references = 1;
  readonly callbacks = new Set<DmaFenceCallback>();

  constructor(init: DmaFenceInit) {
    this.operations = init.operations ?? NO_DRIVER;
    this.context = init.context ?? dma_fence_context_alloc(1);
    this.seqno = init.seqno ?? 1;
  }

  get error(): Errno | undefined {
    return this.state === 'signaled' ? this.pendingError : undefined;
  }
}

export function dma_fence_init(init: DmaFenceInit = {}): DmaFence {
  return new Fence(init);
}

/** Takes a reference. Only code that gives references back needs any. */
export function dma_fence_get(fence: DmaFence): DmaFence {
  const own = fenceOf(fence);
  assert(own.references > 0, 'Expected a live fence');
  own.references++;
  return fence;
}

/**
 * Drops a reference. A fence that nobody can signal any more must not keep those who wait: with the last
 * reference an unsignalled fence that has callbacks signals EDEADLK.
 */
export function dma_fence_put(fence: DmaFence): void {
  const own = fenceOf(fence);
  assert(own.references > 0, 'Expected a live fence');
  own.references--;
  if (own.references > 0) return;
  if (own.state === 'unsignaled' && own.callbacks.size > 0) {
    dma_fence_set_error(own, 'EDEADLK');
    dma_fence_signal(own);
  }
  own.operations.release?.(own);
}

/** Asserts that the fence has not signalled. */
export function dma_fence_set_error(fence: DmaFence, error: Errno): void {
  const own = fenceOf(fence);
  assert(own.state === 'unsignaled', 'Expected the error to be set before the fence signals');
  own.pendingError = error;
}

/** Signals the fence and runs its callbacks. EINVAL if it has signalled before; nothing happens then. */
export function dma_fence_signal(fence: DmaFence): Errno | undefined {
  const own = fenceOf(fence);
  if (own.state === 'signaled') return 'EINVAL';
  own.state = 'signaled';
  const callbacks = [...own.callbacks];
  own.callbacks.clear();
  dma_fence_signalling(() => {
    for (const callback of callbacks) callback(fence);
  });
  return undefined;
}

/**
 * Runs `body`, which is on the way to signalling a fence (`dma_fence_begin_signalling`): others may wait
 * for it while they hold locks, so it must take none of those.
 */
export function dma_fence_signalling<T>(body: () => T): T {
  const recorder = lockOrder();
  return recorder === undefined ? body() : recorder.within('dma_fence', body);
}

/** Whether the fence has signalled, asking its driver if need be. */
export function dma_fence_is_signaled(fence: DmaFence): boolean {
  if (fence.state === 'unsignaled' && fence.operations.signaled?.(fence) === true) {
    dma_fence_signal(fence);
  }
  return fence.state === 'signaled';
}

/** Makes sure that the fence will be signalled without anybody asking. */
export function dma_fence_enable_sw_signaling(fence: DmaFence): void {
  const own = fenceOf(fence);
  if (own.state === 'signaled' || own.signaling === 'enabled') return;
  own.signaling = 'enabled';
  const { enableSignaling } = own.operations;
  if (enableSignaling !== undefined && !enableSignaling(own)) dma_fence_signal(own);
}

/** `callback` will run once, when the fence signals. ENOENT if it has: the callback never runs then. */
export function dma_fence_add_callback(
  fence: DmaFence,
  callback: DmaFenceCallback,
): Errno | undefined {
  const own = fenceOf(fence);
  assert(!own.callbacks.has(callback), 'Expected a callback to be added once');
  dma_fence_enable_sw_signaling(own);
  if (own.state === 'signaled') return 'ENOENT';
  own.callbacks.add(callback);
  return undefined;
}

/** Whether the callback was taken back before it ran. */
export function dma_fence_remove_callback(fence: DmaFence, callback: DmaFenceCallback): boolean {
  return fenceOf(fence).callbacks.delete(callback);
}

/** The kernel's 0, 1 or negative errno: not signalled, signalled, signalled with an error. */
export function dma_fence_get_status(fence: DmaFence): 'unsignaled' | 'signaled' | Errno {
  if (!dma_fence_is_signaled(fence)) return 'unsignaled';
  return fence.error ?? 'signaled';
}

/** Whether `fence` signals after `other` does; they are of one context. */
export function dma_fence_is_later(fence: DmaFence, other: DmaFence): boolean {
  assert(fence.context === other.context, 'Expected fences of one context');
  return fence.seqno > other.seqno;
}

const STUB = new Fence({ operations: { driverName: 'stub', timelineName: 'stub' }, seqno: 0 });
STUB.state = 'signaled';

/** A fence that has always signalled. */
export function dma_fence_get_stub(): DmaFence {
  return STUB;
}

/** For this folder only. */
export function fenceOf(fence: DmaFence): Fence {
  assert(fence instanceof Fence, 'Expected a fence of dma_fence_init()');
  return fence;
}

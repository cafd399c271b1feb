/** Waiting for fences: for one, for the first of several, for all; with a timeout or until it is so. */
import { assert } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import {
  type DmaFence,
  dma_fence_add_callback,
  dma_fence_enable_sw_signaling,
  dma_fence_is_signaled,
  dma_fence_remove_callback,
} from './fence.ts';
import { lockOrder } from './lock-order.ts';

/** Less than any time, more than none: what is left when a fence had signalled before the wait. */
const INSTANT_MS = 1;

/**
 * Waits until the fence has signalled, at most `timeoutMs` of the scheduler's time. The time that is
 * left, at least 1; 0 if the time was up first. EINTR: `signal` was aborted first. With a timeout of 0,
 * asks and does not wait.
 */
export async function dma_fence_wait_timeout(
  fence: DmaFence,
  scheduler: Scheduler,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<number | 'EINTR'> {
  const found = await dma_fence_wait_any_timeout([fence], scheduler, timeoutMs, signal);
  return typeof found === 'object' ? found.leftMs : found;
}

/** As `dma_fence_wait_timeout`, for the first of several; says which, by its index. */
export async function dma_fence_wait_any_timeout(
  fences: readonly DmaFence[],
  scheduler: Scheduler,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ readonly leftMs: number; readonly index: number } | 0 | 'EINTR'> {
  assert(fences.length > 0, 'Expected a fence to wait for');
  const signalled = timeoutMs > 0 ? firstSignaled(fences) : fences.findIndex(dma_fence_is_signaled);
  if (signalled !== -1) return { leftMs: Math.max(timeoutMs, INSTANT_MS), index: signalled };
  if (timeoutMs <= 0) return 0;
  if (signal?.aborted === true) return 'EINTR';
  const deadline = scheduler.clock.now() + timeoutMs;
  return new Promise((resolve) => {
    const stop = watchFences(fences, (index) => {
      cancel();
      signal?.removeEventListener('abort', interrupted);
      resolve({ leftMs: Math.max(deadline - scheduler.clock.now(), INSTANT_MS), index });
    });
    const interrupted = () => {
      cancel();
      stop();
      resolve('EINTR');
    };
    const cancel = scheduler.after(timeoutMs, () => {
      signal?.removeEventListener('abort', interrupted);
      stop();
      resolve(0);
    });
    signal?.addEventListener('abort', interrupted, { once: true });
  });
}

/**
 * Resolves when every fence has signalled, which they promise to do in bounded time; EINTR as soon as
 * `signal` is aborted. At once if they have.
 */
export function waitForFences(
  fences: readonly DmaFence[],
  signal?: AbortSignal,
): Promise<'EINTR' | undefined> {
  const pending = fences.filter((fence) => firstSignaled([fence]) === -1);
  if (pending.length === 0) return Promise.resolve(undefined);
  if (signal?.aborted === true) return Promise.resolve('EINTR');
  return new Promise((resolve) => {
    let left = pending.length;
    const one = () => {
      left--;
      if (left > 0) return;
      signal?.removeEventListener('abort', interrupted);
      resolve(undefined);
    };
    const stops = pending.map((fence) => watchFences([fence], one));
    const interrupted = () => {
      for (const stop of stops) stop();
      resolve('EINTR');
    };
    signal?.addEventListener('abort', interrupted, { once: true });
  });
}

/** Index of a fence that has signalled, or -1: then each will call back. */
function firstSignaled(fences: readonly DmaFence[]): number {
  for (const fence of fences) dma_fence_enable_sw_signaling(fence);
  return fences.findIndex(dma_fence_is_signaled);
}

/** Tells of the first of `fences` to signal, once; returns how to stop. None has signalled. */
function watchFences(fences: readonly DmaFence[], told: (index: number) => void): () => void {
  lockOrder()?.acquiring('dma_fence');
  const callbacks = fences.map((fence, index) => {
    const callback = () => {
      stop();
      told(index);
    };
    const errno = dma_fence_add_callback(fence, callback);
    assert(errno === undefined, 'Expected a fence that has not signalled');
    return { fence, callback };
  });
  const stop = () => {
    for (const { fence, callback } of callbacks) dma_fence_remove_callback(fence, callback);
  };
  return stop;
}

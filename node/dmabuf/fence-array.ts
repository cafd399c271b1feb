/** Several fences as one (Linux drivers/dma-buf/dma-fence-array.c). */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import {
  type DmaFence,
  type DmaFenceOperations,
  dma_fence_add_callback,
  dma_fence_context_alloc,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_signal,
  Fence,
} from './fence.ts';

const OPERATIONS: DmaFenceOperations = {
  driverName: 'dma_fence_array',
  timelineName: 'unbound',
  enableSignaling: (fence) => arrayOf(fence).watch(),
  signaled: (fence) => arrayOf(fence).ask(),
  release: (fence) => arrayOf(fence).let(),
};

class FenceArray extends Fence {
  readonly fences: readonly DmaFence[];
  /** Fences that must still signal before the array does. */
  #pending: number;

  constructor(init: FenceArrayInit) {
    super({
      operations: OPERATIONS,
      context: init.context ?? dma_fence_context_alloc(1),
      seqno: init.seqno ?? 1,
    });
    this.fences = init.fences;
    this.#pending = init.signalOn === 'any' ? 1 : init.fences.length;
  }

  /** Watches every fence. `false`: enough of them have signalled already. */
  watch(): boolean {
    for (const fence of this.fences) {
      const errno = dma_fence_add_callback(fence, () => {
        if (this.#one(fence.error) && this.state === 'unsignaled') dma_fence_signal(this);
      });
      if (errno === 'ENOENT' && this.#one(fence.error)) return false;
    }
    return true;
  }

  /** Before anybody watches: whether enough have signalled. */
  ask(): boolean {
    if (this.signaling === 'enabled') return this.#pending <= 0;
    const signaled = this.fences.filter(dma_fence_is_signaled);
    if (signaled.length < this.#pending) return false;
    for (const { error } of signaled.slice(0, this.#pending)) this.#one(error);
    return true;
  }

  let(): void {
    for (const fence of this.fences) dma_fence_put(fence);
  }

  /** The first error counts. Whether the array is done. */
  #one(error: Errno | undefined): boolean {
    if (this.state === 'unsignaled') this.pendingError ??= error;
    this.#pending--;
    return this.#pending <= 0;
  }
}

export interface FenceArrayInit {
  /** The array takes over a reference to each. No arrays among them. */
  readonly fences: readonly DmaFence[];
  readonly context?: number;
  readonly seqno?: number;
  /** `all`: signals when the last has; `any`: when the first has. */
  readonly signalOn?: 'all' | 'any';
}

/** A fence that stands for all of `fences`; its error is the first one among theirs. */
export function dma_fence_array_create(init: FenceArrayInit): DmaFence {
  assert(init.fences.length > 0, 'Expected an array of at least one fence');
  assert(!init.fences.some(dma_fence_is_array), 'Expected no array inside an array');
  return new FenceArray(init);
}

export function dma_fence_is_array(fence: DmaFence): boolean {
  return fence instanceof FenceArray;
}

/** What an array is made of; any other fence stands for itself. */
export function dma_fence_array_fences(fence: DmaFence): readonly DmaFence[] {
  return fence instanceof FenceArray ? fence.fences : [fence];
}

function arrayOf(fence: DmaFence): FenceArray {
  assert(fence instanceof FenceArray, 'Expected an array of fences');
  return fence;
}

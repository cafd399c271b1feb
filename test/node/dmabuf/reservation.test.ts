import { describe, expect, it } from 'vitest';
import {
  DMA_RESV_FENCES_MAX,
  DMA_RESV_USAGES,
  dma_fence_add_callback,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_get_fences,
  dma_resv_init,
  dma_resv_test_signaled,
} from '../../../node/dmabuf/reservation.ts';

describe('dma_fence (after the kernel selftest st-dma-fence)', () => {
  it('is not signalled at creation, signals once, and stays so', () => {
    const fence = dma_fence_init();
    expect(dma_fence_get_status(fence)).toBe('unsignaled');
    expect(dma_fence_signal(fence)).toBeUndefined();
    expect(dma_fence_signal(fence)).toBe('EINVAL');
    expect(dma_fence_get_status(fence)).toBe('signaled');
  });

  it('runs a callback that was added before, once', () => {
    const fence = dma_fence_init();
    let runs = 0;
    const callback = () => {
      runs++;
      expect(fence.state).toBe('signaled');
    };
    expect(dma_fence_add_callback(fence, callback)).toBeUndefined();
    expect(() => dma_fence_add_callback(fence, callback)).toThrow('added once');
    dma_fence_signal(fence);
    dma_fence_signal(fence);
    expect(runs).toBe(1);
  });

  it('ENOENT for a callback added after the signal, which never runs', () => {
    const fence = dma_fence_init();
    dma_fence_signal(fence);
    expect(dma_fence_add_callback(fence, () => expect.unreachable())).toBe('ENOENT');
  });

  it('a removed callback does not run; removing after the signal fails', () => {
    const fence = dma_fence_init();
    const callback = () => expect.unreachable();
    dma_fence_add_callback(fence, callback);
    expect(dma_fence_remove_callback(fence, callback)).toBe(true);
    const ran = () => undefined;
    dma_fence_add_callback(fence, ran);
    dma_fence_signal(fence);
    expect(dma_fence_remove_callback(fence, callback)).toBe(false);
    expect(dma_fence_remove_callback(fence, ran)).toBe(false);
  });

  it('shows its error only after the signal, and takes none later', () => {
    const fence = dma_fence_init();
    dma_fence_set_error(fence, 'EIO');
    expect(dma_fence_get_status(fence)).toBe('unsignaled');
    dma_fence_signal(fence);
    expect(dma_fence_get_status(fence)).toBe('EIO');
    expect(() => dma_fence_set_error(fence, 'EINVAL')).toThrow('before the fence signals');
  });
});

describe('dma_resv (after the kernel selftest st-dma-resv)', () => {
  it.each(DMA_RESV_USAGES)('%s: one fence, seen until it signals', (usage) => {
    const reservation = dma_resv_init();
    const fence = dma_fence_init();
    expect(dma_resv_test_signaled(reservation, usage)).toBe(true);
    dma_resv_add_fence(reservation, fence, usage);
    expect(dma_resv_test_signaled(reservation, usage)).toBe(false);
    expect(dma_resv_get_fences(reservation, usage)).toEqual([fence]);
    dma_fence_signal(fence);
    expect(dma_resv_test_signaled(reservation, usage)).toBe(true);
  });

  it('a query gives the fences of its usage and of every stronger one', () => {
    const reservation = dma_resv_init();
    const fences = DMA_RESV_USAGES.map((usage) => {
      const fence = dma_fence_init();
      dma_resv_add_fence(reservation, fence, usage);
      return fence;
    });
    for (const [index, usage] of DMA_RESV_USAGES.entries()) {
      expect(dma_resv_get_fences(reservation, usage)).toEqual(fences.slice(0, index + 1));
    }
  });

  it('a fence added twice counts once, with the stronger usage; a signalled one not at all', () => {
    const reservation = dma_resv_init();
    const fence = dma_fence_init();
    for (const usage of ['BOOKKEEP', 'WRITE', 'READ'] as const) {
      dma_resv_add_fence(reservation, fence, usage);
    }
    expect(dma_resv_get_fences(reservation, 'WRITE')).toEqual([fence]);
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([fence]);
    dma_fence_signal(fence);
    dma_resv_add_fence(reservation, fence, 'KERNEL');
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([]);
  });

  it('asserts its bound', () => {
    const reservation = dma_resv_init();
    for (let index = 0; index < DMA_RESV_FENCES_MAX; index++) {
      dma_resv_add_fence(reservation, dma_fence_init(), 'READ');
    }
    expect(() => dma_resv_add_fence(reservation, dma_fence_init(), 'READ')).toThrow('bounded');
  });
});

/**
 * Who holds the reservation lock when: the convention of Linux commit ae2e7f28a170, and the inversions that
 * have been seen in drivers, each as a faulty collaborator that is caught.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../../common/deferred.ts';
import { VirtualScheduler } from '../../common/scheduler.ts';
import {
  dma_buf_attach,
  dma_buf_detach,
  dma_buf_map_attachment,
  dma_buf_map_attachment_unlocked,
  dma_buf_pin,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
  dma_buf_unmap_attachment_unlocked,
  dma_buf_unpin,
} from '../../node/dmabuf/attachment.ts';
import { dma_buf_begin_cpu_access, dma_buf_end_cpu_access } from '../../node/dmabuf/cpu-access.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufImporter } from '../../node/dmabuf/dma-buf.ts';
import { dma_buf_put } from '../../node/dmabuf/export.ts';
import {
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_signal,
} from '../../node/dmabuf/fence.ts';
import {
  type LockOrderRecorder,
  lockOrder,
  recordLockOrder,
  stopRecordingLockOrder,
  withDriverLock,
} from '../../node/dmabuf/lock-order.ts';
import {
  dma_resv_acquire_init,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_locked,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
} from '../../node/dmabuf/reservation.ts';
import { dma_resv_wait, dma_resv_wait_timeout } from '../../node/dmabuf/reservation-wait.ts';
import { dma_buf_invalidate_mappings, dma_buf_revoke } from '../../node/dmabuf/revoke.ts';
import { attach, exported, IMPORTERS, locked, ok } from './dma-buf-world.ts';

const DIRECTION = 'DMA_BIDIRECTIONAL';

describe('calls that must hold the lock', () => {
  const calls: [string, (attachment: DmaBufAttachment) => unknown][] = [
    ['dma_buf_pin', dma_buf_pin],
    ['dma_buf_unpin', dma_buf_unpin],
    ['dma_buf_map_attachment', (attachment) => dma_buf_map_attachment(attachment, DIRECTION)],
    ['dma_buf_unmap_attachment', dma_buf_unmap_attachment],
    ['dma_buf_invalidate_mappings', ({ dmaBuf }) => dma_buf_invalidate_mappings(dmaBuf)],
    ['dma_resv_reserve_fences', ({ dmaBuf }) => dma_resv_reserve_fences(dmaBuf.reservation, 1)],
    [
      'dma_resv_add_fence',
      ({ dmaBuf }) => dma_resv_add_fence(dmaBuf.reservation, dma_fence_init(), 'READ'),
    ],
  ];

  it.each(calls)('%s', (_, call) => {
    const { dmaBuf, calls: seen } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.pinned);
    expect(() => call(attachment)).toThrow('Expected the reservation lock to be held');
    expect([seen, attachment.pins, attachment.mapping]).toEqual([['attach'], 0, undefined]);
  });
});

describe('calls that must not hold the lock', () => {
  const calls: [string, (dmaBuf: DmaBuf, attachment: DmaBufAttachment) => unknown][] = [
    ['dma_buf_attach', (dmaBuf) => dma_buf_attach(dmaBuf, IMPORTERS.static)],
    ['dma_buf_detach', (_, attachment) => dma_buf_detach(attachment)],
    ['dma_buf_end_cpu_access', (dmaBuf) => dma_buf_end_cpu_access(dmaBuf, DIRECTION)],
  ];

  it.each(calls)('%s', (_, call) => {
    const { dmaBuf } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.revocable);
    const inside = dma_resv_locked(dmaBuf.reservation, () => call(dmaBuf, attachment));
    return expect(inside).rejects.toThrow('Expected the reservation lock not to be held');
  });

  it('dma_buf_put of the last reference', async () => {
    const { dmaBuf, calls: seen } = exported('static');
    const inside = dma_resv_locked(dmaBuf.reservation, () => dma_buf_put(dmaBuf));
    await expect(inside).rejects.toThrow('Expected the reservation lock not to be held');
    expect(seen).toEqual([]);
  });

  const waiting: [string, (dmaBuf: DmaBuf, attachment: DmaBufAttachment) => Promise<unknown>][] = [
    [
      'dma_buf_map_attachment_unlocked',
      (_, one) => dma_buf_map_attachment_unlocked(one, DIRECTION),
    ],
    ['dma_buf_unmap_attachment_unlocked', (_, one) => dma_buf_unmap_attachment_unlocked(one)],
    ['dma_buf_teardown', (_, one) => dma_buf_teardown(one)],
    ['dma_buf_revoke', (dmaBuf) => dma_buf_revoke(dmaBuf, 'permanent', NO_TIME)],
    ['dma_buf_begin_cpu_access', (dmaBuf) => dma_buf_begin_cpu_access(dmaBuf, DIRECTION)],
    ['dma_resv_lock', (dmaBuf) => dma_resv_lock(dmaBuf.reservation)],
  ];

  it.each(waiting)('%s, which would wait for itself for ever', async (_, call) => {
    const { dmaBuf } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.revocable);
    let inside: Promise<unknown> | undefined;
    await dma_resv_locked(dmaBuf.reservation, () => {
      inside = call(dmaBuf, attachment);
      inside.catch(() => undefined);
    });
    await expect(inside).rejects.toThrow(/Expected the reservation lock not to be/);
  });
});

const NO_TIME = { scheduler: new VirtualScheduler() };

describe('callbacks', () => {
  it('of the exporter: pin, map, unmap, unpin with the lock; the others without', async () => {
    const { dmaBuf, calls } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.pinned);
    locked(dmaBuf, () => {
      ok(dma_buf_pin(attachment));
      ok(dma_buf_map_attachment(attachment, DIRECTION));
    });
    await dma_buf_begin_cpu_access(dmaBuf, DIRECTION);
    dma_buf_end_cpu_access(dmaBuf, DIRECTION);
    await dma_buf_teardown(attachment);
    dma_buf_put(dmaBuf);
    expect(calls).toEqual([
      'attach',
      'pin locked',
      'map locked',
      'beginCpuAccess',
      'endCpuAccess',
      'unmap locked',
      'unpin locked',
      'detach',
      'release',
    ]);
  });

  it('for a static importer the core pins, maps, unmaps and unpins, under the lock', async () => {
    const { dmaBuf, calls } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.static);
    ok(await dma_buf_map_attachment_unlocked(attachment, DIRECTION));
    expect(attachment.pins).toBe(1);
    await dma_buf_unmap_attachment_unlocked(attachment);
    expect(attachment.pins).toBe(0);
    expect(calls.slice(1)).toEqual(['pin locked', 'map locked', 'unmap locked', 'unpin locked']);
  });

  it('a static importer waits for KERNEL fences, with the lock; a dynamic one does that itself', async () => {
    const { dmaBuf, calls } = exported('static');
    const fence = dma_fence_init();
    locked(dmaBuf, () => {
      dma_resv_reserve_fences(dmaBuf.reservation, 1);
      dma_resv_add_fence(dmaBuf.reservation, fence, 'KERNEL');
    });
    const dynamic = attach(dmaBuf, IMPORTERS.revocable);
    ok(await dma_buf_map_attachment_unlocked(dynamic, DIRECTION));
    const attachment = attach(dmaBuf, IMPORTERS.static);
    const mapping = dma_buf_map_attachment_unlocked(attachment, DIRECTION);
    expect(calls.filter((call) => call === 'map locked')).toHaveLength(1);
    expect(dma_resv_trylock(dmaBuf.reservation)).toBe(false);
    dma_fence_signal(fence);
    expect(ok(await mapping).segments).toHaveLength(1);
    expect(dma_resv_trylock(dmaBuf.reservation)).toBe(true);
  });

  it('memory that may move is not mapped by a dynamic importer that can neither be told nor pins', () => {
    const { dmaBuf } = exported('dynamic');
    const attachment = attach(dmaBuf, IMPORTERS.pinned);
    locked(dmaBuf, () => {
      expect(() => dma_buf_map_attachment(attachment, DIRECTION)).toThrow('to pin before it maps');
    });
  });
});

describe('the order of locks', () => {
  let recorder: LockOrderRecorder;
  beforeEach(() => {
    recorder = recordLockOrder();
  });
  afterEach(stopRecordingLockOrder);

  /** A driver with a mutex of its own; `registers` and `isTold` take it on either side of the lock. */
  function driver(dmaBuf: DmaBuf) {
    const importer: DmaBufImporter = {
      ...IMPORTERS.revocable,
      invalidateMappings: (attachment) =>
        withDriverLock('umem_mutex', () => IMPORTERS.revocable.invalidateMappings(attachment)),
    };
    return attach(dmaBuf, importer);
  }

  it('R6: a driver mutex taken outside the lock here and inside it there is a cycle', async () => {
    const { dmaBuf } = exported('static');
    const attachment = driver(dmaBuf);
    // The fault: the registration holds the mutex while it takes the lock.
    await withDriverLock('umem_mutex', () =>
      dma_resv_locked(dmaBuf.reservation, () => dma_buf_map_attachment(attachment, DIRECTION)),
    );
    await dma_buf_revoke(dmaBuf, 'permanent', NO_TIME);
    expect(recorder.edges).toEqual(['umem_mutex -> dma_resv', 'dma_resv -> umem_mutex']);
    expect(recorder.findCycle()).toEqual(['umem_mutex', 'dma_resv', 'umem_mutex']);
  });

  it('and none when the mutex is always taken inside', async () => {
    const { dmaBuf } = exported('static');
    const attachment = driver(dmaBuf);
    await dma_resv_locked(dmaBuf.reservation, () =>
      withDriverLock('umem_mutex', () => dma_buf_map_attachment(attachment, DIRECTION)),
    );
    await dma_buf_revoke(dmaBuf, 'permanent', NO_TIME);
    expect(recorder.edges).toEqual(['dma_resv -> umem_mutex']);
    expect(recorder.findCycle()).toBeUndefined();
  });

  /** An importer that unmaps in a worker, which takes the lock. */
  function deferring(scheduler: VirtualScheduler): DmaBufImporter {
    return {
      ...IMPORTERS.revocable,
      invalidateMappings(attachment) {
        scheduler.after(1, () => void dma_buf_unmap_attachment_unlocked(attachment));
      },
    };
  }

  it('R7: who waits with the lock for a worker that needs it waits for ever', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('static');
    const attachment = attach(dmaBuf, deferring(scheduler));
    locked(dmaBuf, () => ok(dma_buf_map_attachment(attachment, DIRECTION)));
    const unmapped = deferred<void>();
    // The fault: an exporter that keeps the lock until everybody has unmapped.
    const stuck = dma_resv_locked(dmaBuf.reservation, () => {
      dma_buf_invalidate_mappings(dmaBuf);
      lockOrder()?.acquiring('dma_buf_unmap');
      return unmapped.promise;
    });
    await expect(scheduler.run(stuck)).rejects.toThrow('no event is left');
    expect(recorder.findCycle()).toEqual(['dma_resv', 'dma_buf_unmap', 'dma_resv']);
    unmapped.resolve();
    await stuck;
  });

  it('R7: dma_buf_revoke lets the lock go before it waits', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('static');
    const attachment = attach(dmaBuf, deferring(scheduler));
    locked(dmaBuf, () => ok(dma_buf_map_attachment(attachment, DIRECTION)));
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', { scheduler });
    expect(await scheduler.run(revoked)).toBeUndefined();
    expect([attachment.mapping, dmaBuf.state]).toEqual([undefined, 'permanentlyRevoked']);
    expect(recorder.findCycle()).toBeUndefined();
  });

  it('R8: an exporter that takes the lock in its callback meets itself', async () => {
    const errors: unknown[] = [];
    const { dmaBuf } = exported('static', {
      map: () => {
        dma_resv_lock(dmaBuf.reservation).catch((reason) => errors.push(reason));
        return 'EBUSY';
      },
    });
    const attachment = attach(dmaBuf, IMPORTERS.static);
    expect(await dma_buf_map_attachment_unlocked(attachment, DIRECTION)).toBe('EBUSY');
    expect(errors.map(String)).toEqual([
      expect.stringContaining('not to be taken by code that holds it'),
    ]);
  });

  it('R8: with one acquire context the second lock is EALREADY', async () => {
    const { dmaBuf } = exported('static');
    const context = dma_resv_acquire_init();
    expect(await dma_resv_lock(dmaBuf.reservation, context)).toBeUndefined();
    expect(await dma_resv_lock(dmaBuf.reservation, context)).toBe('EALREADY');
    dma_resv_unlock(dmaBuf.reservation);
    expect(recorder.findCycle()).toBeUndefined();
  });

  it('waiting for a fence with the lock is allowed; taking the lock on the way to its signal is not', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('static');
    const { reservation } = dmaBuf;
    const fence = dma_fence_init();
    locked(dmaBuf, () => {
      dma_resv_reserve_fences(reservation, 1);
      dma_resv_add_fence(reservation, fence, 'BOOKKEEP');
    });
    scheduler.after(5, () => dma_fence_signal(fence));
    const wait = dma_resv_locked(reservation, () =>
      dma_resv_wait_timeout(reservation, 'BOOKKEEP', scheduler, 10),
    );
    expect(await scheduler.run(wait)).toBe(true);
    expect(recorder.edges).toEqual(['dma_resv -> dma_fence']);
    expect(recorder.findCycle()).toBeUndefined();
    // The fault: a callback of a fence that takes the lock.
    const other = dma_fence_init();
    dma_fence_add_callback(other, () => void dma_resv_locked(reservation, () => undefined));
    dma_fence_signal(other);
    expect(recorder.findCycle()).toEqual(['dma_resv', 'dma_fence', 'dma_resv']);
  });

  it('work that a callback only starts is not on the way to the signal', async () => {
    const { dmaBuf } = exported('static');
    const { reservation } = dmaBuf;
    const fence = dma_fence_init();
    locked(dmaBuf, () => {
      dma_resv_reserve_fences(reservation, 1);
      dma_resv_add_fence(reservation, fence, 'BOOKKEEP');
    });
    const later = dma_resv_wait(reservation, 'BOOKKEEP').then(() =>
      dma_resv_locked(reservation, () => 'done'),
    );
    dma_fence_signal(fence);
    expect(await later).toBe('done');
    expect(recorder.findCycle()).toBeUndefined();
  });

  it('two reservations nest under one acquire context, and not without', async () => {
    const [one, other] = [exported('static').dmaBuf, exported('static').dmaBuf];
    const context = dma_resv_acquire_init();
    await dma_resv_lock(one.reservation, context);
    await dma_resv_lock(other.reservation, context);
    dma_resv_unlock(other.reservation);
    dma_resv_unlock(one.reservation);
    expect(recorder.edges).toEqual([]);
    await dma_resv_lock(one.reservation);
    await dma_resv_lock(other.reservation);
    expect(recorder.findCycle()).toEqual(['dma_resv', 'dma_resv']);
    dma_resv_unlock(other.reservation);
    dma_resv_unlock(one.reservation);
  });
});

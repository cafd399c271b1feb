/** Taking a buffer back: the sequence, its states, and those who break their promise. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delay, VirtualScheduler } from '../../common/scheduler.ts';
import {
  dma_buf_attach,
  dma_buf_attach_revocable,
  dma_buf_detach,
  dma_buf_map_attachment,
  dma_buf_map_attachment_unlocked,
  dma_buf_pin,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
} from '../../node/dmabuf/attachment.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufImporter } from '../../node/dmabuf/dma-buf.ts';
import { dma_buf_put } from '../../node/dmabuf/export.ts';
import { type DmaFence, dma_fence_init, dma_fence_signal } from '../../node/dmabuf/fence.ts';
import {
  dma_resv_add_fence,
  dma_resv_is_locked,
  dma_resv_locked,
  dma_resv_reserve_fences,
} from '../../node/dmabuf/reservation.ts';
import { dma_buf_revoke, dma_buf_unrevoke } from '../../node/dmabuf/revoke.ts';
import { attach, exported, IMPORTERS, locked, ok } from './dma-buf-world.ts';

const DIRECTION = 'DMA_BIDIRECTIONAL';

function mapped(dmaBuf: DmaBuf, importer: DmaBufImporter): DmaBufAttachment {
  const attachment = attach(dmaBuf, importer);
  locked(dmaBuf, () => {
    if (importer.kind === 'dynamic') ok(dma_buf_pin(attachment));
    ok(dma_buf_map_attachment(attachment, DIRECTION));
  });
  return attachment;
}

/** Stops its hardware after `stopMs`, then lets the mapping go after another `unmapMs`. */
function slow(scheduler: VirtualScheduler, stopMs: number, unmapMs: number) {
  const fences: DmaFence[] = [];
  const told: number[] = [];
  const importer: DmaBufImporter = {
    ...IMPORTERS.revocable,
    name: 'slow',
    invalidateMappings(attachment) {
      told.push(scheduler.clock.now());
      const { reservation } = attachment.dmaBuf;
      const fence = dma_fence_init();
      fences.push(fence);
      dma_resv_reserve_fences(reservation, 1);
      dma_resv_add_fence(reservation, fence, 'BOOKKEEP');
      scheduler.after(stopMs, () => {
        dma_fence_signal(fence);
        scheduler.after(unmapMs, () => void letGo(attachment));
      });
    },
  };
  return { importer, fences, told };
}

function letGo(attachment: DmaBufAttachment): Promise<void> {
  return dma_resv_locked(attachment.dmaBuf.reservation, () => {
    dma_buf_unmap_attachment(attachment);
    dma_buf_unpin(attachment);
  });
}

describe('dma_buf_revoke', () => {
  it('with nobody inside is done within the call', async () => {
    const { dmaBuf } = exported('dynamic');
    const attachment = mapped(dmaBuf, IMPORTERS.revocable);
    const scheduler = new VirtualScheduler();
    const revoked = dma_buf_revoke(dmaBuf, 'temporary', { scheduler });
    expect([dmaBuf.state, attachment.mapping, attachment.pins]).toEqual([
      'temporarilyRevoked',
      undefined,
      0,
    ]);
    expect(await revoked).toBeUndefined();
  });

  it('waits for fences with the lock, then for every unmap without it', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    const [one, other] = [slow(scheduler, 4, 3), slow(scheduler, 6, 5)];
    const attachments = [mapped(dmaBuf, one.importer), mapped(dmaBuf, other.importer)];
    const seen: unknown[] = [];
    for (const at of [1, 5, 6.5, 10, 11.5]) {
      scheduler.after(at, () =>
        seen.push([at, dmaBuf.state, dma_resv_is_locked(dmaBuf.reservation)]),
      );
    }
    const segments = attachments.map(({ mapping }) => mapping?.segments);
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', { scheduler });
    expect(segments).toEqual([[], []]);
    expect(await scheduler.run(revoked)).toBeUndefined();
    expect(scheduler.clock.now()).toBe(11);
    await scheduler.run(delay(scheduler, 2));
    expect(seen).toEqual([
      [1, 'revoking', true],
      [5, 'revoking', true],
      [6.5, 'revoking', false],
      [10, 'revoking', false],
      [11.5, 'permanentlyRevoked', false],
    ]);
    expect(attachments.map(({ mapping, pins }) => [mapping, pins])).toEqual([
      [undefined, 0],
      [undefined, 0],
    ]);
  });

  it('waits for work of everybody, told or not', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('static');
    const fence = dma_fence_init();
    locked(dmaBuf, () => {
      dma_resv_reserve_fences(dmaBuf.reservation, 1);
      dma_resv_add_fence(dmaBuf.reservation, fence, 'BOOKKEEP');
    });
    scheduler.after(7, () => dma_fence_signal(fence));
    await scheduler.run(dma_buf_revoke(dmaBuf, 'permanent', { scheduler }));
    expect(scheduler.clock.now()).toBe(7);
  });

  it('refuses from its first moment on: attach, pin and map are ENODEV', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    const bystander = attach(dmaBuf, IMPORTERS.revocable);
    mapped(dmaBuf, slow(scheduler, 4, 4).importer);
    const revoked = dma_buf_revoke(dmaBuf, 'temporary', { scheduler });
    expect(dma_buf_attach(dmaBuf, IMPORTERS.static)).toBe('ENODEV');
    // The lock is held until the fences have retired; who waited for it is refused too.
    const waited = dma_buf_map_attachment_unlocked(bystander, DIRECTION);
    expect(await scheduler.run(waited)).toBe('ENODEV');
    expect([scheduler.clock.now(), dmaBuf.state]).toEqual([4, 'revoking']);
    locked(dmaBuf, () => expect(dma_buf_pin(bystander)).toBe('ENODEV'));
    expect(await scheduler.run(revoked)).toBeUndefined();
  });

  it('tells each importer once, however often it is called', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    const { importer, told } = slow(scheduler, 2, 2);
    mapped(dmaBuf, importer);
    const calls = [1, 2, 3].map(() => dma_buf_revoke(dmaBuf, 'temporary', { scheduler }));
    expect(await scheduler.run(Promise.all(calls))).toEqual([undefined, undefined, undefined]);
    expect(told).toEqual([0]);
    expect(await dma_buf_revoke(dmaBuf, 'temporary', { scheduler })).toBeUndefined();
    expect([told, dmaBuf.state]).toEqual([[0], 'temporarilyRevoked']);
  });

  it('permanent is for good: EINVAL for temporary and for unrevoke', async () => {
    const { dmaBuf } = exported('static');
    const options = { scheduler: new VirtualScheduler() };
    await dma_buf_revoke(dmaBuf, 'permanent', options);
    expect(await dma_buf_revoke(dmaBuf, 'temporary', options)).toBe('EINVAL');
    expect(dma_buf_unrevoke(dmaBuf)).toBe('EINVAL');
    expect(await dma_buf_revoke(dmaBuf, 'permanent', options)).toBeUndefined();
    expect(dmaBuf.state).toBe('permanentlyRevoked');
  });

  it('R9: a temporary one over a reset becomes permanent at the close while importers still drain', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    const { importer, told } = slow(scheduler, 4, 6);
    mapped(dmaBuf, importer);
    const ends: [string, number][] = [];
    const revoke = async (mode: 'temporary' | 'permanent') => {
      expect(await dma_buf_revoke(dmaBuf, mode, { scheduler })).toBeUndefined();
      ends.push([mode, scheduler.clock.now()]);
    };
    const over = revoke('temporary');
    await scheduler.run(delay(scheduler, 6));
    const closed = revoke('permanent');
    expect([dmaBuf.state, dma_buf_unrevoke(dmaBuf)]).toEqual(['revoking', 'EINVAL']);
    await scheduler.run(Promise.all([over, closed]));
    // One drain for both, nobody told twice, and the reset's end does not bring the buffer back.
    expect(new Map(ends)).toEqual(
      new Map([
        ['temporary', 10],
        ['permanent', 10],
      ]),
    );
    expect([told, dmaBuf.state, dma_buf_unrevoke(dmaBuf)]).toEqual([
      [0],
      'permanentlyRevoked',
      'EINVAL',
    ]);
  });

  it('R9: after the drain it waits for nothing again', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    mapped(dmaBuf, slow(scheduler, 4, 6).importer);
    await scheduler.run(dma_buf_revoke(dmaBuf, 'temporary', { scheduler }));
    const closed = dma_buf_revoke(dmaBuf, 'permanent', { scheduler });
    expect(dmaBuf.state).toBe('permanentlyRevoked');
    expect(await closed).toBeUndefined();
  });

  it('unrevoke: who was told maps anew; the old mapping stays dead', async () => {
    const { dmaBuf } = exported('dynamic');
    const options = { scheduler: new VirtualScheduler() };
    const attachment = mapped(dmaBuf, IMPORTERS.revocable);
    const old = attachment.mapping;
    expect(dma_buf_unrevoke(dmaBuf)).toBeUndefined();
    await dma_buf_revoke(dmaBuf, 'temporary', options);
    expect(dma_buf_unrevoke(dmaBuf)).toBeUndefined();
    expect([dmaBuf.state, old?.state, old?.segments.length]).toEqual(['live', 'unmapped', 0]);
    const table = ok(await dma_buf_map_attachment_unlocked(attachment, DIRECTION));
    expect(table.segments).toHaveLength(1);
    await dma_buf_revoke(dmaBuf, 'permanent', options);
    expect(table.segments).toHaveLength(0);
  });
});

describe('importers that cannot be stopped', () => {
  it.each(['static', 'pinned'] as const)(
    '%s: EOPNOTSUPP while mapped, with no effect',
    async (kind) => {
      const { dmaBuf } = exported('dynamic');
      const options = { scheduler: new VirtualScheduler() };
      const revocable = mapped(dmaBuf, IMPORTERS.revocable);
      const attachment = mapped(dmaBuf, IMPORTERS[kind]);
      expect(await dma_buf_revoke(dmaBuf, 'permanent', options)).toBe('EOPNOTSUPP');
      expect([dmaBuf.state, revocable.mapping?.state, attachment.mapping?.segments.length]).toEqual(
        ['live', 'mapped', 1],
      );
      await dma_buf_teardown(attachment);
      expect(await dma_buf_revoke(dmaBuf, 'permanent', options)).toBeUndefined();
    },
  );

  it('an exporter that wants to revoke refuses them at attach (vfio-pci)', () => {
    const { dmaBuf } = exported('dynamic', {
      attach: (attachment) => (dma_buf_attach_revocable(attachment) ? undefined : 'EOPNOTSUPP'),
    });
    const answers = Object.values(IMPORTERS).map((importer) => dma_buf_attach(dmaBuf, importer));
    expect(answers.slice(0, 2)).toEqual(['EOPNOTSUPP', 'EOPNOTSUPP']);
    expect(dmaBuf.attachments.size).toBe(1);
  });

  it('have no callback if they are static', () => {
    const { dmaBuf } = exported('static');
    const importer: DmaBufImporter = { ...IMPORTERS.revocable, kind: 'static' };
    expect(() => dma_buf_attach(dmaBuf, importer)).toThrow('static importer to have no callback');
  });
});

describe('promises that are broken', () => {
  it('R10: who claims to be revocable and never unmaps is reported as a bug, and the buffer is revoked', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    // The fault: the callback does nothing.
    const liar = { ...IMPORTERS.revocable, name: 'liar', invalidateMappings: () => undefined };
    const attachment = mapped(dmaBuf, liar);
    const honest = mapped(dmaBuf, IMPORTERS.revocable);
    const table = attachment.mapping;
    const bugs: string[] = [];
    const onBug = (message: string) => void bugs.push(message);
    const options = { scheduler, deadlineMs: 50, onBug };
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', options);
    expect(await scheduler.run(revoked)).toBe('ETIMEDOUT');
    expect(scheduler.clock.now()).toBe(50);
    expect(bugs).toEqual([expect.stringMatching(/let go in bounded time but found that liar /)]);
    expect([dmaBuf.state, table?.state, table?.segments.length, honest.mapping]).toEqual([
      'permanentlyRevoked',
      'invalidated',
      0,
      undefined,
    ]);
  });

  it('R10: without somebody to tell, an assertion fails', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('dynamic');
    mapped(dmaBuf, { ...IMPORTERS.revocable, invalidateMappings: () => undefined });
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', { scheduler, deadlineMs: 5 });
    await expect(scheduler.run(revoked)).rejects.toThrow('let go in bounded time');
  });

  it('a fence that never signals is reported too, and the lock is let go', async () => {
    const scheduler = new VirtualScheduler();
    const { dmaBuf } = exported('static');
    locked(dmaBuf, () => {
      dma_resv_reserve_fences(dmaBuf.reservation, 1);
      dma_resv_add_fence(dmaBuf.reservation, dma_fence_init(), 'READ');
    });
    const bugs: string[] = [];
    const onBug = (message: string) => void bugs.push(message);
    const revoked = dma_buf_revoke(dmaBuf, 'permanent', { scheduler, onBug });
    expect(await scheduler.run(revoked)).toBe('ETIMEDOUT');
    expect(bugs).toEqual([expect.stringContaining('1 fences have not signalled')]);
    expect(dma_resv_is_locked(dmaBuf.reservation)).toBe(false);
  });

  it('R4: a map that fails after the pin leaves exactly one unpin to do', () => {
    const world = exported('dynamic', { map: () => 'ENOMEM' });
    const attachment = attach(world.dmaBuf, IMPORTERS.revocable);
    locked(world.dmaBuf, () => {
      ok(dma_buf_pin(attachment));
      expect(dma_buf_map_attachment(attachment, DIRECTION)).toBe('ENOMEM');
      dma_buf_unpin(attachment);
      expect(world.pins).toBe(0);
      // The fault: an error path that unpins once more.
      expect(() => dma_buf_unpin(attachment)).toThrow('Expected a pinned attachment');
    });
    expect(world.pins).toBe(0);
  });

  it('R4: the core undoes its own pin for a static importer', async () => {
    const world = exported('dynamic', { map: () => 'ENOMEM' });
    const attachment = attach(world.dmaBuf, IMPORTERS.static);
    expect(await dma_buf_map_attachment_unlocked(attachment, DIRECTION)).toBe('ENOMEM');
    expect([world.pins, attachment.pins]).toEqual([0, 0]);
    dma_buf_detach(attachment);
  });

  it('a pin that fails pins nothing: EOPNOTSUPP of the exporter, EINVAL for a static importer', () => {
    const { dmaBuf } = exported('dynamic', { pin: () => 'EOPNOTSUPP', unpin: () => undefined });
    const [dynamic, fixed] = [attach(dmaBuf, IMPORTERS.pinned), attach(dmaBuf, IMPORTERS.static)];
    locked(dmaBuf, () => {
      expect([dma_buf_pin(dynamic), dma_buf_pin(fixed)]).toEqual(['EOPNOTSUPP', 'EINVAL']);
      expect(dma_buf_map_attachment(fixed, DIRECTION)).toBe('EOPNOTSUPP');
    });
    dma_buf_detach(dynamic);
    dma_buf_detach(fixed);
  });
});

describe('random importers and revocations', () => {
  it('end with nobody inside, everybody told at most once per mapping, and the counts at zero', async () => {
    const arbitrary = fc.record({
      importers: fc.array(fc.record({ stop: fc.nat(9), unmap: fc.nat(9) }), { maxLength: 4 }),
      revocations: fc.array(
        fc.record({ at: fc.nat(20), mode: fc.constantFrom('temporary', 'permanent') }),
        { minLength: 1, maxLength: 4 },
      ),
    });
    const property = fc.asyncProperty(arbitrary, async ({ importers, revocations }) => {
      const scheduler = new VirtualScheduler();
      const world = exported('dynamic');
      const { dmaBuf } = world;
      const parts = importers.map(({ stop, unmap }) => slow(scheduler, stop, unmap));
      const attachments = parts.map(({ importer }) => mapped(dmaBuf, importer));
      const isPermanent = revocations.some(({ mode }) => mode === 'permanent');
      const ends = revocations.map(async ({ at, mode }) => {
        await delay(scheduler, at);
        const result = await dma_buf_revoke(dmaBuf, mode, { scheduler });
        expect([undefined, 'EINVAL']).toContain(result);
        expect(attachments.every(({ mapping }) => mapping?.segments.length !== 1)).toBe(true);
        if (result === undefined) expect(dmaBuf.state).not.toBe('revoking');
      });
      await scheduler.run(Promise.all(ends), 1000);
      expect(dmaBuf.state).toBe(isPermanent ? 'permanentlyRevoked' : 'temporarilyRevoked');
      expect(parts.every(({ told }) => told.length === 1)).toBe(true);
      await Promise.all(attachments.map(dma_buf_teardown));
      expect([world.pins, dmaBuf.attachments.size, dmaBuf.file.references]).toEqual([0, 0, 1]);
      dma_buf_put(dmaBuf);
    });
    await fc.assert(property, { numRuns: 100, seed: 9 });
  });
});

/**
 * Verbs conformance: regions whose memory is taken back, regions that end while requests are under way,
 * and keys that outlive them. Named regressions of real bugs carry their number.
 */
import { describe, expect, it } from 'vitest';
import {
  dma_resv_locked,
  dma_resv_trylock,
  dma_resv_unlock,
} from '../../node/dmabuf/reservation.ts';
import { dma_buf_revoke, dma_buf_unrevoke } from '../../node/dmabuf/revoke.ts';
import { ibv_dereg_mr, ibv_reg_dmabuf_mr } from '../../node/verbs/mr.ts';
import { QUIESCE_MS } from '../../node/verbs/nic.ts';
import { ibv_post_send } from '../../node/verbs/qp.ts';
import type { DmaBufMode } from '../../node/verbs/region-memory.ts';
import { must, pattern, TestMemory, World } from '../node/verbs/world.ts';
import {
  busyScene,
  CountingMemory,
  IOVA,
  PAGE,
  type RegionSceneInit,
  regionScene,
  register,
  WRITE,
} from './verbs-memory.ts';
import { EVERY_RIGHT, eventNames, joined, lastOf, outcomes, request } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

describe.each(VERBS_PROVIDERS)('verbs conformance, revocation: $name', (provider) => {
  const open = verbsWorlds(provider);

  const scene = async (init: RegionSceneInit = {}) => regionScene(await open(), init);
  const busy = async () => busyScene(await open());

  describe('a revocable region', () => {
    it('is REVOKED at once, keeps its keys, and fails every access, at either end', async () => {
      const { world, a, b, far, target, write } = await scene();
      expect(await far.revoke(world)).toBeUndefined();
      expect([target.state, far.counts.unmap, far.counts.unpin]).toEqual(['REVOKED', 1, 1]);
      expect(world.b.nic.region(target.rkey)).toBe(target);
      must(write());
      await world.until(() => a.completions.length === 1);
      expect(outcomes(a)).toEqual(['IBV_WC_REM_ACCESS_ERR']);
      expect(eventNames(world.b)).toEqual(['IBV_EVENT_QP_ACCESS_ERR']);
      expect(b.qp.state).toBe('IBV_QPS_ERR');
      expect(far.bytes.every((byte) => byte === 0)).toBe(true);
      await ibv_dereg_mr(target);
      expect(world.b.nic.region(target.rkey)).toBeUndefined();
    });

    it('at the source: the next request ends with a local protection error', async () => {
      const { world, a, near, write } = await scene();
      await near.revoke(world);
      must(write());
      await world.until(() => a.completions.length === 1);
      expect(outcomes(a)).toEqual(['IBV_WC_LOC_PROT_ERR']);
    });

    it('is revoked within the call if no link reads from it', async () => {
      const { world, far } = await scene();
      void far.revoke(world);
      expect([far.dmaBuf.state, far.counts.unmap, far.fences]).toEqual([
        'permanentlyRevoked',
        1,
        0,
      ]);
    });

    it('has a fence in the reservation while a link reads from it; then nothing reads it any more', async () => {
      const { world, a, b, near, far, source, target } = await busy();
      const expected = near.bytes.slice();
      const done = near.revoke(world);
      expect([source.state, near.dmaBuf.state]).toEqual(['REVOKED', 'revoking']);
      expect([near.counts.unmap, near.fences]).toEqual([0, 1]);
      expect(await world.settle(done)).toBeUndefined();
      expect([near.counts.unmap, near.counts.unpin, near.fences]).toEqual([1, 1, 0]);
      near.bytes.fill(0xee);
      await world.until(() => a.completions.length === 2 || b.qp.state === 'IBV_QPS_ERR');
      await world.wait(10);
      const arrived = b.qp.counters.writeBytesReceived - 1;
      expect(Buffer.compare(far.bytes.subarray(0, arrived), expected.subarray(0, arrived))).toBe(0);
      await Promise.all([ibv_dereg_mr(source), ibv_dereg_mr(target)]);
      expect(near.counts).toEqual({ pin: 1, unpin: 1, map: 1, unmap: 1, detach: 1 });
    });

    it('two regions over one buffer are both revoked; one over another buffer is not', async () => {
      const { world, near, source } = await scene();
      const second = await register(world.a, near);
      const other = await register(world.a, new TestMemory(PAGE));
      await near.revoke(world);
      expect([source, second, other].map(({ state }) => state)).toEqual([
        'REVOKED',
        'REVOKED',
        'VALID',
      ]);
    });

    it('a temporary revocation ends it too: its callback runs once in its life', async () => {
      const { world, near, source } = await scene();
      const { scheduler } = world;
      expect(await dma_buf_revoke(near.dmaBuf, 'temporary', { scheduler })).toBeUndefined();
      expect(dma_buf_unrevoke(near.dmaBuf)).toBeUndefined();
      expect([source.state, near.counts.map]).toEqual(['REVOKED', 1]);
      const again = await register(world.a, near);
      expect(again.state).toBe('VALID');
      await near.revoke(world);
      expect(near.counts).toMatchObject({ pin: 2, unpin: 2, map: 2, unmap: 2 });
    });

    it('a buffer that is revoked cannot be registered: ENODEV', async () => {
      const { world, near } = await scene();
      await near.revoke(world);
      const fd = near.fd(world.a.process);
      expect(await ibv_reg_dmabuf_mr(world.a.pd, 0, PAGE, 0, fd, [])).toBe('ENODEV');
    });
  });

  describe('R5 deregistration races revocation', () => {
    it.each(['idle', 'busy'] as const)(
      '%s: in either order, everything is undone once',
      async (load) => {
        for (const first of ['dereg', 'revoke'] as const) {
          const { world, near, source } = load === 'idle' ? await scene() : await busy();
          const both =
            first === 'dereg'
              ? [ibv_dereg_mr(source), near.revoke(world)]
              : [near.revoke(world), ibv_dereg_mr(source)];
          expect(source.state).toBe('DEREGISTERED');
          expect(world.a.nic.region(source.lkey)).toBeUndefined();
          expect(await world.settle(Promise.all(both))).toEqual([undefined, undefined]);
          expect(near.counts).toEqual({ pin: 1, unpin: 1, map: 1, unmap: 1, detach: 1 });
          expect([near.dmaBuf.state, near.fences]).toEqual(['permanentlyRevoked', 0]);
        }
      },
    );

    it('while somebody holds the buffer’s lock', async () => {
      const { world, near, source } = await scene();
      expect(dma_resv_trylock(near.dmaBuf.reservation)).toBe(true);
      const both = Promise.all([near.revoke(world), ibv_dereg_mr(source)]);
      expect(near.counts.unmap).toBe(0);
      dma_resv_unlock(near.dmaBuf.reservation);
      await world.settle(both);
      expect(near.counts).toEqual({ pin: 1, unpin: 1, map: 1, unmap: 1, detach: 1 });
    });
  });

  describe('a pinned region, which cannot be stopped', () => {
    it('is refused at attach by an exporter that wants to revoke', async () => {
      const { a } = await open();
      const memory = new CountingMemory(
        PAGE,
        ({ importer }) => importer.invalidateMappings === undefined,
      );
      const fd = memory.fd(a.process);
      const register = (mode: DmaBufMode) =>
        ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, EVERY_RIGHT, mode);
      expect(await register('pinned')).toBe('EOPNOTSUPP');
      expect(memory.counts).toEqual({ pin: 0, unpin: 0, map: 0, unmap: 0, detach: 0 });
      expect(must(await register('revocable')).state).toBe('VALID');
      expect(must(await register('dynamic')).state).toBe('VALID');
    });

    it('keeps its memory: it must be deregistered before the buffer can be revoked', async () => {
      const { world, a, far, target, write } = await scene({ mode: 'pinned' });
      expect(await far.revoke(world)).toBe('EOPNOTSUPP');
      expect(target.state).toBe('VALID');
      must(write());
      await world.until(() => a.completions.length === 1);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS']);
      await ibv_dereg_mr(target);
      expect(await far.revoke(world)).toBeUndefined();
    });

    it('is what a NIC makes that is set to it', async () => {
      const { a } = await open({ dmaBufMode: 'pinned' });
      const memory = new CountingMemory(PAGE);
      await register(a, memory);
      const [attachment] = memory.dmaBuf.attachments;
      expect(attachment?.importer.invalidateMappings).toBeUndefined();
      expect(memory.counts).toMatchObject({ pin: 1, map: 1 });
    });
  });

  describe('a dynamic region, of on-demand paging', () => {
    it('is not pinned, and is mapped again at the next access after a move', async () => {
      const { world, a, far, target, write } = await scene({ mode: 'dynamic' });
      expect(far.counts).toMatchObject({ pin: 0, map: 1 });
      far.takeBack();
      expect([target.state, far.counts.unmap]).toEqual(['VALID', 1]);
      must(write());
      await world.until(() => a.completions.length === 1);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS']);
      expect(far.counts).toMatchObject({ pin: 0, map: 2, unmap: 1 });
      expect(far.bytes).toEqual(pattern(PAGE, 1));
    });

    it('a fault that has to wait for the lock is waited for, at either end', async () => {
      const { world, a, near, far, write } = await scene({
        join: { attributes: { rnr_retry: 7, path_mtu: 65_536 } },
        mode: 'dynamic',
      });
      for (const memory of [near, far]) {
        memory.takeBack();
        let release = () => undefined as undefined;
        const held = new Promise<undefined>((resolve) => {
          release = () => {
            resolve(undefined);
            return undefined;
          };
        });
        const holder = dma_resv_locked(memory.dmaBuf.reservation, () => held);
        const count = a.completions.length;
        must(write());
        await world.wait(5);
        expect(a.completions.length).toBe(count);
        release();
        await holder;
        await world.until(() => a.completions.length === count + 1);
        expect(lastOf(a).status).toBe('IBV_WC_SUCCESS');
      }
      expect(far.bytes).toEqual(pattern(PAGE, 1));
    });

    it('works again after a temporary revocation, and not during it', async () => {
      const { world, far, target } = await scene({ mode: 'dynamic' });
      const { scheduler } = world;
      await dma_buf_revoke(far.dmaBuf, 'temporary', { scheduler });
      const admitted = () => target.admit(world.b.pd, 'IBV_ACCESS_REMOTE_WRITE', IOVA, 8);
      expect(admitted()).toBe('denied');
      dma_buf_unrevoke(far.dmaBuf);
      expect(admitted()).toBe('granted');
      await far.revoke(world);
      expect([admitted(), target.state]).toEqual(['denied', 'REVOKED']);
      await ibv_dereg_mr(target);
      expect(far.counts).toMatchObject({ map: 2, unmap: 2, detach: 1 });
    });

    it('a move while a link reads from it leaves a fence, and nothing reads the old place after it', async () => {
      const world = await open();
      const [a] = await joined(world, { attributes: { path_mtu: 65_536 } });
      const size = 4 * 1024 * 1024;
      const [near, far] = [new CountingMemory(size), new CountingMemory(size)];
      const source = await register(world.a, near, 'dynamic');
      const target = await register(world.b, far);
      must(ibv_post_send(a.qp, request(WRITE, source, target, { length: 1 })));
      await world.until(() => a.completions.length === 1);
      must(ibv_post_send(a.qp, request(WRITE, source, target, { length: size })));
      near.takeBack();
      expect([near.fences, near.counts.unmap]).toEqual([1, 0]);
      await world.until(() => near.fences === 0 && near.counts.unmap === 1);
      await world.until(() => a.completions.length === 2);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
    });
  });
});

describe('verbs conformance, revocation: memory, a link that stands still', () => {
  it('breaks the link, so that the memory is let go in bounded time; the requests go on', async () => {
    const world = new World({ bandwidthBytesPerMs: 100 });
    const [a, b] = await joined(world, { attributes: { path_mtu: 65_536, timeout: 31 } });
    const size = 1024 * 1024;
    const [near, far] = [new CountingMemory(size), new CountingMemory(size)];
    const source = await register(world.a, near);
    const target = await register(world.b, far);
    must(ibv_post_send(a.qp, request(WRITE, source, target, { length: 1 })));
    await world.until(() => a.completions.length === 1);
    must(ibv_post_send(a.qp, request(WRITE, source, target, { length: size })));
    const started = world.scheduler.clock.now();
    expect(await world.settle(near.revoke(world))).toBeUndefined();
    expect(world.scheduler.clock.now() - started).toBeCloseTo(QUIESCE_MS, 0);
    expect(near.counts).toMatchObject({ unmap: 1, unpin: 1 });
    await world.until(() => a.completions.length === 2);
    expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_LOC_PROT_ERR']);
    expect(world.a.transport.counters('host-b').reconnects).toBe(1);
    expect(b.qp.state).toBe('IBV_QPS_RTS');
    await world.close();
  });
});

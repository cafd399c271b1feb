/**
 * Verbs conformance: regions that end while requests are under way, and keys that outlive them. Named
 * regressions of real bugs carry their number.
 */
import { describe, expect, it } from 'vitest';
import { ibv_dereg_mr, ibv_reg_mr } from '../../node/verbs/mr.ts';
import { ibv_post_send } from '../../node/verbs/qp.ts';
import { must } from '../node/verbs/world.ts';
import { busyScene, type RegionSceneInit, regionScene, register, WRITE } from './verbs-memory.ts';
import { joined, outcomes, request } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

describe.each(VERBS_PROVIDERS)('verbs conformance, lifetime: $name', (provider) => {
  const open = verbsWorlds(provider);
  const scene = async (init: RegionSceneInit = {}) => regionScene(await open(), init);
  const busy = async () => busyScene(await open());

  describe('deregistration', () => {
    it('lets the memory go within the call if no link reads from it', async () => {
      const { near, source } = await scene();
      void ibv_dereg_mr(source);
      expect([near.dmaBuf.attachments.size, near.counts.detach]).toEqual([0, 1]);
    });

    it('takes the key back at once, and the memory when no link reads from it any more', async () => {
      const { world, b, near, far, source } = await busy();
      const expected = near.bytes.slice();
      const done = ibv_dereg_mr(source);
      expect(world.a.nic.region(source.lkey)).toBeUndefined();
      expect(near.dmaBuf.attachments.size).toBe(1);
      await world.settle(done);
      expect(near.dmaBuf.attachments.size).toBe(0);
      near.bytes.fill(0xee);
      await world.wait(10);
      const arrived = b.qp.counters.writeBytesReceived - 1;
      expect(Buffer.compare(far.bytes.subarray(0, arrived), expected.subarray(0, arrived))).toBe(0);
    });

    it('of host memory waits for the link as well', async () => {
      const { world, a, target } = await busy();
      const bytes = new Uint8Array(1024 * 1024).fill(1);
      const mr = must(ibv_reg_mr(world.a.pd, bytes, 0, []));
      must(ibv_post_send(a.qp, request(WRITE, mr, target, { length: bytes.byteLength })));
      await world.settle(ibv_dereg_mr(mr));
      expect(world.a.nic.isQuiet).toBe(true);
    });
  });

  describe('R12 regions that end while requests are under way', () => {
    it.each([['initiator'], ['target'], ['initiator', 'target'], ['target', 'initiator']] as const)(
      '%s %s',
      async (...ends) => {
        const { world, a, b, near, far, source, target, write } = await busy();
        const second = await register(world.b, far);
        for (let count = 0; count < 3; count++) must(write());
        const expected = near.bytes.slice();
        const closing = ends.map((end) => ibv_dereg_mr(end === 'target' ? target : source));
        await world.settle(Promise.all(closing));
        near.bytes.fill(0xee);
        await world.until(() => a.qp.requester.outstanding === 0);
        await world.wait(10);
        // Each request has exactly one outcome; after the first failure nothing succeeds.
        const results = outcomes(a);
        expect(results.length).toBe(5);
        const failed = results.findIndex((status) => status !== 'IBV_WC_SUCCESS');
        const tail = failed < 0 ? [] : results.slice(failed + 1);
        expect(tail.every((status) => status === 'IBV_WC_WR_FLUSH_ERR')).toBe(true);
        if (failed >= 0 && ends.length === 1) {
          const status = ends[0] === 'target' ? 'IBV_WC_REM_ACCESS_ERR' : 'IBV_WC_LOC_PROT_ERR';
          expect(results[failed]).toBe(status);
        }
        if (ends.length === 1 && ends[0] === 'initiator') expect(b.qp.state).toBe('IBV_QPS_RTS');
        // What arrived was read before the memory was let go.
        const arrived = Math.min(b.qp.counters.writeBytesReceived - 1, far.bytes.byteLength);
        expect(Buffer.compare(far.bytes.subarray(0, arrived), expected.subarray(0, arrived))).toBe(
          0,
        );
        // Partial: another region over the same buffer is as good as before.
        const [c] = await joined(world, { attributes: { path_mtu: 65_536 } });
        const fresh = must(ibv_reg_mr(world.a.pd, new Uint8Array(64).fill(5), 0, []));
        must(ibv_post_send(c.qp, request(WRITE, fresh, second)));
        await world.until(() => c.completions.length === 1);
        expect(outcomes(c)).toEqual(['IBV_WC_SUCCESS']);
        expect(far.bytes.subarray(0, 64)).toEqual(new Uint8Array(64).fill(5));
      },
    );
  });

  it('R13 a key that is stale never reaches the region that came after it', async () => {
    const { world, a, far, target, write } = await scene();
    const stale = target.rkey;
    must(write({ length: 8 }));
    await ibv_dereg_mr(target);
    const keys = new Set([stale]);
    for (let count = 0; count < 50; count++) {
      const mr = await register(world.b, far);
      expect(keys.has(mr.rkey)).toBe(false);
      keys.add(mr.rkey);
      if (count < 49) await ibv_dereg_mr(mr);
    }
    far.bytes.fill(0);
    must(write({ length: 8, rkey: stale }));
    await world.until(() => a.qp.requester.outstanding === 0);
    expect(outcomes(a).at(-1)).not.toBe('IBV_WC_SUCCESS');
    expect(far.bytes.every((byte) => byte === 0)).toBe(true);
  });
});

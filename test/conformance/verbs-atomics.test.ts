/** Verbs conformance: atomic operations, inline data and fences. */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../common/prng.ts';
import { frameHeader } from '../../node/verbs/frame-header.ts';
import { ibv_reg_mr } from '../../node/verbs/mr.ts';
import { ibv_post_recv, ibv_post_send, ibv_post_send_list } from '../../node/verbs/qp.ts';
import type { IbvSendWr } from '../../node/verbs/work-request.ts';
import { must, type VerbsWorld, World } from '../node/verbs/world.ts';
import { EVERY_RIGHT, type JoinInit, joined, outcomes, request } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

const CAS = 'IBV_WR_ATOMIC_CMP_AND_SWP';
const FAA = 'IBV_WR_ATOMIC_FETCH_AND_ADD';

async function sceneIn(world: VerbsWorld, init: JoinInit = {}) {
  const [a, b] = await joined(world, init);
  const source = await world.a.region(8192, EVERY_RIGHT);
  const target = await world.b.region(8192, EVERY_RIGHT);
  const here = new DataView(source.memory.bytes.buffer);
  const there = new DataView(target.memory.bytes.buffer);
  const post = (opcode: IbvSendWr['opcode'], more: Partial<IbvSendWr> = {}) =>
    ibv_post_send(a.qp, request(opcode, source.mr, target.mr, { length: 8, ...more }));
  const done = async (count: number) => {
    await world.until(() => a.completions.length >= count);
    return outcomes(a);
  };
  return { world, a, b, source, target, here, there, post, done };
}

describe.each(VERBS_PROVIDERS)('verbs conformance, atomics: $name', (provider) => {
  const open = verbsWorlds(provider);
  const scene = async (init: JoinInit = {}) => sceneIn(await open(), init);

  it('compare and swap stores if what stood there is equal, and always answers what stood there', async () => {
    const { there, here, post, done, a } = await scene();
    there.setBigUint64(0, 41n, true);
    must(post(CAS, { compare_add: 40n, swap: 99n }));
    expect(await done(1)).toEqual(['IBV_WC_SUCCESS']);
    expect([there.getBigUint64(0, true), here.getBigUint64(0, true)]).toEqual([41n, 41n]);
    must(post(CAS, { compare_add: 41n, swap: 99n }));
    expect(await done(2)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
    expect([there.getBigUint64(0, true), here.getBigUint64(0, true)]).toEqual([99n, 41n]);
    expect(a.completions[1]).toMatchObject({ opcode: 'IBV_WC_COMP_SWAP', byte_len: 8 });
  });

  it('fetch and add counts modulo 2^64', async () => {
    const { there, here, post, done, a } = await scene();
    there.setBigUint64(0, 2n ** 64n - 2n, true);
    must(post(FAA, { compare_add: 5n }));
    expect(await done(1)).toEqual(['IBV_WC_SUCCESS']);
    expect([there.getBigUint64(0, true), here.getBigUint64(0, true)]).toEqual([3n, 2n ** 64n - 2n]);
    expect(a.completions[0]).toMatchObject({ opcode: 'IBV_WC_FETCH_ADD', byte_len: 8 });
  });

  it('works where two segments of the memory meet', async () => {
    const { target, there, post, done } = await scene();
    must(post(FAA, { compare_add: 7n, remote_addr: target.mr.addr + 4096 }));
    must(post(FAA, { compare_add: 8n, remote_addr: target.mr.addr + 4088 }));
    await done(2);
    expect([there.getBigUint64(4096, true), there.getBigUint64(4088, true)]).toEqual([7n, 8n]);
  });

  it.each([
    [
      'a queue pair that does not allow it',
      'IBV_WC_REM_INV_REQ_ERR',
      { accessOfB: ['IBV_ACCESS_REMOTE_WRITE'] },
      {},
    ],
    ['a misaligned address', 'IBV_WC_REM_INV_REQ_ERR', {}, { remote_addr: 0x10_0004 }],
    ['a bad lkey', 'IBV_WC_LOC_PROT_ERR', {}, { sg_list: [{ lkey: 1, address: 0, length: 8 }] }],
    ['a bad rkey', 'IBV_WC_REM_ACCESS_ERR', {}, { rkey: 1 }],
    ['a range outside of the region', 'IBV_WC_REM_ACCESS_ERR', {}, { remote_addr: 0x10_2000 }],
  ] as const)('%s: %s, nothing is changed', async (_, status, init, more) => {
    const { target, post, done } = await scene(init);
    must(post(FAA, { compare_add: 1n, ...more }));
    expect(await done(1)).toEqual([status]);
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('a region without REMOTE_ATOMIC: remote access error', async () => {
    const { world, post, done } = await scene();
    const { mr } = await world.b.region(4096, [
      'IBV_ACCESS_LOCAL_WRITE',
      'IBV_ACCESS_REMOTE_WRITE',
    ]);
    must(post(CAS, { remote_addr: mr.addr, rkey: mr.rkey }));
    expect(await done(1)).toEqual(['IBV_WC_REM_ACCESS_ERR']);
  });

  it('EINVAL at post: not 8 bytes, inline, or a queue pair that may have none under way', async () => {
    const { post, source } = await scene();
    const piece = { lkey: source.mr.lkey, address: source.mr.addr, length: 4 };
    expect(post(FAA, { sg_list: [piece] })).toBe('EINVAL');
    expect(post(FAA, { sg_list: [piece, piece, piece] })).toBe('EINVAL');
    const send_flags = ['IBV_SEND_INLINE'] as const;
    expect(post(FAA, { send_flags, sg_list: [], inline_data: new Uint8Array(8) })).toBe('EINVAL');
    const none = await scene({ attributes: { max_rd_atomic: 0 } });
    expect(none.post(FAA)).toBe('EINVAL');
    expect(none.post('IBV_WR_RDMA_READ')).toBe('EINVAL');
  });

  it('more than may be under way are sent one after the other', async () => {
    const { post, done, there, b } = await scene({ attributes: { max_rd_atomic: 2 } });
    for (let count = 0; count < 20; count++) must(post(FAA, { compare_add: 1n }));
    expect(new Set(await done(20))).toEqual(new Set(['IBV_WC_SUCCESS']));
    expect([there.getBigUint64(0, true), b.qp.counters.atomicsExecuted]).toEqual([20n, 20]);
  });

  it('R14 an atomic that comes again after a lost answer is answered and not executed again', async () => {
    const { world, a, b, target, there, post, done } = await scene();
    must(post(FAA, { compare_add: 1n }));
    must(post(FAA, { compare_add: 1n }));
    await done(2);
    const sent = () => world.b.transport.counters('host-a').payloadBytesSent;
    for (const psn of [0, 1, 0]) {
      const before = sent();
      const header = frameHeader('ATOMIC_FAA', {
        psn,
        destQpn: b.qp.qp_num,
        sourceQpn: a.qp.qp_num,
        qpEpoch: 1,
        first: true,
        last: true,
        messageLength: 8,
        payloadLength: 8,
        remoteAddress: target.mr.addr,
        rkey: target.mr.rkey,
      });
      expect(world.b.nic.place('host-a', header)).toBeNull();
      await world.until(() => sent() === before + 8);
    }
    expect([there.getBigUint64(0, true), b.qp.counters.atomicsExecuted]).toEqual([2n, 2]);
    expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
  });

  it('each is executed once, and has its own answer, over links that break all the time', async () => {
    const { world, a, b, source, there, here, target, done } = await scene();
    const count = 200;
    let posted = 0;
    for (let round = 0; posted < count; round++) {
      while (posted < count && posted < 25 * (round + 1)) {
        const slot = { lkey: source.mr.lkey, address: source.mr.addr + 8 * posted, length: 8 };
        const wr = request(FAA, source.mr, target.mr, { sg_list: [slot], compare_add: 1n });
        if (ibv_post_send(a.qp, { ...wr, wr_id: posted }) !== undefined) break;
        posted++;
      }
      world.interrupt();
      await world.wait(3);
      await world.until(() => a.qp.requester.outstanding < 32);
    }
    expect(new Set(await done(count))).toEqual(new Set(['IBV_WC_SUCCESS']));
    expect([there.getBigUint64(0, true), b.qp.counters.atomicsExecuted]).toEqual([
      BigInt(count),
      count,
    ]);
    const answers = Array.from({ length: count }, (_, slot) => here.getBigUint64(8 * slot, true));
    expect(answers).toEqual(answers.map((_, index) => BigInt(index)));
  });

  describe('IBV_SEND_INLINE', () => {
    const INLINE = { send_flags: ['IBV_SEND_SIGNALED', 'IBV_SEND_INLINE'], sg_list: [] } as const;

    it('needs no key, and the buffer is the caller’s again at return', async () => {
      const { target, post, done, world, b } = await scene();
      const inline_data = new Uint8Array(100).fill(5);
      must(post('IBV_WR_RDMA_WRITE', { ...INLINE, inline_data }));
      const sg_list = [{ lkey: target.mr.lkey, address: target.mr.addr + 4096, length: 200 }];
      must(ibv_post_recv(b.qp, { wr_id: 1, sg_list }));
      must(post('IBV_WR_SEND', { ...INLINE, inline_data }));
      inline_data.fill(0xee);
      expect(await done(2)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
      expect(target.memory.bytes.subarray(0, 101)).toEqual(new Uint8Array(101).fill(5, 0, 100));
      expect(target.memory.bytes.subarray(4096, 4196)).toEqual(new Uint8Array(100).fill(5));
      await world.until(() => b.completions.length === 1);
      expect(b.completions[0]).toMatchObject({ byte_len: 100 });
    });

    it('is sent again from its copy after a break', async () => {
      const { world, target, post, done } = await scene();
      const inline_data = new Uint8Array(1000).fill(5);
      for (let count = 0; count < 8; count++) {
        const remote_addr = target.mr.addr + 1000 * count;
        must(post('IBV_WR_RDMA_WRITE', { ...INLINE, inline_data, remote_addr }));
      }
      inline_data.fill(0xee);
      world.interrupt();
      await done(8);
      expect(target.memory.bytes.subarray(0, 8000).every((byte) => byte === 5)).toBe(true);
    });

    it('EINVAL: too long, without data, with a list, for a READ; data without the flag', async () => {
      const { post, source } = await scene();
      const inline_data = new Uint8Array(8);
      const piece = { lkey: source.mr.lkey, address: source.mr.addr, length: 8 };
      expect(post('IBV_WR_SEND', { ...INLINE, inline_data: new Uint8Array(1025) })).toBe('EINVAL');
      expect(post('IBV_WR_SEND', INLINE)).toBe('EINVAL');
      expect(post('IBV_WR_SEND', { ...INLINE, sg_list: [piece], inline_data })).toBe('EINVAL');
      expect(post('IBV_WR_RDMA_READ', { ...INLINE, inline_data })).toBe('EINVAL');
      expect(post('IBV_WR_SEND', { inline_data })).toBe('EINVAL');
      const small = await scene({ a: { cap: { max_inline_data: 4 } } });
      expect(small.post('IBV_WR_SEND', { ...INLINE, inline_data })).toBe('EINVAL');
    });
  });

  it('IBV_SEND_FENCE: starts after every READ and atomic before it has its answer', async () => {
    const { world, a, source, target } = await scene();
    const result = must(ibv_reg_mr(world.a.pd, new Uint8Array(8), 0, EVERY_RIGHT));
    target.memory.bytes.fill(3);
    // The READ fills `source`; the write behind it carries what was read.
    const sge = { lkey: source.mr.lkey, address: source.mr.addr, length: 4096 };
    const read = request('IBV_WR_RDMA_READ', source.mr, target.mr, { sg_list: [sge] });
    const add = request(FAA, result, target.mr, { length: 8, compare_add: 0n });
    const write = request('IBV_WR_RDMA_WRITE', source.mr, undefined, {
      sg_list: [sge],
      remote_addr: target.mr.addr + 4096,
      rkey: target.mr.rkey,
      send_flags: ['IBV_SEND_SIGNALED', 'IBV_SEND_FENCE'],
    });
    expect(ibv_post_send_list(a.qp, [read, add, write])).toBeUndefined();
    await world.until(() => a.completions.length === 3);
    expect(new Set(outcomes(a))).toEqual(new Set(['IBV_WC_SUCCESS']));
    expect(target.memory.bytes.subarray(4096).every((byte) => byte === 3)).toBe(true);
  });
});

describe('verbs conformance, atomics: memory, a network that loses and doubles frames', () => {
  it.each([1, 2, 3, 4, 5, 6])('seed %i: each atomic is executed exactly once', async (seed) => {
    const world = new World({ seed, dropRate: 0.1, duplicateRate: 0.1, latencyMs: 0.05 });
    const attributes = { timeout: 9, retry_cnt: 7 } as const;
    const { a, b, source, target, there, here } = await sceneIn(world, { attributes });
    const prng = new Prng(seed);
    const count = 150;
    let sum = 0n;
    const before: bigint[] = [];
    for (let posted = 0; posted < count; ) {
      const compare_add = BigInt(prng.below(1000));
      const slot = { lkey: source.mr.lkey, address: source.mr.addr + 8 * posted, length: 8 };
      const wr = request(FAA, source.mr, target.mr, { sg_list: [slot], compare_add });
      if (ibv_post_send(a.qp, wr) === undefined) {
        posted++;
        before.push(sum);
        sum += compare_add;
      } else {
        await world.wait(1);
      }
    }
    await world.until(() => a.completions.length === count, 600_000);
    expect(new Set(outcomes(a))).toEqual(new Set(['IBV_WC_SUCCESS']));
    expect([there.getBigUint64(0, true), b.qp.counters.atomicsExecuted]).toEqual([sum, count]);
    expect(before.map((_, index) => here.getBigUint64(8 * index, true))).toEqual(before);
    await world.close();
  });
});

/**
 * Verbs conformance: the behaviours that the pyverbs tests of rdma-core (tests/*.py) check. Each is a
 * test of this suite, by name, or is listed with the reason why it does not apply.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ibv_alloc_pd, ibv_dealloc_pd } from '../../node/verbs/context.ts';
import {
  type IbvAccessFlag,
  ibv_reg_dmabuf_mr,
  ibv_reg_mr,
  ibv_rereg_mr,
} from '../../node/verbs/mr.ts';
import { ibv_modify_qp, ibv_post_recv, ibv_post_send } from '../../node/verbs/qp.ts';
import { must, pattern, TestMemory, type VerbsWorld } from '../node/verbs/world.ts';
import { EVERY_RIGHT, entry, joined, outcomes, request, type Side } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

const NO_WINDOWS = 'there are no memory windows: IBV_ACCESS_MW_BIND is refused';
const NO_DEVICE_MEMORY =
  'the NIC has no memory of its own to allocate; device memory is an accelerator’s';
const NO_EX = 'one call per operation: there are no extended forms beside the plain ones';

/** `[file, behaviour, the test that shows it]` */
const TESTED: readonly (readonly [string, string, string])[] = [
  [
    'test_mr MRTest',
    'rereg addr',
    'rereg address: an old receive fails; restated queue pairs work again',
  ],
  [
    'test_mr MRTest',
    'rereg access',
    'access: what is missing afterwards is refused, what is there works',
  ],
  [
    'test_mr MRTest',
    'rereg PD',
    'rereg domain: refused in the other one; restored and restated it works',
  ],
  [
    'test_mr MRTest',
    'rereg atomic',
    'rereg atomic: remote access error without the right, then it works',
  ],
  [
    'test_mr MRTest',
    'rereg to missing access',
    'access: what is missing afterwards is refused, what is there works',
  ],
  ['test_mr MRTest', 'illegal flag sets', '%s: refused'],
  [
    'test_mr DmaBufMRTest',
    'legal flags at offset 0 and len/2',
    'with %o at offset %i: registered, deregistered',
  ],
  ['test_mr DmaBufMRTest', 'double dereg', 'what is destroyed twice is a fault of the caller'],
  ['test_mr DmaBufMRTest', 'illegal flags', '%s: refused, nothing is held'],
  [
    'test_mr DmaBufMRTest',
    'write then read back',
    'traffic over a dma-buf region: write, then read back',
  ],
  ['test_mr DmaBufMRTest', 'lkey and rkey', 'with %o at offset %i: registered, deregistered'],
  ['test_mr DmaBufTestCase', 'send and receive', 'traffic over a dma-buf region: send and receive'],
  ['test_mr DmaBufTestCase', 'RDMA', 'traffic over a dma-buf region: write, then read back'],
  ['test_cuda_dmabuf', 'RDMA write', 'traffic over a dma-buf region: write, then read back'],
  [
    'test_buf',
    'many regions on one buffer',
    'many regions over one buffer, of several domains; descriptor 0 is a descriptor',
  ],
  ['test_buf', 'foreign domain', 'a region of another domain: refused at either end'],
  ['test_buf', 'length or offset out of range', '%s: refused, nothing is held'],
  ['test_buf', 'traffic', 'traffic over a dma-buf region: send and receive'],
  [
    'test_atomic',
    'compare and swap',
    'compare and swap stores if what stood there is equal, and always answers what stood there',
  ],
  ['test_atomic', 'fetch and add', 'fetch and add counts modulo 2^64'],
  ['test_atomic', 'missing QP access, unaligned, bad lkey, bad rkey', '%s: %s, nothing is changed'],
  ['test_atomic', 'missing MR access', 'a region without REMOTE_ATOMIC: remote access error'],
  ['test_qpex', 'post in a wrong state', 'in %s: a receive gives %s, a send %s'],
  [
    'test_qpex',
    'full queue, too long a list',
    'ENOMEM: a full queue; EINVAL: too many pieces, lengths that are none, no remote address',
  ],
  ['test_qpex', 'zero-size operations', 'an operation of no bytes needs no key and no address'],
  [
    'test_cq',
    'sizes, bad sizes, resize',
    'sizes of a completion queue: 1 to max_cqe, and not below what waits in it',
  ],
  [
    'test_cq_events',
    'event delivery',
    'completion events: one per arming, for a completion that comes after it',
  ],
  ['test_pd', 'alloc, dealloc, many, destroyed twice', 'domains: many, deallocated in any order'],
  [
    'test_odp',
    'fault-in paths',
    'is not pinned, and is mapped again at the next access after a move',
  ],
  [
    'test_odp',
    'fault-in paths, contended',
    'a fault that has to wait for the lock is waited for, at either end',
  ],
  [
    'test_relaxed_ordering',
    'traffic with the flag',
    'relaxed ordering: all traffic works with the flag',
  ],
  ['test_async_event', 'get and acknowledge', 'an event names its object, and is handed out once'],
];

const NOT_APPLICABLE: readonly (readonly [string, string, string])[] = [
  ['test_mr MRTest', 'the *_ex variants, bad ex parameters', NO_EX],
  ['test_mr MWTest', 'type 1 and 2 traffic, invalidate, dealloc, wrong type', NO_WINDOWS],
  ['test_mr DM', 'create, bad access, export as dma-buf, traffic', NO_DEVICE_MEMORY],
  ['test_device', 'DM bounds', NO_DEVICE_MEMORY],
  ['test_cuda_dmabuf', 'with ex registration, with a DMA handle', NO_EX],
  [
    'test_mlx5_dmabuf',
    'data-direct region, ENOSPC of its sysfs path',
    'a feature of one vendor’s NIC',
  ],
  ['test_buf', 'bounce device', 'no memory of a host is out of reach of its NIC'],
  ['test_qpex', 'MW bind without remote write', NO_WINDOWS],
  ['test_qpex', 'flush type violation', 'there is no persistent memory and no FLUSH operation'],
  [
    'test_srq',
    'traffic, resize, limit event',
    'each queue pair has receives of its own: no shared receive queue',
  ],
  [
    'test_shared_pd',
    'import',
    'a context is shared by passing its descriptor, not by importing its objects',
  ],
];

describe.each(VERBS_PROVIDERS)('verbs conformance, pyverbs: $name', (provider) => {
  const open = verbsWorlds(provider);

  async function scene() {
    const world = await open();
    const [a, b] = await joined(world);
    const source = must(ibv_reg_mr(world.a.pd, new Uint8Array(64).fill(9), 0, EVERY_RIGHT));
    const bytes = new Uint8Array(64);
    const target = must(ibv_reg_mr(world.b.pd, bytes, 0, EVERY_RIGHT));
    return { world, a, b, source, target, bytes };
  }

  /** Takes both queue pairs through RESET to RTS again. */
  function restate(sides: readonly Side[]): void {
    for (const { qp } of sides) must(ibv_modify_qp(qp, { qp_state: 'IBV_QPS_RESET' }));
    for (const { qp } of sides) {
      const { ah_attr, dest_qp_num } = qp.attributes;
      must(ibv_modify_qp(qp, entry('IBV_QPS_INIT')));
      must(ibv_modify_qp(qp, { ...entry('IBV_QPS_RTR'), ah_attr, dest_qp_num }));
      must(ibv_modify_qp(qp, entry('IBV_QPS_RTS')));
    }
  }

  async function ended(world: VerbsWorld, side: Side, count: number): Promise<string | undefined> {
    await world.until(() => side.completions.length >= count);
    return outcomes(side)[count - 1];
  }

  it('rereg address: an old receive fails; restated queue pairs work again', async () => {
    const { world, a, b, source, target } = await scene();
    must(
      ibv_post_recv(b.qp, { wr_id: 1, sg_list: [{ lkey: target.lkey, address: 0, length: 64 }] }),
    );
    const moved = new Uint8Array(64);
    must(ibv_rereg_mr(target, { translation: { bytes: moved, iova: 0x7000 } }));
    must(ibv_post_send(a.qp, request('IBV_WR_SEND', source, undefined)));
    expect(await ended(world, a, 1)).toBe('IBV_WC_REM_OP_ERR');
    restate([a, b]);
    const sg_list = [{ lkey: target.lkey, address: target.addr, length: 64 }];
    must(ibv_post_recv(b.qp, { wr_id: 2, sg_list }));
    must(ibv_post_send(a.qp, request('IBV_WR_SEND', source, undefined)));
    expect(await ended(world, a, 2)).toBe('IBV_WC_SUCCESS');
    expect(moved).toEqual(new Uint8Array(64).fill(9));
  });

  it('rereg domain: refused in the other one; restored and restated it works', async () => {
    const { world, a, b, source, target, bytes } = await scene();
    must(ibv_rereg_mr(target, { pd: ibv_alloc_pd(world.b.context) }));
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source, target)));
    expect(await ended(world, a, 1)).toBe('IBV_WC_REM_ACCESS_ERR');
    must(ibv_rereg_mr(target, { pd: world.b.pd }));
    restate([a, b]);
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source, target)));
    expect(await ended(world, a, 2)).toBe('IBV_WC_SUCCESS');
    expect(bytes).toEqual(new Uint8Array(64).fill(9));
  });

  it('rereg atomic: remote access error without the right, then it works', async () => {
    const { world, a, b, source, target } = await scene();
    const add = () =>
      request('IBV_WR_ATOMIC_FETCH_AND_ADD', source, target, { length: 8, compare_add: 1n });
    must(ibv_rereg_mr(target, { access: ['IBV_ACCESS_LOCAL_WRITE'] }));
    must(ibv_post_send(a.qp, add()));
    expect(await ended(world, a, 1)).toBe('IBV_WC_REM_ACCESS_ERR');
    must(ibv_rereg_mr(target, { access: EVERY_RIGHT }));
    restate([a, b]);
    must(ibv_post_send(a.qp, add()));
    expect(await ended(world, a, 2)).toBe('IBV_WC_SUCCESS');
  });

  it('traffic over a dma-buf region: send and receive', async () => {
    const world = await open();
    const [a, b] = await joined(world);
    const source = await world.a.region(8192);
    const target = await world.b.region(8192);
    source.memory.bytes.set(pattern(8192, 3));
    const sg_list = [0, 4096].map((at) => ({
      lkey: target.mr.lkey,
      address: target.mr.addr + at,
      length: 4096,
    }));
    must(ibv_post_recv(b.qp, { wr_id: 1, sg_list }));
    must(ibv_post_send(a.qp, request('IBV_WR_SEND', source.mr, undefined, { length: 8192 })));
    expect(await ended(world, b, 1)).toBe('IBV_WC_SUCCESS');
    expect(b.completions[0]).toMatchObject({ byte_len: 8192, opcode: 'IBV_WC_RECV' });
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });

  it('traffic over a dma-buf region: write, then read back', async () => {
    const world = await open();
    const [a] = await joined(world);
    const memory = new TestMemory(16_384, 4096);
    const fd = memory.fd(world.b.process);
    const target = must(await ibv_reg_dmabuf_mr(world.b.pd, 8192, 8192, 0, fd, EVERY_RIGHT));
    const source = await world.a.region(8192);
    const back = await world.a.region(8192);
    source.memory.bytes.set(pattern(8192, 4));
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source.mr, target, { length: 8192 })));
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_READ', back.mr, target, { length: 8192 })));
    expect(await ended(world, a, 2)).toBe('IBV_WC_SUCCESS');
    expect(back.memory.bytes).toEqual(source.memory.bytes);
    expect(memory.bytes.subarray(8192)).toEqual(source.memory.bytes);
    expect(memory.bytes.subarray(0, 8192).every((byte) => byte === 0)).toBe(true);
  });

  it('a region of another domain: refused at either end', async () => {
    for (const end of ['here', 'there'] as const) {
      const world = await open();
      const [a] = await joined(world);
      const host = end === 'here' ? world.a : world.b;
      const pd = ibv_alloc_pd(host.context);
      const fd = new TestMemory(4096).fd(host.process);
      const foreign = must(await ibv_reg_dmabuf_mr(pd, 0, 4096, 0x10_0000, fd, EVERY_RIGHT));
      const other = await (end === 'here' ? world.b : world.a).region(4096, EVERY_RIGHT);
      const [local, remote] = end === 'here' ? [foreign, other.mr] : [other.mr, foreign];
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', local, remote)));
      const expected = end === 'here' ? 'IBV_WC_LOC_PROT_ERR' : 'IBV_WC_REM_ACCESS_ERR';
      expect(await ended(world, a, 1)).toBe(expected);
    }
  });

  it('domains: many, deallocated in any order', async () => {
    const { a } = await open();
    const pds = Array.from({ length: 50 }, () => ibv_alloc_pd(a.context));
    for (const pd of [...pds.slice(25), ...pds.slice(0, 25)]) {
      expect(ibv_dealloc_pd(pd)).toBeUndefined();
    }
    expect(() => ibv_dealloc_pd(pds[0] ?? a.pd)).toThrow('to be allocated');
  });

  it('relaxed ordering: all traffic works with the flag', async () => {
    const world = await open();
    const [a, b] = await joined(world);
    const access: readonly IbvAccessFlag[] = [...EVERY_RIGHT, 'IBV_ACCESS_RELAXED_ORDERING'];
    const source = await world.a.region(4096, access);
    const target = await world.b.region(4096, access);
    const sg_list = [{ lkey: target.mr.lkey, address: target.mr.addr, length: 64 }];
    must(ibv_post_recv(b.qp, { wr_id: 1, sg_list }));
    for (const opcode of ['IBV_WR_RDMA_WRITE', 'IBV_WR_RDMA_READ', 'IBV_WR_SEND'] as const) {
      must(ibv_post_send(a.qp, request(opcode, source.mr, target.mr)));
    }
    const cas = request('IBV_WR_ATOMIC_CMP_AND_SWP', source.mr, target.mr, { length: 8 });
    must(ibv_post_send(a.qp, cas));
    await ended(world, a, 4);
    expect(new Set(outcomes(a))).toEqual(new Set(['IBV_WC_SUCCESS']));
  });
});

describe('verbs conformance, pyverbs', () => {
  it('every behaviour is a test of this suite, or has the reason why it is none', () => {
    const folder = new URL('.', import.meta.url);
    const text = readdirSync(folder)
      .filter((name) => name.startsWith('verbs-') && name.endsWith('.test.ts'))
      .map((name) => readFileSync(new URL(name, folder), 'utf8'))
      .join('\n');
    const titles = new Set(
      [...text.matchAll(/'((?:[^'\\\n]|\\.)+)',\s*async/g)].map(([, title]) => title),
    );
    const missing = TESTED.filter(([, , title]) => !titles.has(title));
    expect(missing).toEqual([]);
    for (const [, , reason] of NOT_APPLICABLE) expect(reason.length).toBeGreaterThan(20);
    const rows = [...TESTED, ...NOT_APPLICABLE].map(([file, behaviour]) => `${file}: ${behaviour}`);
    expect(new Set(rows).size).toBe(rows.length);
  });
});

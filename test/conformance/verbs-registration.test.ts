/** Verbs conformance: registering memory, and the checks that a key stands for. */
import { describe, expect, it } from 'vitest';
import { OpenFile } from '../../node/process/file.ts';
import {
  ibv_alloc_pd,
  ibv_close_device,
  ibv_dealloc_pd,
  ibv_open_device,
} from '../../node/verbs/context.ts';
import { ibv_create_cq, ibv_destroy_cq } from '../../node/verbs/cq.ts';
import {
  type IbvAccessFlag,
  ibv_dereg_mr,
  ibv_reg_dmabuf_mr,
  ibv_reg_mr,
  ibv_rereg_mr,
} from '../../node/verbs/mr.ts';
import { ibv_destroy_qp, ibv_post_recv, ibv_post_send } from '../../node/verbs/qp.ts';
import { ALL_RIGHTS, must, TestMemory } from '../node/verbs/world.ts';
import { EVERY_RIGHT, joined, outcomes, request, sideIn } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

const PAGE = 4096;

/** `[offset, length, iova, access]` of a buffer of two pages, and what it is refused with. */
const REFUSED: readonly (readonly [
  string,
  number,
  number,
  number,
  readonly IbvAccessFlag[],
  'EINVAL',
])[] = [
  ['iova and offset with different page offsets', 0, PAGE, 1, [], 'EINVAL'],
  ['an offset within a page whose iova is not', 8, PAGE, PAGE, [], 'EINVAL'],
  ['length 0', 0, 0, 0, [], 'EINVAL'],
  ['an offset past the end', 2 * PAGE, 1, 0, [], 'EINVAL'],
  ['one byte too many', 0, 2 * PAGE + 1, 0, [], 'EINVAL'],
  ['a negative offset', -PAGE, PAGE, 0, [], 'EINVAL'],
  ['an address that overflows', 0, PAGE, 2 ** 53 - PAGE, [], 'EINVAL'],
  ['MW_BIND', 0, PAGE, 0, ['IBV_ACCESS_MW_BIND'], 'EINVAL'],
  ['ZERO_BASED', 0, PAGE, 0, ['IBV_ACCESS_ZERO_BASED'], 'EINVAL'],
  ['ON_DEMAND', 0, PAGE, 0, ['IBV_ACCESS_ON_DEMAND'], 'EINVAL'],
  ['HUGETLB', 0, PAGE, 0, ['IBV_ACCESS_HUGETLB'], 'EINVAL'],
  ['REMOTE_WRITE without LOCAL_WRITE', 0, PAGE, 0, ['IBV_ACCESS_REMOTE_WRITE'], 'EINVAL'],
  ['REMOTE_ATOMIC without LOCAL_WRITE', 0, PAGE, 0, ['IBV_ACCESS_REMOTE_ATOMIC'], 'EINVAL'],
];

/** Every set of flags that a dma-buf region may have. */
const ACCEPTED: readonly (readonly IbvAccessFlag[])[] = [
  [],
  ['IBV_ACCESS_LOCAL_WRITE'],
  ['IBV_ACCESS_REMOTE_READ'],
  ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'],
  ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_ATOMIC'],
  ['IBV_ACCESS_RELAXED_ORDERING'],
  [...EVERY_RIGHT, 'IBV_ACCESS_RELAXED_ORDERING'],
];

describe.each(VERBS_PROVIDERS)('verbs conformance, registration: $name', (provider) => {
  const open = verbsWorlds(provider);

  describe('ibv_reg_dmabuf_mr', () => {
    it.each(REFUSED)(
      '%s: refused, nothing is held',
      async (_, offset, length, iova, access, errno) => {
        const { a } = await open();
        const memory = new TestMemory(2 * PAGE);
        const fd = memory.fd(a.process);
        const before = memory.dmaBuf.file.references;
        expect(await ibv_reg_dmabuf_mr(a.pd, offset, length, iova, fd, access)).toBe(errno);
        expect([memory.dmaBuf.file.references, memory.dmaBuf.attachments.size]).toEqual([
          before,
          0,
        ]);
        expect(a.pd.mrs.size).toBe(0);
      },
    );

    it.each(ACCEPTED.flatMap((access) => [0, PAGE].map((offset) => [access, offset] as const)))(
      'with %o at offset %i: registered, deregistered',
      async (access, offset) => {
        const { a } = await open();
        const memory = new TestMemory(2 * PAGE);
        const fd = memory.fd(a.process);
        const mr = must(await ibv_reg_dmabuf_mr(a.pd, offset, PAGE, 7 * PAGE, fd, access));
        expect([mr.lkey, mr.rkey].every(Number.isInteger)).toBe(true);
        expect([mr.addr, mr.length, mr.state]).toEqual([7 * PAGE, PAGE, 'VALID']);
        expect(ibv_dealloc_pd(a.pd)).toBe('EBUSY');
        await ibv_dereg_mr(mr);
        expect(mr.state).toBe('DEREGISTERED');
        expect(memory.dmaBuf.attachments.size).toBe(0);
        expect(ibv_dealloc_pd(a.pd)).toBeUndefined();
      },
    );

    it('EBADF: no such descriptor, or one of another process; EINVAL: another kind of file', async () => {
      const { a, b } = await open();
      const foreign = new TestMemory(PAGE).fd(b.process);
      expect(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, foreign, [])).toBe('EBADF');
      const fd = a.process.fds.reserve() as number;
      a.process.fds.install(fd, new OpenFile({ kind: 'null', release: () => undefined }));
      expect(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, [])).toBe('EINVAL');
    });

    it('EOPNOTSUPP: a NIC whose driver does not import dma-bufs', async () => {
      const { a } = await open({ dmaBufMode: 'none' });
      const fd = new TestMemory(PAGE).fd(a.process);
      expect(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, [])).toBe('EOPNOTSUPP');
    });

    it('an exporter’s refusal passes through', async () => {
      const { a } = await open();
      const memory = new TestMemory(PAGE, PAGE, { attach: () => 'EBUSY' });
      const fd = memory.fd(a.process);
      expect(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, [])).toBe('EBUSY');
      expect(memory.dmaBuf.file.references).toBe(2);
    });

    it('a map that fails after the pin undoes the pin once', async () => {
      const { a } = await open();
      let pins = 0;
      const memory = new TestMemory(PAGE, PAGE, {
        pin: () => {
          pins++;
          return undefined;
        },
        unpin: () => {
          pins--;
        },
        map: () => 'ENOMEM',
      });
      const fd = memory.fd(a.process);
      expect(await ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, fd, [])).toBe('ENOMEM');
      expect([pins, memory.dmaBuf.attachments.size]).toEqual([0, 0]);
    });

    it('many regions over one buffer, of several domains; descriptor 0 is a descriptor', async () => {
      const { a } = await open();
      const memory = new TestMemory(4 * PAGE);
      const fd = memory.fd(a.process);
      expect(fd).toBe(0);
      const other = ibv_alloc_pd(a.context);
      const mrs = await Promise.all(
        [a.pd, a.pd, other].map((pd, index) =>
          ibv_reg_dmabuf_mr(pd, index * PAGE, PAGE, 0, fd, ALL_RIGHTS),
        ),
      );
      expect(new Set(mrs.map((mr) => must(mr).rkey)).size).toBe(3);
      expect(memory.dmaBuf.attachments.size).toBe(3);
      a.process.fds.close(fd);
      memory.dmaBuf.file.put();
      expect(memory.released).toBe(false);
      for (const mr of mrs) await ibv_dereg_mr(must(mr));
      expect(memory.released).toBe(true);
    });
  });

  describe('ibv_reg_mr', () => {
    it.each<[string, number, readonly IbvAccessFlag[], string]>([
      ['no bytes', 0, [], 'EINVAL'],
      ['REMOTE_WRITE without LOCAL_WRITE', 8, ['IBV_ACCESS_REMOTE_WRITE'], 'EINVAL'],
      ['REMOTE_ATOMIC without LOCAL_WRITE', 8, ['IBV_ACCESS_REMOTE_ATOMIC'], 'EINVAL'],
      ['a flag that hlsim does not have', 8, ['IBV_ACCESS_MW_BIND'], 'EOPNOTSUPP'],
    ])('%s: refused', async (_, bytes, access, errno) => {
      const { a } = await open();
      expect(ibv_reg_mr(a.pd, new Uint8Array(bytes), 0, access)).toBe(errno);
      expect(a.pd.mrs.size).toBe(0);
    });

    it('keys are never given again', async () => {
      const { a } = await open();
      const keys = new Set<number>();
      for (let count = 0; count < 300; count++) {
        const mr = must(ibv_reg_mr(a.pd, new Uint8Array(1), 0, []));
        keys.add(mr.rkey);
        await ibv_dereg_mr(mr);
      }
      expect(keys.size).toBe(300);
    });
  });

  describe('parents and children', () => {
    it('a domain with regions or queue pairs, a completion queue with queue pairs: EBUSY, unchanged', async () => {
      const { a } = await open();
      const side = sideIn(a, 'IBV_QPS_INIT');
      const mr = must(ibv_reg_mr(a.pd, new Uint8Array(8), 0, []));
      expect([ibv_dealloc_pd(a.pd), ibv_destroy_cq(side.cq)]).toEqual(['EBUSY', 'EBUSY']);
      await ibv_dereg_mr(mr);
      expect(ibv_dealloc_pd(a.pd)).toBe('EBUSY');
      ibv_destroy_qp(side.qp);
      expect(ibv_destroy_cq(side.cq)).toBeUndefined();
      expect(ibv_dealloc_pd(a.pd)).toBeUndefined();
    });

    it('what is destroyed twice is a fault of the caller', async () => {
      const { a } = await open();
      const mr = must(ibv_reg_mr(a.pd, new Uint8Array(8), 0, []));
      await ibv_dereg_mr(mr);
      expect(() => ibv_dereg_mr(mr)).toThrow('to be registered');
      const cq = must(ibv_create_cq(a.context, 1, () => undefined));
      ibv_destroy_cq(cq);
      expect(() => ibv_destroy_cq(cq)).toThrow('to be there');
      ibv_dealloc_pd(a.pd);
      expect(() => ibv_dealloc_pd(a.pd)).toThrow('to be allocated');
    });

    it('closing the device destroys what is left; a registration that it overtakes fails', async () => {
      const { a } = await open();
      const { memory } = await a.region(PAGE);
      sideIn(a, 'IBV_QPS_RTS');
      const late = new TestMemory(PAGE);
      const pending = ibv_reg_dmabuf_mr(a.pd, 0, PAGE, 0, late.fd(a.process), []);
      ibv_close_device(a.context);
      ibv_close_device(a.context);
      expect(await pending).toBe('EINVAL');
      for (const { dmaBuf } of [memory, late]) expect(dmaBuf.attachments.size).toBe(0);
      expect([a.nic.regionCount, a.nic.queuePairCount]).toEqual([0, 0]);
    });
  });

  describe('ibv_rereg_mr', () => {
    const host = (bytes: Uint8Array, iova: number) => ({ translation: { bytes, iova } });

    async function pairOf() {
      const world = await open();
      const [a, b] = await joined(world);
      const source = must(ibv_reg_mr(world.a.pd, new Uint8Array(256).fill(9), 0, ALL_RIGHTS));
      const target = must(ibv_reg_mr(world.b.pd, new Uint8Array(256), 0, EVERY_RIGHT));
      const outcome = async () => {
        await world.until(() => a.completions.length > 0);
        return outcomes(a).at(-1);
      };
      return { world, a, b, source, target, outcome };
    }

    it('address: new keys for the new range, a receive with the old ones fails at the sender', async () => {
      const { a, b, source, target, outcome } = await pairOf();
      const sg_list = [{ lkey: target.lkey, address: 0, length: 64 }];
      const [old, bytes] = [target.lkey, new Uint8Array(64)];
      expect(ibv_rereg_mr(target, host(bytes, 0x5000))).toBeUndefined();
      expect([target.addr, target.length]).toEqual([0x5000, 64]);
      expect(target.lkey).not.toBe(old);
      must(ibv_post_recv(b.qp, { wr_id: 1, sg_list }));
      must(ibv_post_send(a.qp, request('IBV_WR_SEND', source, undefined)));
      expect(await outcome()).toBe('IBV_WC_REM_OP_ERR');
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    });

    it('address: traffic goes to the new range', async () => {
      const { a, source, target, outcome } = await pairOf();
      const bytes = new Uint8Array(64);
      must(ibv_rereg_mr(target, host(bytes, 0x5000)));
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source, target)));
      expect(await outcome()).toBe('IBV_WC_SUCCESS');
      expect(bytes.every((byte) => byte === 9)).toBe(true);
    });

    it('access: what is missing afterwards is refused, what is there works', async () => {
      const { world, a, source, target, outcome } = await pairOf();
      must(ibv_rereg_mr(target, { access: ['IBV_ACCESS_REMOTE_READ'] }));
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_READ', source, target)));
      expect(await outcome()).toBe('IBV_WC_SUCCESS');
      must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', source, target)));
      await world.until(() => a.completions.length === 2);
      expect(outcomes(a).at(-1)).toBe('IBV_WC_REM_ACCESS_ERR');
    });

    it('domain: the region moves, and a queue pair of the old domain cannot receive into it', async () => {
      const { world, a, b, source, target, outcome } = await pairOf();
      const pd = ibv_alloc_pd(world.b.context);
      must(ibv_rereg_mr(target, { pd }));
      expect([world.b.pd.mrs.size, pd.mrs.size]).toEqual([0, 1]);
      const sg_list = [{ lkey: target.lkey, address: 0, length: 64 }];
      must(ibv_post_recv(b.qp, { wr_id: 1, sg_list }));
      must(ibv_post_send(a.qp, request('IBV_WR_SEND', source, undefined)));
      expect(await outcome()).toBe('IBV_WC_REM_OP_ERR');
      must(ibv_rereg_mr(target, { pd: world.b.pd }));
      expect(ibv_dealloc_pd(pd)).toBeUndefined();
    });

    it('IBV_REREG_MR_ERR_INPUT: the old region is still valid', async () => {
      const { world, target } = await pairOf();
      const device = await world.b.region(PAGE);
      const foreign = ibv_alloc_pd(ibv_open_device(world.b.nic, world.b.process));
      const key = target.rkey;
      for (const [mr, change] of [
        [device.mr, { access: [] }],
        [target, {}],
        [target, host(new Uint8Array(0), 0)],
        [target, { pd: foreign }],
        [target, { access: ['IBV_ACCESS_REMOTE_WRITE'] }],
        [target, { access: ['IBV_ACCESS_MW_BIND'] }],
      ] as const) {
        expect(ibv_rereg_mr(mr, change)).toBe('IBV_REREG_MR_ERR_INPUT');
      }
      expect([target.rkey, target.state, device.mr.state]).toEqual([key, 'VALID', 'VALID']);
    });
  });

  describe('what a key allows, in the order of the checks', () => {
    const at = 0x10_0000;

    async function victim() {
      const world = await open();
      const { mr } = await world.b.region(PAGE, ['IBV_ACCESS_LOCAL_WRITE']);
      const other = ibv_alloc_pd(world.b.context);
      return { world, mr, other, pd: world.b.pd };
    }

    it('the key must exist, and match exactly', async () => {
      const { world, mr } = await victim();
      expect(world.b.nic.region(mr.rkey)).toBe(mr);
      for (const key of [mr.rkey + 1, mr.rkey ^ 0x100, 0]) {
        expect(world.b.nic.region(key)).toBeUndefined();
      }
    });

    it('then the domain, the right, the state, the range', async () => {
      const { mr, other, pd } = await victim();
      const write = 'IBV_ACCESS_LOCAL_WRITE';
      expect(mr.admit(other, write, at, 8)).toBe('denied');
      expect(mr.admit(pd, 'IBV_ACCESS_REMOTE_WRITE', at, 8)).toBe('denied');
      for (const [address, length, answer] of [
        [at, PAGE, 'granted'],
        [at + PAGE - 1, 1, 'granted'],
        [at - 1, 1, 'denied'],
        [at + PAGE, 1, 'denied'],
        [at, PAGE + 1, 'denied'],
      ] as const) {
        expect(mr.admit(pd, write, address, length)).toBe(answer);
        expect(mr.admit(pd, undefined, address, length)).toBe(answer);
      }
      await ibv_dereg_mr(mr);
      expect(mr.admit(pd, write, at, 8)).toBe('denied');
    });

    it('an operation of no bytes needs no key and no address', async () => {
      const world = await open();
      const [a] = await joined(world);
      const none = { sg_list: [], remote_addr: 2 ** 52, rkey: 5 };
      for (const opcode of ['IBV_WR_RDMA_WRITE', 'IBV_WR_RDMA_READ'] as const) {
        const flags = { send_flags: ['IBV_SEND_SIGNALED'] } as const;
        must(ibv_post_send(a.qp, { wr_id: opcode, opcode, ...none, ...flags }));
      }
      await world.until(() => a.completions.length === 2);
      expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
    });
  });
});

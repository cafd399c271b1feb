/** The verbs device trusts nothing that a user process hands to it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { O_RDWR } from '../../../node/process/open-flags.ts';
import type { SystemCallValue } from '../../../node/process/system-call.ts';
import { BadWorkRequestError } from '../../../node/verbs/rdma-core-queues.ts';
import {
  POLL_ENTRIES_MAX,
  POST_LIST_MAX,
  UVERBS_LIMITS,
  UVERBS_NODE_PATH,
  type UverbsRequest,
  WAIT_TIMEOUT_MAX_MS,
} from '../../../node/verbs/uverbs-uapi.ts';
import {
  CAP,
  connect,
  type End,
  errnoOf,
  IOVA,
  ibv,
  openQueuePair,
  openWithMemory,
  REGION_BYTES,
  REMOTE,
  UserWorld,
} from './uverbs-world.ts';

const MEMORY_BYTES = 1024 * 1024;

/** The request as a program without a library makes it. */
function raw({ channel, context }: End, request: string, argument: SystemCallValue) {
  return channel.call('ioctl', { fd: context.fd, request, argument });
}

const WR = { wr_id: 1, opcode: 'IBV_WR_SEND', sg_list: [] } as const;
const RTR = {
  qp_state: 'IBV_QPS_RTR',
  ah_attr: { nodeId: 'host-b', address: { host: 'memory', port: 2 } },
  path_mtu: 4096,
  dest_qp_num: 1,
  rq_psn: 0,
  max_dest_rd_atomic: 1,
  min_rnr_timer: 1,
} as const;

/** What each request must refuse with EINVAL; `pd`, `cq` and `qp` have handle 1. */
const MALFORMED: readonly (readonly [UverbsRequest, SystemCallValue])[] = [
  ['IB_USER_VERBS_CMD_ALLOC_PD', 'text'],
  ['IB_USER_VERBS_CMD_DEALLOC_PD', {}],
  ['IB_USER_VERBS_CMD_DEALLOC_PD', { pd: 'one' }],
  ['IB_USER_VERBS_CMD_DEALLOC_PD', { pd: 2 }],
  ['IB_USER_VERBS_CMD_DEALLOC_PD', { pd: -1 }],
  ['IB_USER_VERBS_CMD_REG_MR', { pd: 1, address: 0, length: 0, access: [] }],
  ['IB_USER_VERBS_CMD_REG_MR', { pd: 1, address: 0, length: 1.5, access: [] }],
  ['IB_USER_VERBS_CMD_REG_MR', { pd: 1, address: 0, length: 64, access: ['IBV_ACCESS_ALL'] }],
  ['IB_USER_VERBS_CMD_REG_MR', { pd: 1, address: 0, length: 64, access: ['toString'] }],
  [
    'IB_USER_VERBS_CMD_REG_MR',
    { pd: 1, address: 0, length: 64, access: ['IBV_ACCESS_REMOTE_WRITE'] },
  ],
  [
    'UVERBS_METHOD_REG_DMABUF_MR',
    { pd: 1, offset: 0, length: 64, iova: 1, fd: 0, access: [], mode: 'never' },
  ],
  ['IB_USER_VERBS_CMD_DEREG_MR', { mr: 1 }],
  ['IB_USER_VERBS_CMD_REREG_MR', { mr: 1 }],
  ['IB_USER_VERBS_CMD_CREATE_CQ', { cqe: 0 }],
  ['IB_USER_VERBS_CMD_CREATE_CQ', { cqe: 1e9 }],
  ['IB_USER_VERBS_CMD_RESIZE_CQ', { cq: 1, cqe: 0 }],
  ['IB_USER_VERBS_CMD_POLL_CQ', { cq: 1, entries: 0 }],
  ['IB_USER_VERBS_CMD_POLL_CQ', { cq: 1, entries: POLL_ENTRIES_MAX + 1 }],
  ['IB_USER_VERBS_CMD_POLL_CQ', { cq: 1, entries: 1, timeoutMs: WAIT_TIMEOUT_MAX_MS + 1 }],
  ['IB_USER_VERBS_CMD_POLL_CQ', { cq: 9, entries: 1 }],
  ['IB_USER_VERBS_CMD_CREATE_QP', { pd: 1, send_cq: 1, recv_cq: 1 }],
  ['IB_USER_VERBS_CMD_CREATE_QP', { pd: 1, send_cq: 1, recv_cq: 2, cap: CAP }],
  ['IB_USER_VERBS_CMD_CREATE_QP', { pd: 1, send_cq: 1, recv_cq: 1, cap: CAP, epoch: 2 ** 32 }],
  [
    'IB_USER_VERBS_CMD_CREATE_QP',
    { pd: 1, send_cq: 1, recv_cq: 1, cap: { ...CAP, max_send_sge: 17 } },
  ],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1 }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { qp_state: 'IBV_QPS_RTS' } }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { qp_state: '__proto__' } }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { alt_port_num: 1 } }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { ...RTR, path_mtu: 0 } }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { ...RTR, ah_attr: 'host-b' } }],
  ['IB_USER_VERBS_CMD_MODIFY_QP', { qp: 1, attr: { ...RTR, ah_attr: { nodeId: 'host-b' } } }],
  [
    'IB_USER_VERBS_CMD_MODIFY_QP',
    { qp: 1, attr: { ...RTR, ah_attr: { ...RTR.ah_attr, nodeId: '' } } },
  ],
  [
    'IB_USER_VERBS_CMD_MODIFY_QP',
    { qp: 1, attr: { ...RTR, ah_attr: { ...RTR.ah_attr, address: { host: 'h', port: 65_536 } } } },
  ],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: WR }],
  [
    'IB_USER_VERBS_CMD_POST_SEND',
    { qp: 1, list: Array.from({ length: POST_LIST_MAX + 1 }, () => WR) },
  ],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, opcode: 'constructor' }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, wr_id: 'one' }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, send_flags: ['IBV_SEND_IP_CSUM'] }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, imm_data: 2 ** 32 }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, compare_add: '-1' }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, swap: '18446744073709551616' }] }],
  ['IB_USER_VERBS_CMD_POST_SEND', { qp: 1, list: [{ ...WR, sg_list: [{ lkey: 1, address: 0 }] }] }],
  [
    'IB_USER_VERBS_CMD_POST_SEND',
    {
      qp: 1,
      list: [
        {
          ...WR,
          send_flags: ['IBV_SEND_INLINE'],
          sg_list: [{ lkey: 0, address: 0, length: 1_025 }],
        },
      ],
    },
  ],
  ['IB_USER_VERBS_CMD_POST_RECV', { qp: 1, list: [{ wr_id: 1 }] }],
  ['UVERBS_METHOD_ACK_ASYNC_EVENT', { event: 1 }],
];

describe('arguments of the verbs device', () => {
  it.each(MALFORMED)('%s refuses %j with EINVAL', async (request, argument) => {
    const world = new UserWorld();
    const end = await openQueuePair(world.a.start());
    expect(await errnoOf(raw(end, request, argument))).toBe('EINVAL');
  });

  it('a request it does not have answers ENOTTY, another minor ENXIO', async () => {
    const world = new UserWorld();
    const end = await openQueuePair(world.a.start());
    for (const request of ['IB_USER_VERBS_CMD_CREATE_SRQ', 'toString', 'HL_IOCTL_INFO']) {
      expect(await errnoOf(raw(end, request, {}))).toBe('ENOTTY');
    }
    const path = UVERBS_NODE_PATH.replace(/0$/, '1');
    expect(await errnoOf(end.channel.call('open', { path, flags: O_RDWR }))).toBe('ENXIO');
  });

  it('memory outside of the process is EFAULT, to register and to send inline', async () => {
    const world = new UserWorld();
    const end = await openQueuePair(world.a.start());
    const { channel, pd, qp } = end;
    for (const [address, length] of [
      [MEMORY_BYTES, 1],
      [MEMORY_BYTES - 1, 2],
      [Number.MAX_SAFE_INTEGER, 1],
    ] as const) {
      expect(await errnoOf(ibv.ibv_reg_mr(channel, pd, address, length, []))).toBe('EFAULT');
    }
    const sg_list = [{ lkey: 0, address: MEMORY_BYTES - 4, length: 8 }];
    const inline = { ...WR, sg_list, send_flags: ['IBV_SEND_INLINE'] } as const;
    expect(await errnoOf(ibv.ibv_post_send(channel, qp, inline))).toBe('EFAULT');
  });

  it('ibv_reg_dmabuf_mr tells a bad descriptor, a wrong one and a bad range apart', async () => {
    const world = new UserWorld();
    const { channel, pd, memory, context } = await openWithMemory(world.a.start());
    const register = (
      fd: number,
      { offset = 0, length = REGION_BYTES, iova = IOVA, access = REMOTE as readonly string[] } = {},
    ) =>
      raw({ channel, context } as End, 'UVERBS_METHOD_REG_DMABUF_MR', {
        pd: pd.handle,
        fd,
        offset,
        length,
        iova,
        access,
      });
    expect(await errnoOf(register(77))).toBe('EBADF');
    expect(await errnoOf(register(memory.device))).toBe('EINVAL');
    expect(await errnoOf(register(memory.dmaBuf, { length: REGION_BYTES + 1 }))).toBe('EINVAL');
    expect(await errnoOf(register(memory.dmaBuf, { offset: 4096 }))).toBe('EINVAL');
    expect(await errnoOf(register(memory.dmaBuf, { iova: IOVA + 1 }))).toBe('EINVAL');
    expect(await errnoOf(register(memory.dmaBuf, { access: ['IBV_ACCESS_HUGETLB'] }))).toBe(
      'EINVAL',
    );
    expect(world.a.nic.regionCount).toBe(1);
  });

  it('a handle means nothing in another file', async () => {
    const world = new UserWorld();
    const left = await openWithMemory(world.a.start());
    const right = await ibv.ibv_open_device(world.a.start().channel);
    const intruder = world.a.start();
    const context = await ibv.ibv_open_device(intruder.channel);
    expect(right.fd).toBe(context.fd);
    for (const call of [
      ibv.ibv_dereg_mr(intruder.channel, { ...left.mr, context }),
      ibv.ibv_destroy_qp(intruder.channel, { ...left.qp, context }),
      ibv.ibv_poll_cq(intruder.channel, { ...left.cq, context }, 1),
      ibv.ibv_dealloc_pd(intruder.channel, { ...left.pd, context }),
      ibv.ibv_post_recv(intruder.channel, { ...left.qp, context }, { wr_id: 1, sg_list: [] }),
    ]) {
      expect(await errnoOf(call)).toBe('EINVAL');
    }
    expect(world.a.nic.regionCount).toBe(1);
    expect(world.a.nic.queuePairCount).toBe(1);
  });

  it('a file holds no more objects than its limits, and takes another after one is gone', async () => {
    const world = new UserWorld();
    const { channel, context, pd, cq } = await openQueuePair(world.a.start());
    const pds = [pd];
    while (pds.length < UVERBS_LIMITS.max_pd) pds.push(await ibv.ibv_alloc_pd(channel, context));
    expect(await errnoOf(ibv.ibv_alloc_pd(channel, context))).toBe('ENOMEM');
    await ibv.ibv_dealloc_pd(channel, pds.at(-1) ?? pd);
    expect(await errnoOf(ibv.ibv_alloc_pd(channel, context))).toBe('no error');

    for (let count = 0; count < UVERBS_LIMITS.max_mr; count++) {
      await ibv.ibv_reg_mr(channel, pd, 0, 64, []);
    }
    expect(await errnoOf(ibv.ibv_reg_mr(channel, pd, 0, 64, []))).toBe('ENOMEM');
    for (let count = 1; count < UVERBS_LIMITS.max_cq; count++) {
      await ibv.ibv_create_cq(channel, context, 1);
    }
    expect(await errnoOf(ibv.ibv_create_cq(channel, context, 1))).toBe('ENOMEM');
    const init = { send_cq: cq, recv_cq: cq, cap: CAP };
    for (let count = 1; count < UVERBS_LIMITS.max_qp; count++) {
      await ibv.ibv_create_qp(channel, pd, init);
    }
    expect(await errnoOf(ibv.ibv_create_qp(channel, pd, init))).toBe('ENOMEM');
  });

  it('a full send queue refuses the request it has no room for, and says which', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const list = Array.from({ length: CAP.max_send_wr + 2 }, (_, wr_id) => ({ ...WR, wr_id }));
    const refusal = await ibv.ibv_post_send(left.channel, left.qp, list).catch((reason) => reason);
    expect(refusal).toBeInstanceOf(BadWorkRequestError);
    expect(refusal).toMatchObject({ code: 'ENOMEM', bad_wr: CAP.max_send_wr });
  });

  it('a list with one malformed request posts nothing', async () => {
    const world = new UserWorld();
    const left = await openQueuePair(world.a.start());
    const right = await openQueuePair(world.b.start());
    await connect(left, right);
    const list = [
      { ...WR, send_flags: ['IBV_SEND_SIGNALED'] },
      { ...WR, opcode: 'IBV_WR_NOP' },
    ];
    const argument = { qp: left.qp.handle, list };
    expect(await errnoOf(raw(left, 'IB_USER_VERBS_CMD_POST_SEND', argument))).toBe('EINVAL');
    await ibv.ibv_modify_qp(left.channel, left.qp, { qp_state: 'IBV_QPS_ERR' });
    expect(await ibv.ibv_poll_cq(left.channel, left.cq, 8)).toEqual([]);
  });

  it('no value whatever makes the device fail in another way than by an errno', async () => {
    const world = new UserWorld();
    const end = await openQueuePair(world.a.start());
    const names = [
      'pd',
      'mr',
      'cq',
      'qp',
      'send_cq',
      'recv_cq',
      'address',
      'length',
      'access',
    ].concat([
      'cap',
      'attr',
      'list',
      'entries',
      'timeoutMs',
      'cqe',
      'offset',
      'iova',
      'fd',
      'event',
    ]);
    const part = fc.oneof(fc.integer(), fc.string(), fc.constant(1), fc.array(fc.jsonValue()));
    const argument = fc.oneof(part, fc.dictionary(fc.constantFrom(...names), part));
    const request = fc.constantFrom(...new Set(MALFORMED.map(([name]) => name)));
    await fc.assert(
      fc.asyncProperty(request, argument, async (name, value) => {
        const waits = typeof value === 'object' && value !== null && 'timeoutMs' in value;
        fc.pre(!waits);
        expect(await errnoOf(raw(end, name, value as SystemCallValue))).toMatch(
          /^E[A-Z]+$|no error/,
        );
      }),
      { numRuns: 300 },
    );
  });
});

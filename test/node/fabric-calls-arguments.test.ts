/** What libfabric's calls refuse of a user process, and how values travel to them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FI_ADDR_UNSPEC } from '../../node/fabric/fabric.ts';
import { FABRIC_OBJECTS_MAX } from '../../node/fabric-process.ts';
import { fromSystemCallValue, toSystemCallValue } from '../../node/fabric-values.ts';
import type { SystemCallValue } from '../../node/process/system-call.ts';
import { BYTES, codeOf, EVERY_ACCESS, fi, open, pair, register, whole } from './fabric-user.ts';
import { errnoOf, UserWorld } from './verbs/uverbs-world.ts';

describe('arguments of fabric calls', () => {
  it('libfabric answers for what is well-formed and cannot be', async () => {
    const { left } = await pair();
    const { channel, domain, info, endpoint, cq, av } = left;
    const { mr, memory } = await register(left);
    const dgram = { ...info, ep_attr: { type: 'FI_EP_DGRAM' } } as const;
    const dmabuf = { fd: 99, offset: 0, len: BYTES, base_addr: 0 };
    const attr = { dmabuf, access: EVERY_ACCESS, iface: 'FI_HMEM_SYNAPSEAI' } as const;
    const registration = (given: typeof attr) =>
      codeOf(fi.fi_mr_regattr(channel, domain, given, ['FI_MR_DMABUF']));
    expect(await codeOf(fi.fi_getinfo(channel, dgram))).toBe('FI_ENODATA');
    expect(await codeOf(fi.fi_fabric(channel, dgram))).toBe('FI_EINVAL');
    expect(await codeOf(fi.fi_cq_open(channel, domain, 65_537))).toBe('FI_EINVAL');
    expect(await registration(attr)).toBe('FI_EINVAL');
    expect(await registration({ ...attr, dmabuf: { ...dmabuf, fd: memory.device } })).toBe(
      'FI_EINVAL',
    );
    expect(await codeOf(fi.fi_mr_regattr(channel, domain, attr, []))).toBe('FI_EBADFLAGS');
    expect(await codeOf(fi.fi_ep_bind(channel, endpoint, cq))).toBe('FI_EOPBADSTATE');
    const asCq = { fid: mr.fid, fclass: 'FI_CLASS_CQ' } as const;
    expect(await codeOf(fi.fi_ep_bind(channel, endpoint, asCq))).toBe('FI_EINVAL');
    const stranger = await fi.fi_endpoint(channel, (await open(left.user)).domain, info);
    expect(await codeOf(fi.fi_ep_bind(channel, stranger, cq))).toBe('FI_EDOMAIN');
    expect(await fi.fi_send(channel, endpoint, whole(mr), 7, 1)).toBe('FI_EINVAL');
    const wrongClass = { kind: 'mr', mr: { ...mr, fid: av.fid }, address: 0, length: 1 } as const;
    expect(await fi.fi_send(channel, endpoint, wrongClass, 0, 1)).toBe('FI_EINVAL');
  });

  it('memory outside of the process is EFAULT', async () => {
    const { left } = await pair();
    const { channel, endpoint } = left;
    const range = { address: 1024 * 1024 - 1, length: 2 };
    const receiving = fi.fi_recv(channel, endpoint, range, FI_ADDR_UNSPEC, 1);
    expect(await errnoOf(receiving)).toBe('EFAULT');
    const sending = fi.fi_send(channel, endpoint, { kind: 'host', ...range }, 0, 1);
    expect(await errnoOf(sending)).toBe('EFAULT');
  });

  it.each([
    ['fi_getinfo', { hints: { ep_attr: { type: 'FI_EP_RDM' } } }],
    ['fi_getinfo', null],
    ['fi_cq_read', { cq: 1, max: 0 }],
    ['fi_cq_read', { cq: 1, max: 1e6 }],
    ['fi_cq_sread', { cq: 1, max: 1, timeoutMs: 1e9 }],
    ['fi_close', { object: 'one' }],
    ['fi_close', { object: 1, more: true }],
    ['fi_av_insert', { av: 3, names: ['name'] }],
    [
      'fi_sendmsg',
      { endpoint: 5, buffer: { kind: 'host', address: -1, length: 0 }, dest: 0, context: 0 },
    ],
    ['fi_endpoint', { domain: 2, info: null, epoch: 2 ** 32 }],
  ] as const)('%s refuses %j with EINVAL', async (name, argument) => {
    const { left } = await pair();
    const call = left.channel.call(name, argument as unknown as SystemCallValue);
    expect(await errnoOf(call)).toBe('EINVAL');
  });

  it('a name that is longer than any is EINVAL', async () => {
    const { left } = await pair();
    const inserting = fi.fi_av_insert(left.channel, left.av, [new Uint8Array(10_000)]);
    expect(await errnoOf(inserting)).toBe('EINVAL');
  });

  it('a process has no more objects than its limit', async () => {
    const world = new UserWorld();
    const { channel, domain } = await open(world.a.start());
    let answer = 'no error';
    for (let count = 0; answer === 'no error' && count <= FABRIC_OBJECTS_MAX; count++) {
      answer = await codeOf(fi.fi_av_open(channel, domain));
    }
    expect(answer).toBe('FI_ENOMEM');
  });

  it('values come over the channel as they were', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
        fc.integer(),
        fc.string(),
        fc.boolean(),
        fc.constant(null),
        fc.uint8Array(),
        fc.array(tie('any')),
        fc.dictionary(fc.string(), tie('any'), { noNullPrototype: true }),
      ),
    })).any;
    fc.assert(
      fc.property(value, (given) => {
        fc.pre(
          !JSON.stringify(given, (_, part) => (typeof part === 'bigint' ? '' : part)).includes(
            '"bigint"',
          ),
        );
        expect(fromSystemCallValue(toSystemCallValue(given))).toEqual(given);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../../common/errno.ts';
import { fi_av_insert, fi_av_lookup, fi_av_open, fi_av_remove } from '../../../node/fabric/av.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { fi_cq_open, fi_cq_read, fi_cq_readerr } from '../../../node/fabric/cq.ts';
import { fi_enable, fi_endpoint, fi_ep_bind, fi_getname } from '../../../node/fabric/endpoint.ts';
import { decodeEndpointName, encodeEndpointName } from '../../../node/fabric/endpoint-name.ts';
import {
  FAILURE_CLASS,
  FI_ERRNO_OF_ERRNO,
  FI_ERRNO_OF_STATUS,
  fiErrnoOfStatus,
} from '../../../node/fabric/error-map.ts';
import {
  FI_ADDR_NOTAVAIL,
  FI_ADDR_UNSPEC,
  FI_ERRNO,
  type FiInfo,
} from '../../../node/fabric/fabric.ts';
import { fi_getinfo } from '../../../node/fabric/info.ts';
import {
  ACK_OUTCOMES,
  type AckOutcome,
  EAGER_BYTES,
  MESSAGE_HEADER_BYTES,
  RTS_BODY_BYTES,
  readMessageHeader,
  readRemoteMessage,
  SEGMENT_BYTES,
  writeMessageHeader,
  writeRemoteMessage,
} from '../../../node/fabric/message-header.ts';
import { fi_mr_regattr } from '../../../node/fabric/mr.ts';
import { fi_write } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { IBV_WC_STATUS, type IbvWcStatus } from '../../../node/verbs/wc.ts';
import { TestMemory } from '../verbs/world.ts';
import { FabricWorld, ok } from './world.ts';

/** What HCL asks for with gaudi direct. */
const HCL_HINTS: FiInfo = {
  ep_attr: { type: 'FI_EP_RDM' },
  caps: ['FI_MSG', 'FI_TAGGED', 'FI_RMA', 'FI_HMEM'],
  domain_attr: {
    mr_mode: ['FI_MR_LOCAL', 'FI_MR_VIRT_ADDR', 'FI_MR_ALLOCATED', 'FI_MR_PROV_KEY', 'FI_MR_HMEM'],
  },
};

describe('fi_getinfo', () => {
  const { nic } = new FabricWorld(1).rank(0);

  it('answers the hints of HCL, with and without device memory', () => {
    expect(fi_getinfo(nic, HCL_HINTS)).toMatchObject([HCL_HINTS]);
    const mr_mode = HCL_HINTS.domain_attr.mr_mode.slice(0, 4);
    const host = { ...HCL_HINTS, caps: ['FI_MSG', 'FI_TAGGED'], domain_attr: { mr_mode } } as const;
    expect(fi_getinfo(nic, host)).toMatchObject([host]);
  });

  it('without hints it tells everything it can', () => {
    const domain_attr = { cq_data_size: 4 };
    expect(fi_getinfo(nic)).toMatchObject([
      {
        ep_attr: HCL_HINTS.ep_attr,
        domain_attr,
        tx_attr: { inject_size: EAGER_BYTES },
        fabric_attr: { prov_name: 'memory' },
      },
    ]);
  });

  it.each<[string, Partial<FiInfo>]>([
    ['connected endpoints', { ep_attr: { type: 'FI_EP_MSG' } }],
    ['another provider', { fabric_attr: { prov_name: 'efa' } }],
    ['a program without FI_MR_LOCAL', { domain_attr: { mr_mode: ['FI_MR_HMEM'] } }],
    [
      'device memory without FI_MR_HMEM',
      { domain_attr: { mr_mode: HCL_HINTS.domain_attr.mr_mode.slice(0, 4) } },
    ],
    ['more inject', { tx_attr: { inject_size: EAGER_BYTES + 1 } }],
    ['more data', { domain_attr: { ...HCL_HINTS.domain_attr, cq_data_size: 8 } }],
  ])('is FI_ENODATA for %s', (_, hints) => {
    expect(fi_getinfo(nic, { ...HCL_HINTS, ...hints })).toBe('FI_ENODATA');
  });
});

describe('address vectors', () => {
  it('give indices in order, lowest free first, and the same one for the same name', () => {
    const world = new FabricWorld(3);
    const names = world.ranks.map(({ name }) => name);
    const av = fi_av_open(world.rank(0).domain);
    expect(fi_av_insert(av, names)).toEqual([0, 1, 2]);
    expect(fi_av_lookup(av, 1)).toEqual(names[1]);
    expect(fi_av_remove(av, 0)).toBeUndefined();
    expect(fi_av_lookup(av, 0)).toBe('FI_EINVAL');
    expect(fi_av_insert(av, names.slice(1, 3))).toEqual([1, 2]);
    expect(fi_av_insert(av, names.slice(0, 1))).toEqual([0]);
  });

  it('bytes that are no name are FI_ADDR_NOTAVAIL; unknown addresses are FI_EINVAL', () => {
    const av = fi_av_open(new FabricWorld(1).rank(0).domain);
    expect(fi_av_insert(av, [new Uint8Array(56), new Uint8Array()])).toEqual([
      FI_ADDR_NOTAVAIL,
      FI_ADDR_NOTAVAIL,
    ]);
    for (const address of [0, 7, FI_ADDR_UNSPEC, FI_ADDR_NOTAVAIL]) {
      expect(fi_av_lookup(av, address)).toBe('FI_EINVAL');
      expect(fi_av_remove(av, address)).toBe('FI_EINVAL');
    }
  });

  it('removing a peer cancels what is under way to it and waits for it', async () => {
    const world = new FabricWorld(2);
    const a = world.rank(0);
    world.introduce();
    await world.wait(10);
    fi_trecv(a.endpoint, new Uint8Array(4), 1, 1n, 0n, 'r');
    fi_tsend(a.endpoint, { kind: 'host', bytes: new Uint8Array(4) }, 1, 1n, 's');
    fi_av_remove(a.av, 1);
    await world.wait(5);
    expect(a.errors.map(({ context, err }) => [context, err])).toEqual([
      ['s', 'FI_ECANCELED'],
      ['r', 'FI_ECANCELED'],
    ]);
    expect(fi_tsend(a.endpoint, { kind: 'host', bytes: new Uint8Array() }, 1, 1n, 's')).toBe(
      'FI_EINVAL',
    );
  });
});

describe('endpoint names', () => {
  it('survive encoding', () => {
    const peer = fc.record({
      nodeId: fc.stringMatching(/^[\w.:-]{1,60}$/),
      address: fc.record({ host: fc.stringMatching(/^[\w.:-]{1,60}$/), port: fc.nat(65_535) }),
      serviceId: fc.nat(0xffff_ffff),
    });
    fc.assert(
      fc.property(peer, (one) => {
        expect(decodeEndpointName(encodeEndpointName(one))).toEqual(one);
      }),
    );
  });

  it('arbitrary bytes are decoded or refused, never more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const peer = decodeEndpointName(bytes);
        if (peer !== undefined) expect(peer.nodeId.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('message headers', () => {
  const fields = fc.record({
    tagged: fc.boolean(),
    tag: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    data: fc.option(fc.nat(0xffff_ffff), { nil: undefined }),
    wantsAck: fc.boolean(),
    sequence: fc.nat(0xffff_ffff),
  });

  it('survive encoding', () => {
    fc.assert(
      fc.property(fields, fc.nat(SEGMENT_BYTES), (one, length) => {
        const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + length);
        const header = { ...one, kind: 'EAGER', outcome: 'DONE', length } as const;
        writeMessageHeader(header, bytes);
        expect(readMessageHeader(bytes)).toEqual(header);
        expect(readMessageHeader(bytes.subarray(1))).toBeUndefined();
      }),
    );
  });

  it.each(Object.keys(ACK_OUTCOMES) as AckOutcome[])('an ACK says %s', (outcome) => {
    const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
    const none = { tagged: false, tag: 0n, wantsAck: false, length: 0 } as const;
    const header = { ...none, kind: 'ACK', outcome, data: 7, sequence: 8 } as const;
    writeMessageHeader(header, bytes);
    expect(readMessageHeader(bytes)).toEqual(header);
  });

  it('arbitrary bytes are refused, or lie within what their kind allows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const header = readMessageHeader(bytes);
        if (header === undefined) return;
        const body = bytes.byteLength - MESSAGE_HEADER_BYTES;
        if (header.kind === 'EAGER') expect(header.length).toBe(body);
        if (header.kind === 'SEGMENT') expect(header.length).toBeLessThanOrEqual(EAGER_BYTES);
        if (header.kind === 'RTS') expect(body).toBe(RTS_BODY_BYTES);
        if (header.kind === 'ACK') expect(body).toBe(0);
      }),
    );
    expect(readMessageHeader(new Uint8Array(MESSAGE_HEADER_BYTES - 1))).toBeUndefined();
    expect(readMessageHeader(new Uint8Array(MESSAGE_HEADER_BYTES).fill(255))).toBeUndefined();
  });

  it('an RTS says where the message lies, in numbers that verbs have', () => {
    const bytes = new Uint8Array(RTS_BODY_BYTES);
    const remote = { address: 2 ** 52 + 1, key: 0xffff_ffff };
    writeRemoteMessage(remote, bytes);
    expect(readRemoteMessage(bytes)).toEqual(remote);
    expect(readRemoteMessage(bytes.fill(255))).toBeUndefined();
  });
});

describe('the border to verbs', () => {
  it('every status but success has its error', () => {
    const failures = Object.keys(IBV_WC_STATUS).filter((status) => status !== 'IBV_WC_SUCCESS');
    expect(Object.keys(FI_ERRNO_OF_STATUS).sort()).toEqual(failures.sort());
    for (const status of failures) {
      expect(FI_ERRNO).toHaveProperty(String(fiErrnoOfStatus(status as IbvWcStatus)));
    }
    expect(Object.keys(FAILURE_CLASS).sort()).toEqual(failures.sort());
    expect(fiErrnoOfStatus('IBV_WC_RNR_RETRY_EXC_ERR')).toBe('FI_ENORX');
    expect(fiErrnoOfStatus('IBV_WC_SUCCESS')).toBeUndefined();
    expect(fiErrnoOfStatus('IBV_WC_WR_FLUSH_ERR')).toBe('FI_ECANCELED');
    expect(fiErrnoOfStatus('IBV_WC_RETRY_EXC_ERR')).toBe('FI_EHOSTUNREACH');
    expect(fiErrnoOfStatus('IBV_WC_REM_ACCESS_ERR')).toBe('FI_EIO');
  });

  it('every errno has its error, with the same number where both have the name', () => {
    expect(Object.keys(FI_ERRNO_OF_ERRNO).sort()).toEqual(Object.keys(ERRNO).sort());
    const numbers: Record<string, readonly [number, string]> = FI_ERRNO;
    for (const [errno, [number]] of Object.entries(ERRNO)) {
      const same = numbers[`FI_${errno}`];
      if (same === undefined) continue;
      expect(same[0]).toBe(number);
      expect(FI_ERRNO_OF_ERRNO[errno as keyof typeof ERRNO]).toBe(`FI_${errno}`);
    }
  });
});

describe('fi_mr_regattr', () => {
  const access = ['FI_REMOTE_WRITE'] as const;
  const iface = 'FI_HMEM_SYNAPSEAI';

  it('covers base_addr + offset, and needs the flag, rights, an fd and a range', async () => {
    const { domain, process } = new FabricWorld(1).rank(0);
    const fd = new TestMemory(8192).fd(process);
    const dmabuf = { fd, offset: 4096, len: 4096, base_addr: 0x10_0000 };
    const attr = { dmabuf, access, iface } as const;
    const mr = ok(await fi_mr_regattr(domain, attr, ['FI_MR_DMABUF']));
    expect([mr.address, mr.length, mr.key > 0n]).toEqual([0x10_1000, 4096, true]);
    expect(await fi_mr_regattr(domain, attr, [])).toBe('FI_EBADFLAGS');
    const wrong = [
      { ...attr, access: [] },
      { ...attr, dmabuf: { ...dmabuf, fd: 99 } },
      { ...attr, dmabuf: { ...dmabuf, len: 4097 } },
      { ...attr, dmabuf: { ...dmabuf, len: 0 } },
    ];
    for (const one of wrong) {
      expect(await fi_mr_regattr(domain, one, ['FI_MR_DMABUF'])).toBe('FI_EINVAL');
    }
  });

  it('several regions over one dma-buf live and die on their own', async () => {
    const world = new FabricWorld(2);
    world.introduce();
    await world.wait(10);
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(4096);
    source.memory.bytes.fill(5);
    const target = await b.register(4096);
    const dmabuf = { fd: target.fd, offset: 0, len: 4096, base_addr: 0 };
    const second = ok(await fi_mr_regattr(b.domain, { dmabuf, access, iface }, ['FI_MR_DMABUF']));
    fi_close(target.mr);
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 4096 } as const;
    fi_write(a.endpoint, local, 1, second.address, second.key, 'w');
    await world.until(() => a.completions.length === 1);
    expect(target.memory.bytes).toEqual(source.memory.bytes);
  });

  it('a mapping that is taken back in mid-run fails the next operation, at either end', async () => {
    for (const end of ['source', 'target'] as const) {
      const world = new FabricWorld(2);
      world.introduce();
      await world.wait(10);
      const [a, b] = [world.rank(0), world.rank(1)];
      const source = await a.register(4096);
      const target = await b.register(4096);
      const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 64 } as const;
      const write = () => fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'w');
      write();
      await world.until(() => a.completions.length === 1);
      const { memory } = end === 'source' ? source : target;
      memory.takeBack();
      write();
      await world.until(() => a.errors.length === 1);
      const prov_errno = end === 'source' ? 'IBV_WC_LOC_PROT_ERR' : 'IBV_WC_REM_ACCESS_ERR';
      expect(a.errors).toMatchObject([{ err: 'FI_EIO', prov_errno }]);
    }
  });
});

describe('endpoint states', () => {
  it('needs an address vector and a queue, once each, before it is enabled', () => {
    const { domain, av, cq } = new FabricWorld(1).rank(0);
    const [info] = ok(fi_getinfo(domain.nic));
    if (info === undefined) throw new Error('Expected an info');
    const endpoint = ok(fi_endpoint(domain, info, { epoch: 1 }));
    const bytes = new Uint8Array(1);
    expect(fi_getname(endpoint).byteLength).toBeGreaterThan(8);
    expect(fi_enable(endpoint)).toBe('FI_ENOAV');
    expect(fi_ep_bind(endpoint, av)).toBeUndefined();
    expect(fi_ep_bind(endpoint, av)).toBe('FI_EOPBADSTATE');
    expect(fi_enable(endpoint)).toBe('FI_ENOCQ');
    expect(fi_trecv(endpoint, bytes, FI_ADDR_UNSPEC, 0n, 0n, 0)).toBe('FI_EOPBADSTATE');
    expect(fi_ep_bind(endpoint, cq)).toBeUndefined();
    expect(fi_enable(endpoint)).toBeUndefined();
    expect(fi_enable(endpoint)).toBe('FI_EOPBADSTATE');
    expect(fi_ep_bind(endpoint, cq)).toBe('FI_EOPBADSTATE');
    fi_close(endpoint);
    expect(fi_trecv(endpoint, bytes, FI_ADDR_UNSPEC, 0n, 0n, 0)).toBe('FI_EOPBADSTATE');
  });

  it('connected endpoints do not exist', () => {
    const { domain } = new FabricWorld(1).rank(0);
    const info = { ...HCL_HINTS, ep_attr: { type: 'FI_EP_MSG' } } as const;
    expect(fi_endpoint(domain, info, { epoch: 1 })).toBe('FI_EINVAL');
  });

  it('an empty queue is FI_EAGAIN, for completions and for errors; sizes are bounded', () => {
    const { domain, cq } = new FabricWorld(1).rank(0);
    expect(fi_cq_read(cq, 1)).toBe('FI_EAGAIN');
    expect(fi_cq_readerr(cq)).toBe('FI_EAGAIN');
    for (const size of [-1, 1.5, 65_537]) {
      expect(fi_cq_open(domain, { size, onCompletion: () => undefined })).toBe('FI_EINVAL');
    }
  });
});

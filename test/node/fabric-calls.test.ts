import { describe, expect, it } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { FI_ADDR_NOTAVAIL, FI_ADDR_UNSPEC } from '../../node/fabric/fabric.ts';
import { UNUSED } from './device/device-bench.ts';
import {
  BYTES,
  codeOf,
  EVERY_ACCESS,
  eventually,
  fi,
  introduce,
  open,
  pair,
  prepare,
  register,
  whole,
} from './fabric-user.ts';
import { dma, errnoOf, UserWorld } from './verbs/uverbs-world.ts';

describe('libfabric of user processes', () => {
  it('device memory goes to the device of another host by a write with data, and back by a read', async () => {
    const { world, left, right } = await pair();
    const [source, target] = [await register(left), await register(right)];
    const sent = Uint8Array.from({ length: BYTES }, (_, index) => index * 11);
    left.user.process.userBytes(4096, BYTES)?.set(sent);
    const { device, address } = source.memory;
    await world.run(dma(left.user, device, 4096, address, BYTES, 'toDevice'));

    const remote = { dest: 0, remoteAddress: target.mr.address, key: target.mr.key };
    await world.run(
      eventually(left, () =>
        fi.fi_writedata(left.channel, left.endpoint, whole(source.mr), 99, remote, 5),
      ),
    );
    const written = await world.run(fi.fi_cq_sread(left.channel, left.cq, 1, 1000));
    expect(written).toMatchObject([{ kind: 'write', context: 5, length: BYTES }]);
    const told = await world.run(fi.fi_cq_sread(right.channel, right.cq, 1, 1000));
    expect(told).toMatchObject([{ kind: 'remoteWriteData', data: 99, source: 0 }]);
    const landed = target.memory;
    await world.run(dma(right.user, landed.device, 4096, landed.address, BYTES, 'fromDevice'));
    expect(right.user.process.userBytes(4096, BYTES)).toEqual(sent);

    const back = await fi.fi_read(left.channel, left.endpoint, whole(source.mr), remote, 6);
    expect(back).toBeUndefined();
    const read = await world.run(fi.fi_cq_sread(left.channel, left.cq, 1, 1000));
    expect(read).toMatchObject([{ kind: 'read', context: 6 }]);
    expect(await fi.fi_ep_counters(left.channel, left.endpoint)).toMatchObject({
      rmaBytesSent: BYTES,
      rmaBytesReceived: BYTES,
    });
  });

  it('a tagged message finds the receive with its 64-bit tag, and its buffer is free at once', async () => {
    const { world, left, right } = await pair();
    const tag = 0xfedc_ba98_7654_3210n;
    const into = { address: 64, length: 16 };
    const { channel, endpoint } = right;
    await fi.fi_recv(channel, endpoint, { address: 0, length: 16 }, FI_ADDR_UNSPEC, 1);
    await fi.fi_trecv(channel, endpoint, into, FI_ADDR_UNSPEC, tag & ~0xffn, 0xffn, 2);
    const bytes = left.user.process.userBytes(0, 4);
    bytes?.set([1, 2, 3, 4]);
    const from = { kind: 'host', address: 0, length: 4 } as const;
    await world.run(
      eventually(left, () => fi.fi_tsend(left.channel, left.endpoint, from, 0, tag, 3)),
    );
    bytes?.fill(0);
    const received = await world.run(fi.fi_cq_sread(channel, right.cq, 4, 1000));
    expect(received).toMatchObject([{ kind: 'recv', context: 2, tag, length: 4, source: 0 }]);
    expect(right.user.process.userBytes(64, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    const sent = await world.run(fi.fi_cq_sread(left.channel, left.cq, 4, 1000));
    expect(sent).toMatchObject([{ kind: 'send', context: 3 }]);
  });

  it('a receive can be cancelled: one error entry, and it can be read', async () => {
    const { right } = await pair();
    const { channel, endpoint, cq } = right;
    expect(await fi.fi_cq_read(channel, cq, 1)).toBe('FI_EAGAIN');
    expect(await fi.fi_cq_readerr(channel, cq)).toBe('FI_EAGAIN');
    await fi.fi_recv(channel, endpoint, { address: 0, length: 16 }, FI_ADDR_UNSPEC, 9);
    await fi.fi_cancel(channel, endpoint, 9);
    expect(await fi.fi_cq_sread(channel, cq, 1, 1000)).toBe('FI_EAVAIL');
    expect(await fi.fi_cq_readerr(channel, cq)).toMatchObject({
      err: 'FI_ECANCELED',
      kind: 'recv',
      context: 9,
    });
  });

  it('a read of the queue waits as long as it was told, and no longer', async () => {
    const { world, left } = await pair();
    const { channel, cq } = left;
    const before = world.scheduler.clock.now();
    expect(await world.run(fi.fi_cq_sread(channel, cq, 1, 40))).toBe('FI_EAGAIN');
    expect(world.scheduler.clock.now()).toBe(before + 40);
  });

  it('whoever was turned away waits for progress, and not for ever', async () => {
    const world = new UserWorld();
    const [left, right] = [await open(world.a.start()), await open(world.b.start())];
    const { channel, endpoint, av } = left;
    await fi.fi_av_insert(channel, av, [await fi.fi_getname(right.channel, right.endpoint)]);
    const buffer = { kind: 'host', address: 0, length: 4 } as const;
    const send = () => fi.fi_send(channel, endpoint, buffer, 0, 1);
    // The other end does not know this one yet.
    expect(await send()).toBe('FI_EAGAIN');
    expect(await world.run(fi.waitForProgress(channel, endpoint, 40))).toBe('timedOut');
    const name = await fi.fi_getname(channel, endpoint);
    await fi.fi_av_insert(right.channel, right.av, [name]);
    await world.run(eventually(left, send));
  });

  it('addresses come and go, and what is no name is told so', async () => {
    const { left, right } = await pair();
    const { channel, av } = left;
    const name = await fi.fi_getname(right.channel, right.endpoint);
    expect(await fi.fi_av_lookup(channel, av, 0)).toEqual(name);
    expect(await fi.fi_av_insert(channel, av, [Uint8Array.of(9)])).toEqual([FI_ADDR_NOTAVAIL]);
    await fi.fi_av_remove(channel, av, 0);
    expect(await codeOf(fi.fi_av_lookup(channel, av, 0))).toBe('FI_EINVAL');
    expect(await codeOf(fi.fi_av_remove(channel, av, 0))).toBe('FI_EINVAL');
  });

  it('objects close in the order of their use; FI_EBUSY changes nothing', async () => {
    const { left } = await pair();
    const { channel, fabric, domain, av, cq, endpoint } = left;
    const { mr, memory } = await register(left);
    for (const used of [fabric, domain, av, cq]) {
      expect(await codeOf(fi.fi_close(channel, used))).toBe('FI_EBUSY');
    }
    for (const object of [endpoint, mr, cq, av, domain, fabric]) {
      expect(await codeOf(fi.fi_close(channel, object))).toBe('no error');
      expect(await codeOf(fi.fi_close(channel, object))).toBe('FI_EINVAL');
    }
    await hlthunk.hlthunk_close(channel, memory.dmaBuf);
  });

  it('closing an object ends the calls that wait for it', async () => {
    const world = new UserWorld();
    const { channel, domain } = await open(world.a.start());
    const cq = await fi.fi_cq_open(channel, domain, 8);
    const waiting = fi.fi_cq_sread(channel, cq, 1, 60_000);
    await fi.fi_close(channel, cq);
    expect(await waiting).toBe('FI_ECANCELED');
  });

  it('the end of the process closes all of it at once, with a read that waits', async () => {
    const { world, left } = await pair();
    await register(left);
    const waiting = errnoOf(fi.fi_cq_sread(left.channel, left.cq, 1, 60_000));
    left.user.process.exit();
    expect(await waiting).toBe('EINTR');
    expect(world.a.nic.regionCount).toBe(0);
    expect(world.a.nic.queuePairCount).toBe(0);
    expect(world.a.nic.contexts.size).toBe(0);
    await world.wait(1000);
    expect(world.a.device.usage()).toEqual(UNUSED);
  });

  it('a number means nothing in another process', async () => {
    const { world, left } = await pair();
    const { channel } = world.a.start();
    expect(await codeOf(fi.fi_close(channel, left.endpoint))).toBe('FI_EINVAL');
    expect(await fi.fi_cq_read(channel, left.cq, 1)).toBe('FI_EINVAL');
    expect(await codeOf(fi.fi_av_open(channel, left.domain))).toBe('FI_EINVAL');
  });
});

describe('flags, counters and events of user processes', () => {
  it('a message that came can be looked at, claimed and taken', async () => {
    const { world, left, right } = await pair();
    const from = { address: 0, length: 4 };
    left.user.process.userBytes(0, 4)?.set([7, 7, 7, 7]);
    await world.run(
      eventually(left, () => fi.fi_tinject(left.channel, left.endpoint, from, 0, 5n)),
    );
    await world.wait(100);
    const { channel, endpoint, cq } = right;
    const into = { buffer: { address: 64, length: 4 }, tag: 5n, context: 1 };
    const none = { ...into, tag: 6n, context: 2 };
    expect(await fi.fi_trecvmsg(channel, endpoint, none, ['FI_PEEK'])).toBeUndefined();
    expect(await world.run(fi.fi_cq_sread(channel, cq, 1, 1000))).toBe('FI_EAVAIL');
    expect(await fi.fi_cq_readerr(channel, cq)).toMatchObject({ err: 'FI_ENOMSG', context: 2 });
    await fi.fi_trecvmsg(channel, endpoint, into, ['FI_PEEK', 'FI_CLAIM']);
    const peeked = await world.run(fi.fi_cq_sread(channel, cq, 1, 1000));
    expect(peeked).toMatchObject([{ tag: 5n, length: 4 }]);
    await fi.fi_trecvmsg(channel, endpoint, into, ['FI_CLAIM']);
    await world.run(fi.fi_cq_sread(channel, cq, 1, 1000));
    expect(right.user.process.userBytes(64, 4)).toEqual(Uint8Array.of(7, 7, 7, 7));
    expect(await fi.fi_trecvmsg(channel, endpoint, into, ['FI_INJECT'])).toBe('FI_EBADFLAGS');
  });

  it('own memory can be registered, added to by a peer, and counted', async () => {
    const world = new UserWorld();
    const [left, right] = [await prepare(world.a.start()), await open(world.b.start())];
    const counter = await fi.fi_cntr_open(left.channel, left.domain);
    await fi.fi_ep_bind(left.channel, left.endpoint, counter, ['FI_READ', 'FI_WRITE']);
    await fi.fi_enable(left.channel, left.endpoint);
    await introduce(left, right);
    const host = { address: 512, length: 64, base_addr: 0x9000 };
    const attr = { host, access: EVERY_ACCESS, iface: 'FI_HMEM_SYSTEM' } as const;
    const target = await fi.fi_mr_regattr(right.channel, right.domain, attr, []);
    expect(target).toMatchObject({ address: 0x9000, length: 64 });

    const { channel, endpoint } = left;
    const remote = { dest: 0, remoteAddress: 0x9000, key: target.key };
    const sum = { ...remote, datatype: 'FI_UINT64', op: 'FI_SUM' } as const;
    const max = 2n ** 64n - 1n;
    await world.run(eventually(left, () => fi.fi_atomic(channel, endpoint, max, sum, 1)));
    const result = { address: 0, length: 8 };
    expect(await fi.fi_fetch_atomic(channel, endpoint, 6n, result, sum, 2)).toBeUndefined();
    const swap = { ...sum, op: 'FI_CSWAP' } as const;
    expect(await fi.fi_compare_atomic(channel, endpoint, 9n, 5n, result, swap, 3)).toBeUndefined();
    await world.wait(100);
    const done = await fi.fi_cq_read(channel, left.cq, 8);
    expect(done).toMatchObject([{ context: 1 }, { context: 2 }, { context: 3 }]);
    expect(new BigUint64Array(right.user.process.memory, 512, 1)[0]).toBe(9n);
    expect(new BigUint64Array(left.user.process.memory, 0, 1)[0]).toBe(5n);
    const byte = { ...sum, datatype: 'FI_UINT8' } as const;
    expect(await fi.fi_atomic(channel, endpoint, 1n, byte, 4)).toBe('FI_EOPNOTSUPP');

    const counted = await fi.fi_cntr_read(channel, counter);
    expect(counted).toBe(3);
    expect(await fi.fi_cntr_readerr(channel, counter)).toBe(0);
    const waiting = fi.fi_cntr_wait(channel, counter, 5, 1000);
    await fi.fi_cntr_add(channel, counter, 2);
    expect(await waiting).toBeUndefined();
    expect(await world.run(fi.fi_cntr_wait(channel, counter, 6, 40))).toBe('FI_ETIMEDOUT');
    await fi.fi_cntr_set(channel, counter, 0);
    expect(await fi.fi_cntr_read(channel, counter)).toBe(0);
  });

  it('a lost peer comes to the event queue by the number of the endpoint', async () => {
    const world = new UserWorld();
    const [left, right] = [await prepare(world.a.start()), await open(world.b.start())];
    const { channel, fabric, endpoint } = left;
    const eq = await fi.fi_eq_open(channel, fabric, 0, ['FI_WRITE']);
    await fi.fi_ep_bind(channel, endpoint, eq);
    await fi.fi_enable(channel, endpoint);
    await introduce(left, right);
    const event = { event: 'FI_NOTIFY', data: 'mine' };
    expect(await fi.fi_eq_write(channel, eq, event)).toBeUndefined();
    expect(await fi.fi_eq_read(channel, eq, ['FI_PEEK'])).toEqual(event);
    expect(await fi.fi_eq_sread(channel, eq, 100)).toEqual(event);
    expect(await fi.fi_eq_readerr(channel, eq)).toBe('FI_EAGAIN');
    await world.wait(100);
    world.b.nic.transport.disconnect('host-a');
    expect(await world.run(fi.fi_eq_sread(channel, eq, 60_000))).toBe('FI_EAVAIL');
    expect(await fi.fi_eq_readerr(channel, eq)).toMatchObject({ fid: endpoint.fid, data: 0 });
  });

  it('a signal ends a wait for completions', async () => {
    const { left } = await pair();
    const waiting = fi.fi_cq_sread(left.channel, left.cq, 1, 60_000);
    await fi.fi_cq_signal(left.channel, left.cq);
    expect(await waiting).toBe('FI_ECANCELED');
  });
});

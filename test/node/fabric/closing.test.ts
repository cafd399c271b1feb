import { describe, expect, it } from 'vitest';
import { fi_close } from '../../../node/fabric/close.ts';
import { fi_write, fi_writedata } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { connected, FabricWorld, host, text } from './world.ts';

describe('the end of things', () => {
  it('endpoints of different epochs do not connect', async () => {
    const world = new FabricWorld(2, { rank: (index) => ({ epoch: index + 1 }) });
    world.introduce();
    await world.wait(500);
    expect(fi_tsend(world.rank(0).endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EAGAIN');
    expect(world.rank(0).nic.refused.wrongEpoch).toBeGreaterThan(0);
    await world.wait(10_000);
    expect(fi_tsend(world.rank(0).endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EHOSTUNREACH');
  });

  it('closing an endpoint with operations under way: no completion, no byte, frames refused', async () => {
    const world = await connected(2, { bandwidthBytesPerMs: 10_000 });
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(600_000);
    const target = await b.register(600_000);
    source.memory.bytes.fill(1);
    const local = {
      kind: 'mr',
      mr: source.mr,
      address: source.mr.address,
      length: 600_000,
    } as const;
    const receive = new Uint8Array(4);
    fi_trecv(b.endpoint, receive, 0, 1n, 0n, 'r');
    fi_writedata(a.endpoint, local, 1, 1, target.mr.address, target.mr.key, 'w');
    fi_tsend(a.endpoint, host(text('late')), 1, 1n, 's');
    await world.wait(60);
    expect(fi_close(b.endpoint)).toBeUndefined();
    const stored = target.memory.bytes.slice();
    expect(stored.includes(0)).toBe(true);
    await world.wait(60);
    expect(Buffer.compare(target.memory.bytes, stored)).toBe(0);
    expect(receive).toEqual(new Uint8Array(4));
    expect([...b.completions, ...b.errors]).toEqual([]);
    expect(b.nic.refused.unknownQueuePair).toBeGreaterThan(0);
    expect(fi_close(a.endpoint)).toBeUndefined();
    await world.wait(60_000);
    expect([...a.completions, ...a.errors]).toEqual([]);
  });

  it('completions of a closed endpoint that nobody has read are gone', async () => {
    const world = await connected();
    const a = world.rank(0);
    a.reading = false;
    fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's');
    await world.until(() => a.notified === 1);
    fi_close(a.endpoint);
    a.drain();
    expect([...a.completions, ...a.errors]).toEqual([]);
  });

  it('a dead peer: FI_EHOSTUNREACH for the first operation, FI_ECANCELED for the rest', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(4096);
    const { mr } = await b.register(4096);
    fi_trecv(a.endpoint, new Uint8Array(4), 1, 1n, 0n, 'r');
    world.network.kill('host-1');
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 4096 } as const;
    fi_write(a.endpoint, local, 1, mr.address, mr.key, 'w1');
    fi_write(a.endpoint, local, 1, mr.address, mr.key, 'w2');
    await world.until(() => a.errors.length === 3);
    expect(a.errors.map(({ context, err }) => [context, err])).toEqual([
      ['w1', 'FI_EHOSTUNREACH'],
      ['w2', 'FI_ECANCELED'],
      ['r', 'FI_EHOSTUNREACH'],
    ]);
    expect(fi_write(a.endpoint, local, 1, 0, 1n, 'w3')).toBe('FI_EHOSTUNREACH');
    expect(fi_trecv(a.endpoint, new Uint8Array(4), 1, 1n, 0n, 'r2')).toBe('FI_EHOSTUNREACH');
  });

  it('fi_close of a parent with live children is FI_EBUSY and changes nothing', async () => {
    const world = await connected();
    const a = world.rank(0);
    const { mr } = await a.register(4096);
    const { domain, av, cq, endpoint } = a;
    expect([domain, av, cq, domain.fabric].map((object) => fi_close(object))).toEqual([
      'FI_EBUSY',
      'FI_EBUSY',
      'FI_EBUSY',
      'FI_EBUSY',
    ]);
    const order = [endpoint, cq, av, mr, domain, domain.fabric];
    expect(order.map((object) => fi_close(object))).toEqual(order.map(() => undefined));
    expect(a.nic.regionCount + a.nic.queuePairCount + a.nic.contexts.size).toBe(0);
  });

  it('the end of the process deregisters everything and drops the dma-buf', async () => {
    const world = await connected();
    const a = world.rank(0);
    const { memory, fd } = await a.register(4096);
    a.process.fds.close(fd);
    memory.dmaBuf.file.put();
    expect(memory.dmaBuf.file.references).toBe(1);
    expect(memory.released).toBe(false);
    a.process.exit();
    expect(memory.released).toBe(true);
    expect(memory.dmaBuf.attachments.size).toBe(0);
    expect(a.nic.regionCount + a.nic.queuePairCount + a.nic.contexts.size).toBe(0);
  });
});

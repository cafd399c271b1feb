/** The same calls over the real cable: WebSockets on loopback, in wall time. */
import { afterEach, describe, expect, it } from 'vitest';
import { assert } from '../../../common/assert.ts';
import { delay, wallScheduler } from '../../../common/scheduler.ts';
import { fi_av_insert } from '../../../node/fabric/av.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import { fi_ep_counters } from '../../../node/fabric/endpoint.ts';
import { fi_read, fi_write, fi_writedata } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import type { Transport } from '../../../node/transport/transport.ts';
import { createWebSocketTransport } from '../../../node/transport/websocket-transport.ts';
import { createNic } from '../../../node/verbs/nic.ts';
import { pattern } from '../verbs/world.ts';
import { Rank } from './world.ts';

const transports: Transport[] = [];

afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.close()));
});

async function host(nodeId: string): Promise<Rank> {
  const bind = { host: '127.0.0.1', port: 0 };
  const scheduler = wallScheduler;
  const transport = await createWebSocketTransport({ nodeId, bind, scheduler, token: 'secret' });
  transports.push(transport);
  return new Rank(createNic({ transport, scheduler }));
}

async function two(): Promise<[Rank, Rank]> {
  const ranks: [Rank, Rank] = [await host('ws-a'), await host('ws-b')];
  const names = ranks.map(({ name }) => name);
  for (const { av } of ranks) fi_av_insert(av, names);
  return ranks;
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert(turn < 4000, 'Expected it within some seconds');
    await delay(wallScheduler, 5);
  }
}

async function post(call: () => unknown): Promise<void> {
  await until(() => call() !== 'FI_EAGAIN');
}

describe('fabric over WebSockets', () => {
  it('writes 24 MiB each way at once, reads them back, and counts each byte once', async () => {
    const [a, b] = await two();
    const bytes = 24 * 1024 * 1024;
    const ends = [a, b].map(async (rank, index) => {
      const [source, target] = await Promise.all([rank.register(bytes), rank.register(bytes)]);
      source.memory.bytes.set(pattern(1024 * 1024, index + 1), index * 1024 * 1024);
      return { rank, source, target };
    });
    const [left, right] = await Promise.all(ends);
    assert(left !== undefined && right !== undefined, 'Expected two ends');
    for (const [end, other, dest] of [
      [left, right, 1],
      [right, left, 0],
    ] as const) {
      const { mr } = end.source;
      const local = { kind: 'mr', mr, address: mr.address, length: bytes } as const;
      const { address, key } = other.target.mr;
      await post(() => fi_writedata(end.rank.endpoint, local, 7, dest, address, key, 'w'));
    }
    await until(() => a.completions.length === 2 && b.completions.length === 2);
    expect(Buffer.compare(right.target.memory.bytes, left.source.memory.bytes)).toBe(0);
    expect(Buffer.compare(left.target.memory.bytes, right.source.memory.bytes)).toBe(0);
    expect(fi_ep_counters(a.endpoint)).toMatchObject({
      rmaBytesSent: bytes,
      rmaBytesReceived: bytes,
    });

    left.source.memory.bytes.fill(0);
    const { mr } = left.source;
    const local = { kind: 'mr', mr, address: mr.address, length: bytes } as const;
    fi_read(a.endpoint, local, 1, right.source.mr.address, right.source.mr.key, 'r');
    await until(() => a.completions.length === 3);
    expect(Buffer.compare(left.source.memory.bytes, right.source.memory.bytes)).toBe(0);
    expect([...a.errors, ...b.errors]).toEqual([]);
  }, 30_000);

  it('messages, and a refused write that stores nothing', async () => {
    const [a, b] = await two();
    const buffer = new Uint8Array(16);
    await post(() => fi_trecv(b.endpoint, buffer, 0, 3n, 0n, 'r'));
    const bytes = new TextEncoder().encode('hello');
    await post(() => fi_tsend(a.endpoint, { kind: 'host', bytes }, 1, 3n, 's'));
    await until(() => b.completions.length === 1);
    expect(buffer.subarray(0, 5)).toEqual(bytes);
    const source = await a.register(8192);
    source.memory.bytes.fill(1);
    const target = await b.register(4096);
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 4097 } as const;
    await post(() => fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'w'));
    await until(() => a.errors.length === 1);
    expect(a.errors).toMatchObject([{ err: 'FI_EIO', prov_errno: 'IBV_WC_REM_ACCESS_ERR' }]);
    expect(target.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('a host that goes away is reported soon, and everything closes', async () => {
    const [a, b] = await two();
    const source = await a.register(4096);
    const target = await b.register(4096);
    const local = { kind: 'mr', mr: source.mr, address: source.mr.address, length: 64 } as const;
    const write = () => fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'w');
    await post(write);
    await until(() => a.completions.length === 1);
    await b.nic.transport.close();
    await until(() => a.errors.length === 1 || write() === 'FI_EHOSTUNREACH');
    for (const object of [a.endpoint, source.mr, a.cq, a.av, a.domain]) {
      expect(fi_close(object)).toBeUndefined();
    }
    expect(a.nic.queuePairCount + a.nic.regionCount).toBe(0);
  });
});

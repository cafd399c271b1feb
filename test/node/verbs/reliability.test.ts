import { describe, expect, it } from 'vitest';
import { Prng } from '../../../common/prng.ts';
import { type IbvQp, ibv_post_recv, ibv_post_send } from '../../../node/verbs/qp.ts';
import type { IbvSendWr } from '../../../node/verbs/work-request.ts';
import { type End, pattern, statuses, World } from './world.ts';

const SIGNALED = ['IBV_SEND_SIGNALED'] as const;
const SLOT = 1000;
const MTU = 128;

interface Plan {
  readonly opcode: IbvSendWr['opcode'];
  readonly length: number;
  readonly signaled: boolean;
}

function plan(prng: Prng, count: number): Plan[] {
  const opcodes = [
    'IBV_WR_RDMA_WRITE',
    'IBV_WR_RDMA_WRITE_WITH_IMM',
    'IBV_WR_RDMA_READ',
    'IBV_WR_SEND',
    'IBV_WR_SEND_WITH_IMM',
  ] as const;
  return Array.from({ length: count }, () => ({
    opcode: opcodes[prng.below(opcodes.length)] ?? 'IBV_WR_SEND',
    length: prng.below(10) === 0 ? 0 : 1 + prng.below(SLOT),
    signaled: prng.below(4) > 0,
  }));
}

function consumes({ opcode }: Plan): boolean {
  return opcode !== 'IBV_WR_RDMA_WRITE' && opcode !== 'IBV_WR_RDMA_READ';
}

/** Both ends run a random plan against each other, with as many receives posted as needed. */
async function exchange(seed: number, world: World, disturb: (world: World) => void) {
  const prng = new Prng(seed);
  const count = 60;
  const ends = await world.pair({ path_mtu: MTU });
  const runs = ends.map((end, index) => ({ end, peer: index === 0 ? ends[1] : ends[0] }));
  const opened = runs.map(async ({ end, peer }, index) => {
    const plans = plan(prng, count);
    const size = count * SLOT;
    const local = await end.host.region(size);
    const remote = await peer.host.region(size, undefined, 0x80_0000);
    const inbox = await peer.host.region(size, undefined, 0xf0_0000);
    local.memory.bytes.set(pattern(size, 2 * seed + index));
    remote.memory.bytes.set(pattern(size, 1000 + 2 * seed + index));
    const original = { local: local.memory.bytes.slice(), remote: remote.memory.bytes.slice() };
    return { end, peer, plans, local, remote, inbox, original };
  });
  const sides = await Promise.all(opened);
  const posting = sides.map((side) => ({ side, sent: 0, received: 0 }));
  disturb(world);
  await world.until(() => {
    for (const state of posting) post(state);
    return posting.every(
      ({ side, sent }) =>
        sent === count && side.end.qp.requester.outstanding === 0 && side.end.cq.length === 0,
    );
  }, 30 * 60_000);
  await world.wait(1);
  for (const side of sides) check(side);
}

type Side = Parameters<typeof post>[0]['side'];

function post(state: {
  side: {
    end: End;
    peer: End;
    plans: Plan[];
    local: Awaited<ReturnType<World['a']['region']>>;
    remote: Awaited<ReturnType<World['a']['region']>>;
    inbox: Awaited<ReturnType<World['a']['region']>>;
    original: { local: Uint8Array; remote: Uint8Array };
  };
  sent: number;
  received: number;
}): void {
  const { end, peer, plans, local, remote, inbox } = state.side;
  const receives = plans.map((one, index) => ({ one, index })).filter(({ one }) => consumes(one));
  for (; state.received < receives.length; state.received++) {
    const { index = 0 } = receives[state.received] ?? {};
    const address = inbox.mr.addr + index * SLOT;
    const sg_list = [{ lkey: inbox.mr.lkey, address, length: SLOT }];
    if (ibv_post_recv(peer.qp, { wr_id: index, sg_list }) !== undefined) break;
  }
  for (; state.sent < plans.length; state.sent++) {
    const index = state.sent;
    const { opcode, length, signaled } = plans[index] ?? (plan(new Prng(0), 1)[0] as Plan);
    const sge = { lkey: local.mr.lkey, address: local.mr.addr + index * SLOT, length };
    const errno = ibv_post_send(end.qp, {
      wr_id: index,
      opcode,
      sg_list: [sge],
      send_flags: signaled ? SIGNALED : [],
      imm_data: index,
      remote_addr: remote.mr.addr + index * SLOT,
      rkey: remote.mr.rkey,
    });
    if (errno !== undefined) break;
  }
}

/** Every request once, in order, and every byte where it belongs and nowhere else. */
function check({ end, peer, plans, local, remote, inbox, original }: Side): void {
  const signaled = plans.map((one, index) => ({ one, index })).filter(({ one }) => one.signaled);
  const isSend = ({ opcode }: { opcode: string }) => !opcode.startsWith('IBV_WC_RECV');
  expect(end.completions.filter(isSend).map(({ wr_id }) => wr_id)).toEqual(
    signaled.map(({ index }) => index),
  );
  const receives = plans.map((one, index) => ({ one, index })).filter(({ one }) => consumes(one));
  const arrived = peer.completions.filter((wc) => !isSend(wc));
  expect(arrived.map(({ wr_id, byte_len }) => [wr_id, byte_len])).toEqual(
    receives.map(({ one, index }) => [index, one.length]),
  );
  expect(new Set(statuses(end))).toEqual(new Set(['IBV_WC_SUCCESS']));
  const expected = {
    local: original.local.slice(),
    remote: original.remote.slice(),
    inbox: new Uint8Array(inbox.memory.bytes.length),
  };
  for (const [index, { opcode, length }] of plans.entries()) {
    const [from, to] = [index * SLOT, index * SLOT + length];
    const sent = original.local.subarray(from, to);
    if (opcode === 'IBV_WR_RDMA_READ') expected.local.set(original.remote.subarray(from, to), from);
    else if (opcode.startsWith('IBV_WR_SEND')) expected.inbox.set(sent, from);
    else expected.remote.set(sent, from);
  }
  expect(Buffer.compare(local.memory.bytes, expected.local)).toBe(0);
  expect(Buffer.compare(remote.memory.bytes, expected.remote)).toBe(0);
  expect(Buffer.compare(inbox.memory.bytes, expected.inbox)).toBe(0);
  checkCounters(end.qp, peer.qp, plans);
}

/** Payload is counted once at each end, whatever the network did. */
function checkCounters(sender: IbvQp, receiver: IbvQp, plans: Plan[]): void {
  const sum = (match: (opcode: string) => boolean) =>
    plans.reduce((total, { opcode, length }) => total + (match(opcode) ? length : 0), 0);
  const writes = sum((opcode) => opcode.startsWith('IBV_WR_RDMA_WRITE'));
  const sends = sum((opcode) => opcode.startsWith('IBV_WR_SEND'));
  const reads = sum((opcode) => opcode === 'IBV_WR_RDMA_READ');
  expect(sender.counters).toMatchObject({
    writeBytesSent: writes,
    sendBytesSent: sends,
    readBytesReceived: reads,
  });
  expect(receiver.counters).toMatchObject({
    writeBytesReceived: writes,
    sendBytesReceived: sends,
    readBytesSent: reads,
  });
}

describe('every request has exactly one outcome, in post order, with the right bytes', () => {
  const seeds = Array.from({ length: 12 }, (_, seed) => seed + 1);

  it.each(seeds)('on a quiet network, seed %i', async (seed) => {
    await exchange(seed, new World(), () => undefined);
  });

  it.each(seeds)('while frames vanish and arrive twice, seed %i', async (seed) => {
    const world = new World({ dropRate: 0.04, duplicateRate: 0.05, seed });
    await exchange(seed, world, () => undefined);
  });

  it.each(seeds)('while the links break and come back, seed %i', async (seed) => {
    const world = new World({ bandwidthBytesPerMs: 500, latencyMs: 0.5, seed });
    const prng = new Prng(seed);
    await exchange(seed, world, () => {
      const cut = (times: number) => {
        world.network.partition('host-a', 'host-b');
        world.scheduler.after(1 + prng.below(100), () => {
          world.network.heal('host-a', 'host-b');
          if (times > 0) world.scheduler.after(5 + prng.below(40), () => cut(times - 1));
        });
      };
      world.scheduler.after(3, () => cut(8));
    });
  });

  it.each(seeds)('through a narrow queue that is full most of the time, seed %i', async (seed) => {
    const world = new World({ bandwidthBytesPerMs: 200, highWaterBytes: 700 });
    await exchange(seed, world, () => undefined);
  });
});

describe('a loss costs little', () => {
  const transfer = async (a: End, b: End, opcode: 'IBV_WR_RDMA_WRITE' | 'IBV_WR_RDMA_READ') => {
    const source = await a.host.region(50_000);
    const target = await b.host.region(50_000);
    source.memory.bytes.set(pattern(50_000, 1));
    ibv_post_send(a.qp, {
      wr_id: 1,
      opcode,
      sg_list: [{ lkey: source.mr.lkey, address: source.mr.addr, length: 50_000 }],
      send_flags: SIGNALED,
      remote_addr: target.mr.addr,
      rkey: target.mr.rkey,
    });
  };
  /** Far below the acknowledgement timeout: nobody has waited for that. */
  const SOON_MS = 500;

  it('what was under way when the link broke is sent again as soon as it is back', async () => {
    const world = new World({ bandwidthBytesPerMs: 1000 });
    const [a, b] = await world.pair({ path_mtu: 1000 });
    await transfer(a, b, 'IBV_WR_RDMA_WRITE');
    await world.wait(20);
    world.network.partition('host-a', 'host-b');
    await world.wait(10);
    world.network.heal('host-a', 'host-b');
    await world.until(() => a.completions.length === 1, SOON_MS);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS']);
    expect(a.qp.counters.replayedBytesSent).toBeGreaterThan(0);
  });

  it.each(['IBV_WR_RDMA_WRITE', 'IBV_WR_RDMA_READ'] as const)(
    'a gap in a %s is asked for at once',
    async (opcode) => {
      const world = new World();
      const [a, b] = await world.pair({ path_mtu: 1000 });
      const { nic } = opcode === 'IBV_WR_RDMA_READ' ? a.host : b.host;
      const place = nic.place.bind(nic);
      let arrived = 0;
      nic.place = (nodeId, header) => (++arrived === 20 ? null : place(nodeId, header));
      await transfer(a, b, opcode);
      await world.until(() => a.completions.length === 1, SOON_MS);
      expect(statuses(a)).toEqual(['IBV_WC_SUCCESS']);
    },
  );
});

describe('the peer is not ready', () => {
  const send = (end: End, wr_id: unknown = 's'): void => {
    ibv_post_send(end.qp, { wr_id, opcode: 'IBV_WR_SEND', sg_list: [], send_flags: SIGNALED });
  };

  it('a SEND waits for a receive, and credits are not lost on the way', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    send(a);
    await world.wait(50);
    expect(a.completions).toEqual([]);
    ibv_post_recv(b.qp, { wr_id: 'r', sg_list: [] });
    await world.until(() => a.completions.length === 1);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS']);
    expect(statuses(b)).toEqual(['IBV_WC_SUCCESS']);
  });

  it('after rnr_retry attempts it ends with RNR_RETRY_EXC_ERR, and the rest is flushed', async () => {
    const world = new World();
    const [a] = await world.pair();
    send(a, 1);
    send(a, 2);
    await world.until(() => a.completions.length === 2);
    expect(a.completions.map(({ wr_id, status }) => [wr_id, status])).toEqual([
      [1, 'IBV_WC_RNR_RETRY_EXC_ERR'],
      [2, 'IBV_WC_WR_FLUSH_ERR'],
    ]);
    expect(a.qp.failure).toBe('IBV_WC_RNR_RETRY_EXC_ERR');
  });

  it('new receives are reported although nothing else flows', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    expect(a.qp.requester.credits.available).toBe(0);
    for (let count = 0; count < 5; count++) ibv_post_recv(b.qp, { wr_id: count, sg_list: [] });
    await world.wait(1);
    expect(a.qp.requester.credits.available).toBe(5);
    expect(world.a.transport.counters('host-b').framesReceived).toBeLessThan(10);
  });

  it('who waits for credits gets them although reports are lost', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ dropRate: 0.5, seed });
      const [a, b] = await world.pair();
      ibv_post_recv(b.qp, { wr_id: 0, sg_list: [] });
      a.qp.requester.credits.want();
      await world.until(() => a.qp.requester.credits.available === 1);
    }
  });
});

describe('the peer is gone', () => {
  it('the oldest request ends with RETRY_EXC_ERR, the others and the receives are flushed', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    const source = await a.host.region(4096);
    const target = await b.host.region(4096);
    world.network.kill('host-b');
    ibv_post_recv(a.qp, { wr_id: 'receive', sg_list: [] });
    for (const wr_id of [1, 2, 3]) {
      ibv_post_send(a.qp, {
        wr_id,
        opcode: 'IBV_WR_RDMA_WRITE',
        sg_list: [{ lkey: source.mr.lkey, address: source.mr.addr, length: 100 }],
        remote_addr: target.mr.addr,
        rkey: target.mr.rkey,
      });
    }
    await world.until(() => a.completions.length === 4, 2000);
    expect(a.completions.map(({ wr_id, status }) => [wr_id, status])).toEqual([
      [1, 'IBV_WC_RETRY_EXC_ERR'],
      [2, 'IBV_WC_WR_FLUSH_ERR'],
      [3, 'IBV_WC_WR_FLUSH_ERR'],
      ['receive', 'IBV_WC_WR_FLUSH_ERR'],
    ]);
  });

  it('a peer that is silent on a living link is given up after its retries', async () => {
    const world = new World();
    const [a, b] = await world.pair();
    b.qp.destroy();
    ibv_post_send(a.qp, {
      wr_id: 1,
      opcode: 'IBV_WR_RDMA_WRITE',
      sg_list: [],
      remote_addr: 0,
      rkey: 0,
    });
    await world.until(() => a.completions.length === 1, 60_000);
    expect(statuses(a)).toEqual(['IBV_WC_RETRY_EXC_ERR']);
    expect(b.host.nic.refused.unknownQueuePair).toBe(8);
  });

  it('a refusal that is lost on the way is repeated', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = new World({ dropRate: 0.2, seed });
      const [a] = await world.pair();
      const source = await a.host.region(4096);
      ibv_post_send(a.qp, {
        wr_id: 1,
        opcode: 'IBV_WR_RDMA_WRITE',
        sg_list: [{ lkey: source.mr.lkey, address: source.mr.addr, length: 100 }],
        remote_addr: 0,
        rkey: 0,
      });
      await world.until(() => a.completions.length === 1);
      expect(statuses(a)).toEqual(['IBV_WC_REM_ACCESS_ERR']);
    }
  });
});

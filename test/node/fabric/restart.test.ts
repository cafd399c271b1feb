/** Operations that fail between others that do not, on networks that lose and double frames. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { fi_atomic } from '../../../node/fabric/atomic.ts';
import { fi_av_insert, fi_av_remove } from '../../../node/fabric/av.ts';
import { fi_close } from '../../../node/fabric/close.ts';
import type { FiErrno } from '../../../node/fabric/fabric.ts';
import { fi_mr_reg } from '../../../node/fabric/mr.ts';
import { fi_read, fi_write } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { connected, EVERY_ACCESS, FabricWorld, host, ok, type Rank, text } from './world.ts';

const OPERATIONS = 300;
/** `bad`: the peer refuses it. `gone`: its own memory goes while it is under way. */
const KINDS = ['send', 'send', 'write', 'read', 'atomic', 'atomic', 'bad', 'gone'];
const FAILURE_OF: Readonly<Record<string, string>> = {
  bad: 'IBV_WC_REM_ACCESS_ERR',
  gone: 'IBV_WC_LOC_PROT_ERR',
};
const LENGTHS = [0, 8, 500, 5000, 20_000];

/** One direction of traffic: messages in order, writes, reads, atomics, and requests that must fail. */
class Traffic {
  readonly posted = new Map<number, string>();
  readonly received: number[] = [];
  readonly #from: Rank;
  readonly #to: Rank;
  readonly #dest: number;
  readonly #prng: Prng;
  readonly #local: Uint8Array;
  readonly #counter: Uint8Array;
  readonly #mine: ReturnType<typeof regionOf>;
  readonly #theirs: ReturnType<typeof regionOf>;
  #next = 0;

  constructor(world: FabricWorld, from: number, seed: number) {
    this.#dest = 1 - from;
    this.#from = world.rank(from);
    this.#to = world.rank(this.#dest);
    this.#prng = new Prng(seed);
    this.#local = new Uint8Array(4096);
    this.#counter = new Uint8Array(4096);
    this.#mine = regionOf(this.#from, this.#local);
    this.#theirs = regionOf(this.#to, this.#counter);
    this.#from.onProgress = () => this.pump();
    this.#expect();
  }

  pump(): void {
    while (this.#next < OPERATIONS) {
      const index = this.#next;
      const kind = defined(KINDS[this.#prng.below(KINDS.length)], 'a kind');
      const error = this.#post(kind, index);
      if (error === 'FI_EAGAIN') return;
      expect(error).toBeUndefined();
      this.posted.set(index, kind);
      this.#next++;
    }
  }

  get isDone(): boolean {
    const { completions, errors } = this.#from;
    const ended = completions.filter(({ kind }) => kind !== 'recv');
    const failed = errors.filter(({ kind }) => kind !== 'recv');
    if (this.#next < OPERATIONS || ended.length + failed.length < OPERATIONS) return false;
    const arrived = new Set(this.received);
    const sent = ended.filter(({ kind }) => kind === 'send');
    return sent.every(({ context }) => arrived.has(Number(context)));
  }

  check(mayLose: boolean): void {
    const succeeded = this.#from.completions.filter(({ kind }) => kind !== 'recv');
    const failed = this.#from.errors.filter(({ kind }) => kind !== 'recv');
    const all = [...succeeded, ...failed].map(({ context }) => Number(context));
    expect(all.sort((one, other) => one - other)).toEqual([...this.posted.keys()]);
    const kindOf = (context: unknown) => this.posted.get(Number(context));
    const lost = new Map<string | undefined, number>();
    for (const { context, prov_errno } of failed) {
      if (FAILURE_OF[kindOf(context) ?? ''] === prov_errno) continue;
      // Whether the peer has executed it cannot be known any more: given up, and told so.
      expect(['IBV_WC_WR_FLUSH_ERR', 'IBV_WC_REM_OP_ERR']).toContain(prov_errno);
      lost.set(kindOf(context), (lost.get(kindOf(context)) ?? 0) + 1);
    }
    if (!mayLose) expect([...lost]).toEqual([]);
    this.#checkExecuted(lost);
  }

  /** Messages arrive in order and once, atomics are executed once; what was given up, at most once. */
  #checkExecuted(lost: ReadonlyMap<string | undefined, number>): void {
    const of = (kind: string) => [...this.posted].filter((entry) => entry[1] === kind);
    const sent = of('send').map(([index]) => index);
    const failed = new Set(this.#from.errors.map(({ context }) => Number(context)));
    const arrived = new Set(this.received);
    expect(this.received).toEqual(sent.filter((index) => arrived.has(index)));
    expect(sent.filter((index) => !failed.has(index) && !arrived.has(index))).toEqual([]);
    const sum = Number(new DataView(this.#counter.buffer).getBigUint64(0, true));
    expect(sum).toBeLessThanOrEqual(of('atomic').length);
    expect(sum).toBeGreaterThanOrEqual(of('atomic').length - (lost.get('atomic') ?? 0));
  }

  #post(kind: string, index: number): FiErrno | undefined {
    const { endpoint } = this.#from;
    const { mr } = this.#mine;
    const local = { kind: 'mr', mr, address: mr.address + 64, length: 64 } as const;
    const { address, key } = this.#theirs.mr;
    switch (kind) {
      case 'send': {
        const bytes = new Uint8Array(8 + defined(LENGTHS[index % LENGTHS.length], 'a length'));
        new DataView(bytes.buffer).setUint32(0, index, true);
        return fi_tsend(endpoint, host(bytes), this.#dest, 1n, index);
      }
      case 'write':
        return fi_write(endpoint, local, this.#dest, address + 64, key, index);
      case 'read':
        return fi_read(endpoint, local, this.#dest, address + 128, key, index);
      case 'gone':
        return this.#postFromGone(index);
      case 'bad':
        return fi_write(endpoint, local, this.#dest, address + 4090, key, index);
      default: {
        const remote = { dest: this.#dest, remoteAddress: address, key } as const;
        return fi_atomic(endpoint, 1n, { ...remote, datatype: 'FI_UINT64', op: 'FI_SUM' }, index);
      }
    }
  }

  #postFromGone(index: number): FiErrno | undefined {
    const { mr } = regionOf(this.#from, new Uint8Array(64));
    const local = { kind: 'mr', mr, address: mr.address, length: 64 } as const;
    const { address, key } = this.#theirs.mr;
    const error = fi_write(this.#from.endpoint, local, this.#dest, address + 64, key, index);
    if (error === undefined)
      this.#from.nic.scheduler.after(this.#prng.below(3), () => fi_close(mr));
    else fi_close(mr);
    return error;
  }

  /** One receive at a time: the order of messages is that of their completions. */
  #expect(): void {
    const buffer = new Uint8Array(30_000);
    const read = this.#to.onRead;
    let seen = 0;
    let failed = 0;
    const post = () => fi_trecv(this.#to.endpoint, buffer, 1 - this.#dest, 1n, 0n, 'recv');
    post();
    this.#to.onRead = () => {
      read();
      const received = this.#to.completions.filter(({ kind }) => kind === 'recv');
      while (seen < received.length) {
        seen++;
        this.received.push(new DataView(buffer.buffer).getUint32(0, true));
        post();
      }
      // The sender has given up a message whose receive had begun.
      const failures = this.#to.errors.filter(({ kind }) => kind === 'recv');
      while (failed < failures.length) {
        failed++;
        post();
      }
    };
  }
}

function regionOf(rank: Rank, bytes: Uint8Array) {
  return { mr: ok(fi_mr_reg(rank.domain, bytes, EVERY_ACCESS, 0, 0n, [], 0x1000)) };
}

async function run(world: FabricWorld, seed: number, mayLose: boolean): Promise<void> {
  world.introduce();
  const both = [0, 1].map((from) => new Traffic(world, from, 2 * seed + from));
  for (const traffic of both) traffic.pump();
  await world.until(() => both.every(({ isDone }) => isDone), 60 * 60_000);
  for (const traffic of both) traffic.check(mayLose);
}

describe('requests that fail between others: each operation ends once, and only the bad ones badly', () => {
  const seeds = [1, 2, 3, 4];

  it.each(seeds)('on a quiet network, seed %i', async (seed) => {
    await run(new FabricWorld(2), seed, false);
  });

  it.each(seeds)('while frames vanish and arrive twice, seed %i', async (seed) => {
    await run(new FabricWorld(2, { dropRate: 0.03, duplicateRate: 0.03, seed }), seed, true);
  });

  it.each(seeds)('while links break and come back, seed %i', async (seed) => {
    const world = new FabricWorld(2, { latencyMs: 0.3, bandwidthBytesPerMs: 20_000, seed });
    const prng = new Prng(seed);
    const cut = (times: number) => {
      world.network.partition('host-0', 'host-1');
      world.scheduler.after(20 + prng.below(50), () => {
        world.network.heal('host-0', 'host-1');
        if (times > 0) world.scheduler.after(prng.below(60), () => cut(times - 1));
      });
    };
    world.scheduler.after(5, () => cut(6));
    await run(world, seed, true);
  });

  it.each(seeds)('through queues of a few completions, seed %i', async (seed) => {
    await run(
      new FabricWorld(2, { rank: () => ({ cqSize: 3 }), highWaterBytes: 30_000 }),
      seed,
      false,
    );
  });
});

describe('a request that fails although the peer has executed it, and those behind it', () => {
  it('a message is not delivered twice, an atomic not executed twice', async () => {
    const world = await connected(2, { latencyMs: 5 });
    const [a, b] = [world.rank(0), world.rank(1)];
    await world.until(() => a.endpoint.connection(1)?.isConnected === true);
    const counter = new Uint8Array(64);
    const { mr } = regionOf(b, counter);
    const gone = regionOf(a, new Uint8Array(64).fill(7));
    for (const context of [1, 2]) {
      fi_trecv(b.endpoint, new Uint8Array(8), 0, 1n, 0n, context);
    }
    const local = { kind: 'mr', mr: gone.mr, address: gone.mr.address, length: 8 } as const;
    const sum = { dest: 1, remoteAddress: mr.address, key: mr.key } as const;
    fi_write(a.endpoint, local, 1, mr.address + 8, mr.key, 'write');
    fi_tsend(a.endpoint, host(text('once')), 1, 1n, 'send');
    fi_atomic(a.endpoint, 1n, { ...sum, datatype: 'FI_UINT64', op: 'FI_SUM' }, 'atomic');
    // All of it has arrived; no word of it comes back.
    await world.wait(7);
    expect([counter[0], counter[8]]).toEqual([1, 7]);
    world.network.partition('host-0', 'host-1');
    fi_close(gone.mr);
    await world.wait(20);
    world.network.heal('host-0', 'host-1');
    await world.until(() => a.completions.length + a.errors.length === 3);
    await world.wait(2_000);
    expect(a.errors.map(({ context, prov_errno }) => [context, prov_errno])).toEqual([
      ['write', 'IBV_WC_LOC_PROT_ERR'],
      ['atomic', 'IBV_WC_WR_FLUSH_ERR'],
    ]);
    expect(a.completions.map(({ context }) => context)).toEqual(['send']);
    expect(counter[0]).toBe(1);
    expect(b.completions.map(({ context }) => context)).toEqual([1]);
  });
});

describe('a connection that starts anew', () => {
  it('a peer that takes an address out and puts it in again is met again', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    for (const round of [1, 2, 3]) {
      const [mover, other] = round % 2 === 0 ? [a, b] : [b, a];
      const address = mover === a ? 1 : 0;
      expect(fi_av_remove(mover.av, address)).toBeUndefined();
      expect(fi_av_insert(mover.av, [other.name])).toEqual([address]);
      await world.until(() => mover.endpoint.connection(address)?.isConnected === true);
      for (const [from, to, dest] of [
        [a, b, 1],
        [b, a, 0],
      ] as const) {
        const count = to.completions.length;
        fi_trecv(to.endpoint, new Uint8Array(8), 1 - dest, 1n, 0n, round);
        await world.post(() => fi_tsend(from.endpoint, host(text('x')), dest, 1n, round));
        await world.until(() => to.completions.length > count + (from === to ? 1 : 0));
      }
    }
    expect([...a.errors, ...b.errors]).toEqual([]);
  });

  it('nothing runs on after everything is closed', async () => {
    const world = await connected();
    const [a] = world.ranks;
    fi_tsend(defined(a, 'a rank').endpoint, host(new Uint8Array(50_000)), 1, 1n, 's');
    await world.wait(10);
    for (const { endpoint } of world.ranks) fi_close(endpoint);
    const before = world.ranks.map(({ nic }) => nic.transport.counters('host-1').framesSent);
    await world.wait(30_000);
    const after = world.ranks.map(({ nic }) => nic.transport.counters('host-1').framesSent);
    expect(after).toEqual(before);
  });
});

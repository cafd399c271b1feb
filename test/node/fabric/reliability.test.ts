import { describe, expect, it } from 'vitest';
import { Prng } from '../../../common/prng.ts';
import { fi_writedata } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { pattern } from '../verbs/world.ts';
import { FabricWorld, type Rank } from './world.ts';

const MESSAGES = 150;

type Registered = Awaited<ReturnType<Rank['register']>>;

/** One rank's traffic to the next: tagged messages and writes with data, in random turns. */
class Stream {
  readonly from: Rank;
  readonly to: Rank;
  readonly dest: number;
  readonly source: Registered;
  readonly target: Registered;
  readonly buffers: Uint8Array[] = [];
  readonly #prng: Prng;
  sent = 0;

  static async open(world: FabricWorld, from: number, seed: number): Promise<Stream> {
    const to = (from + 1) % world.ranks.length;
    const source = await world.rank(from).register(MESSAGES * 100);
    return new Stream(world, from, seed, source, await world.rank(to).register(MESSAGES * 100));
  }

  constructor(
    world: FabricWorld,
    from: number,
    seed: number,
    source: Registered,
    target: Registered,
  ) {
    this.dest = (from + 1) % world.ranks.length;
    this.from = world.rank(from);
    this.to = world.rank(this.dest);
    this.source = source;
    this.source.memory.bytes.set(pattern(MESSAGES * 100, seed));
    this.target = target;
    this.#prng = new Prng(seed);
    this.from.onProgress = () => this.pump();
    for (let index = 0; index < MESSAGES; index++) {
      const buffer = new Uint8Array(8);
      this.buffers.push(buffer);
      fi_trecv(this.to.endpoint, buffer, from, BigInt(index), 0n, index);
    }
  }

  /** Each turn a message and a write, or the write and the message. */
  pump(): void {
    while (this.sent < 2 * MESSAGES) {
      if (this.#post(this.sent) !== undefined) return;
      this.sent++;
      if (this.#prng.below(3) > 0) continue;
      this.from.nic.scheduler.soon(() => this.pump());
      return;
    }
  }

  #post(turn: number) {
    const index = turn >> 1;
    if (turn % 2 === 0) {
      const bytes = new TextEncoder().encode(`m${index}`);
      return fi_tsend(this.from.endpoint, { kind: 'host', bytes }, this.dest, BigInt(index), turn);
    }
    const { mr } = this.source;
    const local = { kind: 'mr', mr, address: mr.address + index * 100, length: 100 } as const;
    const { address, key } = this.target.mr;
    return fi_writedata(
      this.from.endpoint,
      local,
      index,
      this.dest,
      address + index * 100,
      key,
      turn,
    );
  }

  get isDone(): boolean {
    const arrived = this.to.completions.filter(
      ({ kind }) => kind === 'recv' || kind === 'remoteWriteData',
    );
    const sent = this.from.completions.filter(({ kind }) => kind === 'send' || kind === 'write');
    return arrived.length === 2 * MESSAGES && sent.length === 2 * MESSAGES;
  }

  check(): void {
    expect([...this.from.errors, ...this.to.errors]).toEqual([]);
    const sent = this.from.completions.filter(({ kind }) => kind === 'send' || kind === 'write');
    expect(sent.map(({ context }) => context)).toEqual(
      Array.from({ length: 2 * MESSAGES }, (_, i) => i),
    );
    const data = this.to.completions.filter(({ kind }) => kind === 'remoteWriteData');
    expect(data.map((entry) => entry.data)).toEqual(Array.from({ length: MESSAGES }, (_, i) => i));
    const received = this.to.completions.filter(({ kind }) => kind === 'recv');
    expect(received.map(({ context }) => context)).toEqual(
      Array.from({ length: MESSAGES }, (_, i) => i),
    );
    for (const [index, buffer] of this.buffers.entries()) {
      expect(new TextDecoder().decode(buffer).replaceAll('\0', '')).toBe(`m${index}`);
    }
    expect(Buffer.compare(this.target.memory.bytes, this.source.memory.bytes)).toBe(0);
  }
}

async function ring(world: FabricWorld, seed: number): Promise<void> {
  world.introduce();
  const streams = await Promise.all(
    world.ranks.map((_, rank) => Stream.open(world, rank, seed * 10 + rank)),
  );
  for (const stream of streams) stream.pump();
  await world.until(() => streams.every(({ isDone }) => isDone), 30 * 60_000);
  for (const stream of streams) stream.check();
}

describe('messages and writes arrive once, in order, and credits are never lost', () => {
  const seeds = [1, 2, 3, 4, 5, 6];

  it.each(seeds)('on a quiet network, seed %i', async (seed) => {
    await ring(new FabricWorld(3), seed);
  });

  it.each(seeds)('while frames vanish and arrive twice, seed %i', async (seed) => {
    await ring(new FabricWorld(3, { dropRate: 0.05, duplicateRate: 0.05, seed }), seed);
  });

  it.each(seeds)('while links break and come back, seed %i', async (seed) => {
    const world = new FabricWorld(3, { latencyMs: 0.3, bandwidthBytesPerMs: 1000, seed });
    const prng = new Prng(seed);
    const cut = (times: number) => {
      const [a, b] = [`host-${prng.below(3)}`, `host-${prng.below(3)}`];
      if (a !== b) world.network.partition(a, b);
      world.scheduler.after(20 + prng.below(50), () => {
        if (a !== b) world.network.heal(a, b);
        if (times > 0) world.scheduler.after(prng.below(30), () => cut(times - 1));
      });
    };
    world.scheduler.after(2, () => cut(8));
    await ring(world, seed);
  });

  it.each(seeds)('through queues of a few completions, seed %i', async (seed) => {
    await ring(
      new FabricWorld(3, {
        rank: () => ({ cqSize: 3 }),
        highWaterBytes: 2000,
        bandwidthBytesPerMs: 5000,
      }),
      seed,
    );
  });

  it('the same seed gives the same run', async () => {
    const traces: string[] = [];
    for (const _ of [1, 2]) {
      const world = new FabricWorld(3, { dropRate: 0.1, duplicateRate: 0.1, seed: 9 });
      await ring(world, 9);
      const counters = world.ranks.map(({ nic }) => nic.transport.counters('host-1'));
      traces.push(JSON.stringify([world.scheduler.clock.now(), counters]));
    }
    expect(traces[0]).toBe(traces[1]);
  });
});

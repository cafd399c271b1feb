/** The worlds that the fabric suite runs in: ranks on hosts of their own, over each of the providers. */
import { afterEach, expect } from 'vitest';
import { assert } from '../../common/assert.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import { fi_ep_counters } from '../../node/fabric/endpoint.ts';
import type { FiMr, FiMrBuffer } from '../../node/fabric/fabric.ts';
import { createWebSocketTransport } from '../../node/transport/websocket-transport.ts';
import { createNic } from '../../node/verbs/nic.ts';
import { P2pWorld } from '../node/fabric/p2p-world.ts';
import { FabricWorld, Rank, type RankInit, RankWorld } from '../node/fabric/world.ts';
import { isMissing } from '../node/os/this-system.ts';
import { settleOnWallClock } from '../node/transport/wall-clock.ts';

/** Over sockets, on the wall clock. */
class WebSocketWorld extends RankWorld {
  readonly scheduler = wallScheduler;
  readonly ranks: readonly Rank[];

  constructor(ranks: readonly Rank[]) {
    super();
    this.ranks = ranks;
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return settleOnWallClock(promise);
  }

  kill(rank: number): Promise<void> {
    return this.rank(rank).nic.transport.close();
  }

  async close(): Promise<void> {
    for (const { nic } of this.ranks) nic.close();
    await Promise.all(this.ranks.map(({ nic }) => this.settle(nic.transport.close())));
  }
}

async function webSocketRank(index: number, init: RankInit): Promise<Rank> {
  const transport = await createWebSocketTransport({
    nodeId: `host-${index}`,
    bind: { host: '127.0.0.1', port: 0 },
    scheduler: wallScheduler,
  });
  return new Rank(createNic({ transport, scheduler: wallScheduler }), init);
}

/** How the network is. The one of sockets is as fast as it is. */
export interface NetworkInit {
  readonly bandwidthBytesPerMs?: number;
}

export interface FabricProvider {
  readonly name: string;
  make(nranks: number, init: (index: number) => RankInit, network: NetworkInit): Promise<RankWorld>;
}

const OVER_SHARED_MEMORY: FabricProvider = {
  name: 'p2p',
  make: async (nranks, rank, network) => {
    // A network that is slow is for requests that are under way on it.
    const isDirect = network.bandwidthBytesPerMs === undefined;
    return new P2pWorld(nranks, { rank, ...network }, isDirect ? 'asked' : 'none');
  },
};

/** Every provider that the suite applies to; that of shared memory where the system has it. */
export const FABRIC_PROVIDERS: readonly FabricProvider[] = [
  {
    name: 'memory',
    make: async (nranks, rank, network) => new FabricWorld(nranks, { rank, ...network }),
  },
  {
    name: 'ws',
    make: async (nranks, rank) => {
      const indices = Array.from({ length: nranks }, (_, index) => index);
      return new WebSocketWorld(
        await Promise.all(indices.map((index) => webSocketRank(index, rank(index)))),
      );
    },
  },
  ...(isMissing ? [] : [OVER_SHARED_MEMORY]),
];

/**
 * Makes worlds for the tests of one suite. After its test each is closed, and nothing of it may be
 * left on a NIC.
 */
export function fabricWorlds({ make }: FabricProvider, network: NetworkInit = {}) {
  const open: RankWorld[] = [];

  afterEach(async () => {
    for (const world of open.splice(0)) {
      for (const { process } of world.ranks) process.exit();
      const left = world.ranks.map(
        ({ nic }) => nic.regionCount + nic.queuePairCount + nic.contexts.size,
      );
      await world.close();
      expect(left).toEqual(left.map(() => 0));
    }
  });

  /** Ranks that do not know each other. */
  async function strangers(nranks = 2, init: (index: number) => RankInit = () => ({})) {
    const world = await make(nranks, init, network);
    open.push(world);
    return world;
  }

  /** Ranks that know each other (address = rank) and are connected. */
  async function connected(nranks = 2, init?: (index: number) => RankInit) {
    const world = await strangers(nranks, init);
    world.introduce();
    for (const rank of world.ranks) await connectAll(world, rank);
    return world;
  }

  return { strangers, connected };
}

/** Waits until a rank can post to every other one, itself too. */
async function connectAll(world: RankWorld, { endpoint }: Rank): Promise<void> {
  for (const dest of world.ranks.keys()) {
    await world.until(() => endpoint.connection(dest)?.isConnected === true);
  }
}

/** A pair of ranks, connected. */
export async function pairOf(
  connected: ReturnType<typeof fabricWorlds>['connected'],
  init?: (index: number) => RankInit,
) {
  const world = await connected(2, init);
  return { world, a: world.rank(0), b: world.rank(1) };
}

/** A piece of a region. */
export function part(mr: FiMr, offset = 0, length = mr.length - offset): FiMrBuffer {
  assert(offset + length <= mr.length, 'Expected a part that lies inside');
  return { kind: 'mr', mr, address: mr.address + offset, length };
}

/** What has completed, by context, in order. */
export function contexts(rank: Rank): unknown[] {
  return rank.completions.map(({ context }) => context);
}

/** What has failed: context, error and status. */
export function failures(rank: Rank): unknown[] {
  return rank.errors.map(({ context, err, prov_errno }) => [context, err, prov_errno]);
}

/** Bytes that a rank has received by messages, headers included. */
export function messageBytes(rank: Rank): number {
  return fi_ep_counters(rank.endpoint).messageBytesReceived;
}

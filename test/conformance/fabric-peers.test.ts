/** Fabric conformance: fabtests/{functional,multinode,prov/efa}, many peers, and peers that go. */
import { describe, expect } from 'vitest';
import { defined } from '../../common/assert.ts';
import { fi_atomic } from '../../node/fabric/atomic.ts';
import { fi_av_insert, fi_av_remove } from '../../node/fabric/av.ts';
import { fi_close } from '../../node/fabric/close.ts';
import { fi_enable, fi_endpoint, fi_ep_bind } from '../../node/fabric/endpoint.ts';
import { FI_ADDR_UNSPEC, type FiErrno, type FiInfo } from '../../node/fabric/fabric.ts';
import { EAGER_BYTES } from '../../node/fabric/message-header.ts';
import { fi_recv, fi_send } from '../../node/fabric/msg.ts';
import { RECV_DEPTH } from '../../node/fabric/queue-pair.ts';
import { fi_write, fi_writedata } from '../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../node/fabric/tagged.ts';
import { host, ok, type Rank, type RankWorld, text } from '../node/fabric/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import { contexts, FABRIC_PROVIDERS, fabricWorlds, failures, part } from './fabric-world.ts';

const RANKS = 4;
const SLOT_BYTES = 64;

/** Which ranks send to which. */
const PATTERNS: Readonly<Record<string, (from: number, to: number) => boolean>> = {
  'all to all': () => true,
  'one to all': (from) => from === 0,
  'all to one': (_, to) => to === 0,
  ring: (from, to) => to === (from + 1) % RANKS,
};

type Registered = Awaited<ReturnType<Rank['register']>>;

interface Node {
  readonly rank: Rank;
  readonly source: Registered;
  readonly target: Registered;
}

/** Each kind of traffic: what the sender posts, and what the target has when it has arrived. */
const TRAFFIC: Readonly<
  Record<
    string,
    {
      readonly expects?: (to: Node, from: number) => void;
      readonly post: (from: Node, to: Node, dest: number) => FiErrno | undefined;
      readonly arrived: (to: Node, senders: readonly number[]) => boolean;
    }
  >
> = {
  messages: {
    expects: (to) => fi_recv(to.rank.endpoint, new Uint8Array(8), FI_ADDR_UNSPEC, 'recv'),
    post: ({ rank }, _, dest) => fi_send(rank.endpoint, host(text('x')), dest, 'sent'),
    arrived: ({ rank }, senders) => sourcesOf(rank, 'recv') === [...senders].sort().join(),
  },
  'tagged messages': {
    expects: (to, from) =>
      fi_trecv(to.rank.endpoint, new Uint8Array(8), from, BigInt(from), 0n, 'recv'),
    post: ({ rank }, _, dest) =>
      fi_tsend(rank.endpoint, host(text('x')), dest, BigInt(indexOf({ rank })), 'sent'),
    arrived: ({ rank }, senders) => sourcesOf(rank, 'recv') === [...senders].sort().join(),
  },
  writes: {
    post: (from, { target }, dest) => {
      const own = indexOf(from);
      const place = target.mr.address + own * SLOT_BYTES;
      const local = part(from.source.mr, 0, SLOT_BYTES);
      return fi_writedata(from.rank.endpoint, local, own, dest, place, target.mr.key, 'sent');
    },
    arrived: ({ rank, target }, senders) =>
      sourcesOf(rank, 'remoteWriteData') === [...senders].sort().join() &&
      senders.every((sender) => target.memory.bytes[sender * SLOT_BYTES] === sender + 1),
  },
  atomics: {
    post: ({ rank }, { target }, dest) =>
      fi_atomic(
        rank.endpoint,
        1n,
        {
          dest,
          remoteAddress: target.mr.address + 8 * 100,
          key: target.mr.key,
          datatype: 'FI_UINT64',
          op: 'FI_SUM',
        },
        'sent',
      ),
    arrived: ({ target }, senders) =>
      target.memory.view.getBigUint64(8 * 100, true) === BigInt(senders.length),
  },
};

const indices = new WeakMap<Rank, number>();
const indexOf = ({ rank }: Pick<Node, 'rank'>) => defined(indices.get(rank), 'the index of a rank');

function sourcesOf(rank: Rank, kind: string): string {
  const entries = rank.completions.filter((entry) => entry.kind === kind);
  return entries
    .map(({ source }) => source)
    .sort()
    .join();
}

async function nodesOf(world: RankWorld): Promise<Node[]> {
  return Promise.all(
    world.ranks.map(async (rank, index) => {
      indices.set(rank, index);
      const [source, target] = [await rank.register(4096), await rank.register(4096)];
      source.memory.bytes.fill(index + 1);
      return { rank, source, target };
    }),
  );
}

describe.each(FABRIC_PROVIDERS)('fabric conformance, peers: $name', (provider) => {
  const { connected, strangers } = fabricWorlds(provider);

  async function unmanaged(): Promise<FiInfo> {
    const { info } = (await strangers(1)).rank(0);
    return { ...info, domain_attr: { ...info.domain_attr, resource_mgmt: 'FI_RM_DISABLED' } };
  }

  for (const [pattern, isEdge] of Object.entries(PATTERNS)) {
    for (const [kind, traffic] of Object.entries(TRAFFIC)) {
      behaves('multinode', `${pattern}, ${kind}`, async () => {
        const world = await connected(RANKS);
        const nodes = await nodesOf(world);
        const all = [...nodes.keys()];
        const edges = all.flatMap((from) =>
          all.filter((to) => isEdge(from, to)).map((to) => [from, to] as const),
        );
        const node = (index: number) => defined(nodes[index], 'a node');
        for (const [from, to] of edges) traffic.expects?.(node(to), from);
        for (const [from, to] of edges) {
          await world.post(() => traffic.post(node(from), node(to), to));
        }
        const sendersTo = (to: number) =>
          edges.filter((edge) => edge[1] === to).map(([from]) => from);
        await world.until(() => nodes.every((to, index) => traffic.arrived(to, sendersTo(index))));
        const sent = (index: number) => edges.filter(([from]) => from === index).length;
        await world.until(() =>
          nodes.every(
            ({ rank }, index) =>
              contexts(rank).filter((context) => context === 'sent').length === sent(index),
          ),
        );
        expect(world.ranks.flatMap(({ errors }) => errors)).toEqual([]);
      });
    }
  }

  behaves('rdm_multi_client', 'a server survives clients that come and go', async () => {
    const world = await connected(2);
    const [server, home] = [world.rank(0), world.rank(1)];
    for (const round of [1, 2, 3, 4]) {
      const client = ok(fi_endpoint(home.domain, home.info, { epoch: 1 }));
      ok(fi_ep_bind(client, home.av));
      ok(fi_ep_bind(client, home.cq));
      ok(fi_enable(client));
      const [address = -1] = fi_av_insert(server.av, [client.name]);
      // The place of the last client is used again.
      expect(address).toBe(2);
      const buffer = new Uint8Array(8);
      fi_trecv(server.endpoint, buffer, address, BigInt(round), 0n, round);
      await world.post(() => fi_tsend(client, host(text('hello')), 0, BigInt(round), round));
      await world.until(() => contexts(server).includes(round) && contexts(home).includes(round));
      // It goes in the middle of things: a message to it is under way, and one that it will never read.
      fi_tsend(
        server.endpoint,
        host(new Uint8Array(3 * EAGER_BYTES)),
        address,
        9n,
        `lost ${round}`,
      );
      fi_close(client);
      fi_av_remove(server.av, address);
    }
    await world.wait(20);
    const lost = server.errors.map(({ context, err }) => [context, err]);
    expect(lost).toEqual([1, 2, 3, 4].map((round) => [`lost ${round}`, 'FI_ECANCELED']));
    fi_trecv(server.endpoint, new Uint8Array(8), 1, 1n, 0n, 'still there');
    await world.post(() => fi_tsend(home.endpoint, host(text('hello')), 0, 1n, 's'));
    await world.until(() => contexts(server).includes('still there'));
  });

  behaves(
    'rdm_shared_av',
    'an address inserted once is there for every endpoint of the vector',
    async () => {
      const world = await connected(2);
      const [a, b] = [world.rank(0), world.rank(1)];
      const second = ok(fi_endpoint(a.domain, a.info, { epoch: 1 }));
      ok(fi_ep_bind(second, a.av));
      ok(fi_ep_bind(second, a.cq));
      ok(fi_enable(second));
      expect(fi_av_insert(b.av, [second.name])).toEqual([2]);
      for (const [index, endpoint] of [a.endpoint, second].entries()) {
        fi_trecv(b.endpoint, new Uint8Array(8), index * 2, 1n, 0n, index);
        await world.post(() => fi_tsend(endpoint, host(text('x')), 1, 1n, index));
      }
      await world.until(() => b.completions.length === 2);
      fi_av_remove(a.av, 1);
      for (const endpoint of [a.endpoint, second]) {
        expect(fi_tsend(endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EINVAL');
      }
      fi_close(second);
    },
  );

  behaves(
    'efa rnr',
    'a receiver that is not ready is FI_ENORX without resource management',
    async () => {
      const hints = await unmanaged();
      const world = await connected(2, (index) => (index === 0 ? { hints } : { cqSize: 1 }));
      const [a, b] = [world.rank(0), world.rank(1)];
      b.reading = false;
      const total = RECV_DEPTH + 20;
      for (let index = 0; index < total; index++) {
        fi_trecv(b.endpoint, new Uint8Array(8), 0, 1n, 0n, index);
        await world.post(() => fi_tsend(a.endpoint, host(text('x')), 1, 1n, index));
      }
      await world.until(() => a.completions.length + a.errors.length >= RECV_DEPTH + 2);
      expect(a.errors[0]).toMatchObject({
        err: 'FI_ENORX',
        prov_errno: 'IBV_WC_RNR_RETRY_EXC_ERR',
        context: RECV_DEPTH + 1,
      });
      b.reading = true;
      b.drain();
      await world.until(() => a.completions.length + a.errors.length === total);
      const delivered = contexts(a).length;
      await world.until(() => contexts(b).length === delivered);
    },
  );

  behaves('efa rnr', 'with resource management it is tried again', async () => {
    const world = await connected(2, (index) => (index === 0 ? {} : { cqSize: 1 }));
    const [a, b] = [world.rank(0), world.rank(1)];
    b.reading = false;
    const total = RECV_DEPTH + 20;
    let posted = 0;
    const pump = () => {
      while (posted < total) {
        if (fi_tsend(a.endpoint, host(text('x')), 1, 1n, posted) !== undefined) return;
        posted++;
      }
    };
    for (let index = 0; index < total; index++) {
      fi_trecv(b.endpoint, new Uint8Array(8), 0, 1n, 0n, index);
    }
    a.onProgress = pump;
    pump();
    await world.wait(50);
    expect(posted).toBeLessThan(total);
    b.reading = true;
    b.drain();
    await world.until(() => contexts(b).length === total && contexts(a).length === total);
    expect(contexts(b)).toEqual(Array.from({ length: total }, (_, index) => index));
    expect([...a.errors, ...b.errors]).toEqual([]);
  });

  behaves('efa remote_exit_early', 'the peer exits, and nobody hangs', async () => {
    const world = await connected(3);
    const [a, b] = [world.rank(0), world.rank(1)];
    const source = await a.register(4096);
    const target = await b.register(4096);
    fi_trecv(a.endpoint, new Uint8Array(8), 1, 1n, 0n, 'directed');
    fi_trecv(a.endpoint, new Uint8Array(8), FI_ADDR_UNSPEC, 2n, 0n, 'any');
    fi_tsend(a.endpoint, host(new Uint8Array(5 * EAGER_BYTES)), 1, 5n, 'long');
    fi_tsend(a.endpoint, host(text('x')), 1, 5n, 'short');
    await world.until(() => contexts(a).includes('short'));
    await world.kill(1);
    const local = part(source.mr);
    const write = () => fi_write(a.endpoint, local, 1, target.mr.address, target.mr.key, 'write');
    await world.until(() => write() === 'FI_EHOSTUNREACH');
    const entriesOf = (name: string) =>
      failures(a).filter((entry) => String(entry).startsWith(name));
    for (const name of ['directed', 'long']) {
      await world.until(() => entriesOf(name).length > 0);
      expect(entriesOf(name)).toEqual([[name, 'FI_EHOSTUNREACH', 'IBV_WC_RETRY_EXC_ERR']]);
    }
    expect(fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EHOSTUNREACH');
    expect(fi_trecv(a.endpoint, new Uint8Array(8), 1, 1n, 0n, 'r')).toBe('FI_EHOSTUNREACH');
    await world.post(() => fi_tsend(world.rank(2).endpoint, host(text('x')), 0, 2n, 's'));
    await world.until(() => contexts(a).includes('any'));
  });
});

describe('fabtests of peers', () => {
  behavesCompletely(
    'multinode',
    'rdm_multi_client',
    'rdm_shared_av',
    'efa rnr',
    'efa remote_exit_early',
  );
});

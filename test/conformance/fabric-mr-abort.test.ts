/**
 * Fabric conformance: fabtests/prov/efa mr_abort. Regions are closed while operations on them are under
 * way; every operation that was posted has exactly one completion. R12.
 */
import { describe, expect } from 'vitest';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { fi_close } from '../../node/fabric/close.ts';
import type { FiMr } from '../../node/fabric/fabric.ts';
import { EAGER_BYTES } from '../../node/fabric/message-header.ts';
import { fi_mr_regattr } from '../../node/fabric/mr.ts';
import { fi_read, fi_write } from '../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../node/fabric/tagged.ts';
import { EVERY_ACCESS, ok, type Rank, type RankWorld } from '../node/fabric/world.ts';
import { pattern } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import {
  contexts,
  FABRIC_PROVIDERS,
  fabricWorlds,
  failures,
  pairOf,
  part,
} from './fabric-world.ts';

const REGIONS = 8;
/** Together far more than links and sockets hold. */
const BYTES = 1_000_000;
const OPERATIONS = 40;

/** What an operation on a closed region may end with. */
const INITIATOR_CLOSED = ['IBV_WC_LOC_PROT_ERR', 'IBV_WC_WR_FLUSH_ERR'];
const TARGET_CLOSED = ['IBV_WC_REM_ACCESS_ERR'];

type Registered = Awaited<ReturnType<Rank['register']>>;

interface Scene {
  readonly world: RankWorld;
  readonly a: Rank;
  readonly b: Rank;
  readonly sources: readonly Registered[];
  readonly targets: readonly Registered[];
}

const mrsOf = (regions: readonly Registered[]) => regions.map(({ mr }) => mr);

/** Region of an operation: they take turns. */
const regionOf = (operation: number) => operation % REGIONS;

/** Posts writes and reads, by turns, on all regions; the context of each is its number. */
function postAll({ a, sources, targets }: Scene, call: 'write' | 'read' | 'both'): number {
  let posted = 0;
  for (let index = 0; index < OPERATIONS; index++) {
    const source = defined(sources[regionOf(index)], 'a region').mr;
    const { address, key } = defined(targets[regionOf(index)], 'a region').mr;
    const isRead = call === 'read' || (call === 'both' && index % 2 === 1);
    const error = (isRead ? fi_read : fi_write)(a.endpoint, part(source), 1, address, key, index);
    expect(error).toBeUndefined();
    posted++;
  }
  return posted;
}

/** Waits for the completions, and proves that each operation has one. */
async function eachOnce({ world, a }: Scene, posted: number): Promise<void> {
  await world.until(() => a.completions.length + a.errors.length >= posted);
  await world.wait(20);
  const all = [...contexts(a), ...a.errors.map(({ context }) => context)].map(Number);
  expect(all.sort((one, other) => one - other)).toEqual(
    Array.from({ length: posted }, (_, index) => index),
  );
}

describe.each(FABRIC_PROVIDERS)('fabric conformance, mr_abort: $name', (provider) => {
  const { connected } = fabricWorlds(provider, { bandwidthBytesPerMs: 100_000 });

  async function scene(): Promise<Scene> {
    const { world, a, b } = await pairOf(connected);
    const register = (rank: Rank) =>
      Promise.all(Array.from({ length: REGIONS }, () => rank.register(BYTES)));
    const [sources, targets] = [await register(a), await register(b)];
    for (const [index, { memory }] of sources.entries()) memory.bytes.fill(index + 1);
    return { world, a, b, sources, targets };
  }

  /** Closes regions as soon as the first operation has got through, before anything else happens. */
  async function closeUnderWay({ world, a }: Pick<Scene, 'world' | 'a'>, regions: readonly FiMr[]) {
    let closed = false;
    a.onRead = () => {
      if (closed) return;
      closed = true;
      expect(a.completions.length).toBeLessThan(OPERATIONS / 2);
      for (const mr of regions) fi_close(mr);
    };
    await world.until(() => closed);
  }

  behaves('efa mr_abort', 'initiator closes in mid-flight: one completion for each', async () => {
    for (const call of ['write', 'read'] as const) {
      const made = await scene();
      const posted = postAll(made, call);
      await closeUnderWay(made, mrsOf(made.sources));
      await eachOnce(made, posted);
      expect(made.a.errors.length).toBeGreaterThan(0);
      for (const { prov_errno } of made.a.errors) expect(INITIATOR_CLOSED).toContain(prov_errno);
      expect(made.b.errors).toEqual([]);
    }
  });

  behaves('efa mr_abort', 'target closes in mid-flight: one completion for each', async () => {
    for (const call of ['write', 'read'] as const) {
      const made = await scene();
      const posted = postAll(made, call);
      await closeUnderWay(made, mrsOf(made.targets));
      await eachOnce(made, posted);
      expect(made.a.errors.length).toBeGreaterThan(0);
      for (const { prov_errno } of made.a.errors) expect(TARGET_CLOSED).toContain(prov_errno);
      expect(made.b.errors).toEqual([]);
    }
  });

  behaves('efa mr_abort', 'both close in mid-flight: one completion for each', async () => {
    const made = await scene();
    const posted = postAll(made, 'both');
    await closeUnderWay(made, mrsOf([...made.targets, ...made.sources]));
    await eachOnce(made, posted);
    for (const { prov_errno } of made.a.errors) {
      expect([...INITIATOR_CLOSED, ...TARGET_CLOSED]).toContain(prov_errno);
    }
  });

  behaves('efa mr_abort', 'in reverse and in random order', async () => {
    for (const seed of [0, 1, 2, 3]) {
      const made = await scene();
      const regions = [...made.sources, ...made.targets].reverse();
      if (seed > 0) new Prng(seed).shuffle(regions);
      const posted = postAll(made, 'both');
      await closeUnderWay(made, mrsOf(regions.slice(0, REGIONS)));
      await eachOnce(made, posted);
    }
  });

  behaves(
    'efa mr_abort',
    'two regions over one buffer, one is closed: the other completes everything',
    async () => {
      for (const side of ['initiator', 'target'] as const) {
        const { world, a, b } = await pairOf(connected);
        const owner = side === 'initiator' ? a : b;
        const shared = await owner.register(BYTES);
        const dmabuf = { fd: shared.fd, offset: 0, len: BYTES, base_addr: 0x4000_0000 };
        const attr = { dmabuf, access: EVERY_ACCESS, iface: 'FI_HMEM_SYNAPSEAI' } as const;
        const second = ok(await fi_mr_regattr(owner.domain, attr, ['FI_MR_DMABUF']));
        const other = await (side === 'initiator' ? b : a).register(BYTES);
        const [source, target] = side === 'initiator' ? [shared, other] : [other, shared];
        source.memory.bytes.set(pattern(4096, 3));
        for (let index = 0; index < OPERATIONS; index++) {
          const mine: FiMr = index % 2 === 0 ? shared.mr : second;
          const [local, remote] = side === 'initiator' ? [mine, target.mr] : [source.mr, mine];
          const { address, key } = remote;
          expect(fi_write(a.endpoint, part(local), 1, address, key, index)).toBeUndefined();
        }
        await closeUnderWay({ world, a }, [shared.mr]);
        await world.until(() => a.completions.length + a.errors.length === OPERATIONS);
        await world.wait(20);
        expect(a.errors.length).toBeGreaterThan(0);
        // Those on the region that stayed open are complete, and in their order.
        expect(a.errors.map(({ context }) => Number(context) % 2)).toEqual(a.errors.map(() => 0));
        const odd = contexts(a)
          .map(Number)
          .filter((index) => index % 2 === 1);
        expect(odd).toEqual(Array.from({ length: OPERATIONS / 2 }, (_, index) => 2 * index + 1));
        expect(Buffer.compare(target.memory.bytes, source.memory.bytes)).toBe(0);
      }
    },
  );

  behaves('efa mr_abort', 'a region of a message that nobody has received yet', async () => {
    for (const side of ['sender', 'receiver'] as const) {
      const { world, a, b } = await pairOf(connected);
      const [source, target] = [await a.register(BYTES), await b.register(BYTES)];
      const length = 2 * EAGER_BYTES;
      fi_tsend(a.endpoint, part(source.mr, 0, length), 1, 1n, 'gone');
      fi_tsend(a.endpoint, part((await a.register(BYTES)).mr, 0, length), 1, 2n, 'there');
      await world.wait(20);
      if (side === 'sender') fi_close(source.mr);
      fi_trecv(b.endpoint, part(target.mr, 0, length), 0, 1n, 0n, 'first');
      if (side === 'receiver') fi_close(target.mr);
      fi_trecv(b.endpoint, new Uint8Array(length), 0, 2n, 0n, 'second');
      await world.until(() => a.completions.length + a.errors.length === 2);
      await world.until(() => b.completions.length + b.errors.length === 2);
      expect([contexts(a), contexts(b)]).toEqual([['there'], ['second']]);
      const [sent, received] =
        side === 'sender'
          ? [
              ['FI_ECANCELED', 'IBV_WC_REM_ACCESS_ERR'],
              ['FI_EIO', 'IBV_WC_REM_ACCESS_ERR'],
            ]
          : [
              ['FI_EIO', 'IBV_WC_REM_OP_ERR'],
              ['FI_EIO', 'IBV_WC_LOC_PROT_ERR'],
            ];
      expect(failures(a)).toEqual([['gone', ...(sent ?? [])]]);
      expect(failures(b)).toEqual([['first', ...(received ?? [])]]);
    }
  });
});

describe('fabtests of regions that are closed', () => {
  behavesCompletely('efa mr_abort');
});

/** How ranks come to have wires, or none, and how they give them back. */
import { describe, expect, it } from 'vitest';
import { ranksOf } from '../../../../common/math.ts';
import { Prng } from '../../../../common/prng.ts';
import { delay } from '../../../../common/scheduler.ts';
import { BUFFER_BYTES, type PathOptions, type PathWorld, withPaths } from './path-world.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];

/** All ranks agree, beginning in any order. */
async function agreed(world: PathWorld, prng: Prng): Promise<void> {
  world.greet();
  const agreeing = world.ranks.map(async ({ path }) => {
    await delay(world.scheduler, prng.below(20));
    await path.agree();
  });
  await world.settle(prng);
  await Promise.all(agreeing);
}

async function run(
  nranks: number,
  options: PathOptions,
  work: (world: PathWorld, prng: Prng) => Promise<void>,
  seeds = SEEDS,
): Promise<void> {
  for (const seed of seeds)
    await withPaths(nranks, options, (world) => work(world, new Prng(seed)));
}

function expectNothingLeft(world: PathWorld): void {
  for (const { open, offers } of world.ranks) {
    expect([...open]).toEqual([]);
    expect([...offers]).toEqual([]);
  }
}

describe('wires of ranks', () => {
  it.each([2, 3, 5])('%i ranks that all can have them agree to, in any order', async (nranks) => {
    await run(nranks, {}, async (world, prng) => {
      await agreed(world, prng);
      for (const [rank, { path, open, offers }] of world.ranks.entries()) {
        expect(path.isOn).toBe(true);
        expect(open.size).toBe(2 * (nranks - 1));
        expect(offers.size).toBe(0);
        const { places } = path;
        const peers = ranksOf(nranks).filter((peer) => peer !== rank);
        expect(places?.device).toBe(rank);
        for (const fds of [places?.inbound ?? [], places?.outbound ?? []]) {
          expect(fds).toHaveLength(nranks);
          expect(fds[rank]).toBe(-1);
          for (const peer of peers) expect(open).toContain(fds[peer]);
        }
        const all = [...(places?.inbound ?? []), ...(places?.outbound ?? [])];
        expect(new Set(all).size).toBe(2 * (nranks - 1) + 1);
      }
      for (const { path } of world.ranks) await path.release();
      expectNothingLeft(world);
    });
  });

  it.each([
    ['dial', 0],
    ['dial', 2],
    ['accept', 0],
    ['accept', 1],
  ] as const)(
    'one %s that fails, of rank %i: nobody has wires, and all are closed',
    async (what, rank) => {
      await run(3, { refused: { rank, what } }, async (world, prng) => {
        await agreed(world, prng);
        for (const { path } of world.ranks) {
          expect(path.isOn).toBe(false);
          expect(path.places).toBeUndefined();
        }
        expectNothingLeft(world);
      });
    },
  );

  it('a rank that cannot have them: nobody says a word', async () => {
    await run(3, { without: [1] }, async (world, prng) => {
      await agreed(world, prng);
      expect(world.ranks.map(({ path }) => path.isPossible)).toEqual([true, false, true]);
      expect(world.ranks.map(({ path }) => path.isOn)).toEqual([false, false, false]);
      expect(world.isQuiet).toBe(true);
      expectNothingLeft(world);
    });
  });

  it('with progress auto on one rank there are none', async () => {
    await run(2, { progress: ['manual', 'auto'] }, async (world, prng) => {
      await agreed(world, prng);
      expect(world.ranks.map(({ path }) => path.isPossible)).toEqual([true, false]);
      expect(world.ranks.map(({ path }) => path.isOn)).toEqual([false, false]);
    });
  });

  it('one rank alone needs none', async () => {
    await withPaths(1, {}, async (world) => {
      await world.rank(0).path.agree();
      expect(world.rank(0).path.isOn).toBe(false);
    });
  });

  it('before all are there nobody is told of places', async () => {
    await withPaths(2, {}, async (world) => {
      world.greet();
      const agreeing = world.ranks.map(({ path }) => path.agree());
      const isNearly = () => world.ranks.every(({ open }) => open.size === 2);
      await world.settle(new Prng(1), () => {
        if (!isNearly()) for (const { path } of world.ranks) expect(path.places).toBeUndefined();
        return false;
      });
      await Promise.all(agreeing);
      expect(world.ranks.every(({ path }) => path.places !== undefined)).toBe(true);
    });
  });
});

describe('a rank that ends', () => {
  it.each(ranksOf(25))(
    'while ranks agree (after %i turns): it closes every descriptor',
    async (turns) => {
      await run(
        3,
        {},
        async (world, prng) => {
          world.greet();
          const agreeing = world.ranks.map(({ path }) => path.agree());
          let left = turns;
          await world.settle(prng, () => left-- === 0);
          const [first, ...others] = world.ranks;
          first?.path.stop();
          expect(first?.path.places).toBeUndefined();
          expect(first?.offers.size).toBe(0);
          expect([...(first?.open ?? [])].every((fd) => first?.shut.has(fd))).toBe(true);
          await first?.path.release();
          // The others hear of it from the coordinator, sooner or later.
          await world.settle(prng, () => prng.below(5) === 0);
          for (const { path } of others) path.stop();
          for (const { path } of others) await path.release();
          await world.settle(prng);
          await Promise.all(agreeing);
          for (const { path } of world.ranks) expect(path.isOn).toBe(false);
          expectNothingLeft(world);
          // HCCL's own memory has been given back, too.
          for (const { device } of world.ranks)
            expect(device.usage().allocatedBytes).toBe(BUFFER_BYTES);
        },
        [turns],
      );
    },
  );

  it('ends its wires at once, so that peers find out, and closes them when they are given back', async () => {
    await run(2, {}, async (world, prng) => {
      await agreed(world, prng);
      const { path, open, shut } = world.rank(0);
      path.stop();
      expect([...shut].toSorted()).toEqual([...open].toSorted());
      expect(open.size).toBe(2);
      expect(path.isOn).toBe(false);
      expect(path.places).toBeUndefined();
      path.stop();
      await path.release();
      expect(open.size).toBe(0);
      await path.release();
      await world.rank(1).path.release();
      expectNothingLeft(world);
    });
  });

  it('is abandoned with its process: every descriptor is closed at once', async () => {
    await run(3, {}, async (world, prng) => {
      await agreed(world, prng);
      for (const { path } of world.ranks) path.abandon();
      expectNothingLeft(world);
      for (const { path } of world.ranks) expect(path.isBusy).toBe(false);
    });
  });

  it('is abandoned while ranks agree: what comes later is closed too', async () => {
    for (const turns of ranksOf(20)) {
      await withPaths(2, {}, async (world) => {
        const prng = new Prng(turns);
        world.greet();
        const agreeing = world.ranks.map(({ path }) => path.agree());
        let left = turns;
        await world.settle(prng, () => left-- === 0);
        for (const { path } of world.ranks) path.abandon();
        await world.settle(prng);
        await Promise.all(agreeing);
        expectNothingLeft(world);
      });
    }
  });
});

describe('memory that wires use', () => {
  it('that is taken back fails the communicator, once', async () => {
    await run(
      2,
      {},
      async (world, prng) => {
        await agreed(world, prng);
        const { path, session, buffer, device, failures } = world.rank(1);
        const mr = await session.use(buffer, BUFFER_BYTES);
        path.watch(mr);
        path.watch(mr);
        session.unuse(mr);
        expect(failures).toEqual([]);
        await device.driver.hardReset('the test');
        expect(failures).toHaveLength(1);
        expect(failures[0]).toMatchObject({
          result: 'hcclInvalidUsage',
          message: expect.stringMatching(/the device of rank 1 has taken it back/),
        });
      },
      [1],
    );
  });

  it('that is taken back after the end is nothing to it', async () => {
    await run(
      2,
      {},
      async (world, prng) => {
        await agreed(world, prng);
        const { path, session, buffer, device, failures } = world.rank(1);
        path.watch(await session.use(buffer, BUFFER_BYTES));
        path.stop();
        await device.driver.hardReset('the test');
        expect(failures).toEqual([]);
      },
      [1],
    );
  });
});

/** The sweep on simulated hosts: the real program's measuring, HCCL, NICs and check kernels. */
import { describe, expect, it } from 'vitest';
import { allocateBuffers, type BenchBuffers, DIGEST_BYTES } from '../../bench/buffers.ts';
import { DATA_TYPE_WORDS, REDUCE_OPERATION_WORDS } from '../../bench/data-types.ts';
import { compareDigests } from '../../bench/digests.ts';
import { hasInPlace, layoutOf, type Place } from '../../bench/layout.ts';
import { measureSize } from '../../bench/measure.ts';
import { buffersOf } from '../../bench/operand-jobs.ts';
import type { BenchOptions } from '../../bench/options.ts';
import { applyChoice, loadSchedule } from '../../bench/preparation.ts';
import { BenchResults } from '../../bench/results.ts';
import { type BenchSize, benchSizes, elementBytes } from '../../bench/sizes.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { mscclDocument } from '../../collectives/msccl/from-programs.ts';
import { writeMscclXml } from '../../collectives/msccl/write.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../../collectives/names.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { MiB } from '../../common/bytes.ts';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { RankDevice } from '../../training/rank-device.ts';
import { inlineWorld } from '../simulation/inline-library.ts';
import { SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { type InlineCalls, inlineCalls } from './inline-calls.ts';
import { OPTIONS } from './samples.ts';

/** What a test may put between the sweep and the library. */
interface Surroundings {
  readonly library: InlineCalls;
  readonly device: RankDevice;
  readonly buffers: BenchBuffers;
  readonly rank: number;
  /** What is being measured. */
  readonly size: () => BenchSize;
}
type Change = (surroundings: Surroundings) => Partial<InlineCalls>;

const COLLECTIVES = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];
const SMALL: BenchOptions = { ...OPTIONS, minBytes: 8, maxBytes: 40_000, iterations: 2 };

/** What `bench/program.ts` does, with `change` between it and the library. */
async function sweep(
  { hosts, devices = 1 }: { readonly hosts: number; readonly devices?: number },
  options: BenchOptions,
  change: Change = () => ({}),
) {
  const cluster = new SimulatedCluster({ hosts, devices, latencyMs: 0.01 });
  // Where nothing crosses a network no virtual time passes, but some does on any machine.
  let calls = 0;
  const clock = {
    ...cluster.scheduler.clock,
    now: () => cluster.scheduler.clock.now() + calls++ / 1e6,
  };
  const nranks = hosts * devices;
  const results = new BenchResults(options, nranks);
  const job = await cluster.run(async (inline) => {
    const library = inlineCalls(inline);
    const world = await inlineWorld(inline);
    await applyChoice(library, world.comm, options);
    await loadSchedule(library, world.comm, options);
    const { rank } = inline;
    const sizes = benchSizes(options, nranks);
    const before = await library.hlthunk_get_dram_usage(world.fd);
    const device = await RankDevice.open(library, world.fd, DIGEST_BYTES);
    const { collective, root } = options;
    const request = { sizes, rank, nranks, collective, root };
    const buffers = await allocateBuffers(library, world.fd, device, request);
    let current: BenchSize | undefined;
    const size = (): BenchSize => current ?? expect.unreachable();
    const changed = change({ library, device, buffers, rank, size });
    const init = { library: { ...library, ...changed }, world, device, buffers, options, clock };
    for (const [index, one] of sizes.entries()) {
      current = one;
      results.add(rank, await measureSize(init, one, index));
    }
    await device.close();
    await hcclCommDestroy(inline.channel, world.comm);
    const after = await library.hlthunk_get_dram_usage(world.fd);
    expect(after.dramFreeBytes).toBeGreaterThanOrEqual(before.dramFreeBytes);
  });
  return { results, errors: [...job.errors.values()] };
}

describe('a sweep on simulated hosts', () => {
  it.each(COLLECTIVES)('of %s has no wrong element', async (collective) => {
    for (const cluster of [{ hosts: 1 }, { hosts: 3 }, { hosts: 2, devices: 2 }]) {
      const nranks = cluster.hosts * (cluster.devices ?? 1);
      const options = { ...SMALL, collective, root: nranks - 1 };
      const { results, errors } = await sweep(cluster, options);
      expect(errors).toEqual([]);
      expect(results.complete).toBe(true);
      expect(results.outOfBounds).toBe(0);
      for (const { outOfPlace, inPlace } of results.rows) {
        expect(outOfPlace?.wrong).toBe(0);
        expect(inPlace?.wrong).toBe(hasInPlace(collective) ? 0 : undefined);
      }
    }
  });

  it.each(
    COLLECTIVES.filter((collective) => collective !== 'barrier').flatMap((collective) =>
      (['outOfPlace', 'inPlace'] as const)
        .filter((place) => place === 'outOfPlace' || hasInPlace(collective))
        .map((place) => [collective, place] as const),
    ),
  )('of %s %s finds the one wrong element of each rank', async (collective, place) => {
    const options = { ...SMALL, collective, places: [place], minBytes: 640, maxBytes: 5120 };
    for (const at of ['first', 'last'] as const) {
      const { results, errors } = await sweep({ hosts: 3 }, options, corrupting(options, at));
      expect(errors).toEqual([]);
      const [first, second] = results.rows.map((row) => row[place]?.wrong);
      const ranksWithResult = ['reduce', 'gather'].includes(collective) ? 1 : 3;
      expect([first, second]).toEqual([ranksWithResult, ranksWithResult]);
    }
  });

  it.each(DATA_TYPE_WORDS)('of every operation on %s has no wrong element', async (dataType) => {
    const options: BenchOptions = {
      ...{ ...SMALL, iterations: 1, minBytes: 16, maxBytes: 8192 },
      dataTypes: [dataType],
      reduceOps: REDUCE_OPERATION_WORDS,
    };
    const { results, errors } = await sweep({ hosts: 3 }, options);
    expect(errors).toEqual([]);
    expect(results.rows).toHaveLength(4 * REDUCE_OPERATION_WORDS.length);
    expect(results.outOfBounds).toBe(0);
  });

  it('runs more iterations than calls that are posted at a time, and none to warm up', async () => {
    const options = { ...OPTIONS, maxBytes: 8, iterations: 150, warmupIterations: 0 };
    let calls = 0;
    const { results, errors } = await sweep({ hosts: 2 }, options, ({ library }) => ({
      hcclAllReduce: (...rest) => {
        calls++;
        return library.hcclAllReduce(...rest);
      },
    }));
    expect(errors).toEqual([]);
    expect(results.outOfBounds).toBe(0);
    // Two ranks, out of place and in place, and one more run for each check.
    expect(calls).toBe(2 * 2 * (150 + 1));
  });

  it.each([true, false])('waits for each call before the next: %s', async (blocking) => {
    const options = { ...OPTIONS, maxBytes: 8, blocking };
    const overlapping: number[] = [];
    const { results, errors } = await sweep({ hosts: 2 }, options, ({ library }) => {
      let [posted, ended] = [0, 0];
      return {
        hcclAllReduce: (...rest) => {
          overlapping.push(posted - ended);
          posted++;
          return library.hcclAllReduce(...rest);
        },
        synStreamSynchronize: async (...rest) => {
          const all = posted;
          await library.synStreamSynchronize(...rest);
          ended = all;
        },
      };
    });
    expect(errors).toEqual([]);
    expect(results.outOfBounds).toBe(0);
    expect(overlapping.some((calls) => calls > 0)).toBe(!blocking);
  });

  it('counts every element of all_reduce that is not the sum', async () => {
    const { results } = await sweep({ hosts: 3 }, SMALL, ({ library }) => ({
      hcclAllReduce: (send, recv, count, ...rest) =>
        library.hcclAllReduce(send, recv, count - 1, ...rest),
    }));
    // The last element is missing on each of the three ranks, at each of the five sizes.
    expect(results.rows.map(({ outOfPlace }) => outOfPlace?.wrong)).toEqual([3, 3, 3, 3, 3]);
    expect(results.outOfBounds).toBe(30);
  });

  it('counts every element of all_gather that is of another rank', async () => {
    const options = { ...SMALL, collective: 'all_gather', minBytes: 512, maxBytes: 512 } as const;
    const { results } = await sweep({ hosts: 2 }, options, ({ library }) => ({
      hcclAllGather: async (send, recv, count, type, comm) => {
        // Each rank gets the sum of the blocks instead of the blocks.
        await library.hcclAllReduce(send, recv, count, type, library.hcclSum, comm);
      },
    }));
    const { outOfPlace } = results.rows[0] ?? {};
    expect(outOfPlace?.wrong).toBeGreaterThan(2 * 120);
  });

  it('compares nothing without a check', async () => {
    const { results, errors } = await sweep({ hosts: 2 }, { ...SMALL, check: false });
    expect(errors).toEqual([]);
    expect(results.rows.every(({ inPlace }) => inPlace?.wrong === null)).toBe(true);
  });

  it('says how HCCL carried each size out, as it was told', async () => {
    const choice = { algorithm: 'direct', channels: 2, chunks: 3, sliceBytes: 128 };
    const { results, errors } = await sweep({ hosts: 3 }, { ...SMALL, ...choice });
    expect(errors).toEqual([]);
    expect(results.outOfBounds).toBe(0);
    expect(results.rows.map((row) => row.choice)).toEqual(Array(5).fill(choice));
  });

  it('runs a schedule that it was given, in chunks that it is proved for', async () => {
    const built = buildSchedule({
      ...{ collective: 'allReduce', algorithm: 'ring', topology: flatTopology(3) },
    });
    const document = mscclDocument(lowerAll(built), { name: 'mine', placements: ['inPlace'] });
    const options: BenchOptions = {
      ...{ ...SMALL, schedule: writeMscclXml(document), countMultiple: 3, places: ['inPlace'] },
    };
    const { results, errors } = await sweep({ hosts: 3 }, options);
    expect(errors).toEqual([]);
    expect(results.outOfBounds).toBe(0);
    expect(results.rows.map(({ count }) => count % 3)).toEqual([0, 0, 0, 0, 0]);
    for (const { outOfPlace, inPlace, choice } of results.rows) {
      expect(outOfPlace).toBeNull();
      expect(inPlace?.wrong).toBe(0);
      expect(choice?.algorithm).toMatch(/^msccl:mine#/);
    }
  });

  it('gives the same digests again, and others where the order of a sum is another', async () => {
    const options = { ...SMALL, digest: true, minBytes: 4096, maxBytes: 4096, stepFactor: 2 };
    const rowsOf = async (algorithm: string) => {
      const { results, errors } = await sweep({ hosts: 4 }, { ...options, algorithm });
      expect(errors).toEqual([]);
      return results.rows;
    };
    const [ring, again, direct] = [
      await rowsOf('ring'),
      await rowsOf('ring'),
      await rowsOf('binomialTree'),
    ];
    expect(compareDigests([ring, again])).toEqual({ launches: 2, results: 8, differing: [] });
    expect(compareDigests([ring, again, direct]).differing).toHaveLength(8);
  });

  it('that does not fit into HBM says which --hbm it needs', async () => {
    const options = { ...OPTIONS, minBytes: 64 * MiB, maxBytes: 64 * MiB };
    const { errors } = await sweep({ hosts: 2 }, options);
    expect(errors).toHaveLength(2);
    for (const { message } of errors) {
      expect(message).toMatch(
        /^Expected 128\.1 MiB of free device memory \(HBM\) .* but found .* of 64 MiB: /,
      );
      const hbm = Number(/--hbm (\d+)M/.exec(message)?.[1]);
      expect(hbm).toBeGreaterThan(128);
      expect(hbm).toBeLessThan(192);
    }
  });
});

/** Overwrites one element of the result whenever calls have ended. */
function corrupting(options: BenchOptions, at: 'first' | 'last'): Change {
  const { collective, root, places } = options;
  const [place] = places as [Place];
  return ({ library, device, buffers, rank, size }) => ({
    synStreamSynchronize: async (...rest) => {
      await library.synStreamSynchronize(...rest);
      const layout = layoutOf({ collective, size: size(), rank, nranks: 3, root });
      const { outputLength } = layout;
      if (outputLength === 0) return;
      const { output } = buffersOf(buffers, { layout, size: size(), place });
      const bytes = elementBytes(size().dataType);
      const address = output + (at === 'first' ? 0 : outputLength - 1) * bytes;
      const tensor = { address, bytes };
      await device.run([{ kind: 'kernel', kernel: 'fill_u8', tensors: [tensor], scalars: [0x5b] }]);
    },
  });
}

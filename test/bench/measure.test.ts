/** The sweep on simulated hosts: the real program's measuring, HCCL, NICs and check kernels. */
import { describe, expect, it } from 'vitest';
import { allocateBuffers } from '../../bench/buffers.ts';
import { measureSize } from '../../bench/measure.ts';
import type { BenchOptions } from '../../bench/options.ts';
import { BenchResults } from '../../bench/results.ts';
import { benchSizes, ELEMENT_BYTES } from '../../bench/sizes.ts';
import { MiB } from '../../common/bytes.ts';
import { hcclCommDestroy } from '../../node/hccl/api.ts';
import { RankDevice } from '../../training/rank-device.ts';
import { type InlineLibrary, inlineLibrary, inlineWorld } from '../simulation/inline-library.ts';
import { type InlineRank, SimulatedCluster } from '../simulation/simulated-cluster.ts';
import { OPTIONS } from './samples.ts';

type Change = (library: InlineLibrary, rank: InlineRank) => Partial<InlineLibrary>;

/** What `bench/program.ts` does, with `change` between it and the library. */
async function sweep(hosts: number, options: BenchOptions, change: Change = () => ({})) {
  const cluster = new SimulatedCluster({ hosts, latencyMs: 0.01 });
  const { clock } = cluster.scheduler;
  const results = new BenchResults(options, hosts);
  const job = await cluster.run(async (rank) => {
    const original = inlineLibrary(rank);
    const library = { ...original, ...change(original, rank) };
    const world = await inlineWorld(rank);
    const sizes = benchSizes(options, hosts);
    const before = await library.hlthunk_get_dram_usage(world.fd);
    const device = await RankDevice.open(library, world.fd, ELEMENT_BYTES);
    const buffers = await allocateBuffers(library, world.fd, device, sizes);
    const init = { library, world, device, buffers, options, clock };
    for (const [index, size] of sizes.entries()) {
      results.add(rank.rank, await measureSize(init, size, index));
    }
    await device.close();
    expect(await library.hlthunk_get_dram_usage(world.fd)).toEqual(before);
    await hcclCommDestroy(rank.channel, world.comm);
  });
  return { results, errors: [...job.errors.values()] };
}

const SMALL: BenchOptions = { ...OPTIONS, minBytes: 8, maxBytes: 40_000, iterations: 2 };

describe('a sweep on simulated hosts', () => {
  it.each([
    { collective: 'all_reduce', hosts: 2 },
    { collective: 'all_reduce', hosts: 3 },
    { collective: 'all_gather', hosts: 3 },
    { collective: 'all_gather', hosts: 4 },
  ] as const)('$collective on $hosts ranks has no wrong element', async ({ collective, hosts }) => {
    const { results, errors } = await sweep(hosts, { ...SMALL, collective });
    expect(errors).toEqual([]);
    expect(results.complete).toBe(true);
    expect(results.outOfBounds).toBe(0);
    expect(results.rows.map(({ outOfPlace }) => outOfPlace.wrong)).toEqual([0, 0, 0, 0, 0]);
    expect(results.averageBusBandwidth).toBeGreaterThan(0);
  });

  it('runs more iterations than calls that are posted at a time, and none to warm up', async () => {
    const options = { ...OPTIONS, maxBytes: 8, iterations: 150, warmupIterations: 0 };
    let calls = 0;
    const { results, errors } = await sweep(2, options, (library) => ({
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

  it('counts every element of all_reduce that is not the sum', async () => {
    const { results } = await sweep(3, SMALL, (library) => ({
      hcclAllReduce: (send, recv, count, ...rest) =>
        library.hcclAllReduce(send, recv, count - 1, ...rest),
    }));
    // The last element is missing on each of the three ranks, at each of the five sizes.
    expect(results.rows.map(({ outOfPlace }) => outOfPlace.wrong)).toEqual([3, 3, 3, 3, 3]);
    expect(results.outOfBounds).toBe(30);
  });

  it('counts every element of all_gather that is of another rank', async () => {
    const options = { ...SMALL, collective: 'all_gather', minBytes: 512, maxBytes: 512 } as const;
    const { results } = await sweep(2, options, (library) => ({
      hcclAllGather: async (send, recv, count, type, comm) => {
        // Each rank gets the sum of the blocks instead of the blocks.
        await library.hcclAllReduce(send, recv, count, type, library.hcclSum, comm);
      },
    }));
    const { outOfPlace } = results.rows[0] ?? {};
    expect(outOfPlace?.wrong).toBeGreaterThan(2 * 120);
  });

  it('compares nothing without a check', async () => {
    const { results, errors } = await sweep(2, { ...SMALL, check: false });
    expect(errors).toEqual([]);
    expect(results.rows.every(({ inPlace }) => inPlace.wrong === null)).toBe(true);
  });

  it('that does not fit into HBM says which --hbm it needs', async () => {
    const options = { ...OPTIONS, minBytes: 64 * MiB, maxBytes: 64 * MiB };
    const { errors } = await sweep(2, options);
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

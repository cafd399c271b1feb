import { describe, expect, it } from 'vitest';
import { delay } from '../../common/scheduler.ts';
import {
  hcclCommAbort,
  hcclCommCount,
  hcclCommDestroy,
  hcclCommSplit,
  hcclCommUserRank,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { HCCL_SPLIT_NOCOLOR, hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { SPLIT_TIMEOUT_MS } from '../../node/hccl/split.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };

/** The sum of `value` over the ranks of a communicator. */
async function sumOver(rank: InlineRank, fd: number, comm: number, value: number) {
  const { channel } = rank;
  const buffer = await allocate(channel, fd, 4);
  await writeFloats(rank, fd, buffer, Float32Array.of(value));
  await hcclAllReduce(channel, buffer, buffer, 1, hcclFloat32, hcclSum, comm);
  await synStreamSynchronize(channel);
  return (await readFloats(rank, fd, buffer, 1))[0];
}

describe('hcclCommSplit', () => {
  it('makes one communicator per color, ordered by key and then by old rank', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, devices: 2, ...LINK });
    const found: [number, number][] = [];
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      // Ranks 0, 2, 4 by falling rank; ranks 1, 3, 5 with equal keys.
      const odd = rank.rank % 2;
      const part = await hcclCommSplit(channel, comm, odd, odd ? 7 : -rank.rank);
      if (part === null) throw new Error('Expected a communicator');
      const own = await hcclCommUserRank(channel, part);
      found[rank.rank] = [own, await hcclCommCount(channel, part)];
      expect(await sumOver(rank, fd, part, rank.rank)).toBe(odd ? 9 : 6);
      expect(await sumOver(rank, fd, comm, 1)).toBe(6);
      await hcclCommDestroy(channel, part);
      await hcclCommDestroy(channel, comm);
    });
    expect([...job.errors.values()]).toEqual([]);
    expect(found).toEqual([
      [2, 3],
      [0, 3],
      [1, 3],
      [1, 3],
      [0, 3],
      [2, 3],
    ]);
  });

  it('gives null to a rank without color, and can be done again, also of a part', async () => {
    const cluster = new SimulatedCluster({ hosts: 4, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const color = rank.rank === 3 ? HCCL_SPLIT_NOCOLOR : 5;
      const three = await hcclCommSplit(channel, comm, color, 0);
      const pairs = await hcclCommSplit(channel, comm, rank.rank >> 1, 0);
      expect(await hcclCommCount(channel, pairs as number)).toBe(2);
      if (rank.rank === 3) {
        expect(three).toBe(null);
        return;
      }
      const part = await hcclCommSplit(channel, three as number, rank.rank === 0 ? 0 : 1, 0);
      expect(await sumOver(rank, fd, part as number, 1)).toBe(rank.rank === 0 ? 1 : 2);
    });
    expect([...job.errors.values()]).toEqual([]);
  });

  it.each([0, 2])(
    'that rank %d does not call ends on all others with its number, in bounded time',
    async (absent) => {
      const cluster = new SimulatedCluster({ hosts: 3, ...LINK });
      const job = await cluster.run(async (rank) => {
        const { comm } = await joinWorld(rank);
        if (rank.rank === absent) return delay(cluster.scheduler, SPLIT_TIMEOUT_MS + 10_000);
        await hcclCommSplit(rank.channel, comm, 0, 0);
      });
      for (const rank of [0, 1, 2].filter((one) => one !== absent)) {
        expect(job.errors.get(rank)?.message).toMatch(
          new RegExp(`^hcclInvalidUsage: Expected every rank .* but rank ${absent} did not`),
        );
      }
    },
  );

  it('of a communicator that breaks meanwhile fails at once', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    let failedAtMs = 0;
    const job = await cluster.run(async (rank) => {
      const { comm } = await joinWorld(rank);
      if (rank.rank === 1) return hcclCommAbort(rank.channel, comm);
      await hcclCommSplit(rank.channel, comm, 0, 0).finally(() => {
        failedAtMs = cluster.scheduler.clock.now();
      });
    });
    expect(job.errors.get(0)?.message).toMatch(/Rank 1 aborted its communicator/);
    expect(failedAtMs).toBeLessThan(5_000);
  });

  it('refuses a color below HCCL_SPLIT_NOCOLOR', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { comm } = await joinWorld(rank);
      await hcclCommSplit(rank.channel, comm, -2, 0);
    });
    expect(job.errors.get(0)?.message).toMatch(/^hcclInvalidArgument: .*color/);
  });
});

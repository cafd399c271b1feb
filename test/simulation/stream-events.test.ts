import { describe, expect, it } from 'vitest';
import { delay } from '../../common/scheduler.ts';
import { hcclCommInitRank, synStreamCreate, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import {
  synEventCreate,
  synEventDestroy,
  synEventQuery,
  synEventRecord,
  synEventSynchronize,
  synStreamWaitEvent,
} from '../../node/hccl/event-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { allocate, type InlineRank, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

const COUNT = 100_000;
/** How long rank 1 leaves rank 0 alone in its first collective. */
const LATE_MS = 50;

/** Two ranks, of which rank 1 comes late to whatever it calls on its first communicator. */
async function onTwoRanks(
  program: (rank: InlineRank, cluster: SimulatedCluster) => Promise<void>,
): Promise<SimulatedCluster> {
  const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.05, bandwidthBytesPerMs: 1e6 });
  const job = await cluster.run((rank) => program(rank, cluster));
  expect([...job.errors.values()]).toEqual([]);
  return cluster;
}

/** Two communicators and two streams, the first of which stands still for `LATE_MS` on rank 0. */
async function setUp(rank: InlineRank) {
  const { channel } = rank;
  const { fd, comm: first } = await joinWorld(rank);
  const second = await hcclCommInitRank(channel, fd, 2, 'second', rank.rank);
  const stream = await synStreamCreate(channel);
  const buffer = await allocate(channel, fd, 4 * COUNT);
  const reduce = (comm: number, on: number) =>
    hcclAllReduce(channel, buffer, buffer, COUNT, hcclFloat32, hcclSum, comm, on);
  return { first, second, stream, reduce };
}

describe('events', () => {
  it('are reached when what was queued before their record has ended', async () => {
    await onTwoRanks(async (rank, cluster) => {
      const { channel } = rank;
      const { first, reduce } = await setUp(rank);
      const event = await synEventCreate(channel);
      expect(await synEventQuery(channel, event)).toBe(true);
      if (rank.rank === 1) await delay(cluster.scheduler, LATE_MS);
      await reduce(first, 0);
      await synEventRecord(channel, event);
      expect(await synEventQuery(channel, event)).toBe(false);
      const begun = cluster.scheduler.clock.now();
      await synEventSynchronize(channel, event);
      expect(await synEventQuery(channel, event)).toBe(true);
      if (rank.rank === 0) {
        expect(cluster.scheduler.clock.now() - begun).toBeGreaterThan(LATE_MS - 1);
      }
      await synEventDestroy(channel, event);
    });
  });

  it('hold up a stream that waits for them, until the other has come so far', async () => {
    const cluster = await onTwoRanks(async (rank, { scheduler }) => {
      const { channel } = rank;
      const { first, second, stream, reduce } = await setUp(rank);
      const event = await synEventCreate(channel);
      if (rank.rank === 1) await delay(scheduler, LATE_MS);
      await reduce(first, 0);
      await synEventRecord(channel, event);
      await synStreamWaitEvent(channel, stream, event);
      await reduce(second, stream);
      await synStreamSynchronize(channel, stream);
      await synStreamSynchronize(channel);
    });
    expect(orderOn(cluster, 0)).toEqual(['begin', 'end', 'begin', 'end']);
  });

  it('do not hold up a stream that does not wait', async () => {
    const cluster = await onTwoRanks(async (rank, { scheduler }) => {
      const { channel } = rank;
      const { first, second, stream, reduce } = await setUp(rank);
      // Rank 1 calls the second communicator first, and the first one late.
      if (rank.rank === 1) {
        await reduce(second, stream);
        await delay(scheduler, LATE_MS);
      }
      await reduce(first, 0);
      if (rank.rank === 0) await reduce(second, stream);
      await synStreamSynchronize(channel, stream);
      await synStreamSynchronize(channel);
    });
    expect(orderOn(cluster, 0)).toEqual(['begin', 'begin', 'end', 'end']);
  });

  it('that are recorded anew are waited for as they were', async () => {
    await onTwoRanks(async (rank, cluster) => {
      const { channel } = rank;
      const { first, stream, reduce } = await setUp(rank);
      const event = await synEventCreate(channel);
      await synEventRecord(channel, event);
      await synStreamWaitEvent(channel, stream, event);
      if (rank.rank === 1) await delay(cluster.scheduler, LATE_MS);
      await reduce(first, 0);
      await synEventRecord(channel, event);
      const begun = cluster.scheduler.clock.now();
      await synStreamSynchronize(channel, stream);
      expect(cluster.scheduler.clock.now() - begun).toBeLessThan(1);
      await synStreamSynchronize(channel);
    });
  });

  it('that are not there are refused', async () => {
    await onTwoRanks(async ({ channel }) => {
      for (const call of [synEventQuery, synEventSynchronize, synEventDestroy, synEventRecord]) {
        await expect(call(channel, 9)).rejects.toThrow(
          /^hcclInvalidArgument: Expected an event but found 9/,
        );
      }
      const event = await synEventCreate(channel);
      await expect(synEventRecord(channel, event, 5)).rejects.toThrow(/Expected a stream/);
    });
  });
});

/** Begins and ends of collectives on a rank, in the order of time. */
function orderOn({ trace }: SimulatedCluster, rank: number): string[] {
  return trace.flatMap((event) => {
    if (event.rank !== rank) return [];
    if (event.kind === 'collectiveBegin') return ['begin'];
    return event.kind === 'collectiveEnd' ? ['end'] : [];
  });
}

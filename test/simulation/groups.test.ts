import { describe, expect, it } from 'vitest';
import {
  hcclCommDestroy,
  hcclCommInitRank,
  synStreamCreate,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { hcclGroupEnd, hcclGroupStart, hcclRecv, hcclSend } from '../../node/hccl/message-api.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };
const COUNT = 1000;

function reduce({ channel }: InlineRank, buffer: number, comm: number, stream = 0) {
  return hcclAllReduce(channel, buffer, buffer, COUNT, hcclFloat32, hcclSum, comm, stream);
}

/** A buffer of `COUNT` floats, each this rank's number plus one. */
async function filled(rank: InlineRank, fd: number): Promise<number> {
  const buffer = await allocate(rank.channel, fd, 4 * COUNT);
  await writeFloats(rank, fd, buffer, new Float32Array(COUNT).fill(rank.rank + 1));
  return buffer;
}

async function valueIn(rank: InlineRank, fd: number, buffer: number): Promise<number | undefined> {
  return (await readFloats(rank, fd, buffer, COUNT))[COUNT - 1];
}

/** Runs a program on two ranks that must go well. */
async function onTwoRanks(program: (rank: InlineRank) => Promise<void>): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
  const job = await cluster.run(program);
  expect([...job.errors.values()]).toEqual([]);
  expect(job.exitCode).toBe(0);
}

describe('a group of calls', () => {
  it('of several communicators ends, though the ranks list them in opposite order on one stream', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const other = await hcclCommInitRank(channel, fd, 2, 'other', rank.rank);
      const [first, second] = [await filled(rank, fd), await filled(rank, fd)];
      const calls = [() => reduce(rank, first, comm), () => reduce(rank, second, other)];
      await hcclGroupStart(channel);
      for (const call of rank.rank === 0 ? calls : calls.reverse()) await call();
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, first)).toBe(3);
      expect(await valueIn(rank, fd, second)).toBe(3);
      await hcclCommDestroy(channel, other);
      await hcclCommDestroy(channel, comm);
    });
  });

  it('runs the collectives of one communicator in their order, on whatever streams', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await filled(rank, fd);
      const stream = await synStreamCreate(channel);
      await hcclGroupStart(channel);
      await reduce(rank, buffer, comm, stream);
      await reduce(rank, buffer, comm);
      await reduce(rank, buffer, comm, stream);
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      await synStreamSynchronize(channel, stream);
      expect(await valueIn(rank, fd, buffer)).toBe(12);
    });
  });

  it('starts at the outermost end only', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await filled(rank, fd);
      await hcclGroupStart(channel);
      await hcclGroupStart(channel);
      await reduce(rank, buffer, comm);
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, buffer)).toBe(rank.rank + 1);
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, buffer)).toBe(3);
    });
  });

  it('may be made without waiting for its calls', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await filled(rank, fd);
      const target = await allocate(channel, fd, 4 * COUNT);
      const peer = 1 - rank.rank;
      await Promise.all([
        hcclGroupStart(channel),
        hcclSend(channel, buffer, COUNT, hcclFloat32, peer, comm),
        hcclRecv(channel, target, COUNT, hcclFloat32, peer, comm),
        hcclGroupEnd(channel),
      ]);
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, target)).toBe(peer + 1);
    });
  });

  it('with a call that is refused does none of its calls, and its end tells why', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await filled(rank, fd);
      await hcclGroupStart(channel);
      await reduce(rank, buffer, comm);
      await hcclSend(channel, buffer, COUNT, hcclFloat32, 2, comm);
      await reduce(rank, buffer + 1, comm);
      await expect(hcclGroupEnd(channel)).rejects.toThrow(
        /^hcclInvalidArgument: Expected a peer from 0 to 1 but found 2/,
      );
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, buffer)).toBe(rank.rank + 1);
      await reduce(rank, buffer, comm);
      await synStreamSynchronize(channel);
      expect(await valueIn(rank, fd, buffer)).toBe(3);
    });
  });

  it('that is empty is nothing', async () => {
    await onTwoRanks(async (rank) => {
      await joinWorld(rank);
      await hcclGroupStart(rank.channel);
      await hcclGroupEnd(rank.channel);
    });
  });

  it('must have begun before it ends', async () => {
    await onTwoRanks(async (rank) => {
      await expect(hcclGroupEnd(rank.channel)).rejects.toThrow(
        /^hcclInvalidUsage: Expected hcclGroupStart before hcclGroupEnd/,
      );
    });
  });

  it('keeps its communicators from being destroyed before it has ended', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await filled(rank, fd);
      await hcclGroupStart(channel);
      await reduce(rank, buffer, comm);
      await expect(hcclCommDestroy(channel, comm)).rejects.toThrow(
        /^hcclInvalidUsage: Expected hcclGroupEnd before hcclCommDestroy/,
      );
      await hcclGroupEnd(channel);
      await hcclCommDestroy(channel, comm);
      expect(await valueIn(rank, fd, buffer)).toBe(3);
    });
  });
});

import { describe, expect, it } from 'vitest';
import { synStreamCreate, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllReduce, hcclBroadcast } from '../../node/hccl/collective-api.ts';
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

async function onTwoRanks(program: (rank: InlineRank) => Promise<void>): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.05 });
  const job = await cluster.run(program);
  expect([...job.errors.values()]).toEqual([]);
}

describe('a group on several streams at one rank and on one stream at the other', () => {
  it('pairs messages in the order of their calls', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const other = await synStreamCreate(channel);
      const buffer = await allocate(channel, fd, 16);
      if (rank.rank === 0) await writeFloats(rank, fd, buffer, Float32Array.of(1, 2, 3, 4));
      const move = rank.rank === 0 ? hcclSend : hcclRecv;
      await hcclGroupStart(channel);
      for (const index of [0, 1, 2, 3]) {
        const stream = rank.rank === 0 && index % 2 === 1 ? other : 0;
        await move(channel, buffer + 4 * index, 1, hcclFloat32, 1 - rank.rank, comm, stream);
      }
      await hcclGroupEnd(channel);
      for (const stream of [0, other]) await synStreamSynchronize(channel, stream);
      expect([...(await readFloats(rank, fd, buffer, 4))]).toEqual([1, 2, 3, 4]);
    });
  });

  it('runs the collectives of a communicator in the order of their calls', async () => {
    await onTwoRanks(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const other = await synStreamCreate(channel);
      const buffer = await allocate(channel, fd, 4);
      await writeFloats(rank, fd, buffer, Float32Array.of(rank.rank + 1));
      const split = rank.rank === 0 ? other : 0;
      await hcclGroupStart(channel);
      await hcclAllReduce(channel, buffer, buffer, 1, hcclFloat32, hcclSum, comm);
      await hcclBroadcast(channel, buffer, buffer, 1, hcclFloat32, 0, comm, split);
      await hcclAllReduce(channel, buffer, buffer, 1, hcclFloat32, hcclSum, comm);
      await hcclGroupEnd(channel);
      for (const stream of [0, other]) await synStreamSynchronize(channel, stream);
      expect([...(await readFloats(rank, fd, buffer, 1))]).toEqual([6]);
    });
  });
});

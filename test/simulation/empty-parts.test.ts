import { describe, expect, it } from 'vitest';
import { synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAlltoAll, hcclAlltoAllV } from '../../node/hccl/collective-api.ts';
import { hcclFloat32 } from '../../node/hccl/hccl.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

async function onThreeRanks(
  program: (rank: InlineRank, fd: number, comm: number) => Promise<void>,
): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.05 });
  const job = await cluster.run(async (rank) => {
    const { fd, comm } = await joinWorld(rank);
    await program(rank, fd, comm);
  });
  expect([...job.errors.values()]).toEqual([]);
}

describe('a rank that has nothing', () => {
  it.each([
    ['apart', false],
    ['in place', true],
  ])(
    'takes part in hcclAlltoAllV of others whose buffers lie %s, whatever its addresses',
    async (_, inPlace) => {
      for (const empty of [
        [0, 0],
        [0, 4096],
      ] as const) {
        await onThreeRanks(async (rank, fd, comm) => {
          const { channel } = rank;
          const counts = rank.rank === 2 ? [0, 0, 0] : [10, 10, 0];
          const send = await allocate(channel, fd, 80);
          const recv = inPlace ? send : await allocate(channel, fd, 80);
          await writeFloats(rank, fd, send, new Float32Array(20).fill(rank.rank + 1));
          const [from, to] = rank.rank === 2 ? empty : [send, recv];
          await hcclAlltoAllV(channel, from, to, counts, counts, hcclFloat32, comm);
          await synStreamSynchronize(channel);
          if (rank.rank === 2) return;
          const found = [...(await readFloats(rank, fd, recv, 20))];
          expect(found).toEqual([...Array(10).fill(1), ...Array(10).fill(2)]);
        });
      }
    },
  );

  it('and all others have nothing either: then addresses mean nothing', async () => {
    await onThreeRanks(async ({ channel, rank }, _fd, comm) => {
      await hcclAlltoAll(channel, 64, rank === 1 ? 64 : 128, 0, hcclFloat32, comm);
      const zeros = [0, 0, 0];
      await hcclAlltoAllV(channel, 64, rank === 1 ? 64 : 128, zeros, zeros, hcclFloat32, comm);
      await synStreamSynchronize(channel);
    });
  });
});

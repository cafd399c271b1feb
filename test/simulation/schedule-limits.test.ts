import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import { mscclDocument } from '../../collectives/msccl/from-programs.ts';
import { writeMscclXml } from '../../collectives/msccl/write.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import {
  hcclCommLoadSchedule,
  hcclCommSetChoice,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { CHUNKS_MAX } from '../../node/hccl/lanes.ts';
import { allocate, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

/** A ring all-reduce of two ranks as a file. */
function ring(channels = 1): string {
  const topology = flatTopology(2);
  const request = { collective: 'allReduce', algorithm: 'ring', topology, channels } as const;
  const programs = lowerAll(buildSchedule(request));
  return writeMscclXml(mscclDocument(programs, { name: 'ring', placements: ['outOfPlace'] }));
}

describe('what the engine has no room for', () => {
  it.each([
    [
      'a lane',
      ring().replaceAll('chan="0"', 'chan="40"').replace('nchannels="1"', 'nchannels="41"'),
    ],
    ['a channel', ring(70)],
  ])(
    '%s of a loaded schedule is refused when it is loaded, and the communicator goes on',
    async (_, text) => {
      const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.05 });
      const job = await cluster.run(async (rank) => {
        const { channel } = rank;
        const { fd, comm } = await joinWorld(rank);
        await expect(hcclCommLoadSchedule(channel, comm, text)).rejects.toThrow(
          /^hcclInvalidArgument: Expected chan below 32 and at most 64 channels on a rank but schedule ring/,
        );
        const [send, recv] = [await allocate(channel, fd, 64), await allocate(channel, fd, 64)];
        await hcclAllReduce(channel, send, recv, 16, hcclFloat32, hcclSum, comm);
        await synStreamSynchronize(channel);
      });
      expect([...job.errors.values()]).toEqual([]);
    },
  );

  it('chunks of hcclCommSetChoice are refused with the call', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { comm } = await joinWorld(rank);
      const chunks = CHUNKS_MAX + 1;
      await expect(
        hcclCommSetChoice(rank.channel, comm, { algorithm: 'ring', chunks }),
      ).rejects.toThrow(/^hcclInvalidArgument: .*chunks/);
    });
    expect([...job.errors.values()]).toEqual([]);
  });
});

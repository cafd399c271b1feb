/** R17: number 0 is a descriptor like any other, also for the dma-bufs that a collective makes. */
import { expect, it } from 'vitest';
import * as hlthunk from '../../node/device/hlthunk.ts';
import * as hccl from '../../node/hccl/api.ts';
import * as collective from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { allocate, readFloats, SimulatedCluster, writeFloats } from './simulated-cluster.ts';

it('R17: ranks whose lowest free descriptor is 0 join, reduce and leave', async () => {
  const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.01 });
  const job = await cluster.run(async (rank) => {
    const { channel, process, nranks } = rank;
    const first = await hlthunk.hlthunk_open(channel, 0);
    const fd = (await channel.call('dup', { fd: first })) as number;
    await hlthunk.hlthunk_close(channel, first);
    expect([first, fd]).toEqual([0, 1]);
    if (rank.rank === 0) {
      await hccl.storeSet(channel, 'id', await hccl.hcclGetUniqueId(channel));
    }
    const uniqueId = await hccl.storeGet(channel, 'id');
    const comm = await hccl.hcclCommInitRank(channel, fd, nranks, uniqueId, rank.rank);
    const buffer = await allocate(channel, fd, 4000);
    await writeFloats(rank, fd, buffer, new Float32Array(1000).fill(rank.rank + 1));
    await collective.hcclAllReduce(channel, buffer, buffer, 1000, hcclFloat32, hcclSum, comm);
    await hccl.synStreamSynchronize(channel);
    expect(await readFloats(rank, fd, buffer, 1000)).toEqual(new Float32Array(1000).fill(3));
    await hccl.hcclCommDestroy(channel, comm);
    // The dma-bufs have had number 0 in turn, and none has kept it.
    expect(process.fds.lookup(0)).toBe('EBADF');
  });
  expect([...job.errors.values()]).toEqual([]);
});

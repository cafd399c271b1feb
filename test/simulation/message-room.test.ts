import { describe, expect, it } from 'vitest';
import { POSTED_RECEIVES_MAX } from '../../node/fabric/match-queue.ts';
import { synStreamCreate, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclBarrier } from '../../node/hccl/collective-api.ts';
import { hcclInt8 } from '../../node/hccl/hccl.ts';
import { hcclGroupEnd, hcclGroupStart, hcclRecv, hcclSend } from '../../node/hccl/message-api.ts';
import { allocate, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

/** Of each kind, on each of three streams: together more than fit. */
const CALLS = Math.ceil(POSTED_RECEIVES_MAX / 2.8);

describe('more receives than an endpoint may have posted', () => {
  it('leave room for what both ranks must hear of each other, so that neither waits for ever', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.05 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 64);
      const peer = 1 - rank.rank;
      const streams = await Promise.all([0, 1, 2].map(() => synStreamCreate(channel)));
      for (const stream of streams) {
        await hcclGroupStart(channel);
        for (let index = 0; index < CALLS; index++) {
          await hcclRecv(channel, buffer, 1, hcclInt8, peer, comm, stream);
          await hcclSend(channel, buffer + 1, 1, hcclInt8, peer, comm, stream);
        }
        await hcclGroupEnd(channel);
      }
      await hcclBarrier(channel, comm);
      for (const stream of [0, ...streams]) await synStreamSynchronize(channel, stream);
    });
    expect([...job.errors.values()]).toEqual([]);
    expect(cluster.scheduler.clock.now()).toBeLessThan(1_000);
  });
});

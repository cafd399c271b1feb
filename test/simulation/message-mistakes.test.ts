import { describe, expect, it } from 'vitest';
import { Prng } from '../../common/prng.ts';
import { delay } from '../../common/scheduler.ts';
import { hcclCommDestroy, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclFloat32, hcclInt32 } from '../../node/hccl/hccl.ts';
import { hcclRecv, hcclSend } from '../../node/hccl/message-api.ts';
import { COLLECTIVE_TIMEOUT_MS } from '../../node/hccl/timeouts.ts';
import {
  allocate,
  type JobResult,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };
function valuesOf(rank: number, count: number): Float32Array {
  const prng = new Prng(100 * count + rank);
  return Float32Array.from({ length: count }, () => prng.normal());
}

/** Messages of every rank of a job, all of which get the same one, that names what differs. */
function oneMessage(job: JobResult, nranks: number): string {
  const messages = Array.from({ length: nranks }, (_, rank) => job.errors.get(rank)?.message);
  expect(new Set(messages).size).toBe(1);
  return messages[0] ?? '';
}

describe('messages that cannot be', () => {
  it.each([
    [
      'counts',
      10,
      hcclFloat32,
      20,
      hcclFloat32,
      /hcclSend \(10 x float32\).*hcclRecv \(20 x float32\)/,
    ],
    ['types', 10, hcclFloat32, 10, hcclInt32, /hcclSend \(10 x float32\).*hcclRecv \(10 x int32\)/],
  ] as const)(
    'different %s fail on every rank, with both ends named, before a byte is written',
    async (_what, sent, sentType, received, receivedType, message) => {
      const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
      const job = await cluster.run(async (rank) => {
        const { channel } = rank;
        const { fd, comm } = await joinWorld(rank);
        const buffer = await allocate(channel, fd, 4096);
        if (rank.rank === 0) {
          await writeFloats(rank, fd, buffer, valuesOf(0, 20));
          await hcclSend(channel, buffer, sent, sentType, 1, comm);
        } else {
          await hcclRecv(channel, buffer, received, receivedType, 0, comm);
        }
        try {
          await synStreamSynchronize(channel);
        } finally {
          if (rank.rank === 1) {
            expect(await readFloats(rank, fd, buffer, 20)).toEqual(new Float32Array(20));
          }
        }
      });
      const text = oneMessage(job, 2);
      expect(text).toMatch(
        /^hcclInvalidUsage: Expected both ends of message 0 from rank 0 to rank 1/,
      );
      expect(text).toMatch(message);
    },
  );

  it('messages in another order than they are received in fail as what they are', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      for (const count of rank.rank === 0 ? [10, 20] : [20, 10]) {
        if (rank.rank === 0) await hcclSend(channel, buffer, count, hcclFloat32, 1, comm);
        else await hcclRecv(channel, buffer, count, hcclFloat32, 0, comm);
      }
      await synStreamSynchronize(channel);
    });
    expect(oneMessage(job, 2)).toMatch(/hcclSend \(10 x float32\) .*hcclRecv \(20 x float32\)/);
  });

  it.each([
    [
      'send',
      /hcclSend \(10 x float32\) to rank 1, message 0, of rank 0, to end within \d+ ms but rank 1 has not called hcclRecv for it/,
    ],
    [
      'recv',
      /hcclRecv \(10 x float32\) from rank 1, message 0, of rank 0, to end within \d+ ms but rank 1 has not called hcclSend for it/,
    ],
  ] as const)('a %s that its peer never joins ends, with the peer named', async (kind, message) => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 1) return delay(cluster.scheduler, COLLECTIVE_TIMEOUT_MS + 5_000);
      const call = kind === 'send' ? hcclSend : hcclRecv;
      await call(channel, buffer, 10, hcclFloat32, 1, comm);
      await synStreamSynchronize(channel);
    });
    expect(job.errors.get(0)?.message).toMatch(message);
  });

  it('a peer that leaves is named at once', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    let failedAtMs = 0;
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 1) return hcclCommDestroy(channel, comm);
      await hcclRecv(channel, buffer, 10, hcclFloat32, 1, comm);
      await synStreamSynchronize(channel).finally(() => {
        failedAtMs = cluster.scheduler.clock.now();
      });
    });
    expect(job.errors.get(0)?.message).toMatch(
      /^hcclInvalidUsage: Rank 1 left the communicator but rank 0 called hcclRecv \(10 x float32\) from rank 1/,
    );
    expect(failedAtMs).toBeLessThan(5_000);
  });

  it('an address that is not mapped fails at both ends', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 0) await hcclSend(channel, 2 ** 40, 10, hcclFloat32, 1, comm);
      else await hcclRecv(channel, buffer, 10, hcclFloat32, 0, comm);
      await synStreamSynchronize(channel);
    });
    for (const rank of [0, 1]) {
      expect(job.errors.get(rank)?.message).toMatch(/hcclInvalidArgument.*a mapped device address/);
    }
  });

  it.each([
    ['a peer that there is not', { peer: 2 }],
    ['a negative count', { count: -1 }],
    ['a data type that there is not', { dataType: 10 }],
    ['an address between two elements', { address: 2 }],
    ['a stream that there is not', { stream: 7 }],
  ])('%s is refused', async (_what, wrong) => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(rank.channel, fd, 4096);
      const { peer, count, dataType, address, stream } = {
        peer: 0,
        count: 1,
        dataType: hcclFloat32,
        address: 0,
        stream: 0,
        ...wrong,
      };
      await hcclSend(
        rank.channel,
        buffer + address,
        count,
        dataType as typeof hcclFloat32,
        peer,
        comm,
        stream,
      );
    });
    expect(job.errors.get(0)?.message).toMatch(/^hcclInvalidArgument: Expected/);
  });
});

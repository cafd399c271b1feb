import { describe, expect, it } from 'vitest';
import { Prng } from '../../common/prng.ts';
import { delay } from '../../common/scheduler.ts';
import {
  hcclCommAbort,
  hcclCommDestroy,
  hcclCommGetCounters,
  synStreamCreate,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { GROUP_CALLS_MAX } from '../../node/hccl/group.ts';
import { hcclFloat32, hcclInt8, hcclSum } from '../../node/hccl/hccl.ts';
import { hcclGroupEnd, hcclGroupStart, hcclRecv, hcclSend } from '../../node/hccl/message-api.ts';
import {
  allocate,
  type InlineRank,
  type JobResult,
  joinWorld,
  readBytes,
  readFloats,
  SimulatedCluster,
  writeBytes,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };
/** Empty, one float, within the fabric's eager messages, and far beyond. */
const COUNTS = [0, 1, 1000, 300_001];

function expectSuccess(job: JobResult): void {
  expect([...job.errors.values()]).toEqual([]);
  expect(job.exitCode).toBe(0);
}

function valuesOf(rank: number, count: number): Float32Array {
  const prng = new Prng(100 * count + rank);
  return Float32Array.from({ length: count }, () => prng.normal());
}

/** Many floats, compared by their bytes. */
function expectSame(found: Float32Array, expected: Float32Array): void {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  expect(bytes(found).equals(bytes(expected))).toBe(true);
}

describe('hcclSend and hcclRecv', () => {
  it.each(COUNTS)('%d floats go from one rank to the other, and nothing else', async (count) => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4 * count + 8);
      if (rank.rank === 0) {
        await writeFloats(rank, fd, buffer + 4, valuesOf(0, count));
        await hcclSend(channel, buffer + 4, count, hcclFloat32, 1, comm);
      } else {
        await hcclRecv(channel, buffer + 4, count, hcclFloat32, 0, comm);
      }
      await synStreamSynchronize(channel);
      const around = await readFloats(rank, fd, buffer, count + 2);
      expectSame(around.subarray(1, count + 1), valuesOf(0, count));
      expect([around[0], around[count + 1]]).toEqual([0, 0]);
      const { payloadBytesSent, payloadBytesReceived } = await hcclCommGetCounters(channel, comm);
      const moved = rank.rank === 0 ? payloadBytesSent : payloadBytesReceived;
      expect(moved).toBe(4 * count);
      await hcclCommDestroy(channel, comm);
    });
    expectSuccess(job);
    for (const { devices, nic } of cluster.hosts) {
      expect(devices[0]?.usage()).toMatchObject({ state: 'free', allocations: 0, exports: 0 });
      expect([nic.queuePairCount, nic.regionCount]).toEqual([0, 0]);
    }
  });

  it('bytes need no alignment and no multiple of anything', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const bytes = Uint8Array.from({ length: 103 }, (_, index) => 255 - index);
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 256);
      if (rank.rank === 0) {
        await writeBytes(rank, fd, buffer, Uint8Array.from([0, 0, 0, ...bytes, 0, 0]));
        await hcclSend(channel, buffer + 3, 103, hcclInt8, 1, comm);
      } else {
        await hcclRecv(channel, buffer + 1, 103, hcclInt8, 0, comm);
      }
      await synStreamSynchronize(channel);
      if (rank.rank === 1) {
        expect((await readBytes(rank, fd, buffer, 104)).subarray(1)).toEqual(bytes);
      }
    });
    expectSuccess(job);
  });

  it('many messages of a pair come in the order of their calls, on several streams too', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const turns = 40;
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const streams = [0, await synStreamCreate(channel), await synStreamCreate(channel)];
      const buffer = await allocate(channel, fd, 4 * turns);
      if (rank.rank === 0) {
        await writeFloats(
          rank,
          fd,
          buffer,
          Float32Array.from({ length: turns }, (_, i) => i),
        );
      }
      for (let turn = 0; turn < turns; turn++) {
        const at = buffer + 4 * turn;
        const stream = streams[turn % 3] ?? 0;
        if (rank.rank === 0) await hcclSend(channel, at, 1, hcclFloat32, 1, comm, stream);
        else await hcclRecv(channel, at, 1, hcclFloat32, 0, comm, stream);
      }
      for (const stream of streams) await synStreamSynchronize(channel, stream);
      const floats = await readFloats(rank, fd, buffer, turns);
      expect([...floats]).toEqual(Array.from({ length: turns }, (_, index) => index));
    });
    expectSuccess(job);
  });

  it('a message to oneself is a copy, if both calls are in one group', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 8000);
      await writeFloats(rank, fd, buffer, valuesOf(0, 1000));
      await hcclGroupStart(channel);
      await hcclSend(channel, buffer, 1000, hcclFloat32, 0, comm);
      await hcclRecv(channel, buffer + 4000, 1000, hcclFloat32, 0, comm);
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      expect(await readFloats(rank, fd, buffer + 4000, 1000)).toEqual(valuesOf(0, 1000));
    });
    expectSuccess(job);
  });

  it('messages do not count as collectives: two of three ranks exchange some before all reduce', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const [data, sum] = [await allocate(channel, fd, 4000), await allocate(channel, fd, 4000)];
      await writeFloats(rank, fd, sum, new Float32Array(1000).fill(rank.rank + 1));
      if (rank.rank === 0) await hcclSend(channel, data, 1000, hcclFloat32, 2, comm);
      if (rank.rank === 2) await hcclRecv(channel, data, 1000, hcclFloat32, 0, comm);
      await hcclAllReduce(channel, sum, sum, 1000, hcclFloat32, hcclSum, comm);
      await synStreamSynchronize(channel);
      expect((await readFloats(rank, fd, sum, 1000))[999]).toBe(6);
      expect((await hcclCommGetCounters(channel, comm)).collectives).toBe(1);
    });
    expectSuccess(job);
  });
});

/** Every rank sends to every rank, itself too, and receives from it, in an order of its own. */
async function exchangeAll(rank: InlineRank, fd: number, comm: number, count: number) {
  const { channel, nranks } = rank;
  const buffer = await allocate(channel, fd, 8 * count * nranks);
  const at = (block: number) => buffer + 4 * count * block;
  await writeFloats(rank, fd, buffer, valuesOf(rank.rank, count * nranks));
  await hcclGroupStart(channel);
  for (let step = 0; step < nranks; step++) {
    const peer = (rank.rank * 2 + step) % nranks;
    const receive = () => hcclRecv(channel, at(nranks + peer), count, hcclFloat32, peer, comm);
    if (rank.rank % 2 === 0) await receive();
    await hcclSend(channel, at(peer), count, hcclFloat32, peer, comm);
    if (rank.rank % 2 === 1) await receive();
  }
  await hcclGroupEnd(channel);
  await synStreamSynchronize(channel);
  const received = await readFloats(rank, fd, at(nranks), count * nranks);
  for (let peer = 0; peer < nranks; peer++) {
    const sent = valuesOf(peer, count * nranks);
    expectSame(
      received.subarray(peer * count, (peer + 1) * count),
      sent.subarray(rank.rank * count, (rank.rank + 1) * count),
    );
  }
}

describe('grouped sends and receives', () => {
  it.each([1, 5000, 50_000])(
    'cannot wait for each other: everybody with everybody, %d floats each',
    async (count) => {
      const cluster = new SimulatedCluster({ hosts: 2, devices: 2, ...LINK });
      const job = await cluster.run(async (rank) => {
        const { fd, comm } = await joinWorld(rank);
        await exchangeAll(rank, fd, comm, count);
      });
      expectSuccess(job);
    },
  );

  it('run beside a collective of the group, in whatever order the ranks list them', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 8000);
      const reduce = () => hcclAllReduce(channel, buffer, buffer, 1000, hcclFloat32, hcclSum, comm);
      await hcclGroupStart(channel);
      if (rank.rank === 0) await hcclSend(channel, buffer + 4000, 1000, hcclFloat32, 1, comm);
      await reduce();
      if (rank.rank === 1) await hcclRecv(channel, buffer + 4000, 1000, hcclFloat32, 0, comm);
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
    });
    expectSuccess(job);
  });
});

describe('messages whatever happens', () => {
  it('come through though there are more of them than the endpoint has receives', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4 * GROUP_CALLS_MAX);
      const values = Float32Array.from({ length: GROUP_CALLS_MAX }, (_, index) => index);
      if (rank.rank === 0) await writeFloats(rank, fd, buffer, values);
      await hcclGroupStart(channel);
      for (let index = 0; index < GROUP_CALLS_MAX; index++) {
        const at = buffer + 4 * index;
        if (rank.rank === 0) await hcclSend(channel, at, 1, hcclFloat32, 1, comm);
        else await hcclRecv(channel, at, 1, hcclFloat32, 0, comm);
      }
      await hcclGroupEnd(channel);
      await synStreamSynchronize(channel);
      expectSame(await readFloats(rank, fd, buffer, GROUP_CALLS_MAX), values);
      const { postsTurnedAway } = await hcclCommGetCounters(channel, comm);
      expect(postsTurnedAway).toBeGreaterThan(0);
    });
    expectSuccess(job);
  });

  it('get through a lossy network once each', async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const lossy = { dropRate: 0.03, duplicateRate: 0.03, prng: new Prng(seed) };
      const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.05, ...lossy });
      const job = await cluster.run(async (rank) => {
        const { fd, comm } = await joinWorld(rank);
        for (const count of [10, 20_000]) await exchangeAll(rank, fd, comm, count);
      });
      expectSuccess(job);
    }
  });

  it('are used only after a flush, if the job asks for flushes', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(
      async (rank) => {
        const { fd, comm } = await joinWorld(rank);
        await exchangeAll(rank, fd, comm, 5000);
        expect((await hcclCommGetCounters(rank.channel, comm)).flushes).toBeGreaterThan(0);
      },
      { HCL_FABRIC_FLUSH: '1' },
    );
    expectSuccess(job);
  });

  it('end when the host of the peer dies, which is named', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 1) return delay(cluster.scheduler, 60_000);
      cluster.scheduler.after(20, () => {
        cluster.network.kill('node-1');
        cluster.controls[1]?.sever();
      });
      await hcclRecv(channel, buffer, 10, hcclFloat32, 1, comm);
      await synStreamSynchronize(channel);
    });
    expect(job.errors.get(0)?.message).toMatch(/^hcclPortDown: Rank 1 died with host host-1/);
  });

  it('end with the communicator when it is aborted, at both ends', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 1) {
        await hcclSend(channel, buffer, 10, hcclFloat32, 0, comm);
        await hcclRecv(channel, buffer, 10, hcclFloat32, 0, comm);
        await delay(cluster.scheduler, 50);
        return hcclCommAbort(channel, comm);
      }
      await hcclRecv(channel, buffer, 10, hcclFloat32, 1, comm);
      await hcclRecv(channel, buffer, 10, hcclFloat32, 1, comm);
      await synStreamSynchronize(channel);
    });
    expect(job.errors.get(0)?.message).toMatch(/Rank 1 aborted its communicator/);
    expect(cluster.scheduler.clock.now()).toBeLessThan(10_000);
  });

  it('that a rank calls while another calls a collective end, with both named', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 0) await hcclSend(channel, buffer, 10, hcclFloat32, 1, comm);
      else await hcclAllReduce(channel, buffer, buffer, 10, hcclFloat32, hcclSum, comm);
      await synStreamSynchronize(channel);
    });
    for (const rank of [0, 1]) {
      const message = job.errors.get(rank)?.message;
      expect(message).toMatch(/rank 0/i);
      expect(message).toMatch(/rank 1/i);
    }
  });
});

import { describe, expect, it } from 'vitest';
import { delay } from '../../common/scheduler.ts';
import { hlthunk_open } from '../../node/device/hlthunk.ts';
import {
  hcclCommAbort,
  hcclCommInitRank,
  hcclDropRegistration,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import {
  hcclAllReduce,
  hcclBarrier,
  hcclRedOpCreatePreMulSum,
  hcclReduceScatter,
} from '../../node/hccl/collective-api.ts';
import { hcclFloat32 } from '../../node/hccl/hccl.ts';
import {
  allocate,
  type InlineRank,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const COUNT = 1000;
/** Turns after a call at which rank 0 aborts: it is then in another part of the call each time. */
const TURNS = Array.from({ length: 60 }, (_, index) => 3 * index);

interface Call {
  readonly comm: number;
  readonly send: number;
  readonly recv: number;
}

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await Promise.resolve();
}

/**
 * Rank 0 makes a call and aborts its communicator some turns later, once for each of `TURNS`, while
 * another communicator keeps the device in use. Rank 1 is only there to be connected.
 */
async function abortEverywhere(
  call: (rank: InlineRank, on: Call) => Promise<void>,
  after: (rank: InlineRank, fd: number, on: Call) => Promise<void>,
): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.05 });
  const job = await cluster.run(async (rank) => {
    const { channel } = rank;
    const fd = await hlthunk_open(channel, 0);
    await hcclCommInitRank(channel, fd, 1, `kept ${rank.rank}`, 0);
    const send = await allocate(channel, fd, 8 * COUNT);
    const recv = await allocate(channel, fd, 8 * COUNT);
    const device = () => cluster.hosts[rank.rank]?.devices[0]?.usage().allocations;
    for (const count of TURNS) {
      const before = device();
      const comm = await hcclCommInitRank(channel, fd, 2, `turn ${count}`, rank.rank);
      const on = { comm, send, recv };
      if (rank.rank === 0) {
        await call(rank, on);
        await turns(count);
        await hcclCommAbort(channel, comm);
        await after(rank, fd, on);
        await delay(cluster.scheduler, 50);
        await expect(synStreamSynchronize(channel)).rejects.toThrow(/abort/);
      } else {
        await delay(cluster.scheduler, 100);
        await hcclCommAbort(channel, comm);
      }
      await delay(cluster.scheduler, 200);
      expect(device()).toEqual(before);
    }
  });
  expect([...job.errors.values()]).toEqual([]);
}

describe('hcclCommAbort in the middle of a call', () => {
  it('leaves no scratch memory behind, wherever the call stands', async () => {
    await abortEverywhere(
      async ({ channel }, { comm, send, recv }) => {
        const op = await hcclRedOpCreatePreMulSum(channel, 2, hcclFloat32, comm);
        await hcclReduceScatter(channel, send, recv, COUNT, hcclFloat32, op, comm);
      },
      async ({ channel }, fd, { send, recv }) => {
        await hcclDropRegistration(channel, fd, send);
        await hcclDropRegistration(channel, fd, recv);
      },
    );
  });

  it('is the end of all that is written, also of what is done before and after the operation', async () => {
    await abortEverywhere(
      async ({ channel }, { comm, send, recv }) => {
        const op = await hcclRedOpCreatePreMulSum(channel, 2, hcclFloat32, comm);
        await hcclAllReduce(channel, send, recv, COUNT, hcclFloat32, op, comm);
      },
      async (rank, fd, { recv }) => {
        await writeFloats(rank, fd, recv, new Float32Array(COUNT).fill(7));
        await turns(1000);
        expect(new Set(await readFloats(rank, fd, recv, COUNT))).toEqual(new Set([7]));
      },
    );
  });

  it('gives the memory of a barrier back', async () => {
    await abortEverywhere(
      async ({ channel }, { comm }) => hcclBarrier(channel, comm),
      async () => undefined,
    );
  });
});

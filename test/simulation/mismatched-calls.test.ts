import { describe, expect, it } from 'vitest';
import { synStreamSynchronize } from '../../node/hccl/api.ts';
import * as collective from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclInt32, hcclMax, hcclSum } from '../../node/hccl/hccl.ts';
import { allocate, type InlineRank, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

const NRANKS = 3;

interface Buffers {
  readonly comm: number;
  readonly send: number;
  readonly recv: number;
}

type Call = (rank: InlineRank, buffers: Buffers) => Promise<void>;

const reduce =
  (count = 100, type: 2 | 7 = hcclFloat32, op = hcclSum): Call =>
  ({ channel }, { send, recv, comm }) =>
    collective.hcclAllReduce(channel, send, recv, count, type, op, comm);

const gather: Call = ({ channel }, { send, recv, comm }) =>
  collective.hcclAllGather(channel, send, recv, 100, hcclFloat32, comm);

const broadcast =
  (root: number): Call =>
  ({ channel }, { send, recv, comm }) =>
    collective.hcclBroadcast(channel, send, recv, 100, hcclFloat32, root, comm);

const gatherV =
  (counts: readonly number[]): Call =>
  ({ channel }, { send, recv, comm }) =>
    collective.hcclAllGatherV(channel, send, recv, counts, hcclFloat32, comm);

const exchange =
  (inPlace: boolean): Call =>
  ({ channel }, { send, recv, comm }) =>
    collective.hcclAlltoAll(channel, send, inPlace ? send : recv, 300, hcclFloat32, comm);

/** Sends what `sent` says, and takes what `received` says, from each rank. */
const exchangeV =
  (sent: readonly number[], received: readonly number[]): Call =>
  ({ channel }, { send, recv, comm }) =>
    collective.hcclAlltoAllV(channel, send, recv, sent, received, hcclFloat32, comm);

const scaled: Call = async ({ channel }, { send, recv, comm }) => {
  const op = await collective.hcclRedOpCreatePreMulSum(channel, 2, hcclFloat32, comm);
  await collective.hcclAllReduce(channel, send, recv, 100, hcclFloat32, op, comm);
};

const barrier: Call = ({ channel }, { comm }) => collective.hcclBarrier(channel, comm);

const inTurn =
  (...calls: readonly Call[]): Call =>
  async (rank, buffers) => {
    for (const call of calls) await call(rank, buffers);
  };

/** Rank 1 makes the second call, the others the first; gives the one message that all of them get. */
async function messageOf(most: Call, one: Call): Promise<string> {
  const cluster = new SimulatedCluster({ hosts: NRANKS, latencyMs: 0.05 });
  const job = await cluster.run(async (rank) => {
    const { fd, comm } = await joinWorld(rank);
    const [send, recv] = [
      await allocate(rank.channel, fd, 8192),
      await allocate(rank.channel, fd, 8192),
    ];
    await (rank.rank === 1 ? one : most)(rank, { comm, send, recv });
    await synStreamSynchronize(rank.channel);
    // A rank that has got all it needs may be done with it; then it hears in its next call.
    await collective.hcclBarrier(rank.channel, comm);
    await synStreamSynchronize(rank.channel);
  });
  const messages = [0, 1, 2].map((rank) => job.errors.get(rank)?.message);
  expect(new Set(messages).size).toBe(1);
  return messages[0] ?? '';
}

describe('ranks that call different things all hear which two differ, and in what', () => {
  it.each([
    ['kinds', reduce(), gather, /hcclAllGather/, /hcclAllReduce/],
    ['counts', reduce(), reduce(99), / 99 x float32/, / 100 x float32/],
    ['types', reduce(), reduce(100, hcclInt32), /100 x int32/, /100 x float32/],
    ['reductions', reduce(), reduce(100, hcclFloat32, hcclMax), /max/, /sum/],
    ['roots', broadcast(0), broadcast(2), /root 2/, /root 0/],
    [
      'orders',
      inTurn(reduce(), gather),
      inTurn(gather, reduce()),
      /hcclAllGather/,
      /hcclAllReduce/,
    ],
    ['placements, where they matter', exchange(false), exchange(true), /in place/, /hcclAlltoAll/],
    ['scalings', reduce(), scaled, /preMulSum/, /sum/],
    ['barrier and collective', reduce(), barrier, /hcclBarrier/, /hcclAllReduce/],
    [
      'counts of single ranks',
      gatherV([1, 2, 3]),
      gatherV([3, 2, 1]),
      /hcclAllGatherV/,
      /hcclAllGatherV/,
    ],
  ] as const)('%s', async (_what, most, one, ofOne, ofMost) => {
    const message = await messageOf(most, one);
    expect(message).toMatch(
      /^hcclInvalidUsage: Expected every rank to make the same call as operation 1 but/,
    );
    const calls = message.split(/(?=rank \d called)/);
    expect(calls.find((text) => text.startsWith('rank 1 called'))).toMatch(ofOne);
    expect(calls.find((text) => /^rank [02] called/.test(text))).toMatch(ofMost);
  });

  it('what one sends and the other takes, in an all-to-all with uneven counts', async () => {
    const even = exchangeV([10, 10, 10], [10, 10, 10]);
    const message = await messageOf(even, exchangeV([11, 10, 10], [10, 10, 10]));
    expect(message).toMatch(/^hcclInvalidUsage: /);
    expect(message).toMatch(/rank 1/);
    expect(message).toMatch(/11/);
  });
});

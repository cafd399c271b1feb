import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { delay } from '../../common/scheduler.ts';
import { hlthunk_open } from '../../node/device/hlthunk.ts';
import {
  hcclCommAbort,
  hcclCommDestroy,
  hcclCommInitRank,
  synStreamCreate,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce, hcclBroadcast } from '../../node/hccl/collective-api.ts';
import type { EngineEvent } from '../../node/hccl/events.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { slotBytes } from '../../node/hccl/lanes.ts';
import { COMMUNICATORS_MAX } from '../../node/hccl/process-state.ts';
import { STREAM_DEPTH_MAX } from '../../node/hccl/stream.ts';
import {
  allocate,
  type InlineRank,
  type JobResult,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.1, bandwidthBytesPerMs: 1_000_000 };

function expectSuccess(job: JobResult): void {
  expect([...job.errors.values()]).toEqual([]);
  expect(job.exitCode).toBe(0);
}

/** All-reduces `count` floats in place on the default stream, without waiting for the end. */
function allReduce({ channel }: InlineRank, buffer: number, count: number, comm: number) {
  return hcclAllReduce(channel, buffer, buffer, count, hcclFloat32, hcclSum, comm);
}

describe('the life of a communicator', () => {
  it('a call after a peer has left names the peer, although its goodbye came between two calls', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(rank.channel, fd, 4096);
      await allReduce(rank, buffer, 1000, comm);
      await synStreamSynchronize(rank.channel);
      if (rank.rank === 1) return hcclCommDestroy(rank.channel, comm);
      await delay(cluster.scheduler, 50);
      await allReduce(rank, buffer, 1000, comm);
      await synStreamSynchronize(rank.channel);
    });
    for (const rank of [0, 2]) {
      expect(job.errors.get(rank)?.message).toMatch(
        /^hcclInvalidUsage: Rank 1 left the communicator after operation 1 but rank [02] called/,
      );
    }
  });

  it('one may be destroyed while another is joined on the same device', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const fd = await hlthunk_open(channel, 0);
      const alone = await hcclCommInitRank(channel, fd, 1, `alone-${rank.rank}`, 0);
      const buffer = await allocate(channel, fd, 4096);
      const [second] = await Promise.all([
        hcclCommInitRank(channel, fd, 2, 'second', rank.rank),
        hcclCommDestroy(channel, alone),
      ]);
      await allReduce(rank, buffer, 1000, second);
      await synStreamSynchronize(channel);
      await hcclCommDestroy(channel, second);
    });
    expectSuccess(job);
    for (const { devices, nic } of cluster.hosts) {
      expect(devices[0]?.usage()).toMatchObject({ state: 'free', allocations: 0, exports: 0 });
      expect([nic.queuePairCount, nic.regionCount]).toEqual([0, 0]);
    }
  });

  it('joining many at once gives no more than a process may have', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async ({ channel }) => {
      const fd = await hlthunk_open(channel, 0);
      const joins = Array.from({ length: COMMUNICATORS_MAX + 2 }, (_, index) =>
        hcclCommInitRank(channel, fd, 1, `alone-${index}`, 0),
      );
      const outcomes = await Promise.allSettled(joins);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(
        COMMUNICATORS_MAX,
      );
    });
    expectSuccess(job);
  });

  it('a descriptor that is no device is refused, also for one rank alone', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async ({ channel }) => {
      await hcclCommInitRank(channel, 99, 1, 'alone', 0);
    });
    expect(job.errors.get(0)?.message).toMatch(/EBADF/);
  });

  it('a rank that cannot reach a peer at the start tells the ranks that could', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, ...LINK });
    cluster.network.partition('node-0', 'node-1');
    const failedAtMs: number[] = [];
    const job = await cluster.run(async (rank) => {
      const begun = cluster.scheduler.clock.now();
      try {
        const { fd, comm } = await joinWorld(rank);
        const buffer = await allocate(rank.channel, fd, 4096);
        await allReduce(rank, buffer, 1000, comm);
        await synStreamSynchronize(rank.channel);
      } catch (reason) {
        failedAtMs[rank.rank] = cluster.scheduler.clock.now() - begun;
        throw reason;
      }
    });
    for (const rank of [0, 1, 2]) {
      expect(job.errors.get(rank)?.message).toMatch(/^hcclPortDown: .*rank [01]/i);
      expect(defined(failedAtMs[rank], 'a time')).toBeLessThan(12_000);
    }
  });

  it('no kernel runs any more when a call fails because its communicator was aborted', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    let running = 0;
    let abort: () => void = () => undefined;
    const push = cluster.trace.push.bind(cluster.trace);
    cluster.trace.push = (...events: EngineEvent[]) => {
      for (const { rank, kind } of events) {
        if (rank !== 0) continue;
        if (kind === 'computeBegin') running++;
        if (kind === 'computeEnd') running--;
        if (kind === 'computeBegin' && running === 1) void Promise.resolve().then(abort);
      }
      return push(...events);
    };
    const seen: number[] = [];
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4_000_000);
      let aborted: Promise<void> | undefined;
      if (rank.rank === 0) {
        abort = () => {
          aborted ??= hcclCommAbort(channel, comm).then(() => {
            seen.push(running);
          });
        };
      }
      await allReduce(rank, buffer, 1_000_000, comm);
      try {
        await synStreamSynchronize(channel);
      } finally {
        if (rank.rank === 0) seen.push(running);
        await aborted;
      }
    });
    expect(job.errors.get(0)?.message).toMatch(/The communicator was aborted/);
    expect(seen).toEqual([0, 0]);
  });

  it('an abort does not wait for another communicator whose call is stuck on the same stream', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm: stuck } = await joinWorld(rank);
      const comm = await hcclCommInitRank(channel, fd, 2, 'second', rank.rank);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 1) return delay(cluster.scheduler, 5_000);
      await allReduce(rank, buffer, 1000, stuck);
      await allReduce(rank, buffer, 1000, comm);
      const begun = cluster.scheduler.clock.now();
      await hcclCommAbort(channel, comm);
      expect(cluster.scheduler.clock.now() - begun).toBeLessThan(100);
    });
    expect([...job.errors.values()]).toEqual([]);
  });

  it('calls made without waiting run in their order, though the stream is full', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const calls = STREAM_DEPTH_MAX + 40;
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      const made: Promise<void>[] = [];
      for (let count = 1; count <= calls; count++) {
        const call = allReduce(rank, buffer, count, comm);
        made.push(call);
        if (count % 7 === 0) made.push(call.then(() => undefined));
      }
      await Promise.all(made);
      await synStreamSynchronize(channel);
    });
    expectSuccess(job);
    const counts = cluster.trace
      .filter((event) => event.kind === 'collectiveBegin' && event.rank === 0)
      .map((event) => (event.kind === 'collectiveBegin' ? event.bytes / 4 : 0));
    expect(counts).toEqual(Array.from({ length: calls }, (_, index) => index + 1));
  });

  it('two communicators whose ranks are in opposite order, on two streams of one device', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, devices: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel, nranks } = rank;
      const { fd, comm } = await joinWorld(rank);
      const mirrored = await hcclCommInitRank(
        channel,
        fd,
        nranks,
        'mirror',
        nranks - 1 - rank.rank,
      );
      const stream = await synStreamCreate(channel);
      const first = await allocate(channel, fd, 4_000_000);
      const second = await allocate(channel, fd, 4_000_000);
      for (let turn = 0; turn < 4; turn++) {
        await allReduce(rank, first, 1_000_000 - turn, comm);
        await hcclBroadcast(
          channel,
          second,
          second,
          9999 * turn,
          hcclFloat32,
          turn,
          mirrored,
          stream,
        );
      }
      await synStreamSynchronize(channel);
      await synStreamSynchronize(channel, stream);
      await hcclCommDestroy(channel, comm);
      await hcclCommDestroy(channel, mirrored);
    });
    expectSuccess(job);
    for (const { devices, nic } of cluster.hosts) {
      for (const device of devices) {
        expect(device.usage()).toMatchObject({ state: 'free', allocations: 0, exports: 0 });
      }
      expect([nic.queuePairCount, nic.regionCount]).toEqual([0, 0]);
    }
  });

  it('a dead host is named by the rank that it had in the communicator, not in the job', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel, nranks } = rank;
      const fd = await hlthunk_open(channel, 0);
      const own = (rank.rank + 1) % nranks;
      const comm = await hcclCommInitRank(channel, fd, nranks, 'turned', own);
      const buffer = await allocate(channel, fd, 4096);
      if (rank.rank === 0) {
        cluster.scheduler.after(20, () => {
          cluster.network.kill('node-2');
          defined(cluster.controls[2], 'host 2').sever();
        });
      }
      for (;;) {
        await allReduce(rank, buffer, 1000, comm);
        await synStreamSynchronize(channel);
      }
    });
    for (const rank of [0, 1]) {
      expect(job.errors.get(rank)?.message).toMatch(/hcclPortDown: Rank 0 died with host host-2/);
    }
  });
});

describe('a connection that takes no more', () => {
  it('gets the rest once its peer has room: more slices than a connection has receives', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 20, bandwidthBytesPerMs: 1e8 });
    const floats = 10_000_000;
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4 * floats);
      const last = buffer + 4 * (floats - 2);
      await writeFloats(rank, fd, last, Float32Array.of(rank.rank + 1, rank.rank + 2));
      await hcclBroadcast(channel, buffer, buffer, floats, hcclFloat32, 0, comm);
      await synStreamSynchronize(channel);
      expect(await readFloats(rank, fd, last, 2)).toEqual(Float32Array.of(1, 2));
    });
    expectSuccess(job);
    let outstanding = 0;
    let most = 0;
    for (const { rank, kind } of cluster.trace) {
      if (rank === 0 && kind === 'sendBegin') most = Math.max(most, ++outstanding);
      if (rank === 0 && kind === 'sendEnd') outstanding--;
    }
    const slices = Math.ceil((4 * floats) / slotBytes(2));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThan(slices);
  });
});

describe('malformed arguments of a collective', () => {
  it.each([
    ['an unaligned address', 2, 100],
    ['an address that is no integer', 0.5, 100],
    ['a negative address', -(2 ** 52), 100],
    ['a count far beyond memory', 0, 2 ** 50],
  ])('%s is refused with hcclInvalidArgument on every rank', async (_what, shift, count) => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(rank.channel, fd, 4096);
      await allReduce(rank, buffer + shift, count, comm);
      await synStreamSynchronize(rank.channel);
    });
    for (const rank of [0, 1]) {
      expect(job.errors.get(rank)?.message).toMatch(/^hcclInvalidArgument: /);
    }
  });
});

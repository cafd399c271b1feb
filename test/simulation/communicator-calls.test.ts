import { describe, expect, it } from 'vitest';
import { delay } from '../../common/scheduler.ts';
import { hlthunk_device_memory_lookup, hlthunk_open } from '../../node/device/hlthunk.ts';
import {
  hcclCommAbort,
  hcclCommDestroy,
  hcclCommFinalize,
  hcclCommGetAsyncError,
  hcclCommInitAll,
  hcclCommInitRank,
  hcclCommLastChoice,
  hcclCommSetChoice,
  hcclCommSynDevice,
  hcclDeviceInit,
  hcclGetLastErrorMessage,
  hcclGetVersion,
  hcclLookupDMABuff,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import {
  allocate,
  type InlineRank,
  type JobResult,
  joinWorld,
  SimulatedCluster,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };

function expectSuccess(job: JobResult): void {
  expect([...job.errors.values()]).toEqual([]);
  expect(job.exitCode).toBe(0);
}

async function allReduce({ channel }: InlineRank, fd: number, comm: number, count = 1000) {
  const buffer = await allocate(channel, fd, 4 * count);
  await hcclAllReduce(channel, buffer, buffer, count, hcclFloat32, hcclSum, comm);
  return buffer;
}

describe('non-blocking hcclCommInitRank', () => {
  it('returns at once; until all have joined everything answers hcclTryAgain, then it works', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const fd = await hlthunk_open(channel, 0);
      if (rank.rank === 1) await delay(cluster.scheduler, 1_000);
      const begun = cluster.scheduler.clock.now();
      const comm = await hcclCommInitRank(channel, fd, 2, 'id', rank.rank, { blocking: false });
      expect(cluster.scheduler.clock.now() - begun).toBeLessThan(100);
      if (rank.rank === 0) {
        expect((await hcclCommGetAsyncError(channel, comm)).result).toBe('hcclTryAgain');
        await expect(allReduce(rank, fd, comm)).rejects.toThrow(/^hcclTryAgain: /);
      }
      for (;;) {
        const { result } = await hcclCommGetAsyncError(channel, comm);
        if (result === 'hcclSuccess') break;
        expect(result).toBe('hcclTryAgain');
        await delay(cluster.scheduler, 10);
      }
      await allReduce(rank, fd, comm);
      await synStreamSynchronize(channel);
      await hcclCommDestroy(channel, comm);
    });
    expectSuccess(job);
  });

  it('that cannot be completed says so with the next question, and can be freed', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const fd = await hlthunk_open(channel, 0);
      // Two ranks claim the same place.
      const comm = await hcclCommInitRank(channel, fd, 2, 'id', 0, { blocking: false });
      await delay(cluster.scheduler, 5_000);
      const { result, message } = await hcclCommGetAsyncError(channel, comm);
      expect(result).not.toMatch(/hcclSuccess|hcclTryAgain/);
      expect(message).toMatch(/rank 0/);
      await expect(allReduce(rank, fd, comm)).rejects.toThrow(message);
      await hcclCommDestroy(channel, comm);
    });
    expectSuccess(job);
  });

  it('may be destroyed or aborted before it is complete', async () => {
    const cluster = new SimulatedCluster({ hosts: 1, ...LINK });
    const job = await cluster.run(async ({ channel }) => {
      const fd = await hlthunk_open(channel, 0);
      for (const end of [hcclCommDestroy, hcclCommAbort]) {
        const id = `id-${end.name}`;
        const comm = await hcclCommInitRank(channel, fd, 2, id, 0, { blocking: false });
        await end(channel, comm);
      }
    });
    expectSuccess(job);
    expect(cluster.hosts[0]?.devices[0]?.usage()).toMatchObject({ state: 'free', allocations: 0 });
  });
});

describe('hcclCommFinalize', () => {
  it('waits for what is queued; then nothing but hcclCommDestroy is left', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      await allReduce(rank, fd, comm, 100_000);
      await hcclCommFinalize(channel, comm);
      const ends = cluster.trace.filter(({ kind }) => kind === 'collectiveEnd');
      expect(ends.some(({ rank: one }) => one === rank.rank)).toBe(true);
      expect((await hcclCommGetAsyncError(channel, comm)).result).toBe('hcclSuccess');
      for (const call of [() => allReduce(rank, fd, comm), () => hcclCommFinalize(channel, comm)]) {
        await expect(call()).rejects.toThrow(/^hcclInvalidUsage: .*finalized/);
      }
      await synStreamSynchronize(channel);
      await hcclCommDestroy(channel, comm);
    });
    expectSuccess(job);
  });

  it('tells the peers: one that calls on hears who has gone', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      if (rank.rank === 1) return hcclCommFinalize(channel, comm);
      await allReduce(rank, fd, comm);
      await synStreamSynchronize(channel);
    });
    expect(job.errors.get(0)?.message).toMatch(/Rank 1 left the communicator/);
  });
});

describe('what can be asked', () => {
  it('version, device, and what went wrong last', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      expect(await hcclGetLastErrorMessage(channel)).toBe('');
      const { fd, comm } = await joinWorld(rank);
      expect(await hcclGetVersion(channel)).toBe(2604);
      expect(await hcclCommSynDevice(channel, comm)).toBe(fd);
      await hcclDeviceInit(channel, fd);
      await expect(hcclDeviceInit(channel, 99)).rejects.toThrow(/EBADF/);
      await expect(hcclCommInitAll(channel)).rejects.toThrow(/^hcclInvalidUsage: /);
      expect(await hcclGetLastErrorMessage(channel)).toMatch(/hcclCommInitAll is not implemented/);
    });
    expectSuccess(job);
  });

  it('hcclLookupDMABuff gives a descriptor of the whole allocation, which is the caller’s', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { channel, process } = rank;
      const { fd } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 100_000);
      const { size } = await hlthunk_device_memory_lookup(channel, fd, buffer);
      const dmabuf = await hcclLookupDMABuff(channel, buffer + 64, 1000);
      expect(process.fds.lookup(dmabuf)).toBeDefined();
      await channel.call('close', { fd: dmabuf });
      for (const [address, bytes] of [
        [buffer, size + 1],
        [buffer + 2 ** 40, 1],
      ] as const) {
        await expect(hcclLookupDMABuff(channel, address, bytes)).rejects.toThrow(
          /^hcclInvalidArgument: Expected \d+ bytes of an allocation/,
        );
      }
    });
    expectSuccess(job);
  });
});

describe('hcclCommSetChoice', () => {
  it('decides how the calls after it are carried out, which hcclCommLastChoice shows', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      expect(await hcclCommLastChoice(channel, comm)).toBe(null);
      await allReduce(rank, fd, comm, 10);
      const tuned = await hcclCommLastChoice(channel, comm);
      expect(tuned).toMatchObject({ collective: 'allReduce', algorithm: 'recursiveDoubling' });
      await hcclCommSetChoice(channel, comm, { algorithm: 'ring', sliceBytes: 4096 });
      await allReduce(rank, fd, comm, 10_000);
      expect(await hcclCommLastChoice(channel, comm)).toMatchObject({
        algorithm: 'ring',
        sliceBytes: 4096,
      });
      await hcclCommSetChoice(channel, comm, null);
      await allReduce(rank, fd, comm, 10);
      expect(await hcclCommLastChoice(channel, comm)).toEqual(tuned);
      await synStreamSynchronize(channel);
    });
    expectSuccess(job);
    const names = cluster.trace.flatMap((event) =>
      event.kind === 'collectiveBegin' && event.rank === 0 ? [event.algorithm] : [],
    );
    expect(names).toEqual(['recursiveDoubling', 'ring', 'recursiveDoubling']);
  });

  it('must be the same on all ranks: another choice is another call', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      if (rank.rank === 1) await hcclCommSetChoice(channel, comm, { algorithm: 'ring' });
      await allReduce(rank, fd, comm, 10);
      await synStreamSynchronize(channel);
    });
    for (const rank of [0, 1]) {
      expect(job.errors.get(rank)?.message).toMatch(
        /^hcclInvalidUsage: Expected every rank to make the same call .*ring/,
      );
    }
  });

  it('of an algorithm that there is not is refused', async () => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(async (rank) => {
      const { comm } = await joinWorld(rank);
      await hcclCommSetChoice(rank.channel, comm, { algorithm: 'hoops' });
    });
    expect(job.errors.get(0)?.message).toMatch(/Expected an algorithm of .*ring.* but found hoops/);
  });

  it.each([
    [{ HLSIM_ALGORITHM: 'hoops' }, /Expected an algorithm of/],
    [{ HLSIM_CHANNELS: '0' }, /Expected HLSIM_CHANNELS to be an integer from 1/],
    [{ HLSIM_SLICE_BYTES: 'much' }, /Expected HLSIM_SLICE_BYTES to be an integer from 1/],
    [{ FI_PROVIDER: 'efa' }, /Expected FI_PROVIDER to be one of auto, ws, p2p but found efa/],
    [{ HLSIM_PROGRESS: 'on' }, /Expected HLSIM_PROGRESS to be one of manual, auto but found on/],
    [{ HLSIM_TUNING: '{' }, /Expected HLSIM_TUNING to be a tuning table in JSON/],
  ])('settings of the job that mean nothing are refused at the start: %o', async (setting, why) => {
    const cluster = new SimulatedCluster({ hosts: 1 });
    const job = await cluster.run(
      async (rank) => {
        await joinWorld(rank);
      },
      setting as Readonly<Record<string, string>>,
    );
    expect(job.errors.get(0)?.message).toMatch(why);
  });

  it('settings of the job decide too, a table of its own among them', async () => {
    const rule = { collective: 'allReduce', algorithm: 'ring', channels: 1, bytes: { to: 100 } };
    const cluster = new SimulatedCluster({ hosts: 2, ...LINK });
    const job = await cluster.run(
      async (rank) => {
        const { channel } = rank;
        const { fd, comm } = await joinWorld(rank);
        await allReduce(rank, fd, comm, 10);
        expect(await hcclCommLastChoice(channel, comm)).toMatchObject({
          algorithm: 'ring',
          sliceBytes: 8192,
        });
        await synStreamSynchronize(channel);
      },
      { HLSIM_TUNING: JSON.stringify({ rules: [rule] }), HLSIM_SLICE_BYTES: '8192' },
    );
    expectSuccess(job);
  });
});

import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import {
  hlthunk_close,
  hlthunk_device_memory_alloc,
  hlthunk_get_dram_usage,
  hlthunk_open,
} from '../../node/device/hlthunk.ts';
import type { DmaBuf } from '../../node/dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../../node/dmabuf/export.ts';
import { dma_resv_locked } from '../../node/dmabuf/reservation.ts';
import { dma_buf_invalidate_mappings } from '../../node/dmabuf/revoke.ts';
import {
  hcclCommDestroy,
  hcclCommGetAsyncError,
  hcclCommInitRank,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { type HcclDataType, hcclFloat32, hcclInt32, hcclSum } from '../../node/hccl/hccl.ts';
import { SystemCallError } from '../../node/process/system-call.ts';
import { allocate, type InlineRank, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

const COUNT = 1_000_000;

async function allReduceForever(
  rank: InlineRank,
  until: (iteration: number) => boolean,
  count = COUNT,
  dataType: HcclDataType = hcclFloat32,
) {
  const { fd, comm } = await joinWorld(rank);
  const buffer = await allocate(rank.channel, fd, 4 * COUNT);
  for (let iteration = 0; !until(iteration); iteration++) {
    await hcclAllReduce(rank.channel, buffer, buffer, count, dataType, hcclSum, comm);
    await synStreamSynchronize(rank.channel);
  }
  return comm;
}

/** Collects every dma-buf for which the rank's process gets a descriptor. */
function watchExports({ process }: InlineRank, exported: DmaBuf[]): void {
  const install = process.fds.install.bind(process.fds);
  process.fds.install = (fd, file) => {
    install(fd, file);
    const dmaBuf = dma_buf_get(process, fd);
    if (typeof dmaBuf === 'string') return;
    exported.push(dmaBuf);
    dma_buf_put(dmaBuf);
  };
}

/** The message of a rank's `SystemCallError`. */
function failureOf(errors: ReadonlyMap<number, Error>, rank: number): string {
  const error = defined(errors.get(rank), `an error of rank ${rank}`);
  expect(error).toBeInstanceOf(SystemCallError);
  return error.message;
}

describe('failures on simulated hosts', () => {
  it('a host that dies in mid all-reduce: every other rank hears which one, within 2 s', async () => {
    const cluster = new SimulatedCluster({
      hosts: 4,
      latencyMs: 0.1,
      bandwidthBytesPerMs: 1_000_000,
    });
    let diedAtMs = 0;
    const failedAtMs: number[] = [];
    const job = await cluster.run(async (rank) => {
      try {
        await allReduceForever(rank, (iteration) => {
          if (rank.rank === 0 && iteration === 3) {
            cluster.scheduler.after(2, () => {
              diedAtMs = cluster.scheduler.clock.now();
              cluster.network.kill('node-2');
              defined(cluster.controls[2], 'host 2').sever();
            });
          }
          return false;
        });
      } catch (reason) {
        failedAtMs[rank.rank] = cluster.scheduler.clock.now();
        throw reason;
      }
    });
    expect(job.exitCode).toBe(1);
    expect(job.failure).toMatchObject({ code: 'HLSIM_HOST_LOST' });
    for (const rank of [0, 1, 3]) {
      const message = failureOf(job.errors, rank);
      expect(message).toMatch(/hcclPortDown: Rank 2 died with host host-2/);
      expect(message).toMatch(
        /hcclAllReduce operation \d+ \(ring, 1000000 x float32, sum\) at channel 0 step \d/,
      );
      expect(defined(failedAtMs[rank], 'a time') - diedAtMs).toBeLessThan(2_000);
    }
  });

  it('a host that falls silent is found by its heartbeats, within 5 s', async () => {
    const cluster = new SimulatedCluster({
      hosts: 3,
      latencyMs: 0.1,
      bandwidthBytesPerMs: 1_000_000,
    });
    let silentAtMs = 0;
    const failedAtMs: number[] = [];
    const job = await cluster.run(async (rank) => {
      try {
        await allReduceForever(rank, (iteration) => {
          if (rank.rank === 0 && iteration === 2) {
            silentAtMs = cluster.scheduler.clock.now();
            cluster.network.partition('node-1', 'node-0');
            cluster.network.partition('node-1', 'node-2');
            defined(cluster.controls[1], 'host 1').silence();
          }
          return false;
        });
      } catch (reason) {
        failedAtMs[rank.rank] = cluster.scheduler.clock.now();
        throw reason;
      }
    });
    expect(job.exitCode).toBe(1);
    for (const rank of [0, 2]) {
      failureOf(job.errors, rank);
      expect(defined(failedAtMs[rank], 'a time') - silentAtMs).toBeLessThan(5_000);
    }
  });

  it('ranks that call with different counts all get an error that names the two that differ', async () => {
    const cluster = new SimulatedCluster({ hosts: 4, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      await allReduceForever(rank, (iteration) => iteration === 1, rank.rank === 2 ? 999 : 1000);
    });
    expect(job.exitCode).toBe(1);
    const messages = [0, 1, 2, 3].map((rank) => failureOf(job.errors, rank));
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toMatch(
      /hcclInvalidUsage: Expected every rank to make the same call as operation 1/,
    );
    expect(messages[0]).toMatch(/rank 2 called hcclAllReduce \(\w+, 999 x float32, sum\)/);
    expect(messages[0]).toMatch(/rank [013] called hcclAllReduce \(\w+, 1000 x float32, sum\)/);
  });

  it('ranks that call with different types all get an error that names the two that differ', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      const type = rank.rank === 1 ? hcclInt32 : hcclFloat32;
      await allReduceForever(rank, (iteration) => iteration === 1, 1000, type);
    });
    expect(job.exitCode).toBe(1);
    const messages = [0, 1, 2].map((rank) => failureOf(job.errors, rank));
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toMatch(/rank 1 called hcclAllReduce \(\w+, 1000 x int32, sum\)/);
    expect(messages[0]).toMatch(/rank [02] called hcclAllReduce \(\w+, 1000 x float32, sum\)/);
  });

  it('a rank that leaves early is named to the ranks that call on', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      await allReduceForever(rank, (iteration) => iteration === (rank.rank === 1 ? 2 : 4));
    });
    expect(job.exitCode).toBe(1);
    expect(failureOf(job.errors, 0)).toMatch(/Rank 1 left the communicator after operation 2/);
    expect(job.errors.has(1)).toBe(false);
  });

  it('a collective on an address that is not mapped fails on every rank, not only there', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(rank.channel, fd, 4096);
      const address = rank.rank === 1 ? buffer + 2 ** 40 : buffer;
      await hcclAllReduce(rank.channel, address, address, 100, hcclFloat32, hcclSum, comm);
      try {
        await synStreamSynchronize(rank.channel);
      } finally {
        const { result } = await hcclCommGetAsyncError(rank.channel, comm);
        if (rank.rank !== 1) expect(result).toBe('hcclInvalidArgument');
      }
    });
    for (const rank of [0, 1, 2]) {
      expect(failureOf(job.errors, rank)).toMatch(
        /hcclInvalidArgument: .*Expected a mapped device address/,
      );
    }
  });

  it('a mapping that is invalidated in mid-run fails the next work request', async () => {
    const cluster = new SimulatedCluster({
      hosts: 2,
      latencyMs: 0.1,
      bandwidthBytesPerMs: 100_000,
    });
    const exported: DmaBuf[] = [];
    const job = await cluster.run(async (rank) => {
      if (rank.rank === 1) watchExports(rank, exported);
      await allReduceForever(rank, (iteration) => {
        if (rank.rank === 1 && iteration === 1) {
          cluster.scheduler.after(1, () => {
            for (const dmaBuf of exported) {
              const invalidate = () => dma_buf_invalidate_mappings(dmaBuf);
              void dma_resv_locked(dmaBuf.reservation, invalidate);
            }
          });
        }
        return iteration === 3;
      });
    });
    expect(job.exitCode).toBe(1);
    expect(failureOf(job.errors, 0)).toMatch(/hcclLibfabricError/);
    expect(failureOf(job.errors, 0)).toMatch(/IBV_WC_(REM_ACCESS_ERR|LOC_PROT_ERR|WR_FLUSH_ERR)/);
  });

  it('a device without room for the receive slots gives hcclOutOfMemory, and nothing is leaked', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const fd = await hlthunk_open(channel, 0);
      const { dramFreeBytes } = await hlthunk_get_dram_usage(channel, fd);
      await hlthunk_device_memory_alloc(channel, fd, dramFreeBytes - 1024 * 1024);
      await hcclCommInitRank(channel, fd, 2, 'too-big', rank.rank);
    });
    for (const rank of [0, 1]) {
      expect(failureOf(job.errors, rank)).toMatch(
        /^hcclOutOfMemory: Expected 8 MiB of free device memory/,
      );
    }
    for (const host of cluster.hosts) {
      expect(host.devices[0]?.usage()).toMatchObject({ state: 'free', allocations: 0, exports: 0 });
    }
  });

  it('after hcclCommDestroy and close the device opens again at once, though its memory was registered', async () => {
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 0.1 });
    const job = await cluster.run(async (rank) => {
      const { channel } = rank;
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(channel, fd, 4096);
      await hcclAllReduce(channel, buffer, buffer, 1000, hcclFloat32, hcclSum, comm);
      await synStreamSynchronize(channel);
      await hcclCommDestroy(channel, comm);
      await hlthunk_close(channel, fd);
      await hlthunk_open(channel, 0);
    });
    expect([...job.errors.values()]).toEqual([]);
    expect(job.exitCode).toBe(0);
  });
});

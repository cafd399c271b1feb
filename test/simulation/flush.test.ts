/**
 * R18: a completion is seen before the bytes are in device memory. On simulated hosts whose NICs post
 * their writes (`posted-writes.ts`), a collective is right only if each rank reads its own device memory
 * back before it uses what a completion has announced.
 */
import { describe, expect, it } from 'vitest';
import { hcclCommGetCounters, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import { PostedWrites } from './posted-writes.ts';
import {
  allocate,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const HOSTS = 3;
const CALLS = 2;
const FLOATS = 1_000_000;
/** Longer than a collective takes: what nothing pushes ahead comes too late. */
const DELAY_MS = 50;
/** Short against the time between two completions, and long: then some come during a read. */
const READS_MS = [0.02, 0.15, 0.25, 0.6];

/** How many floats were wrong, over all ranks and calls, and how often a rank has flushed. */
async function allReduce(readMs: number, environment: Readonly<Record<string, string>> = {}) {
  const posted: PostedWrites[] = [];
  const cluster = new SimulatedCluster({
    hosts: HOSTS,
    latencyMs: 0.02,
    bandwidthBytesPerMs: 1e6,
    nic(transport, scheduler) {
      const writes = new PostedWrites({ scheduler, delayMs: DELAY_MS, readMs });
      posted.push(writes);
      return writes.between(transport);
    },
  });
  let wrong = 0;
  const flushes: number[] = [];
  const job = await cluster.run(async (rank) => {
    const { channel } = rank;
    const { fd, comm } = await joinWorld(rank);
    const [send, recv] = [
      await allocate(channel, fd, 4 * FLOATS),
      await allocate(channel, fd, 4 * FLOATS),
    ];
    for (let call = 1; call <= CALLS; call++) {
      const value = (of: number, index: number) => call * (of + 1) + (index % 1000);
      const input = Float32Array.from({ length: FLOATS }, (_, index) => value(rank.rank, index));
      await writeFloats(rank, fd, send, input);
      await hcclAllReduce(channel, send, recv, FLOATS, hcclFloat32, hcclSum, comm);
      await synStreamSynchronize(channel);
      const output = await readFloats(rank, fd, recv, FLOATS);
      // Sums of small integers: exact in any order.
      output.forEach((sum, index) => {
        if (sum !== value(0, index) + value(1, index) + value(2, index)) wrong++;
      });
    }
    flushes.push((await hcclCommGetCounters(channel, comm)).flushes);
  }, environment);
  expect([...job.errors.values()]).toEqual([]);
  return { wrong, flushes, stored: posted.map(({ stored }) => stored) };
}

describe('R18: writes of a NIC that reach device memory after their completion', () => {
  it.each(READS_MS)(
    'every sum is right with HCL_FABRIC_FLUSH=1: the read that comes back after %d ms has pushed them ahead',
    async (readMs) => {
      const { wrong, flushes, stored } = await allReduce(readMs, { HCL_FABRIC_FLUSH: '1' });
      expect(wrong).toBe(0);
      expect(flushes).toHaveLength(HOSTS);
      for (const count of flushes) expect(count).toBeGreaterThan(0);
      expect(stored.every(({ pushed, late }) => pushed > 0 && late === 0)).toBe(true);
    },
  );

  it('sums are wrong without it, which shows that the writes are late', async () => {
    const { wrong, flushes } = await allReduce(0);
    expect(wrong).toBeGreaterThan(0);
    expect(flushes).toEqual(Array(HOSTS).fill(0));
  });
});

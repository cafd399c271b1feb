import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { runPrograms } from '../../collectives/reference.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { Prng } from '../../common/prng.ts';
import { synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import {
  allocate,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const COUNT = 300_001;

function inputOf(rank: number): Float32Array {
  const prng = new Prng(1000 + rank);
  return Float32Array.from({ length: COUNT }, () => prng.normal());
}

async function simulate(hosts: number) {
  const cluster = new SimulatedCluster({ hosts, latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 });
  const results: Float32Array[] = [];
  const job = await cluster.run(async (rank) => {
    const { fd, comm } = await joinWorld(rank);
    const buffer = await allocate(rank.channel, fd, 4 * COUNT);
    await writeFloats(rank, fd, buffer, inputOf(rank.rank));
    await hcclAllReduce(rank.channel, buffer, buffer, COUNT, hcclFloat32, hcclSum, comm);
    await synStreamSynchronize(rank.channel);
    results[rank.rank] = await readFloats(rank, fd, buffer, COUNT);
  });
  return { cluster, job, results };
}

describe('simulation: three hosts in one process under a virtual clock', () => {
  it('an all-reduce gives the bits that the schedule defines, on every rank', async () => {
    const { job, results } = await simulate(3);
    expect([...job.errors.values()]).toEqual([]);
    expect(job.exitCode).toBe(0);
    const shape = { collective: 'allReduce', topology: flatTopology(3), root: 0 } as const;
    const programs = lowerAll(buildSchedule({ ...shape, algorithm: 'ring' }));
    const table = chunkTable(programs[0] as (typeof programs)[0], COUNT);
    const expected = runPrograms(programs, table, [0, 1, 2].map(inputOf), { inPlace: true });
    for (const [rank, result] of results.entries()) {
      expect(
        Buffer.from(result.buffer).equals(Buffer.from((expected[rank] as Float32Array).buffer)),
      ).toBe(true);
    }
  });

  it('the same run twice gives the same trace of events, to the last virtual time stamp', async () => {
    const first = await simulate(3);
    const second = await simulate(3);
    const digest = (events: readonly object[]) =>
      createHash('sha256').update(JSON.stringify(events)).digest('hex');
    expect(first.cluster.trace.length).toBeGreaterThan(20);
    expect(second.cluster.trace).toEqual(first.cluster.trace);
    expect(digest(second.cluster.trace)).toBe(digest(first.cluster.trace));
  });
});

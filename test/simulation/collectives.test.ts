import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { totalWireElements } from '../../collectives/cost.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { runPrograms } from '../../collectives/reference.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { selectAlgorithm } from '../../collectives/tuner.ts';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { hcclCommDestroy, hcclCommGetCounters, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllGather, hcclAllReduce, hcclBroadcast } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclInt32, hcclSum } from '../../node/hccl/hccl.ts';
import { SLOTS_PER_LANE, slotBytes } from '../../node/hccl/lanes.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  manyFloats,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const ELEMENT = hcclFloat32;
const COUNTS = [0, 1, 3, 1000, 10007];

interface Call {
  readonly collective: CollectiveName;
  readonly count: number;
  readonly root: number;
  readonly inPlace: boolean;
}

function calls(nranks: number): Call[] {
  const all: Call[] = [];
  for (const count of COUNTS) {
    for (const inPlace of [false, true]) {
      all.push({ collective: 'allReduce', count, root: 0, inPlace });
      all.push({ collective: 'allGather', count, root: 0, inPlace });
      all.push({ collective: 'broadcast', count, root: count % nranks, inPlace });
    }
  }
  return all;
}

/** By seed: each is asked for by its rank and by the reference. */
const inputs = new Map<number, Float32Array>();

function inputOf(call: Call, rank: number): Float32Array {
  const seed = call.count * 64 + rank;
  const prng = new Prng(seed);
  const input = inputs.get(seed) ?? manyFloats(call.count, () => prng.normal());
  inputs.set(seed, input);
  return input;
}

/** What the schedule, executed in its own order, gives. */
function reference(call: Call, nranks: number) {
  const { collective, count, root, inPlace } = call;
  const bytes = 4 * count * (collective === 'allGather' ? nranks : 1);
  const algorithm = selectAlgorithm({ collective, bytes, nranks });
  const topology = flatTopology(nranks);
  const programs = lowerAll(buildSchedule({ collective, algorithm, topology, root }));
  const table = chunkTable(defined(programs[0], 'a program'), count);
  const inputs = Array.from({ length: nranks }, (_, rank) => inputOf(call, rank));
  return {
    outputs: runPrograms(programs, table, inputs, { inPlace }),
    wireBytes: 4 * totalWireElements(programs, table),
  };
}

/** Makes the call with real buffers; returns this rank's output. */
async function make(call: Call, rank: InlineRank, fd: number, comm: number): Promise<Float32Array> {
  const { channel } = rank;
  const { collective, count, root, inPlace } = call;
  const blocks = collective === 'allGather' ? rank.nranks : 1;
  const recv = await allocate(channel, fd, Math.max(4, 4 * count * blocks));
  const own = recv + (collective === 'allGather' ? 4 * count * rank.rank : 0);
  const send = inPlace ? own : await allocate(channel, fd, Math.max(4, 4 * count));
  await writeFloats(rank, fd, send, inputOf(call, rank.rank));
  if (collective === 'allReduce') {
    await hcclAllReduce(channel, send, recv, count, ELEMENT, hcclSum, comm);
  } else if (collective === 'allGather') {
    await hcclAllGather(channel, send, recv, count, ELEMENT, comm);
  } else {
    await hcclBroadcast(channel, send, recv, count, ELEMENT, root, comm);
  }
  await synStreamSynchronize(channel);
  if (!inPlace) expect(await readFloats(rank, fd, send, count)).toEqual(inputOf(call, rank.rank));
  return readFloats(rank, fd, recv, count * blocks);
}

describe('collectives on simulated hosts', () => {
  it.each([
    { hosts: 1, devices: 1 },
    { hosts: 2, devices: 1 },
    { hosts: 1, devices: 3 },
    { hosts: 4, devices: 1 },
    { hosts: 2, devices: 3 },
  ])(
    '$hosts hosts x $devices devices: every collective gives the bits of its schedule',
    async (size) => {
      const nranks = size.hosts * size.devices;
      const cluster = new SimulatedCluster({ ...size, latencyMs: 0.01 });
      const wire = new Map<string, number>();
      const job = await cluster.run(async (rank) => {
        const { fd, comm } = await joinWorld(rank);
        for (const call of calls(nranks)) {
          const name = JSON.stringify(call);
          const before = (await hcclCommGetCounters(rank.channel, comm)).payloadBytesSent;
          const output = await make(call, rank, fd, comm);
          const after = (await hcclCommGetCounters(rank.channel, comm)).payloadBytesSent;
          wire.set(name, (wire.get(name) ?? 0) + after - before);
          const expected = defined(reference(call, nranks).outputs[rank.rank], 'an output');
          expect(Buffer.from(output.buffer).equals(Buffer.from(expected.buffer)), name).toBe(true);
        }
        await hcclCommDestroy(rank.channel, comm);
      });
      expect([...job.errors.values()]).toEqual([]);
      expect(job.exitCode).toBe(0);
      for (const call of calls(nranks)) {
        expect(wire.get(JSON.stringify(call)), JSON.stringify(call)).toBe(
          reference(call, nranks).wireBytes,
        );
      }
      for (const host of cluster.hosts) {
        for (const device of host.devices)
          expect(device.usage()).toMatchObject({ state: 'free', allocations: 0, exports: 0 });
      }
    },
  );

  it('an int32 all-reduce adds integers, which wrap around', async () => {
    const count = 5000;
    const inputs = Array.from({ length: 3 }, (_, rank) => {
      const prng = new Prng(7 + rank);
      return Int32Array.from({ length: count }, () => prng.uint32() | 0);
    });
    const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.01 });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const buffer = await allocate(rank.channel, fd, 4 * count);
      const own = defined(inputs[rank.rank], 'an input');
      await writeFloats(rank, fd, buffer, new Float32Array(own.slice().buffer));
      await hcclAllReduce(rank.channel, buffer, buffer, count, hcclInt32, hcclSum, comm);
      await synStreamSynchronize(rank.channel);
      const output = new Int32Array((await readFloats(rank, fd, buffer, count)).buffer);
      const expected = own.map((_, at) =>
        inputs.reduce((sum, one) => (sum + (one[at] ?? 0)) | 0, 0),
      );
      expect(output).toEqual(expected);
    });
    expect([...job.errors.values()]).toEqual([]);
  });

  it('chunks of more slices than a lane has slots go through, and the links stay busy', async () => {
    const count = 4_000_000;
    const call: Call = { collective: 'allReduce', count, root: 0, inPlace: true };
    const cluster = new SimulatedCluster({ hosts: 4, latencyMs: 0.05, bandwidthBytesPerMs: 1e6 });
    const sliceCount = Math.ceil((4 * count) / 4 / slotBytes(4));
    expect(sliceCount).toBeGreaterThan(SLOTS_PER_LANE);
    const { outputs, wireBytes } = reference(call, 4);
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      const output = await make(call, rank, fd, comm);
      const expected = defined(outputs[rank.rank], 'an output');
      expect(Buffer.from(output.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
    });
    expect([...job.errors.values()]).toEqual([]);
    const of = (kind: string) => cluster.trace.filter((event) => event.kind === kind);
    const beganMs = Math.max(...of('collectiveBegin').map(({ atMs }) => atMs));
    const endedMs = Math.max(...of('collectiveEnd').map(({ atMs }) => atMs));
    // Virtual time: the links alone need this long, the rest is latency that pipelining did not hide.
    const wireMs = wireBytes / 4 / 1e6;
    expect(endedMs - beganMs).toBeLessThan(1.1 * wireMs);
  });

  it('a lossy network that drops and repeats frames changes no bit', async () => {
    const count = 200_000;
    const call: Call = { collective: 'allReduce', count, root: 0, inPlace: true };
    const { outputs } = reference(call, 3);
    for (let seed = 1; seed <= 5; seed++) {
      const lossy = { dropRate: 0.03, duplicateRate: 0.03, prng: new Prng(seed) };
      const cluster = new SimulatedCluster({ hosts: 3, latencyMs: 0.05, ...lossy });
      const job = await cluster.run(async (rank) => {
        const { fd, comm } = await joinWorld(rank);
        const output = await make(call, rank, fd, comm);
        const expected = defined(outputs[rank.rank], 'an output');
        expect(
          Buffer.from(output.buffer).equals(Buffer.from(expected.buffer)),
          `seed ${seed}`,
        ).toBe(true);
      });
      expect([...job.errors.values()], `seed ${seed}`).toEqual([]);
    }
  });

  it('with a slow link, at least two slices of one step are outstanding on it', async () => {
    const count = 3_000_000;
    const call: Call = { collective: 'allReduce', count, root: 0, inPlace: true };
    const cluster = new SimulatedCluster({ hosts: 2, latencyMs: 5, bandwidthBytesPerMs: 200_000 });
    const job = await cluster.run(async (rank) => {
      const { fd, comm } = await joinWorld(rank);
      await make(call, rank, fd, comm);
    });
    expect([...job.errors.values()]).toEqual([]);
    let outstanding = 0;
    let most = 0;
    for (const event of cluster.trace) {
      if (event.rank !== 0) continue;
      if (event.kind === 'sendBegin') outstanding++;
      if (event.kind === 'sendEnd') outstanding--;
      most = Math.max(most, outstanding);
    }
    expect(most).toBeGreaterThanOrEqual(2);
  });
});

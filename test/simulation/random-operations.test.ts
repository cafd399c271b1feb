import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { runPrograms } from '../../collectives/reference.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { selectAlgorithm } from '../../collectives/tuner.ts';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { delay } from '../../common/scheduler.ts';
import { hcclCommDestroy, synStreamCreate, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclAllGather, hcclAllReduce, hcclBroadcast } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  manyFloats,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const SEEDS = 30;
/** Buffers that the operations of one run share, so that one reads what another has written. */
const BUFFERS = 3;
const FLOATS_MAX = 700_000;

interface Call {
  readonly collective: CollectiveName;
  readonly count: number;
  readonly root: number;
  readonly send: number;
  readonly recv: number;
  readonly onSecondStream: boolean;
}

interface Run {
  readonly hosts: number;
  readonly devices: number;
  readonly latencyMs: number;
  readonly bandwidthBytesPerMs: number;
  readonly floats: number;
  readonly calls: readonly Call[];
  /** Calls after which each rank pauses for a while of its own. */
  readonly pauses: readonly boolean[];
}

function below(prng: Prng, limit: number): number {
  return prng.uint32() % limit;
}

function pick<T>(prng: Prng, choices: readonly T[]): T {
  return defined(choices[below(prng, choices.length)], 'a choice');
}

function runOf(seed: number): Run {
  const prng = new Prng(seed);
  const [hosts, devices] = pick(prng, [
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 1],
    [5, 1],
    [2, 2],
    [3, 2],
    [6, 1],
  ] as const);
  const nranks = hosts * devices;
  const floats = pick(prng, [1000, 50_000, 50_000, FLOATS_MAX]);
  const calls = Array.from({ length: 2 + below(prng, 8) }, (): Call => {
    const collective = pick(prng, ['allReduce', 'allReduce', 'allGather', 'broadcast'] as const);
    const limit = collective === 'allGather' ? Math.floor(floats / nranks) : floats;
    const count = pick(prng, [0, 1, nranks - 1, limit, below(prng, limit), below(prng, limit)]);
    const send = below(prng, BUFFERS);
    const recv = collective === 'allGather' ? (send + 1) % BUFFERS : below(prng, BUFFERS);
    const root = below(prng, nranks);
    return { collective, count, root, send, recv, onSecondStream: below(prng, 2) === 0 };
  });
  return {
    hosts,
    devices,
    floats,
    calls,
    latencyMs: pick(prng, [0.001, 0.05, 2]),
    bandwidthBytesPerMs: pick(prng, [20_000, 1_000_000, 1e8]),
    pauses: calls.map(() => below(prng, 4) === 0),
  };
}

function inputOf(seed: number, rank: number, buffer: number, floats: number): Float32Array {
  const prng = new Prng(seed * 1000 + rank * BUFFERS + buffer);
  return manyFloats(floats, () => prng.float() - 0.5);
}

type Inputs = readonly (readonly Float32Array[])[];

/** [rank][buffer]. */
function inputsOf(seed: number, { hosts, devices, floats }: Run): Inputs {
  return Array.from({ length: hosts * devices }, (_, rank) =>
    Array.from({ length: BUFFERS }, (_unused, buffer) => inputOf(seed, rank, buffer, floats)),
  );
}

/** All ranks' buffers after the calls, by the schedules alone: [rank][buffer]. */
function reference(inputs: Inputs, { calls }: Run): Float32Array[][] {
  const nranks = inputs.length;
  const memory = inputs.map((ofRank) => ofRank.map((one) => one.slice()));
  const topology = flatTopology(nranks);
  for (const { collective, count, root, send, recv } of calls) {
    const bytes = 4 * count * (collective === 'allGather' ? nranks : 1);
    const algorithm = selectAlgorithm({ collective, bytes, nranks });
    const programs = lowerAll(buildSchedule({ collective, algorithm, topology, root }));
    const table = chunkTable(defined(programs[0], 'a program'), count);
    const inputs = memory.map((one) => defined(one[send], 'a buffer').slice(0, count));
    const outputs = runPrograms(programs, table, inputs, { inPlace: send === recv });
    outputs.forEach((output, rank) => {
      defined(memory[rank]?.[recv], 'a buffer').set(output);
    });
  }
  return memory;
}

async function play(
  cluster: SimulatedCluster,
  rank: InlineRank,
  { seed, run, inputs }: { readonly seed: number; readonly run: Run; readonly inputs: Inputs },
) {
  const { channel } = rank;
  const { fd, comm } = await joinWorld(rank);
  const stream = await synStreamCreate(channel);
  const addresses: number[] = [];
  for (const input of defined(inputs[rank.rank], 'inputs')) {
    const address = await allocate(channel, fd, 4 * run.floats);
    await writeFloats(rank, fd, address, input);
    addresses.push(address);
  }
  const prng = new Prng(seed + rank.rank);
  for (const [index, call] of run.calls.entries()) {
    const { collective, count, root, onSecondStream } = call;
    const send = defined(addresses[call.send], 'a buffer');
    const recv = defined(addresses[call.recv], 'a buffer');
    const on = onSecondStream ? stream : 0;
    if (collective === 'allReduce') {
      await hcclAllReduce(channel, send, recv, count, hcclFloat32, hcclSum, comm, on);
    } else if (collective === 'allGather') {
      await hcclAllGather(channel, send, recv, count, hcclFloat32, comm, on);
    } else {
      await hcclBroadcast(channel, send, recv, count, hcclFloat32, root, comm, on);
    }
    if (run.pauses[index]) await delay(cluster.scheduler, below(prng, 30));
  }
  await synStreamSynchronize(channel);
  await synStreamSynchronize(channel, stream);
  const results: Float32Array[] = [];
  for (const address of addresses) results.push(await readFloats(rank, fd, address, run.floats));
  await hcclCommDestroy(channel, comm);
  return results;
}

describe('random operations, queued on two streams of random clusters', () => {
  it(`leave every buffer as their schedules say, whatever the network (${SEEDS} seeds)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = runOf(seed);
      const inputs = inputsOf(seed, run);
      const { hosts, devices, latencyMs, bandwidthBytesPerMs } = run;
      const cluster = new SimulatedCluster({ hosts, devices, latencyMs, bandwidthBytesPerMs });
      const results: Float32Array[][] = [];
      const job = await cluster.run(async (rank) => {
        results[rank.rank] = await play(cluster, rank, { seed, run, inputs });
      });
      const what = `seed ${seed}: ${JSON.stringify(run)}`;
      expect([...job.errors.values()], what).toEqual([]);
      const expected = reference(inputs, run);
      for (const [rank, buffers] of expected.entries()) {
        for (const [index, buffer] of buffers.entries()) {
          const found = defined(results[rank]?.[index], 'a result');
          const same = Buffer.from(found.buffer).equals(Buffer.from(buffer.buffer));
          expect(same, `rank ${rank} buffer ${index}, ${what}`).toBe(true);
        }
      }
    }
  }, 60_000);
});

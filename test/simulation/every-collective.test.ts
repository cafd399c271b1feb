import { describe, expect, it } from 'vitest';
import { ELEMENT_TYPES, type ElementType } from '../../collectives/arithmetic.ts';
import type { ElementCounts } from '../../collectives/chunks.ts';
import { BLOCKS, type CollectiveName } from '../../collectives/collective.ts';
import { defined } from '../../common/assert.ts';
import { delay } from '../../common/scheduler.ts';
import { hcclCommLastChoice, synStreamSynchronize } from '../../node/hccl/api.ts';
import { hcclBarrier } from '../../node/hccl/collective-api.ts';
import { type CollectiveCase, expectedOutputs, runCase } from './collective-runs.ts';
import { type InlineRank, joinWorld, SimulatedCluster } from './simulated-cluster.ts';

const LINK = { latencyMs: 0.01, bandwidthBytesPerMs: 10_000_000 };
const TYPES = Object.keys(ELEMENT_TYPES) as ElementType[];
const OPS = ['sum', 'prod', 'min', 'max', 'avg'] as const;
const PLACEMENTS = ['outOfPlace', 'inPlace'] as const;

const CALLS: readonly CollectiveName[] = [
  'allReduce',
  'reduce',
  'broadcast',
  'allGather',
  'reduceScatter',
  'allToAll',
  'gather',
  'scatter',
  'allGatherV',
  'reduceScatterV',
  'allToAllV',
];

/** Few, uneven and many elements, as the collective wants them. */
function countsOf(name: CollectiveName, nranks: number): ElementCounts[] {
  if (name === 'allToAll') return [0, nranks, 1003 * nranks];
  if (name === 'allToAllV') {
    // Symmetric, so that it can be done in place.
    const between = (a: number, b: number) => ((a + b) % 3) * 100 + a * b;
    return [
      Array.from({ length: nranks * nranks }, (_, index) =>
        between(Math.floor(index / nranks), index % nranks),
      ),
    ];
  }
  if (name === 'allGatherV' || name === 'reduceScatterV') {
    return [Array.from({ length: nranks }, (_, rank) => (rank % 2) * 501 + rank)];
  }
  return [0, 1, 3, 1003];
}

/** Every count and placement of a collective; types and operations take turns. */
function casesOf(name: CollectiveName, nranks: number): CollectiveCase[] {
  let turn = CALLS.indexOf(name);
  return countsOf(name, nranks).flatMap((counts) =>
    PLACEMENTS.map((placement) => {
      turn++;
      return {
        collective: name,
        counts,
        placement,
        root: turn % nranks,
        type: defined(TYPES[turn % TYPES.length], 'a type'),
        op: BLOCKS[name].reduces ? defined(OPS[turn % OPS.length], 'an operation') : 'sum',
      };
    }),
  );
}

interface Size {
  readonly hosts: number;
  readonly devices: number;
}

/** Makes the calls on a cluster and compares each rank's output with what its schedule gives. */
async function expectReference(size: Size, cases: readonly CollectiveCase[]): Promise<void> {
  const { hosts, devices } = size;
  const topology = { boxes: hosts, ranksPerBox: devices };
  const cluster = new SimulatedCluster({ hosts, devices, ...LINK });
  const job = await cluster.run(async (rank: InlineRank) => {
    const { fd, comm } = await joinWorld(rank);
    for (const one of cases) {
      const output = await runCase(rank, fd, comm, one);
      const choice = defined(await hcclCommLastChoice(rank.channel, comm), 'a choice');
      const expected = defined(
        expectedOutputs(one, topology, choice)[rank.rank],
        'the output of a rank',
      );
      const what = `${JSON.stringify(one)} as ${choice.algorithm} on rank ${rank.rank}`;
      expect(Buffer.from(output).equals(Buffer.from(expected)), what).toBe(true);
    }
  });
  expect([...job.errors.values()]).toEqual([]);
}

describe('every collective gives the bits of its schedule, in both placements', () => {
  for (const size of [
    { hosts: 1, devices: 1 },
    { hosts: 3, devices: 1 },
    { hosts: 2, devices: 2 },
  ]) {
    it.each(CALLS)(`%s on ${size.hosts} x ${size.devices}`, async (name) => {
      await expectReference(size, casesOf(name, size.hosts * size.devices));
    });
  }

  it.each(TYPES)('all operations on %s', async (type) => {
    const cases = OPS.map((op): CollectiveCase => {
      const placement = PLACEMENTS[OPS.indexOf(op) % 2] ?? 'inPlace';
      return { collective: 'allReduce', counts: 101, root: 0, type, op, placement };
    });
    await expectReference({ hosts: 3, devices: 1 }, cases);
  });

  it.each(['allReduce', 'reduce', 'reduceScatter', 'reduceScatterV'] as const)(
    '%s of scaled inputs, which stay as they are',
    async (name) => {
      const nranks = 3;
      const types = ['float32', 'int32', 'bfloat16', 'int64'] as const;
      const cases = types.flatMap((type) =>
        PLACEMENTS.map(
          (placement): CollectiveCase => ({
            collective: name,
            counts: countsOf(name, nranks).at(-1) ?? 0,
            root: 1,
            type,
            op: 'sum',
            placement,
            scalars: [2, 3, 5],
          }),
        ),
      );
      await expectReference({ hosts: nranks, devices: 1 }, cases);
    },
  );

  it('hcclBarrier holds every rank until the last has come', async () => {
    const cluster = new SimulatedCluster({ hosts: 3, devices: 2, ...LINK });
    const cameAtMs: number[] = [];
    const leftAtMs: number[] = [];
    const job = await cluster.run(async (rank) => {
      const { comm } = await joinWorld(rank);
      await delay(cluster.scheduler, 10 * ((rank.rank * 5) % 6));
      cameAtMs[rank.rank] = cluster.scheduler.clock.now();
      await hcclBarrier(rank.channel, comm);
      await hcclBarrier(rank.channel, comm);
      await synStreamSynchronize(rank.channel);
      leftAtMs[rank.rank] = cluster.scheduler.clock.now();
    });
    expect([...job.errors.values()]).toEqual([]);
    expect(Math.min(...leftAtMs)).toBeGreaterThanOrEqual(Math.max(...cameAtMs));
  });
});

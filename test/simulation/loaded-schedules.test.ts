import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import { mscclDocument } from '../../collectives/msccl/from-programs.ts';
import { writeMscclXml } from '../../collectives/msccl/write.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import {
  hcclCommLastChoice,
  hcclCommLoadSchedule,
  hcclCommUnloadSchedule,
  synStreamSynchronize,
} from '../../node/hccl/api.ts';
import { hcclAllReduce } from '../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../node/hccl/hccl.ts';
import {
  allocate,
  type InlineRank,
  joinWorld,
  readFloats,
  SimulatedCluster,
  writeFloats,
} from './simulated-cluster.ts';

const LINK = { latencyMs: 0.05, bandwidthBytesPerMs: 1_000_000 };
const NRANKS = 3;

/** A ring all-reduce as a file. */
function ring(nranks = NRANKS): string {
  const topology = flatTopology(nranks);
  const request = { collective: 'allReduce', algorithm: 'ring', topology } as const;
  return writeMscclXml(
    mscclDocument(lowerAll(buildSchedule(request)), {
      name: 'my ring',
      placements: ['inPlace', 'outOfPlace'],
    }),
  );
}

/**
 * Two ranks add up two chunks by way of one chunk of scratch memory, which cannot have the size of both:
 * so this holds only if they are of one size. In place only.
 */
function throughOneSlot(): string {
  const step = (s: number, type: string, src: string, dst: string, dependsOn = -1) => {
    const depid = dependsOn < 0 ? -1 : 0;
    const at = (name: string, place: string) => `${name}buf="${place[0]}" ${name}off="${place[1]}"`;
    return `<step s="${s}" type="${type}" ${at('src', src)} ${at('dst', dst)} cnt="1" depid="${depid}" deps="${dependsOn}" hasdep="${type === 's' ? 1 : 0}"/>`;
  };
  const gpu = (id: number) => `
    <gpu id="${id}" i_chunks="2" o_chunks="0" s_chunks="1">
      <tb id="0" send="${1 - id}" recv="-1" chan="0">
        ${step(0, 's', 'i0', 's0')}
        ${step(1, 's', 'i1', 's0')}
      </tb>
      <tb id="1" send="-1" recv="${1 - id}" chan="0">
        ${step(0, 'r', 'i0', 's0')}
        ${step(1, 're', 's0', 'i0', 0)}
        ${step(2, 'r', 'i1', 's0')}
        ${step(3, 're', 's0', 'i1', 1)}
      </tb>
    </gpu>`;
  return `<algo name="one slot" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="allreduce" inplace="1" outofplace="0">${gpu(0)}${gpu(1)}</algo>`;
}

/** Runs on every rank of a cluster; gives what the first failing rank said. */
async function onRanks(
  program: (rank: InlineRank, fd: number, comm: number) => Promise<void>,
  nranks = NRANKS,
): Promise<string> {
  const cluster = new SimulatedCluster({ hosts: nranks, ...LINK });
  const job = await cluster.run(async (rank) => {
    const { fd, comm } = await joinWorld(rank);
    await program(rank, fd, comm);
  });
  return [...job.errors.values()][0]?.message ?? '';
}

/** Sums floats, each the rank's number plus one, out of place. */
async function sum({ channel, ...rank }: InlineRank, fd: number, comm: number, count: number) {
  const own = { channel, ...rank };
  const [send, recv] = [
    await allocate(channel, fd, 4 * count),
    await allocate(channel, fd, 4 * count),
  ];
  await writeFloats(own, fd, send, new Float32Array(count).fill(rank.rank + 1));
  await hcclAllReduce(channel, send, recv, count, hcclFloat32, hcclSum, comm);
  await synStreamSynchronize(channel);
  return [...new Set(await readFloats(own, fd, recv, count))];
}

describe('a schedule that is loaded', () => {
  it('carries out the calls of its collective, until it is taken away', async () => {
    const failure = await onRanks(async (rank, fd, comm) => {
      const { channel } = rank;
      const loaded = await hcclCommLoadSchedule(channel, comm, ring());
      expect(loaded).toMatchObject({ name: 'my ring', collective: 'allReduce' });
      expect(loaded.placements).toContain('outOfPlace');
      expect(loaded.algorithm).toMatch(/^msccl:my_ring#[0-9a-f]{16}$/);
      expect(await sum(rank, fd, comm, 3000)).toEqual([6]);
      const { algorithm } = loaded;
      expect(await hcclCommLastChoice(channel, comm)).toMatchObject({ algorithm });
      await hcclCommUnloadSchedule(channel, comm);
      expect(await sum(rank, fd, comm, 10)).toEqual([6]);
      expect((await hcclCommLastChoice(channel, comm))?.algorithm).not.toBe(algorithm);
    });
    expect(failure).toBe('');
  });

  it('on one rank only is another call than that of the others', async () => {
    const failure = await onRanks(async (rank, fd, comm) => {
      if (rank.rank === 1) await hcclCommLoadSchedule(rank.channel, comm, ring());
      await sum(rank, fd, comm, 3000);
    });
    expect(failure).toMatch(/^hcclInvalidUsage: Expected every rank to make the same call.*msccl:/);
  });

  it('takes only counts for which it is proved, and only buffers for which it is made', async () => {
    const failure = await onRanks(async (rank, fd, comm) => {
      const { channel } = rank;
      const { algorithm, multiple, placements } = await hcclCommLoadSchedule(
        channel,
        comm,
        throughOneSlot(),
      );
      expect([multiple, placements]).toEqual([2, ['inPlace']]);
      const buffer = await allocate(channel, fd, 400);
      await writeFloats(rank, fd, buffer, new Float32Array(100).fill(rank.rank + 1));
      const reduce = (count: number) =>
        hcclAllReduce(channel, buffer, buffer, count, hcclFloat32, hcclSum, comm);
      await expect(reduce(99)).rejects.toThrow(
        /^hcclInvalidArgument: Expected a count that is a multiple of 2.* but found 99/,
      );
      await reduce(100);
      await synStreamSynchronize(channel);
      expect([...new Set(await readFloats(rank, fd, buffer, 100))]).toEqual([3]);
      expect(await hcclCommLastChoice(channel, comm)).toMatchObject({ algorithm });
      expect(await sum(rank, fd, comm, 99)).toEqual([3]);
      expect((await hcclCommLastChoice(channel, comm))?.algorithm).not.toBe(algorithm);
    }, 2);
    expect(failure).toBe('');
  });

  it('for another number of ranks is refused', async () => {
    const failure = await onRanks(async ({ channel }, _fd, comm) => {
      await hcclCommLoadSchedule(channel, comm, ring(4));
    });
    expect(failure).toMatch(
      /^hcclInvalidArgument: Expected a schedule for 3 ranks but schedule my ring is for 4/,
    );
  });

  it('that does not do what it says is refused with the reason', async () => {
    const failure = await onRanks(async ({ channel }, _fd, comm) => {
      const wrong = ring().replaceAll('type="rrcs"', 'type="rcs"');
      await hcclCommLoadSchedule(channel, comm, wrong);
    });
    expect(failure).toMatch(/^hcclInvalidArgument: Expected schedule my ring to be proved .*rank/i);
  });

  it('that cannot be read is refused with the line', async () => {
    const failure = await onRanks(async ({ channel }, _fd, comm) => {
      await hcclCommLoadSchedule(channel, comm, ring().slice(0, 400));
    });
    expect(failure).toMatch(/line \d+/);
  });
});

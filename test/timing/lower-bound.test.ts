import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ElementCounts } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { algorithmsFor, buildSchedule, expectBuildable } from '../../collectives/table.ts';
import { predict } from '../../timing/engine/predict.ts';
import { lowerBound } from '../../timing/lower-bound.ts';
import type { Network } from '../../timing/network.ts';
import type { Stuck } from '../../timing/prediction.ts';
import { builtInTopology } from '../../timing/topology/built-in.ts';
import { networkOf } from '../../timing/topology/network.ts';
import { FOREIGN_TOPOLOGIES } from './topology/foreign-topologies.ts';

const MiB = 2 ** 20;

function bound(collective: CollectiveName, network: Network, counts: ElementCounts, root = 0) {
  const { nranks } = network;
  return lowerBound({ collective, nranks, counts, bytesPerElement: 4, root }, network);
}

/** No latency, every byte on the wire is payload: what is left is bytes by rate. */
const PLAIN = {
  'card.issue': 0,
  'scaleUp.latency': 0,
  'scaleUp.efficiency': 1,
  'scaleOut.latency': 0,
  'scaleOut.efficiency': 1,
};

describe('lowerBound()', () => {
  it('is 1.75 S / 262.5 GB/s for an all-reduce on one HLS-2, as the published figures assume', () => {
    const network = networkOf(builtInTopology('hls2'), { overrides: PLAIN });
    const { seconds, cut } = bound('allReduce', network, 8 * MiB);
    expect(seconds).toBeCloseTo((1.75 * 32 * MiB) / 262.5e9, 12);
    expect(cut).toBe('between all 8 cards at 2.1 TB/s');
  });

  it('grows with fewer cards in the box, as the cables to absent cards are of no use', () => {
    const of = (cards: number) =>
      bound('allGather', networkOf(builtInTopology('hls2'), { cards, overrides: PLAIN }), MiB)
        .seconds;
    expect(of(2)).toBeCloseTo((4 * MiB) / 37.5e9, 12);
    expect(of(4)).toBeCloseTo((3 * 4 * MiB) / 112.5e9, 12);
  });

  it("is decided by the box's way out for an all-to-all between boxes", () => {
    const network = networkOf(builtInTopology('hls2'), { boxes: 4, overrides: PLAIN });
    const { seconds, cut } = bound('allToAll', network, 32 * MiB);
    // Of each card's 128 MiB, 24 of 32 parts leave the box, over 3 ports of 12.5 GB/s.
    expect(seconds).toBeCloseTo((0.75 * 128 * MiB) / 37.5e9, 9);
    expect(cut).toMatch(/box/);
  });

  it("is decided by the spine's rate where it is tapered", () => {
    const overrides = { ...PLAIN, 'scaleOut.taper': 0.25 };
    const network = networkOf(builtInTopology('hls2'), { boxes: 4, overrides });
    const { seconds, cut } = bound('allReduce', network, 32 * MiB);
    expect(seconds).toBeCloseTo((2 * 3 * 128 * MiB) / (4 * 300e9 * 0.25), 9);
    expect(cut).toBe('between all 4 boxes at 300 GB/s');
  });

  it("is decided by the host's NICs on dl1", () => {
    const network = networkOf(builtInTopology('dl1'), { boxes: 2 });
    const { bandwidthSeconds } = bound('allGather', network, 32 * MiB);
    expect(bandwidthSeconds).toBeCloseTo((8 * 128 * MiB) / (50e9 * 0.95), 9);
  });

  it('has the least latency of a route, and two steps to issue, whatever the size', () => {
    const network = networkOf(builtInTopology('hls2'));
    const { latencySeconds, seconds, bandwidthSeconds } = bound('broadcast', network, 1);
    expect(latencySeconds).toBeCloseTo(2 * 500e-9 + 700e-9, 15);
    expect(seconds).toBe(latencySeconds + bandwidthSeconds);
    expect(bound('barrier', network, 0).seconds).toBe(latencySeconds);
    expect(bound('broadcast', network, 0).seconds).toBe(0);
  });

  it('is decided by reduction where that is slow', () => {
    const network = networkOf(builtInTopology('flat'), { overrides: { 'card.reduceRate': 1e6 } });
    const { cut, bandwidthSeconds } = bound('allReduce', network, MiB);
    expect(cut).toContain('reduction');
    expect(bandwidthSeconds).toBeCloseTo((7 * 4 * MiB) / 8e6, 9);
  });

  it("is decided by the root's way out for a scatter, and into it for a gather", () => {
    const network = networkOf(builtInTopology('flat'), { boxes: 4 });
    const [scatter, gather] = [bound('scatter', network, MiB, 2), bound('gather', network, MiB, 2)];
    expect(scatter.cut).toBe('out of box0/card0 at 12.5 GB/s');
    expect(gather.cut).toBe('into box0/card0 at 12.5 GB/s');
    expect(scatter.bandwidthSeconds).toBeCloseTo((3 * 4 * MiB) / 12.5e9, 9);
  });

  it('is found for 16,384 cards', () => {
    const network = networkOf(builtInTopology('hls2'), { boxes: 2048 });
    const { seconds } = bound('allReduce', network, 256 * MiB);
    expect(seconds).toBeGreaterThan((2 * 1024 * MiB) / 300e9);
  });
});

const COLLECTIVES = [
  'allReduce',
  'allGather',
  'broadcast',
  'reduceScatter',
  'reduce',
  'allToAll',
  'gather',
  'scatter',
  'sendRecv',
  'barrier',
] as const;

const networks = fc.oneof(
  fc
    .record({
      name: fc.constantFrom('hls1', 'dl1', 'hls2', 'hls3'),
      boxes: fc.integer({ min: 1, max: 3 }),
      perBox: fc.integer({ min: 1, max: 8 }),
      path: fc.constantFrom('direct' as const, 'bounce' as const),
      slow: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
      taper: fc.constantFrom(1, 0.5, 0.1),
    })
    .filter(({ boxes, perBox }) => boxes * perBox > 1)
    .map(({ name, boxes, perBox, path, slow, taper }) => {
      const file = builtInTopology(name);
      const cards = Array.from({ length: boxes * perBox }, (_, rank) => {
        return Math.floor(rank / perBox) * 8 + (rank % perBox);
      });
      const overrides = name === 'dl1' ? {} : { 'scaleOut.taper': taper };
      const rank = slow === undefined ? 0 : slow % (boxes * perBox);
      return networkOf(file, {
        ...{ boxes, cards, path, overrides },
        changes: [
          ...(slow === undefined ? [] : [{ kind: 'straggler', rank, slow: 3 } as const]),
          ...(slow === 1 ? [{ kind: 'degrade', link: 'box0/card0>*', rate: 0.5 } as const] : []),
        ],
      });
    }),
  fc
    .integer({ min: 2, max: 17 })
    .map((cards) => networkOf(builtInTopology('flat'), { boxes: cards })),
  fc.constantFrom(...FOREIGN_TOPOLOGIES).map((file) => networkOf(file)),
);

/** A multiple of the ranks, or not. */
const sizes = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 300_000 }));

describe('a prediction', () => {
  it('is never below the lower bound, whatever the algorithm, size, network and slices', () => {
    fc.assert(
      fc.property(
        networks,
        fc.constantFrom(...COLLECTIVES),
        fc.nat(),
        sizes,
        fc.constantFrom(1024, 16 * 1024, 512 * 1024),
        fc.constantFrom('alike' as const, 'exact' as const),
        (network, collective, choice, size, sliceBytes, ranks) => {
          const { topology, nranks } = network;
          const root = ['broadcast', 'reduce', 'gather', 'scatter'].includes(collective)
            ? choice % nranks
            : 0;
          const algorithms = algorithmsFor(collective).filter((algorithm) =>
            isBuildable({ collective, algorithm, topology, root }),
          );
          const algorithm = algorithms[choice % algorithms.length];
          fc.pre(algorithm !== undefined);
          const counts = collective === 'allToAll' ? size * nranks : size;
          const work = buildSchedule({ collective, algorithm: algorithm ?? '', topology, root });
          const predicted = predict({
            ...{ work, counts, bytesPerElement: 4, network, model: 'flow', ranks },
            execution: { sliceBytes: Math.max(sliceBytes, size), slotsPerConnection: 8 },
          });
          const least = bound(collective, network, counts, root);
          expect(predicted).not.toMatchObject({ kind: 'stuck' } satisfies Partial<Stuck>);
          if (predicted.kind === 'predicted') {
            expect(predicted.seconds).toBeGreaterThanOrEqual(least.seconds * (1 - 1e-9));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function isBuildable(request: Parameters<typeof expectBuildable>[0]): boolean {
  try {
    expectBuildable(request);
    return true;
  } catch {
    return false;
  }
}

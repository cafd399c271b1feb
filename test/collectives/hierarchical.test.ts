/** Two-level algorithms on several topologies, with every combination of what they can be made of. */
import { describe, expect, it } from 'vitest';
import { GROUP_ALGORITHM_NAMES } from '../../collectives/algorithms/group-algorithms.ts';
import { partsOf } from '../../collectives/algorithms/two-level.ts';
import { onChannels } from '../../collectives/channels.ts';
import { BLOCKS } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { buildSchedule, rowFor } from '../../collectives/table.ts';
import { ranksIn, type Topology } from '../../collectives/topology.ts';
import { verify } from '../../collectives/verify.ts';
import { ranksOf } from '../../common/math.ts';
import { costOf, expectSameBits } from './papers/claims.ts';
import { criticalWork } from './papers/messages.ts';
import { CASES, PLACEMENTS } from './support.ts';

const TOPOLOGIES: readonly Topology[] = [
  [1, 1],
  [1, 5],
  [5, 1],
  [1, 8],
  [8, 1],
  [2, 2],
  [2, 4],
  [4, 2],
  [3, 5],
  [16, 2],
  [8, 8],
].map(([boxes = 1, ranksPerBox = 1]) => ({ boxes, ranksPerBox }));

const COMBINATIONS = GROUP_ALGORITHM_NAMES.flatMap((inside) =>
  GROUP_ALGORITHM_NAMES.map((across) => ({ inside, across })),
);

const TWO_LEVEL = CASES.filter(({ algorithm }) => algorithm === 'hierarchical');

function nameOf({ boxes, ranksPerBox }: Topology): string {
  return `${boxes} x ${ranksPerBox}`;
}

/** Roots in every corner: first, last, and one inside. */
function rootsOf(collective: keyof typeof BLOCKS, nranks: number): number[] {
  if (!BLOCKS[collective].rooted) return [0];
  return [...new Set([0, Math.floor(nranks / 2), nranks - 1])];
}

describe.each(TWO_LEVEL)('hierarchical $collective', ({ collective, row }) => {
  it('is proved for every combination of algorithms inside and across', () => {
    const made = new Set<string>();
    const wrong: string[] = [];
    for (const topology of TOPOLOGIES) {
      const nranks = ranksIn(topology);
      for (const { inside, across } of COMBINATIONS) {
        if (partsOf(collective, { nranks, topology, inside, across }) === undefined) continue;
        const algorithm = `hierarchical(${inside},${across})`;
        made.add(algorithm);
        for (const root of rootsOf(collective, nranks)) {
          for (const { placement, inPlace } of PLACEMENTS) {
            const schedule = buildSchedule({ collective, algorithm, topology, root, placement });
            const { findings } = verify(lowerAll(schedule), { inPlace, depth: 2 });
            const where = `${nameOf(topology)} ${algorithm} root ${root} ${placement}`;
            wrong.push(...findings.slice(0, 1).map(({ message }) => `${where}: ${message}`));
          }
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(made.size).toBeGreaterThanOrEqual(4);
  });

  it('is proved on two channels, with blocks of several chunks', () => {
    for (const topology of TOPOLOGIES.filter((one) => ranksIn(one) < 16)) {
      for (const { placement, inPlace } of PLACEMENTS) {
        const chunks = 2 * ranksIn(topology);
        const request = { collective, algorithm: 'hierarchical', topology, placement, chunks };
        const programs = lowerAll(onChannels(buildSchedule(request), 2));
        expect(verify(programs, { inPlace }).findings).toEqual([]);
      }
    }
  });

  it('costs what its closed form says, or less where that is a bound', () => {
    for (const topology of TOPOLOGIES.filter((one) => ranksIn(one) < 33)) {
      const nranks = ranksIn(topology);
      for (const { inside, across } of COMBINATIONS) {
        const options = { collective, nranks, topology, inside, across };
        if (row.closedForm === undefined || partsOf(collective, options) === undefined) continue;
        const form = row.closedForm(options);
        const found = criticalWork(row.build(options));
        const where = `${nameOf(topology)} ${inside} ${across}`;
        if (form.text.startsWith('≤')) {
          expect(found.alphas, where).toBeLessThanOrEqual(form.alphas);
          expect(found.bytes, where).toBeLessThanOrEqual(form.bytes + 1e-9);
          continue;
        }
        expect(found.alphas, where).toBe(form.alphas);
        expect(found.bytes, where).toBeCloseTo(form.bytes, 12);
        expect(found.reducedBytes, where).toBeCloseTo(form.reducedBytes, 12);
      }
    }
  });

  it('refuses parts that cannot do it, or not among so many ranks', () => {
    const topology = { boxes: 3, ranksPerBox: 2 };
    for (const algorithm of ['hierarchical(ring,nothing)', 'hierarchical(nothing,ring)']) {
      expect(() => buildSchedule({ collective, algorithm, topology })).toThrow(
        'Expected algorithms inside and across the boxes that do their part',
      );
    }
    const algorithm = 'hierarchical(ring,recursiveHalving)';
    expect(() => buildSchedule({ collective, algorithm, topology })).toThrow('Expected algorithms');
  });
});

describe('hierarchical all-reduce', () => {
  it('leaves the same bits on all ranks, whatever it is made of', () => {
    for (const topology of TOPOLOGIES.filter((one) => ranksIn(one) < 33)) {
      const nranks = ranksIn(topology);
      for (const { inside, across } of COMBINATIONS) {
        const options = { nranks, topology, inside, across };
        if (partsOf('allReduce', options) === undefined) continue;
        const schedule = rowFor('allReduce', 'hierarchical').build({
          ...options,
          collective: 'allReduce',
        });
        expectSameBits(schedule, { commutes: true });
      }
    }
  });

  it('is the algorithm across alone on boxes of one rank, and the one inside alone in one box', () => {
    const costOn = (boxes: number, ranksPerBox: number, algorithm: string): number =>
      costOf(
        buildSchedule({ collective: 'allReduce', algorithm, topology: { boxes, ranksPerBox } }),
      ).seconds;
    for (const nranks of ranksOf(8).map((index) => index + 1)) {
      const across = costOn(nranks, 1, 'hierarchical(direct,ring)');
      expect(across).toBeCloseTo(costOn(nranks, 1, 'ring'), 15);
      const inside = costOn(1, nranks, 'hierarchical(ring,direct)');
      expect(inside).toBeCloseTo(costOn(1, nranks, 'ring'), 15);
    }
  });
});

/** What schedules declare of ranks that are alike is so, and simulating one of them gives what all give. */
import { describe, expect, it } from 'vitest';
import { lower } from '../../../collectives/lower.ts';
import type { Rank, Schedule } from '../../../collectives/schedule.ts';
import type { Topology } from '../../../collectives/topology.ts';
import { predict } from '../../../timing/engine/predict.ts';
import { declared, type Renumbering } from '../../../timing/engine/renumbering.ts';
import { stepElements } from '../../../timing/engine/slice-sizes.ts';
import { TemplateBuilder } from '../../../timing/engine/template-builder.ts';
import type { Network } from '../../../timing/network.ts';
import type { Predicted, PredictionRequest } from '../../../timing/prediction.ts';
import { flatNetwork, hostBoxes, portBoxes, taperedBoxes } from './networks.ts';
import { evenCounts, schedulesOn } from './schedules.ts';

/** The template of one rank as text, with its peers as the rank that stands for it has them. */
function templateOf(schedule: Schedule, rank: Rank, group: Renumbering): string {
  const counts = evenCounts(schedule, 7);
  const builder = new TemplateBuilder({
    elements: stepElements(schedule, counts),
    bytesPerElement: 4,
    sliceBytes: 12,
  });
  builder.add(lower(schedule, rank));
  const { templates: _, outgoing, incoming, ...columns } = builder.finish();
  const back = group.inverse(group.elementOf(rank));
  const turned = (ends: typeof outgoing) =>
    ends.map((end) => ({ ...end, peer: group.apply(back, end.peer) }));
  return JSON.stringify([
    ...Object.entries(columns).map(([name, column]) => [name, Array.from(column)]),
    turned(outgoing),
    turned(incoming),
  ]);
}

function expectAlike(schedule: Schedule, name: string): void {
  if (schedule.alike === undefined) return;
  const group = declared(schedule.alike, schedule.nranks);
  const known = new Map<Rank, string>();
  for (let rank = 0; rank < schedule.nranks; rank++) {
    const representative = group.representative(rank);
    const template = templateOf(schedule, rank, group);
    const first = known.get(representative);
    if (first === undefined) known.set(representative, template);
    else if (template !== first) expect.fail(`${name}: rank ${rank} is not like ${representative}`);
  }
}

const BOXES: readonly Topology[] = [
  ...[2, 3, 4, 5, 6, 7, 8, 12, 16, 17].map((boxes) => ({ boxes, ranksPerBox: 1 })),
  ...[2, 3, 4, 5].flatMap((boxes) => [2, 3, 4].map((ranksPerBox) => ({ boxes, ranksPerBox }))),
  { boxes: 1, ranksPerBox: 8 },
  { boxes: 3, ranksPerBox: 8 },
];

describe('what schedules declare to be alike', () => {
  for (const topology of BOXES) {
    const { boxes, ranksPerBox } = topology;
    it(`is so in ${boxes} boxes of ${ranksPerBox}`, () => {
      for (const { name, schedule } of schedulesOn(topology)) expectAlike(schedule, name);
      for (const { name, schedule } of schedulesOn(topology, {
        placement: 'inPlace',
        channels: 2,
      })) {
        expectAlike(schedule, `${name} on two channels`);
      }
    });
  }

  it('is much: of 16 ranks, most algorithms without a root have at most two that differ', () => {
    const declaring = schedulesOn({ boxes: 16, ranksPerBox: 1 }).filter(
      ({ schedule }) => schedule.alike !== undefined,
    );
    expect(declaring.length).toBeGreaterThan(30);
    for (const { schedule } of declaring) {
      if (schedule.alike === undefined || schedule.algorithm === 'hierarchical') continue;
      expect(declared(schedule.alike, 16).size).toBeGreaterThanOrEqual(8);
    }
  });
});

function both(request: Omit<PredictionRequest, 'ranks'>): { exact: Predicted; alike: Predicted } {
  const [exact, alike] = (['exact', 'alike'] as const).map((ranks) =>
    predict({ ...request, ranks }),
  );
  if (exact?.kind !== 'predicted' || alike?.kind !== 'predicted') throw new Error('stuck');
  return { exact, alike };
}

const EXECUTIONS = [
  { sliceBytes: 1e9, slotsPerConnection: 2 },
  { sliceBytes: 40, slotsPerConnection: 3 },
];

function expectSameBits(network: Network): number {
  let saved = 0;
  for (const { name, schedule } of schedulesOn(network.topology)) {
    if (schedule.alike === undefined) continue;
    for (const [index, execution] of EXECUTIONS.entries()) {
      for (const elements of index === 0 ? [0, 1, 3001] : [37]) {
        const counts = evenCounts(schedule, elements);
        const work = { work: schedule, counts, bytesPerElement: 4, network } as const;
        const { exact, alike } = both({ ...work, model: 'flow', execution });
        const title = `${network.name}, ${name}, ${elements} elements, ${execution.sliceBytes}`;
        expect(alike.seconds, title).toBe(exact.seconds);
        expect(alike.linkUses[0]?.utilisation, title).toBe(exact.linkUses[0]?.utilisation);
        saved += exact.simulatedRanks - alike.simulatedRanks;
      }
    }
  }
  return saved;
}

describe('a prediction by ranks that are alike', () => {
  for (const nranks of [2, 3, 4, 6, 8, 12, 16]) {
    it(`is that of all, to the last bit, on ${nranks} ranks of a flat network`, () => {
      expect(expectSameBits(flatNetwork(nranks))).toBeGreaterThan(0);
    });
  }

  const networks = [portBoxes, hostBoxes, taperedBoxes];
  const topologies: readonly Topology[] = [
    { boxes: 1, ranksPerBox: 6 },
    { boxes: 2, ranksPerBox: 3 },
    { boxes: 3, ranksPerBox: 4 },
    { boxes: 4, ranksPerBox: 4 },
    { boxes: 5, ranksPerBox: 2 },
  ];
  for (const topology of topologies) {
    const { boxes, ranksPerBox } = topology;
    it(`is that of all, to the last bit, in ${boxes} boxes of ${ranksPerBox}`, () => {
      for (const make of networks) {
        expect(expectSameBits(make(topology))).toBeGreaterThan(0);
        expectSameBits(make({ ...topology, symmetry: 'boxes' }));
      }
    });
  }
});

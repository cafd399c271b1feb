/** The flow model against a slow simulator of its own, against sums by hand, and in what must hold always. */
import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../../collectives/lower.ts';
import type { Program } from '../../../collectives/program.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import type { Topology } from '../../../collectives/topology.ts';
import { predict } from '../../../timing/engine/predict.ts';
import type { Network } from '../../../timing/network.ts';
import type { Execution, Predicted, PredictionRequest, Span } from '../../../timing/prediction.ts';
import { flatNetwork, hostBoxes, portBoxes, taperedBoxes } from './networks.ts';
import { referenceSeconds } from './reference.ts';
import { evenCounts, schedulesOn } from './schedules.ts';

/** A factor from 0.5 to 1.5 that a name and a seed decide, so that nothing ends at the same time by chance. */
function factor(name: string, seed: number): number {
  let bits = seed | 1;
  for (const letter of name) bits = Math.imul(bits ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  bits ^= bits >>> 15;
  return 0.5 + (Math.imul(bits, 0x2c1b3c6d) >>> 0) / 2 ** 32;
}

const UNLIKE = (seed: number) =>
  ({
    symmetry: 'none',
    rate: (name: string, rate: number) => rate * factor(name, seed),
    latency: (name: string, seconds: number) => seconds * factor(name, seed + 1),
  }) as const;

function predicted(request: PredictionRequest): Predicted {
  const prediction = predict(request);
  if (prediction.kind !== 'predicted') throw new Error(prediction.waiting.join('; '));
  return prediction;
}

const EXECUTIONS: readonly Execution[] = [
  { sliceBytes: 1e9, slotsPerConnection: 1 },
  { sliceBytes: 9000, slotsPerConnection: 2 },
];

function expectAsReference(network: Network, seed: number): void {
  for (const channels of [1, 2]) {
    for (const { name, schedule } of schedulesOn(network.topology, { channels })) {
      const counts = evenCounts(schedule, 5000 + seed);
      if (typeof counts !== 'number') continue;
      const programs = lowerAll(schedule);
      for (const execution of EXECUTIONS) {
        const work = { counts, bytesPerElement: 4, network, execution };
        const expected = referenceSeconds({ ...work, programs });
        const { seconds } = predicted({ ...work, work: schedule, model: 'flow', ranks: 'exact' });
        const title = `${network.name}, ${name}, ${channels} channels, ${execution.sliceBytes}`;
        expect(expected, title).toBeDefined();
        expect(Math.abs(seconds / (expected ?? 1) - 1), title).toBeLessThan(1e-9);
      }
    }
  }
}

describe('the flow model', () => {
  const topologies: readonly Topology[] = [
    { boxes: 2, ranksPerBox: 2 },
    { boxes: 3, ranksPerBox: 2 },
  ];
  for (const topology of topologies) {
    it(`gives what a slow simulator gives, in ${topology.boxes} boxes of ${topology.ranksPerBox}`, () => {
      for (const [seed, make] of [portBoxes, hostBoxes, taperedBoxes].entries()) {
        expectAsReference(make({ ...topology, ...UNLIKE(seed) }), seed);
      }
    });
  }

  it('gives what a slow simulator gives, on a flat network of unlike cards', () => {
    for (const nranks of [2, 4, 5]) expectAsReference(flatNetwork(nranks, UNLIKE(nranks)), nranks);
  });

  it('takes for one message what its parts take: issue, rate, latency, issue', () => {
    const network = flatNetwork(2, { card: { issueSeconds: 3e-6 } });
    const work = buildSchedule({
      collective: 'broadcast',
      algorithm: 'direct',
      topology: network.topology,
    });
    const { seconds } = predicted({
      ...{ work, counts: 250_000, bytesPerElement: 4, network, model: 'flow', ranks: 'exact' },
      execution: { sliceBytes: 1e9, slotsPerConnection: 8 },
    });
    // A local copy at the root goes on at the same time, and is done earlier.
    expect(seconds).toBeCloseTo(3e-6 + 1e6 / 25e9 + 1.4e-6 + 3e-6, 15);
  });
});

/** Both ranks send one place twice to each other, and then receive into it. */
function crossing(): Program[] {
  const place = { buffer: 'output', chunk: 0 } as const;
  const scratch = { buffer: 'scratch', chunk: 0 } as const;
  return [0, 1].map((rank) => {
    const peer = 1 - rank;
    const send = { kind: 'send', count: 1, sendTo: peer, src: place, depends: [] } as const;
    const receive = { kind: 'recv', count: 1, recvFrom: peer, depends: [] } as const;
    const steps = [
      { ...send, landing: { kind: 'place', place } },
      { ...send, landing: { kind: 'place', place: scratch } },
      { ...receive, dst: place },
      { ...receive, dst: scratch },
    ] as const;
    return {
      ...{ collective: 'custom', algorithm: 'crossing', nranks: 2, chunks: 1, root: 0, rank },
      ...{ scratch: [0], custom: { input: 1, output: 1 } },
      channels: [{ id: 0, lane: 0, steps }],
    };
  });
}

describe('slots', () => {
  const request = (slotsPerConnection: number): PredictionRequest => ({
    ...{ work: crossing(), counts: 1000, bytesPerElement: 4, network: flatNetwork(2) },
    ...{ model: 'flow', ranks: 'alike', execution: { sliceBytes: 1e6, slotsPerConnection } },
  });

  it('that are too few are found out, with what waits for what', () => {
    const prediction = predict(request(1));
    if (prediction.kind !== 'stuck') throw new Error('Expected it to be stuck');
    expect(prediction.waiting[0]).toBe(
      'Rank 0, channel 0, step 1: waits for one of 1 slots of the connection to rank 1, ' +
        'until message 0 of it has been taken',
    );
    expect(prediction.doneSlices).toBe(4);
    expect(prediction.allSlices).toBe(8);
  });

  it('that are enough let the same program end', () => {
    expect(predict(request(2)).kind).toBe('predicted');
  });
});

describe('the path to the end', () => {
  it('has no gap from 0 to the end, and goes over the ranks that really are on it', () => {
    for (const make of [portBoxes, hostBoxes, taperedBoxes]) {
      const network = make({ boxes: 2, ranksPerBox: 3 });
      for (const { name, schedule } of schedulesOn(network.topology)) {
        for (const ranks of ['alike', 'exact'] as const) {
          const { seconds, path = [] } = predicted({
            ...{ work: schedule, counts: evenCounts(schedule, 4000), bytesPerElement: 4, network },
            ...{ model: 'flow', ranks, explain: true },
            execution: { sliceBytes: 6000, slotsPerConnection: 2 },
          });
          expectWithoutGap(path, seconds, `${network.name}, ${name}, ${ranks}`);
        }
      }
    }
  });
});

function expectWithoutGap(path: readonly Span[], seconds: number, title: string): void {
  let now = 0;
  let before: Span | undefined;
  for (const span of path) {
    expect(span.beginSeconds, title).toBe(now);
    // Work moves to another rank with a message to it, or back with the slot that taking one freed.
    const isHere = before === undefined || [before.rank, before.peer].includes(span.rank);
    if (!isHere) expect([span.peer, before?.peer], title).toContain(before?.rank);
    now = span.endSeconds;
    before = span;
  }
  expect(now, title).toBe(seconds);
}

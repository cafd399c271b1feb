import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import { lower, lowerAll } from '../../../collectives/lower.ts';
import type { Step } from '../../../collectives/program.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { Engine } from '../../../node/hccl/engine.ts';
import { makePlan } from '../../../node/hccl/plan.ts';
import { CASES, handWritten, scheduleOf } from '../../collectives/support.ts';
import { countsOf, expectReference, SLICE_BYTES } from './engine-trial.ts';

describe('engine', () => {
  const cases = CASES.flatMap((one) =>
    [false, true].map((inPlace) => ({
      ...one,
      inPlace,
      placement: inPlace ? ('inPlace' as const) : ('outOfPlace' as const),
    })),
  );

  it.each(cases)(
    '$collective $algorithm, $placement: gives the bits of the reference, in whatever order things happen',
    ({ inPlace, placement, ...one }) => {
      for (const nranks of [2, 3, 4, 6]) {
        const schedule = scheduleOf(one, {
          nranks,
          root: nranks - 1,
          placement,
          topology: flatTopology(nranks),
        });
        if (schedule === undefined) continue;
        const programs = lowerAll(schedule);
        for (const [index, count] of [1, 50, 700].entries()) {
          const counts = countsOf(one.collective, nranks, count);
          expectReference({ programs, counts, inPlace, seed: 100 * nranks + index });
        }
      }
    },
  );

  it.each(['ring', 'halvingDoubling', 'recursiveDoubling'])(
    '%s on 12 channels gives the bits of the reference',
    (algorithm) => {
      const topology = flatTopology(4);
      const programs = lowerAll(
        buildSchedule({ collective: 'allReduce', algorithm, topology, channels: 12 }),
      );
      for (const seed of [1, 2, 3])
        expectReference({ programs, counts: 5000, inPlace: seed % 2 === 1, seed });
    },
  );

  it('a step that reads a part of what a step wrote waits for the slices that have it', () => {
    const topology = flatTopology(4);
    const shape = { collective: 'allReduce', algorithm: 'ring', topology, root: 0 } as const;
    const both = copy({ buffer: 'input', chunk: 0 }, { buffer: 'output', chunk: 0 }, 2);
    const second = copy({ buffer: 'output', chunk: 1 }, { buffer: 'output', chunk: 3 }, 1);
    const program = {
      ...lower(buildSchedule(shape), 0),
      channels: [{ id: 0, lane: 0, steps: [both, second] }],
    };
    const plan = makePlan({
      program,
      table: chunkTable(program, 4 * 32),
      elementBytes: 4,
      sliceBytes: SLICE_BYTES,
      placement: 'outOfPlace',
    });
    expect(plan.steps.map(({ slices }) => slices.length)).toEqual([4, 2]);
    const launched: { readonly step: number; readonly done: () => void }[] = [];
    let finished = 0;
    const none = (): never => {
      throw new Error('Expected no message');
    };
    const engine: Engine = new Engine(
      plan,
      { inbound: none, outbound: none },
      {
        post: none,
        compute: (_work, slice) =>
          void launched.push({ step: slice.step.step, done: () => engine.computed(slice) }),
        announce: none,
        finished: () => {
          finished++;
        },
      },
    );
    engine.start();
    const steps = () => launched.map(({ step }) => step);
    expect(steps()).toEqual([0, 0, 0, 0]);
    launched[0]?.done();
    launched[1]?.done();
    expect(steps()).toEqual([0, 0, 0, 0]);
    launched[2]?.done();
    expect(steps()).toEqual([0, 0, 0, 0, 1]);
    launched[3]?.done();
    for (const { done } of launched.slice(4)) done();
    expect(finished).toBe(1);
  });
});

describe('a message whose receiver is not ready', () => {
  const x = { buffer: 'output', chunk: 0 } as const;
  const y = { buffer: 'output', chunk: 1 } as const;

  /** Rank 0 sends x, and only when that has left, y; rank 1 takes x only after it has y. */
  const crosswise = handWritten([
    [
      [copy({ buffer: 'input', chunk: 0 }, x, 2), { ...send(1, x), depends: [] }],
      [{ ...send(1, y), depends: [{ channel: 0, step: 1 }] }],
    ],
    [[{ ...recv(0, x), depends: [{ channel: 1, step: 0 }] }], [recv(0, y)]],
  ]);

  it.each([1, 64, 1000, 20_000])(
    'is staged where others wait for its source, so that they go on: %i elements',
    (count) => {
      for (const seed of [1, 2, 3]) {
        const programs = crosswise;
        const world = expectReference({ programs, counts: count, inPlace: false, seed });
        if (count > 1) expect(world.staged).toBeGreaterThan(0);
      }
    },
  );
});

function copy(src: NonNullable<Step['src']>, dst: NonNullable<Step['dst']>, count: number): Step {
  return { kind: 'copy', count, src, dst, depends: [] };
}

function send(sendTo: number, place: NonNullable<Step['src']>): Step {
  return {
    kind: 'send',
    count: 1,
    sendTo,
    src: place,
    landing: { kind: 'place', place },
    depends: [],
  };
}

function recv(recvFrom: number, dst: NonNullable<Step['dst']>): Step {
  return { kind: 'recv', count: 1, recvFrom, dst, depends: [] };
}

import { describe, expect, it } from 'vitest';
import { chunkTable, type ElementCounts } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { lower, lowerAll } from '../../../collectives/lower.ts';
import type { Program, Step } from '../../../collectives/program.ts';
import { runPrograms } from '../../../collectives/reference.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { defined } from '../../../common/assert.ts';
import { Prng } from '../../../common/prng.ts';
import { Engine } from '../../../node/hccl/engine.ts';
import { makePlan } from '../../../node/hccl/plan.ts';
import { CASES, handWritten, scheduleOf } from '../../collectives/support.ts';
import { World } from './engine-world.ts';

const SLICE_BYTES = 64;

function countsOf(collective: CollectiveName, nranks: number, count: number): ElementCounts {
  switch (collective) {
    case 'allToAll':
      return count * nranks;
    case 'allGatherV':
    case 'reduceScatterV':
      return Array.from({ length: nranks }, (_, rank) => (count * (rank % 3)) >> 1);
    case 'allToAllV':
      // As much one way as the other, so that it can be done in place.
      return Array.from({ length: nranks * nranks }, (_, pair) => {
        const [source, target] = [Math.floor(pair / nranks), pair % nranks];
        return (count * ((source + target) % 4)) >> 1;
      });
    default:
      return count;
  }
}

interface Trial {
  readonly programs: readonly Program[];
  readonly counts: ElementCounts;
  readonly inPlace: boolean;
  readonly seed: number;
  readonly sliceBytes?: number;
}

/** Runs the programs; every rank's output must have the bits of the reference. */
function expectReference({ programs, counts, inPlace, seed, sliceBytes = SLICE_BYTES }: Trial) {
  const table = chunkTable(defined(programs[0], 'a program'), counts);
  const prng = new Prng(seed);
  const inputs = programs.map(({ rank }) =>
    Float32Array.from({ length: table.bufferLength(rank, 'input') }, () => prng.normal()),
  );
  const world = new World({ programs, table, inputs, inPlace, sliceBytes, prng });
  world.run();
  expect(world.finished, `seed ${seed}: ranks that came to the end`).toBe(programs.length);
  const expected = runPrograms(programs, table, inputs, { inPlace });
  expected.forEach((output, rank) => {
    const found = world.output(rank);
    const isEqual = Buffer.from(found.buffer).equals(Buffer.from(output.slice().buffer));
    expect(isEqual, `seed ${seed}, rank ${rank}: ${found} instead of ${output}`).toBe(true);
  });
  return world;
}

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

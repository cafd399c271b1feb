import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { lower } from '../../../collectives/lower.ts';
import type { Program, Step } from '../../../collectives/program.ts';
import { ALGORITHMS, buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { defined } from '../../../common/assert.ts';
import { makePlan, type Plan, WINDOW_SLICES } from '../../../node/hccl/plan.ts';

function planOf(
  collective: CollectiveName,
  algorithm: string,
  nranks: number,
  rank: number,
  count: number,
  placement: 'inPlace' | 'outOfPlace' = 'inPlace',
): Plan {
  const topology = flatTopology(nranks);
  const program = lower(buildSchedule({ collective, algorithm, topology, root: 0 }), rank);
  const table = chunkTable(program, count);
  return makePlan({ program, table, elementBytes: 4, sliceBytes: 1024, placement });
}

/** Lengths of the messages of one connection, in order, with how they land. */
function messages(plan: Plan, direction: 'inbound' | 'outbound', peer: number) {
  const connection = plan[direction].find((one) => one.peer === peer);
  return (connection?.messages ?? []).map(({ step, slice, landing }) => {
    const { bytes } = defined(plan.steps[step], 'a step');
    return { landing, bytes: Math.min(1024, bytes - slice * 1024) };
  });
}

describe('plan', () => {
  const cases = ALGORITHMS.flatMap(({ name, collectives }) =>
    collectives.flatMap((collective) =>
      [2, 3, 4, 5, 8].flatMap((nranks) =>
        [0, 1, 7, 10_007].map((count) => ({ name, collective, nranks, count })),
      ),
    ),
  );

  it.each(cases)(
    '$collective $name of $nranks ranks, $count elements: both ends agree on every message',
    ({ name, collective, nranks, count }) => {
      const plans = Array.from({ length: nranks }, (_, rank) =>
        planOf(collective, name, nranks, rank, count),
      );
      for (const [source, sender] of plans.entries()) {
        for (const [target, receiver] of plans.entries()) {
          expect(messages(sender, 'outbound', target)).toEqual(
            messages(receiver, 'inbound', source),
          );
        }
      }
    },
  );

  it('messages go by window of slices, in it by step, in it by slice', () => {
    const plan = planOf('allReduce', 'ring', 4, 0, 4 * 256 * (WINDOW_SLICES + 2));
    const order = defined(plan.outbound[0], 'a connection').messages.map(({ step, slice }) => [
      Math.floor(slice / WINDOW_SLICES),
      step,
      slice,
    ]);
    const sorted = [...order].sort((a, b) => {
      for (const [index, value] of a.entries()) {
        if (value !== b[index]) return value - defined(b[index], 'a key');
      }
      return 0;
    });
    expect(order).toEqual(sorted);
    expect(order.at(-1)?.[0]).toBe(1);
  });

  it('an empty chunk has a step without a message', () => {
    const plan = planOf('allReduce', 'ring', 4, 0, 2);
    expect(plan.steps.filter(({ bytes }) => bytes === 0).length).toBeGreaterThan(0);
    const sent = plan.outbound.flatMap((one) => one.messages);
    expect(sent.every(({ step }) => defined(plan.steps[step], 'a step').bytes > 0)).toBe(true);
  });

  it('in place, a place that is still being sent is not overwritten before the send is done', () => {
    const plan = planOf('allReduce', 'ring', 3, 0, 3000);
    const last = defined(plan.steps.at(-1), 'the last step');
    expect(last.kind).toBe('recv');
    const first = defined(plan.steps[0], 'the first step');
    const writers = plan.steps.filter(
      ({ dst }) => dst !== undefined && dst.offset === first.src?.offset,
    );
    for (const writer of writers) {
      expect(writer.dependsOn).toContainEqual({ step: 0, until: 'done', bySlice: true });
    }
    expect(writers.length).toBeGreaterThan(0);
  });

  it('out of place, a step on another buffer depends on nothing', () => {
    const plan = planOf('allReduce', 'ring', 3, 0, 3000, 'outOfPlace');
    expect(defined(plan.steps[0], 'the first step').src?.buffer).toBe('input');
    const first = plan.steps.filter(({ dependsOn }) => dependsOn.some(({ step }) => step === 0));
    expect(first).toEqual([]);
  });

  it('what a step waits for in another channel, the later steps of its channel wait for too', () => {
    const copy = (chunk: number, depends: Step['depends']): Step => ({
      kind: 'copy',
      count: 1,
      src: { buffer: 'input', chunk },
      dst: { buffer: 'output', chunk },
      depends,
    });
    const program: Program = {
      collective: 'allReduce',
      algorithm: 'by hand',
      rank: 0,
      nranks: 1,
      root: 0,
      chunks: 3,
      scratch: [],
      channels: [
        { id: 0, steps: [copy(0, [{ channel: 1, step: 0 }]), copy(1, [])] },
        { id: 1, steps: [copy(2, [])] },
      ],
    };
    const table = chunkTable(program, 3);
    const placement = 'outOfPlace';
    const plan = makePlan({ program, table, elementBytes: 4, sliceBytes: 1024, placement });
    const waits = { step: 2, until: 'done', bySlice: false };
    expect(plan.steps.map(({ dependsOn }) => dependsOn)).toEqual([[waits], [waits], []]);
  });
});

import { describe, expect, it } from 'vitest';
import { chunkTable, type ElementCounts } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { lowerAll } from '../../../collectives/lower.ts';
import type { Program, Step } from '../../../collectives/program.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { defined } from '../../../common/assert.ts';
import { KEPT_LANES, SLOTS_PER_LANE, WINDOW_SLICES } from '../../../node/hccl/lanes.ts';
import { makePlan, type Plan, type PlanConnection } from '../../../node/hccl/plan.ts';
import { CASES, scheduleOf } from '../../collectives/support.ts';

const SLICE_BYTES = 1024;
/** Elements of a slice. */
const SLICE = SLICE_BYTES / 4;

function plan(program: Program, counts: ElementCounts, placement: 'inPlace' | 'outOfPlace'): Plan {
  const table = chunkTable(program, counts);
  return makePlan({ program, table, elementBytes: 4, sliceBytes: SLICE_BYTES, placement });
}

function planOf(
  collective: CollectiveName,
  algorithm: string,
  nranks: number,
  count: number,
  { channels = 1, placement = 'inPlace' as 'inPlace' | 'outOfPlace', rank = 0 } = {},
): Plan {
  const topology = flatTopology(nranks);
  const schedule = buildSchedule({ collective, algorithm, topology, channels, placement });
  return plan(defined(lowerAll(schedule)[rank], 'a program'), count, placement);
}

/** What both ends of a connection must see alike. */
function messagesOf(connection: PlanConnection | undefined, end: 'inbound' | 'outbound') {
  return {
    slots: connection?.slots,
    messages: connection?.messages.map(({ step, window, bytes }) => {
      const isOperand = step.kind.startsWith('recvReduce');
      const toSlot = end === 'inbound' ? isOperand : step.landing === 'slot';
      return { window, bytes, toSlot };
    }),
  };
}

describe('plan', () => {
  it.each(CASES)(
    '$collective $algorithm: both ends agree on every message, its slot or place, and its order',
    (one) => {
      for (const nranks of [2, 3, 4, 5, 8]) {
        const schedule = scheduleOf(one, { nranks, topology: flatTopology(nranks) });
        if (schedule === undefined) continue;
        const perRank = ['allGatherV', 'reduceScatterV'].includes(one.collective);
        const perPair = one.collective === 'allToAllV';
        const lists = perRank ? nranks : nranks * nranks;
        for (const count of [0, 1, 7, 10_007]) {
          const isList = perRank || perPair;
          const list = Array.from({ length: lists }, (_, at) => (count * (at % 3)) >> 1);
          const counts = isList ? list : count * (one.collective === 'allToAll' ? nranks : 1);
          const plans = lowerAll(schedule).map((program) => plan(program, counts, 'outOfPlace'));
          expectAgreement(plans);
        }
      }
    },
  );

  function expectAgreement(plans: readonly Plan[]): void {
    for (const [source, sender] of plans.entries()) {
      for (const [target, receiver] of plans.entries()) {
        const outbound = sender.outbound.filter(({ peer }) => peer === target);
        const inbound = receiver.inbound.filter(({ peer }) => peer === source);
        expect(new Set(outbound.map(({ lane }) => lane))).toEqual(
          new Set(inbound.map(({ lane }) => lane)),
        );
        for (const connection of outbound) {
          const other = inbound.find(({ lane }) => lane === connection.lane);
          expect(messagesOf(connection, 'outbound')).toEqual(messagesOf(other, 'inbound'));
        }
        expectLandings(sender, receiver, target);
      }
    }
  }

  /** What is sent to places fills what the receiver offers for it. */
  function expectLandings(sender: Plan, receiver: Plan, target: number): void {
    const offers = receiver.peers[receiver.peerOf.get(sender.program.rank) ?? -1]?.offers;
    for (const { outbound, landing, bytes } of sender.steps) {
      if (outbound === undefined || landing === 'slot' || landing === undefined) continue;
      if (sender.outbound[outbound]?.peer !== target || bytes === 0) continue;
      const offered = defined(offers?.[landing.buffer], 'an offer');
      expect(landing.offset + landing.length).toBeLessThanOrEqual(offered.length);
    }
  }

  it('messages go by window of slices, in it by step, in it by slice', () => {
    const { outbound } = planOf('allReduce', 'ring', 4, 4 * SLICE * (WINDOW_SLICES + 2));
    const order = defined(outbound[0], 'a connection').messages.map(({ window, step, slice }) => [
      window,
      step.step,
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

  it('a step that fits in a slice is one message, whatever its number of chunks', () => {
    const { steps } = planOf('allReduce', 'halvingDoubling', 8, 8 * (SLICE / 8));
    expect(steps.map(({ slices }) => slices.length)).toEqual(steps.map(() => 1));
  });

  it('an empty chunk has a step without slices', () => {
    const { steps, slices } = planOf('allReduce', 'ring', 4, 2);
    const empty = steps.filter(({ bytes }) => bytes === 0);
    expect(empty.length).toBeGreaterThan(0);
    for (const step of empty) expect(step.slices).toEqual([]);
    expect(slices.every(({ bytes }) => bytes > 0)).toBe(true);
  });

  it('in place, a place that is still being sent is not overwritten before it has left', () => {
    const { steps } = planOf('allReduce', 'ring', 3, 3000);
    expect(steps.at(-1)?.kind).toBe('recv');
    const first = defined(steps[0], 'the first step');
    const writers = steps.filter(
      ({ dst }) => dst !== undefined && dst.offset === first.src?.offset,
    );
    expect(writers.length).toBeGreaterThan(0);
    for (const [index, slice] of first.slices.entries()) {
      expect(slice.onFree).toEqual(writers.map(({ slices }) => slices[index]?.id));
    }
  });

  it('out of place, a step on another buffer waits for nothing', () => {
    const { steps } = planOf('allReduce', 'ring', 3, 3000, { placement: 'outOfPlace' });
    const first = defined(steps[0], 'the first step');
    expect(first.src?.buffer).toBe('input');
    for (const { onFree, onStored } of first.slices) expect([...onFree, ...onStored]).toEqual([]);
  });

  it('lanes beyond the kept ones have slots in scratch memory, apart from each other', () => {
    const channels = KEPT_LANES + 3;
    const { inbound, peers, scratchBytes } = planOf('allReduce', 'ring', 4, 40_000, { channels });
    const used: [number, number][] = [];
    for (const { lane, peerIndex, slots } of inbound) {
      expect(slots === undefined).toBe(lane < KEPT_LANES);
      if (slots === undefined) continue;
      const region = defined(peers[peerIndex]?.slots, 'a region');
      expect(slots.count).toBeLessThanOrEqual(SLOTS_PER_LANE);
      const start = region.offset + slots.offset;
      used.push([start, start + slots.count * slots.stride]);
      expect(slots.offset + slots.count * slots.stride).toBeLessThanOrEqual(region.length);
    }
    expect(used).toHaveLength(3);
    used.sort(([a], [b]) => a - b);
    for (const [index, [, end]] of used.entries())
      expect(end).toBeLessThanOrEqual(used[index + 1]?.[0] ?? scratchBytes);
  });

  it('what a step depends on, the later steps of its channel wait for too', () => {
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
      chunks: 4,
      scratch: [],
      channels: [
        { id: 0, lane: 0, steps: [copy(0, []), copy(1, [{ channel: 1, step: 0 }]), copy(3, [])] },
        { id: 1, lane: 1, steps: [copy(2, [])] },
      ],
    };
    const { steps, channels } = plan(program, 4, 'outOfPlace');
    expect(steps.map(({ isGated }) => isGated)).toEqual([false, true, true, false]);
    expect(channels.map(({ successors }) => successors)).toEqual([[], [0]]);
  });

  it('of an exchange of uneven blocks, a sender that knows its own counts lands where it should', () => {
    const nranks = 4;
    const counts = Array.from({ length: nranks * nranks }, (_, pair) => 10 + 7 * pair);
    const topology = flatTopology(nranks);
    const schedule = buildSchedule({ collective: 'allToAllV', algorithm: 'direct', topology });
    const programs = lowerAll(schedule);
    const known = (rank: number) =>
      counts.map((count, pair) => {
        const isOwn = Math.floor(pair / nranks) === rank || pair % nranks === rank;
        return isOwn ? count : 0;
      });
    const partial = programs.map((one, rank) => plan(one, known(rank), 'outOfPlace'));
    const full = programs.map((one) => plan(one, counts, 'outOfPlace'));
    expectAgreement(partial);
    for (const [rank, { peers }] of partial.entries()) {
      expect(peers.map(({ offers }) => offers)).toEqual(
        full[rank]?.peers.map(({ offers }) => offers),
      );
    }
  });
});

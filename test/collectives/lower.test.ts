import { describe, expect, it } from 'vitest';
import { binomialTreeBroadcast } from '../../collectives/algorithms/binomial-tree.ts';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { onChannels } from '../../collectives/channels.ts';
import { lower, lowerAll } from '../../collectives/lower.ts';
import { printProgram } from '../../collectives/print-program.ts';
import type { StepKind } from '../../collectives/program.ts';
import type { Place, Round, Schedule, Transfer } from '../../collectives/schedule.ts';
import { verify } from '../../collectives/verify.ts';
import { CASES, scheduleOf as scheduleOfCase, stepsOf } from './support.ts';

function kindsOf(schedule: Schedule, rank: number): StepKind[] {
  return stepsOf(lower(schedule, rank)).map(({ kind }) => kind);
}

function times(count: number, kind: StepKind): StepKind[] {
  return new Array<StepKind>(count).fill(kind);
}

const output = (chunk: number): Place => ({ buffer: 'output', chunk });
const input = (chunk: number): Place => ({ buffer: 'input', chunk });
const scratch = (chunk: number): Place => ({ buffer: 'scratch', chunk });

/** A schedule of the given rounds over two ranks and two chunks. */
function scheduleOf(rounds: readonly Round[], shape: Partial<Schedule> = {}): Schedule {
  return {
    collective: 'allReduce',
    algorithm: 'handWritten',
    nranks: 2,
    chunks: 2,
    root: 0,
    scratch: [],
    ...shape,
    rounds: () => rounds,
  };
}

describe('lower()', () => {
  it.each([2, 3, 4, 7, 16])('fuses ring all-reduce on %i ranks into one pass of data', (nranks) => {
    for (let rank = 0; rank < nranks; rank++) {
      expect(kindsOf(ringAllReduce({ nranks }), rank)).toEqual([
        'send',
        ...times(nranks - 2, 'recvReduceSend'),
        'recvReduceCopySend',
        ...times(nranks - 2, 'recvCopySend'),
        'recv',
      ]);
    }
  });

  it('reads the input of ring all-reduce directly, without copying it first', () => {
    const steps = stepsOf(lower(ringAllReduce({ nranks: 4 }), 1));
    const sources = steps.flatMap(({ src }) => src ?? []);
    expect(sources).toEqual([input(1), input(0), input(3), input(2)]);
  });

  it('lands copies at their place and operands in slots', () => {
    const steps = stepsOf(lower(ringAllReduce({ nranks: 3 }), 0));
    expect(steps.map(({ landing }) => landing)).toEqual([
      { kind: 'slot' },
      { kind: 'slot' },
      { kind: 'place', place: output(1) },
      { kind: 'place', place: output(0) },
      undefined,
    ]);
  });

  it('forwards the own part and what comes in at ring all-gather', () => {
    expect(kindsOf(ringAllGather({ nranks: 4 }), 2)).toEqual([
      'send',
      'copy',
      'recvCopySend',
      'recvCopySend',
      'recv',
    ]);
  });

  it('keeps partial sums of recursive doubling, which the next exchange reads', () => {
    expect(kindsOf(recursiveDoublingAllReduce({ nranks: 8 }), 5)).toEqual([
      'send',
      'recvReduceCopySend',
      'recvReduceCopySend',
      'recvReduceCopy',
    ]);
  });

  it('forwards to the first child of a broadcast and sends to the others', () => {
    const schedule = binomialTreeBroadcast({ nranks: 8 });
    expect(kindsOf(schedule, 0)).toEqual(['send', 'copy', 'send', 'send']);
    expect(kindsOf(schedule, 1)).toEqual(['recvCopySend', 'send']);
    expect(kindsOf(schedule, 7)).toEqual(['recv']);
  });

  it('makes one rank local copies', () => {
    for (const { build } of CASES) {
      const kinds = kindsOf(build({ nranks: 1 }), 0);
      expect(kinds.filter((kind) => kind !== 'copy')).toEqual([]);
    }
  });

  it('gives the same programs one by one and all together, on any number of channels', () => {
    let compared = 0;
    for (const one of CASES) {
      for (const nranks of [5, 6, 8]) {
        const schedule = scheduleOfCase(one, { nranks, root: 1 });
        if (schedule === undefined) continue;
        for (const channels of [1, 3]) {
          const spread = onChannels(schedule, channels);
          const programs = lowerAll(spread);
          expect(programs).toEqual(programs.map(({ rank }) => lower(spread, rank)));
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThanOrEqual(2 * CASES.length);
  });

  it('reads a place before the same round overwrites it', () => {
    const swapOverScratch: Round = [
      { src: 0, dst: 0, from: input(0), to: output(0), count: 1, effect: 'copy' },
      { src: 0, dst: 0, from: output(0), to: scratch(0), count: 1, effect: 'copy' },
    ];
    const schedule = scheduleOf([swapOverScratch], { nranks: 1, chunks: 1, scratch: [0] });
    expect(stepsOf(lower(schedule, 0)).map(({ dst }) => dst)).toEqual([scratch(0), output(0)]);
  });

  it('refuses a round that swaps two places, which needs scratch', () => {
    const swap: Round = [
      { src: 0, dst: 0, from: output(0), to: output(1), count: 1, effect: 'copy' },
      { src: 0, dst: 0, from: output(1), to: output(0), count: 1, effect: 'copy' },
    ];
    expect(() => lower(scheduleOf([swap], { nranks: 1 }), 0)).toThrow(/swap places/);
  });

  it('lowers a local reduction with a third place to a copy and a reduction', () => {
    const add = { src: 0, dst: 0, count: 1, effect: 'reduce' } as const;
    const stepKinds = (transfer: Transfer): StepKind[] =>
      kindsOf(scheduleOf([[transfer]], { nranks: 1, scratch: [0] }), 0);
    const steps = (transfer: Transfer): unknown =>
      stepsOf(lower(scheduleOf([[transfer]], { nranks: 1, scratch: [0] }), 0));
    expect(stepKinds({ ...add, from: input(0), to: output(0) })).toEqual(['reduce']);
    expect(stepKinds({ ...add, from: output(0), operand: scratch(0), to: output(0) })).toEqual([
      'reduce',
    ]);
    const scratchPlusInput = { ...add, from: scratch(0), operand: input(0), to: output(0) };
    const inputPlusScratch = { ...add, from: input(0), operand: scratch(0), to: output(0) };
    for (const transfer of [scratchPlusInput, inputPlusScratch]) {
      expect(steps(transfer)).toMatchObject([
        { kind: 'copy', src: input(0), dst: output(0) },
        { kind: 'reduce', src: scratch(0), dst: output(0) },
      ]);
    }
  });
});

describe('channels', () => {
  it('are ordered by depends where they touch a common place, and only there', () => {
    const copy = { src: 0, dst: 0, count: 1, effect: 'copy' } as const;
    const schedule = scheduleOf(
      [
        [{ ...copy, from: input(0), to: output(0), channel: 0 }],
        [{ ...copy, from: input(1), to: output(1), channel: 1 }],
        [{ ...copy, from: output(0), to: scratch(0), channel: 1 }],
      ],
      { nranks: 1, scratch: [0] },
    );
    const programs = lowerAll(schedule);
    expect(
      programs.map(({ channels }) => channels[1]?.steps.map(({ depends }) => depends)),
    ).toEqual([[[], [{ channel: 0, step: 0 }]]]);
    expect(verify(programs, { inPlace: false })).toEqual({ proved: true, findings: [] });
  });
});

describe('printProgram()', () => {
  it('shows every step with its address', () => {
    expect(printProgram(lower(ringAllReduce({ nranks: 4 }), 1))).toBe(
      [
        'ring allReduce, rank 1 of 4',
        '  0.0  send input[1] to 2',
        '  0.1  recvReduceSend m + input[0] from 0 to 2',
        '  0.2  recvReduceSend m + input[3] from 0 to 2',
        '  0.3  recvReduceCopySend output[2] = m + input[2] from 0 to 2',
        '  0.4  recvCopySend output[1] = m from 0 to 2',
        '  0.5  recvCopySend output[0] = m from 0 to 2',
        '  0.6  recv output[3] = m from 0',
      ].join('\n'),
    );
  });
});

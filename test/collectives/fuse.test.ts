import { describe, expect, it } from 'vitest';
import { lower } from '../../collectives/lower.ts';
import type { StepKind } from '../../collectives/program.ts';
import type { Place, Round, Schedule, Transfer } from '../../collectives/schedule.ts';
import { stepsOf } from './support.ts';

function kindsOf(schedule: Schedule, rank: number): StepKind[] {
  return stepsOf(lower(schedule, rank)).map(({ kind }) => kind);
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

describe('fusing', () => {
  const arrive: Transfer = {
    src: 1,
    dst: 0,
    from: input(0),
    operand: input(0),
    to: output(0),
    count: 1,
    effect: 'reduce',
  };
  const handBack: Transfer = {
    src: 0,
    dst: 1,
    from: output(0),
    to: output(0),
    count: 1,
    effect: 'copy',
  };
  const kinds = (rounds: readonly Round[]): StepKind[] =>
    kindsOf(scheduleOf(rounds, { scratch: [0] }), 0);

  it('joins a receive and the send of what it stored', () => {
    expect(kinds([[arrive], [handBack]])).toEqual(['recvReduceCopySend']);
  });

  it('does not if the place is read in between', () => {
    const read: Transfer = { ...handBack, dst: 0, to: scratch(0) };
    expect(kinds([[arrive], [read], [handBack]])).toEqual(['recvReduceCopy', 'copy', 'send']);
  });

  it('does not if the place is written in between', () => {
    const write: Transfer = { ...handBack, dst: 0, from: scratch(0), to: output(0) };
    expect(kinds([[arrive], [write], [handBack]])).toEqual(['recvReduceCopy', 'copy', 'send']);
  });

  it('does not if it would overtake a message to the same peer', () => {
    const earlier: Transfer = { ...handBack, from: input(1), to: output(1) };
    expect(kinds([[arrive], [earlier], [handBack]])).toEqual(['recvReduceCopy', 'send', 'send']);
  });

  it('does not across channels', () => {
    const program = lower(scheduleOf([[arrive], [{ ...handBack, channel: 1 }]]), 0);
    expect(stepsOf(program, 0).map(({ kind }) => kind)).toEqual(['recvReduceCopy']);
    expect(stepsOf(program, 1)).toMatchObject([
      { kind: 'send', depends: [{ channel: 0, step: 0 }] },
    ]);
  });

  it('drops a store that is overwritten unread, and one to scratch that is never read', () => {
    const overwrite: Transfer = { ...arrive, effect: 'copy' };
    const { operand: _, ...copy } = overwrite;
    expect(kinds([[arrive], [handBack], [copy]])).toEqual(['recvReduceSend', 'recv']);
    const toScratch: Round[] = [
      [{ ...arrive, to: scratch(0) }],
      [{ ...handBack, from: scratch(0) }],
    ];
    expect(kinds(toScratch)).toEqual(['recvReduceSend']);
  });

  it('keeps a store whose place is read as input when both are one memory', () => {
    const { operand: _, ...copy } = arrive;
    const readInput: Transfer = { ...handBack, from: input(0), to: output(1) };
    const rounds: Round[] = [[arrive], [handBack], [readInput], [{ ...copy, effect: 'copy' }]];
    expect(kinds(rounds)).toEqual(['recvReduceCopySend', 'send', 'recv']);
  });
});

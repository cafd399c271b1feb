/** What orders two steps that touch one place, and what does not. */
import { describe, expect, it } from 'vitest';
import type { Program, Step } from '../../collectives/program.ts';
import { verify } from '../../collectives/verify.ts';
import {
  copy,
  dependingOn,
  input,
  onLanes,
  output,
  recv,
  recvReduceCopy,
  reduce,
  scratch,
  send,
  sendInto,
} from './steps.ts';
import { handWritten } from './support.ts';

const oneChunk = { chunks: 1 };

function kindsFound(programs: readonly Program[], options: Partial<Parameters<typeof verify>[1]>) {
  return verify(programs, { inPlace: false, ...options }).findings.map(({ kind }) => kind);
}

describe('verify() finds a race', () => {
  const receive = [recv(1, output(0))];
  const peer = [[sendInto(0, input(0), output(0))], [copy(input(0), output(0))]];

  it('between a message that lands and another channel that reads the place', () => {
    const racing = handWritten([[receive, [copy(output(0), scratch)]], peer], {
      chunks: 1,
      scratch: [0],
    });
    expect(kindsFound(racing, { inPlace: true })).toContain('race');
    const ordered = handWritten([[receive, [dependingOn(copy(output(0), scratch), 0, 0)]], peer], {
      chunks: 1,
      scratch: [0],
    });
    expect(kindsFound(ordered, { inPlace: true })).not.toContain('race');
  });

  it('between a store and another channel that reads the place later', () => {
    const store = copy(input(0), output(0));
    const racing = handWritten([[[store], [copy(output(0), scratch)]]], { scratch: [0] });
    expect(kindsFound(racing, {})).toContain('race');
    const ordered = [[store], [dependingOn(copy(output(0), scratch), 0, 0)]];
    expect(kindsFound(handWritten([ordered], { scratch: [0] }), {})).not.toContain('race');
  });

  it('between two writers, with one sentence that names both', () => {
    const programs = handWritten([[receive, [copy(input(0), output(0))]], peer], oneChunk);
    const race = verify(programs, { inPlace: false }).findings.find(({ kind }) => kind === 'race');
    expect(race).toMatchObject({ rank: 0, chunk: 0 });
    expect(race?.message).toMatch(
      /channel \d step 0 chunk 0: .* races with rank 0 channel \d step 0 \(/,
    );
  });

  it('through in-place memory only', () => {
    const programs = handWritten(
      [
        [[send(1, input(0))], [recvReduceCopy(1, input(0), output(0))]],
        [[recvReduceCopy(0, input(0), output(0))], [send(0, input(0))]],
      ],
      oneChunk,
    );
    expect(kindsFound(programs, { inPlace: false })).toEqual([]);
    expect(kindsFound(programs, { inPlace: true })).toContain('race');
  });

  it('unless order comes by way of a third channel', () => {
    const first = [copy(input(0), scratch), copy(input(0), output(0))];
    const second = copy(input(1), output(1));
    const third = [dependingOn(reduce(output(0), scratch), 1, 0)];
    const ordered = [first, [dependingOn(second, 0, 1)], third];
    const programs = handWritten([ordered], { scratch: [0] });
    expect(kindsFound(programs, {})).toEqual([]);
    const unordered = handWritten([[first, [second], third]], { scratch: [0] });
    expect(kindsFound(unordered, {})).toContain('race');
  });

  it('and does not take order through another rank for order here', () => {
    const bounced = handWritten(
      [
        [[sendInto(1, input(0), output(0))], [recv(1, output(0))]],
        [[recv(0, output(0))], [dependingOn(sendInto(0, output(0), output(0)), 0, 0)]],
      ],
      oneChunk,
    );
    expect(kindsFound(bounced, { inPlace: true })).toContain('race');
  });

  it('between two reductions into one place, although they commute', () => {
    const gather = (second: Step): Program[] =>
      handWritten(
        [
          [[recvReduceCopy(1, output(0), output(0))], [second]],
          [[send(0, input(0))]],
          [[], [send(0, input(0))]],
        ],
        { ...oneChunk, collective: 'reduce' },
      );
    const reduction = recvReduceCopy(2, output(0), output(0));
    expect(kindsFound(gather(reduction), { inPlace: true })).toEqual(['race']);
    expect(kindsFound(gather(reduction), { inPlace: true, order: 'messages' })).toEqual(['race']);
    expect(kindsFound(gather(dependingOn(reduction, 0, 0)), { inPlace: true })).toEqual([]);
  });

  it('with every reader since the last write, not only with the last', () => {
    /** Rank 0 copies its input and sends it; what comes back overwrites it in place. */
    const programs = (...after: number[]): Program[] => {
      const depends = after.map((channel) => ({ channel, step: 0 }));
      const back = dependingOn(sendInto(0, output(0), output(0)), 0, 0);
      const rank0 = [
        [copy(input(0), scratch)],
        [sendInto(1, input(0), output(0))],
        [{ ...recv(1, output(0)), depends }],
      ];
      const shape = { ...oneChunk, scratch: [0], collective: 'broadcast' } as const;
      return onLanes(handWritten([rank0, [[recv(0, output(0))], [back]]], shape), [[], [1, 2]]);
    };
    expect(kindsFound(programs(), { inPlace: true })).toEqual(['race']);
    expect(kindsFound(programs(0), { inPlace: true })).toEqual(['race']);
    expect(kindsFound(programs(1), { inPlace: true })).toEqual(['race']);
    expect(kindsFound(programs(0, 1), { inPlace: true })).toEqual([]);
    // The message to rank 1 and back orders the send before the write, but not the copy.
    const order = 'messages';
    expect(kindsFound(programs(0), { inPlace: true, order })).toEqual([]);
    expect(kindsFound(programs(1), { inPlace: true, order })).toEqual(['race']);
  });
});

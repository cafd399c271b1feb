import { describe, expect, it } from 'vitest';
import { ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { type Program, placeOf, type Step } from '../../collectives/program.ts';
import { verify } from '../../collectives/verify.ts';
import {
  copy,
  dependingOn,
  input,
  output,
  recv,
  recvReduceCopy,
  reduce,
  send,
  sendInto,
} from './steps.ts';
import { handWritten, PLACEMENTS } from './support.ts';

/** Two ranks exchange their only chunk and add it. */
const exchange = (rank: number): Step[] => [
  send(1 - rank, input(0)),
  recvReduceCopy(1 - rank, input(0), output(0)),
];
const oneChunk = { chunks: 1 };

function kindsFound(programs: readonly Program[], options: Partial<Parameters<typeof verify>[1]>) {
  return verify(programs, { inPlace: false, ...options }).findings.map(({ kind }) => kind);
}

function messagesFound(programs: readonly Program[], inPlace = false): string[] {
  return verify(programs, { inPlace }).findings.map(({ message }) => message);
}

describe('verify() finds', () => {
  it('nothing in a correct exchange', () => {
    const programs = handWritten([[exchange(0)], [exchange(1)]], oneChunk);
    for (const { inPlace } of PLACEMENTS) {
      expect(verify(programs, { inPlace, depth: 1 })).toEqual({ proved: true, findings: [] });
    }
  });

  it('a contribution that is counted twice', () => {
    const twice = [...exchange(0), reduce(input(0), output(0))];
    expect(messagesFound(handWritten([[twice], [exchange(1)]], oneChunk))).toEqual([
      'Rank 0 channel 0 step 2 chunk 0: output ends with the contribution of rank 0 in it 2 times ' +
        'instead of 1, counted again by rank 0 channel 0 step 2 (allReduce promises otherwise)',
    ]);
  });

  it('a contribution that is missing', () => {
    const programs = handWritten([[[copy(input(0), output(0))]], [[]]], oneChunk);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 0 step 0 chunk 0: output ends with the contribution of rank 1 in it 0 times ' +
        'instead of 1 (allReduce promises otherwise)',
      'Rank 1 chunk 0: output ends with nothing in it (allReduce promises otherwise)',
    ]);
  });

  it('what holds in place only', () => {
    const addToOutput = (rank: number): Step[] => [
      send(1 - rank, input(0)),
      recvReduceCopy(1 - rank, output(0), output(0)),
    ];
    const programs = handWritten([[addToOutput(0)], [addToOutput(1)]], oneChunk);
    expect(verify(programs, { inPlace: true }).proved).toBe(true);
    expect(messagesFound(programs).sort()).toEqual([
      'Rank 0 channel 0 step 1 chunk 0: reads output[0], where nothing has been stored',
      'Rank 1 channel 0 step 1 chunk 0: reads output[0], where nothing has been stored',
    ]);
  });

  it('what holds out of place only', () => {
    const inputTwice: Step[] = [
      copy(input(0), output(0)),
      reduce(input(1), output(0)),
      copy(input(0), output(1)),
      reduce(input(1), output(1)),
    ];
    const programs = handWritten([[inputTwice]]);
    expect(kindsFound(programs, { equalChunks: true })).toEqual(['mismatch', 'mismatch']);
    const lateSend = (rank: number): Step[] => [
      send(1 - rank, input(0)),
      recvReduceCopy(1 - rank, input(0), output(0)),
      send(1 - rank, input(0)),
      recvReduceCopy(1 - rank, input(0), output(0)),
    ];
    const overwriting = handWritten([[lateSend(0)], [lateSend(1)]], oneChunk);
    expect(kindsFound(overwriting, { inPlace: false })).toEqual([]);
    expect(kindsFound(overwriting, { inPlace: true })).toEqual(['postcondition', 'postcondition']);
  });

  it('messages that nobody takes and receives that nobody serves', () => {
    const programs = handWritten([[[...exchange(0), send(1, input(0))]], [exchange(1)]], oneChunk);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 0 step 2 chunk 0: nobody takes the message of send input[0] to 1',
    ]);
    const waiting = handWritten([[exchange(0)], [[...exchange(1), recv(0, output(0))]]], oneChunk);
    expect(messagesFound(waiting)).toEqual([
      'Rank 1 channel 0 step 2 chunk 0: nobody sends what recv output[0] = m from 0 waits for',
    ]);
  });

  it('peers that disagree about landing, count and size of a message', () => {
    const landing = handWritten(
      [[[sendInto(1, input(0), output(0)), exchange(0)[1] as Step]], [exchange(1)]],
      oneChunk,
    );
    expect(messagesFound(landing)).toEqual([
      'Rank 1 channel 0 step 1 chunk 0: takes its message in a slot but rank 0 channel 0 step 0 lands it in output[0]',
    ]);
    const elsewhere = handWritten([[[sendInto(1, input(0), output(1))]], [[recv(0, output(0))]]]);
    expect(messagesFound(elsewhere)).toEqual([
      'Rank 1 channel 0 step 0 chunk 0: takes its message in output[0] but rank 0 channel 0 step 0 lands it in output[1]',
    ]);
    const counts = handWritten([
      [[{ ...sendInto(1, input(0), output(0)), count: 2 }]],
      [[recv(0, output(0))]],
    ]);
    expect(messagesFound(counts)).toEqual([
      'Rank 1 channel 0 step 0 chunk 0: takes 1 chunk but rank 0 channel 0 step 0 sends 2',
    ]);
    const sizes = handWritten([[[sendInto(1, input(1), output(0))]], [[recv(0, output(0))]]]);
    expect(messagesFound(sizes)).toEqual([
      'Rank 1 channel 0 step 0 chunk 0: takes a message with the size of chunk 0 but rank 0 channel 0 step 0 sends one of chunk 1',
    ]);
    expect(kindsFound(sizes, { equalChunks: true })).not.toContain('disagreement');
  });

  it('a chunk that is put where one of another size belongs', () => {
    const crossed = handWritten([[[copy(input(0), output(1)), copy(input(1), output(0))]]]);
    expect(messagesFound(crossed)).toEqual([
      'Rank 0 channel 0 step 0 chunk 1: copy puts what has the size of chunk 0 where chunk 1 belongs',
      'Rank 0 channel 0 step 1 chunk 0: copy puts what has the size of chunk 1 where chunk 0 belongs',
    ]);
    expect(verify(crossed, { inPlace: false, equalChunks: true }).findings[0]?.message).toBe(
      'Rank 0 channel 0 step 1 chunk 0: output ends with data of chunk 1 in it (allReduce promises otherwise)',
    );
  });

  it('a deadlock, and tells its circle', () => {
    const receiveFirst = (rank: number): Step[] => exchange(rank).reverse();
    const programs = handWritten([[receiveFirst(0)], [receiveFirst(1)]], oneChunk);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 0 step 0 chunk 0: deadlock: ' +
        'recvReduceCopy output[0] = m + input[0] from 1 waits for a message from rank 1 channel 0 step 0, ' +
        'where recvReduceCopy output[0] = m + input[0] from 0 waits for a message from rank 0 channel 0 step 0',
    ]);
  });

  it('a deadlock that only a shallow connection has', () => {
    const bothFirst = (rank: number): Step[] => [
      send(1 - rank, input(0)),
      send(1 - rank, input(1)),
      recvReduceCopy(1 - rank, input(0), output(0)),
      recvReduceCopy(1 - rank, input(1), output(1)),
    ];
    const programs = handWritten([[bothFirst(0)], [bothFirst(1)]]);
    expect(kindsFound(programs, { depth: 1 })).toEqual(['deadlock']);
    expect(verify(programs, { inPlace: false, depth: 1 }).findings[0]?.message).toContain(
      'waits for room for its message at rank 1 channel 0 step 1',
    );
    expect(kindsFound(programs, { depth: 2 })).toEqual([]);
  });

  it('that a ring passes buffers on, and so needs a depth of two', () => {
    const programs = lowerAll(ringAllReduce({ nranks: 4 }));
    expect(kindsFound(programs, { depth: 1 })).toEqual(['deadlock']);
    expect(kindsFound(programs, { depth: 2 })).toEqual([]);
  });

  it('a deadlock between channels of one rank', () => {
    const programs = handWritten([
      [
        [dependingOn(copy(input(0), output(0)), 1, 0)],
        [dependingOn(copy(input(1), output(1)), 0, 0)],
      ],
    ]);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 0 step 0 chunk 0: deadlock: ' +
        'copy output[0] = input[0] waits for the end of rank 0 channel 1 step 0, ' +
        'where copy output[1] = input[1] waits for the end of rank 0 channel 0 step 0',
    ]);
  });
});

describe('placeOf()', () => {
  it('is where the step stores, or else what it reads', () => {
    expect(placeOf(copy(input(0), output(1)))).toEqual(output(1));
    expect(placeOf(send(1, input(1)))).toEqual(input(1));
  });
});

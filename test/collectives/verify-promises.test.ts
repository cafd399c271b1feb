/** What the verifier expects of outputs and chunks, from collective to collective. */
import { describe, expect, it } from 'vitest';
import type { Program, Step } from '../../collectives/program.ts';
import { smallestDepth, verify } from '../../collectives/verify.ts';
import {
  copy,
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
import { handWritten, PLACEMENTS } from './support.ts';

const PROVED = { proved: true, findings: [] };
const oneChunk = { chunks: 1 };

/** Two ranks exchange their only chunk and add it. */
const exchange = (rank: number): Step[] => [
  send(1 - rank, input(0)),
  recvReduceCopy(1 - rank, input(0), output(0)),
];

function messagesFound(programs: readonly Program[], inPlace = false): string[] {
  return verify(programs, { inPlace }).findings.map(({ message }) => message);
}

describe('contributions', () => {
  const twice = [[[...exchange(0), reduce(input(0), output(0))]], [exchange(1)]];

  it('may be in the token of a barrier more than once, but not be missing', () => {
    const barrier = { ...oneChunk, collective: 'barrier' } as const;
    expect(verify(handWritten(twice, barrier), { inPlace: false })).toEqual(PROVED);
    const deaf = handWritten(
      [[exchange(0)], [[exchange(1)[0] as Step, recv(0, output(0))]]],
      barrier,
    );
    const landed = deaf.map((program) =>
      program.rank === 1
        ? program
        : {
            ...program,
            channels: [
              {
                id: 0,
                lane: 0,
                steps: [sendInto(1, input(0), output(0)), exchange(0)[1] as Step],
              },
            ],
          },
    );
    expect(messagesFound(landed)).toEqual([
      'Rank 1 channel 0 step 1 chunk 0: output ends with the contribution of rank 1 in it 0 times ' +
        'instead of 1 (barrier promises otherwise)',
    ]);
  });

  it('are not lost count of, however often they are doubled', () => {
    // 2^16 times its own contribution, and once that of the other: a count of 16 bits would be right.
    const doubled = [
      copy(input(0), output(0)),
      ...Array.from({ length: 16 }, () => reduce(output(0), output(0))),
      reduce(input(0), output(0)),
      send(1, input(0)),
      recvReduceCopy(1, output(0), output(0)),
    ];
    expect(messagesFound(handWritten([[doubled], [exchange(1)]], oneChunk))).toEqual([
      'Rank 0 channel 0 step 19 chunk 0: output ends with the contribution of rank 0 in it at least ' +
        '255 times instead of 1, counted again by rank 0 channel 0 step 1 (allReduce promises otherwise)',
    ]);
  });

  it('that were counted twice are told by the step that did, wherever they end', () => {
    const passedOn = handWritten(
      [
        [
          [
            copy(input(0), output(0)),
            reduce(input(0), output(0)),
            sendInto(1, output(0), output(0)),
          ],
        ],
        [[recv(0, output(0))]],
      ],
      { ...oneChunk, collective: 'broadcast' },
    );
    expect(messagesFound(passedOn)).toEqual([
      'Rank 0 channel 0 step 1 chunk 0: output ends with the contribution of rank 0 in it 2 times ' +
        'instead of 1, counted again by rank 0 channel 0 step 1 (broadcast promises otherwise)',
      'Rank 1 channel 0 step 0 chunk 0: output ends with the contribution of rank 0 in it 2 times ' +
        'instead of 1, counted again by rank 0 channel 0 step 1 (broadcast promises otherwise)',
    ]);
  });
});

describe('custom programs', () => {
  const custom = { collective: 'custom', chunks: 2, custom: { input: 1, output: 1 } } as const;

  it('may leave anything in their outputs, and add any data to any', () => {
    const sum = [copy(input(0), output(1)), reduce(input(1), output(1))];
    const programs = handWritten([[sum], [[]]], custom);
    expect(verify(programs, { inPlace: false, equalChunks: true })).toEqual(PROVED);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 0 step 0 chunk 1: copy puts what has the size of chunk 0 where chunk 1 belongs',
    ]);
  });

  it('may not read what nobody stored, nor wait for ever', () => {
    const unstored = handWritten([[[copy(output(0), scratch)]]], { ...custom, scratch: [0] });
    expect(messagesFound(unstored)).toEqual([
      'Rank 0 channel 0 step 0 chunk 0: reads output[0], where nothing has been stored',
    ]);
    const receiveFirst = (rank: number): Step[] => exchange(rank).reverse();
    const waiting = handWritten([[receiveFirst(0)], [receiveFirst(1)]], custom);
    expect(verify(waiting, { inPlace: false }).findings.map(({ kind }) => kind)).toEqual([
      'deadlock',
    ]);
  });
});

describe('chunks', () => {
  it('have one size at one place of their blocks, if blocks have one size', () => {
    const swapBlocks = [
      copy(input(0), output(2)),
      copy(input(2), output(0)),
      copy(input(1), output(3)),
      copy(input(3), output(1)),
    ];
    const shape = { chunks: 2, custom: { input: 2, output: 2 } };
    const programs = handWritten([[swapBlocks]], { ...shape, collective: 'custom' });
    expect(verify(programs, { inPlace: false })).toEqual(PROVED);
  });

  it('have sizes of their own if each rank has its own count', () => {
    const stored = (rank: number): Step[] => [
      copy(input(0), output(rank)),
      copy(input(0), scratch),
    ];
    const shape = { chunks: 1, scratch: [1] };
    const gathered = handWritten([[stored(0)], [stored(1)]], { ...shape, collective: 'allGather' });
    expect(messagesFound(gathered).join()).not.toContain('has the size');
    const uneven = handWritten([[stored(0)], [stored(1)]], { ...shape, collective: 'allGatherV' });
    expect(messagesFound(uneven)).toEqual([
      'Rank 0 channel 0 step 1 chunk 0: copy puts what has the size of chunk 0 where chunk 1 belongs',
    ]);
  });
});

describe('a program that may overwrite its input', () => {
  it('is proved out of place, where others are malformed', () => {
    const steps = (rank: number): Step[] => [
      send(1 - rank, input(0)),
      recvReduceCopy(1 - rank, input(0), input(0)),
      copy(input(0), output(0)),
    ];
    const programs = handWritten([[steps(0)], [steps(1)]], { ...oneChunk, overwritesInput: true });
    for (const { inPlace } of PLACEMENTS) expect(verify(programs, { inPlace })).toEqual(PROVED);
    const others = handWritten([[steps(0)], [steps(1)]], oneChunk);
    expect(verify(others, { inPlace: false }).findings.map(({ kind }) => kind)).toEqual([
      'malformed',
      'malformed',
    ]);
  });
});

describe('lanes', () => {
  /** The second channel of rank 0 talks to the first of rank 1. */
  const crossed = (lanes: readonly (readonly number[])[]): Program[] =>
    onLanes(handWritten([[[], exchange(0)], [exchange(1)]], oneChunk), lanes);

  it('say which channels talk to each other, whatever the numbers of these', () => {
    expect(verify(crossed([[0, 7], [7]]), { inPlace: false })).toEqual(PROVED);
    expect(messagesFound(crossed([[0, 7], [0]]))).toHaveLength(4);
  });

  it('may be shared by channels with other peers', () => {
    const chain = handWritten(
      [
        [[sendInto(1, input(0), output(0))], [copy(input(0), output(0))]],
        [
          [recv(0, output(0))],
          [{ ...sendInto(2, output(0), output(0)), depends: [{ channel: 0, step: 0 }] }],
        ],
        [[recv(1, output(0))]],
      ],
      { ...oneChunk, collective: 'broadcast' },
    );
    const oneLane = onLanes(chain, [[3, 3], [3, 3], [3]]);
    expect(verify(oneLane, { inPlace: false, depth: 1 })).toEqual(PROVED);
  });

  it('of who waits for whom are followed in a deadlock', () => {
    const receiveFirst = (rank: number): Step[] => exchange(rank).reverse();
    const programs = onLanes(handWritten([[[], receiveFirst(0)], [receiveFirst(1)]], oneChunk), [
      [0, 7],
      [7],
    ]);
    expect(messagesFound(programs)).toEqual([
      'Rank 0 channel 1 step 0 chunk 0: deadlock: ' +
        'recvReduceCopy output[0] = m + input[0] from 1 waits for a message from rank 1 channel 0 step 0, ' +
        'where recvReduceCopy output[0] = m + input[0] from 0 waits for a message from rank 0 channel 1 step 0',
    ]);
  });
});

describe('smallestDepth()', () => {
  it('is that of connections, of which those with other lanes are others', () => {
    const burst = (rank: number, lanes: number): Step[][] =>
      Array.from({ length: lanes }, () => [
        ...Array.from({ length: 6 / lanes }, () => sendInto(1 - rank, input(0), output(0))),
        ...Array.from({ length: 6 / lanes }, () => recv(1 - rank, output(0))),
      ]);
    const depthOn = (lanes: number): number | undefined =>
      smallestDepth(handWritten([burst(0, lanes), burst(1, lanes)], oneChunk));
    expect([1, 2, 3, 6].map(depthOn)).toEqual([6, 3, 2, 1]);
    expect(smallestDepth(handWritten([burst(0, 1), burst(1, 1)], oneChunk), 5)).toBeUndefined();
  });

  it('is none where there is a deadlock with any depth, or what is no program', () => {
    const receiveFirst = (rank: number): Step[] => exchange(rank).reverse();
    expect(
      smallestDepth(handWritten([[receiveFirst(0)], [receiveFirst(1)]], oneChunk)),
    ).toBeUndefined();
    expect(smallestDepth([])).toBeUndefined();
    expect(smallestDepth(handWritten([[exchange(0)], [[]]], oneChunk))).toBeUndefined();
    expect(smallestDepth(handWritten([[[]]], oneChunk))).toBe(1);
  });
});

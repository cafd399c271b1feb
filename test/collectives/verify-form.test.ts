/** What is no program at all is said to be none, whatever it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import type { Program, Step } from '../../collectives/program.ts';
import type { Place } from '../../collectives/schedule.ts';
import { FINDINGS_MAX } from '../../collectives/verifier/finding.ts';
import { CHUNKS_MAX } from '../../collectives/verifier/well-formed.ts';
import { smallestDepth, verify } from '../../collectives/verify.ts';
import { Prng } from '../../common/prng.ts';
import { everyStep, stepAt } from './mutation.ts';
import { randomAllReduce } from './random-schedule.ts';
import { copy, input, onLanes, output, recvReduceCopy, send } from './steps.ts';
import { handWritten, PLACEMENTS, programAt, withStep } from './support.ts';

/** Two ranks exchange their only chunk and add it. */
const exchange = (rank: number): Step[] => [
  send(1 - rank, input(0)),
  recvReduceCopy(1 - rank, input(0), output(0)),
];
const oneChunk = { chunks: 1 };

describe('verify() calls malformed', () => {
  const good = handWritten([[exchange(0)], [exchange(1)]], oneChunk);
  const withFirst = (change: Partial<Step>): Program[] =>
    withStep(good, { rank: 0, channel: 0, index: 0 }, { ...(exchange(0)[0] as Step), ...change });

  it.each<[string, Program[], RegExp]>([
    ['no programs at all', [], /^There is no program$/],
    ['programs out of order', [...good].reverse(), /position 0 is for rank 1/],
    ['too few programs', good.slice(0, 1), /for 2 ranks but there are 1 programs/],
    [
      'different shapes',
      [...good.slice(0, 1), { ...programAt(good, 1), chunks: 2 }],
      /but rank 0 has/,
    ],
    ['an unknown peer', withFirst({ sendTo: 2 }), /names rank 2, which is no peer/],
    ['a message to itself', withFirst({ sendTo: 0 }), /names rank 0, which is no peer/],
    ['a place outside', withFirst({ src: input(1) }), /input\[1\] is outside input of 1 chunks/],
    ['no chunks', withFirst({ count: 0 }), /works on 0 chunks/],
    ['a field too many', withFirst({ dst: output(0) }), /send has no use for dst/],
    [
      'an unknown step to wait for',
      withFirst({ depends: [{ channel: 1, step: 0 }] }),
      /no step of another/,
    ],
    [
      'a write to the input',
      handWritten([[[copy(output(0), input(0))]]], oneChunk),
      /copy writes input\[0\], which holds the caller's data/,
    ],
    [
      'scratch of no size',
      handWritten([[[]]], { scratch: [0, 2] }),
      /scratch\[1\] has the size of chunk 2, but there are 2 chunks/,
    ],
    [
      'more chunks than can be checked',
      handWritten([[[]]], { chunks: CHUNKS_MAX }),
      /there are 33554432 chunks, but at most 16777216 are checked/,
    ],
    ['no chunks in a block', handWritten([[[]]], { chunks: 0 }), /cut into 0 chunks/],
    ['an unknown root', handWritten([[[]]], { root: 1 }), /root is rank 1 of 1 ranks/],
    ['a lane that is none', onLanes(good, [[-1], [0]]), /channel 0 has the lane -1/],
    [
      'a connection that two channels send on',
      onLanes(handWritten([[exchange(0).slice(0, 1), exchange(0)], [exchange(1)]], oneChunk), [
        [4, 4],
        [4],
      ]),
      /^Rank 0 channel 1 step 0 chunk 0: send input\[0\] to 1 sends messages of the connection from rank 0 to rank 1 on lane 4, as rank 0 channel 0 step 0 does: one channel alone may$/,
    ],
    [
      'a connection that two channels receive from',
      onLanes(
        handWritten(
          [[exchange(0), exchange(0).slice(1)], [[send(0, input(0)), ...exchange(1)]]],
          oneChunk,
        ),
        [[0, 0], [0]],
      ),
      /takes messages of the connection from rank 1 to rank 0 on lane 0, as rank 0 channel 0 step 1 does/,
    ],
    [
      'runs that overlap in part',
      handWritten([[[{ ...copy(output(0), output(1)), count: 2 }]]], { chunks: 3 }),
      /overlap without being the same/,
    ],
  ])('%s', (_, programs, message) => {
    const { proved, findings } = verify(programs, { inPlace: false });
    expect(proved).toBe(false);
    expect(findings[0]?.kind).toBe('malformed');
    expect(findings[0]?.message).toMatch(message);
  });

  it('calls it a deadlock that a step waits for one of its own channel that does not come before it', () => {
    const programs = withFirst({ depends: [{ channel: 0, step: 1 }] });
    const [finding] = verify(programs, { inPlace: false }).findings;
    expect(finding?.kind).toBe('deadlock');
    expect(finding?.message).toMatch(
      /waits for the end of rank 0 channel 0 step 1, which does not/,
    );
    expect(smallestDepth(programs)).toBeUndefined();
  });

  it('at most a bounded number of things, and counts the others', () => {
    const silent = handWritten(
      Array.from({ length: 20 }, () => [[]]),
      { chunks: 20 },
    );
    const { findings, omitted } = verify(silent, { inPlace: false });
    expect(findings).toHaveLength(FINDINGS_MAX);
    expect(omitted).toBe(20 * 20 - FINDINGS_MAX);
  });
});

describe('verify() of anything that has the shape of a program', () => {
  const NUMBERS = [-1, 0, 1, 2, 3, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 53];
  const KINDS: readonly Step['kind'][] = [
    'send',
    'recv',
    'copy',
    'reduce',
    'recvCopySend',
    'recvReduceSend',
  ];

  /** Some field of the step is any number, or not there. */
  function spoilt(step: Step, prng: Prng): Step {
    const number = NUMBERS[prng.below(NUMBERS.length)] ?? 0;
    const place: Place = { buffer: prng.below(2) === 0 ? 'input' : 'scratch', chunk: number };
    const changes: Partial<Step>[] = [
      { count: number },
      { recvFrom: number },
      { sendTo: number },
      { src: place },
      { dst: place },
      { landing: { kind: 'place', place } },
      { depends: [{ channel: number, step: prng.below(3) }] },
      { depends: [{ channel: prng.below(3), step: number }] },
      { kind: KINDS[prng.below(KINDS.length)] ?? 'copy' },
    ];
    return { ...step, ...changes[prng.below(changes.length)] };
  }

  it('ends with a verdict', () => {
    let refuted = 0;
    const property = fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const prng = new Prng(seed);
      let programs: readonly Program[] = lowerAll(randomAllReduce(seed, 3));
      for (let changes = 1 + prng.below(2); changes > 0; changes--) {
        const steps = everyStep(programs);
        const at = steps[prng.below(steps.length)];
        if (at === undefined) continue;
        programs = withStep(programs, at, spoilt(stepAt(programs, at), prng));
      }
      for (const { inPlace } of PLACEMENTS) {
        for (const order of ['program', 'messages'] as const) {
          const { proved, findings } = verify(programs, {
            inPlace,
            order,
            depth: 1 + prng.below(2),
          });
          expect(proved).toBe(findings.length === 0);
          for (const { message } of findings) expect(message).toMatch(/^Rank \d+ /);
          if (!proved) refuted++;
        }
      }
      smallestDepth(programs);
    });
    fc.assert(property, { seed: 40, numRuns: 500 });
    expect(refuted).toBeGreaterThan(1000);
  });
});

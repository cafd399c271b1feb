/** Order that only messages make, written down: then no executor can lose it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withExplicitOrder } from '../../collectives/explicit-order.ts';
import { lowerAll } from '../../collectives/lower.ts';
import type { Program, Step } from '../../collectives/program.ts';
import { smallestDepth, verify } from '../../collectives/verify.ts';
import { Prng } from '../../common/prng.ts';
import { everyStep, stepAt } from './mutation.ts';
import { runInRandomOrder } from './random-order.ts';
import { randomAllReduce } from './random-schedule.ts';
import { copy, dependingOn, input, output, recv, sendInto } from './steps.ts';
import { handWritten, PLACEMENTS, stepsOf, withStep } from './support.ts';
import { asThreadBlocks } from './thread-blocks.ts';

const RUNS = 150;
const PROVED = { proved: true, findings: [] };

/** Without the dependencies that messages imply, in the given placement. */
function relyingOnMessages(programs: readonly Program[], inPlace: boolean): Program[] {
  let result = [...programs];
  for (const at of everyStep(programs)) {
    for (const ref of stepAt(programs, at).depends) {
      const step = stepAt(result, at);
      const depends = step.depends.filter((other) => other !== ref);
      const fewer = withStep(result, at, { ...step, depends });
      if (verify(fewer, { inPlace, order: 'messages' }).proved) result = fewer;
    }
  }
  return result;
}

describe('withExplicitOrder()', () => {
  /** Rank 0 sends from one channel to rank 1, which answers to another. */
  const bounced = handWritten(
    [
      [[sendInto(1, input(0), output(0))], [recv(1, output(0))]],
      [[recv(0, output(0))], [dependingOn(sendInto(0, output(0), output(0)), 0, 0)]],
    ],
    { collective: 'broadcast', chunks: 1 },
  );

  it('adds a dependency where a message comes back', () => {
    expect(verify(bounced, { inPlace: true, order: 'messages' })).toEqual(PROVED);
    const racing = verify(bounced, { inPlace: true });
    expect(racing.findings.map(({ kind }) => kind)).toEqual(['race']);
    const explicit = withExplicitOrder(bounced, { inPlace: true });
    expect(stepsOf(explicit[0] as Program, 1)).toEqual([dependingOn(recv(1, output(0)), 0, 0)]);
    expect(explicit[1]).toEqual(bounced[1]);
    expect(verify(explicit, { inPlace: true })).toEqual(PROVED);
  });

  it('adds a dependency once, and none to what follows from it', () => {
    // What rank 0 sends from channel 0 comes back to channel 1, the last chunk first.
    const outwards = [0, 1, 2].map((chunk) => sendInto(1, input(chunk), output(chunk)));
    const inwards = [2, 1].map((chunk) => recv(1, output(chunk)));
    const taken = [0, 1, 2].map((chunk) => recv(0, output(chunk)));
    const returned = [2, 1].map((chunk) => sendInto(0, output(chunk), output(chunk)));
    const last = dependingOn(copy(output(2), output(0)), 1, 0);
    const [first, ...others] = returned;
    const programs = handWritten([
      [outwards, inwards, [last]],
      [taken, [dependingOn(first as Step, 0, 2), ...others], []],
    ]);
    const [explicit] = withExplicitOrder(programs, { inPlace: true });
    const dependsOf = (channel: number) =>
      stepsOf(explicit as Program, channel).map(({ depends }) => depends);
    expect(dependsOf(0)).toEqual([[], [], []]);
    expect(dependsOf(1)).toEqual([[{ channel: 0, step: 2 }], []]);
    expect(dependsOf(2)).toEqual([[{ channel: 1, step: 0 }]]);
  });

  it('adds none where places differ, as out of place', () => {
    expect(withExplicitOrder(bounced, { inPlace: false })).toEqual(bounced);
  });

  it('leaves a race what it is', () => {
    const racing = handWritten([[[copy(input(0), output(0))], [copy(input(0), output(0))]]], {
      chunks: 1,
    });
    expect(withExplicitOrder(racing, { inPlace: false })).toEqual(racing);
    const { findings } = verify(racing, { inPlace: false, order: 'messages' });
    expect(findings.map(({ kind }) => kind)).toEqual(['race']);
  });

  it(`makes what messages order true in any order (${RUNS} random programs)`, () => {
    let relying = 0;
    const property = fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const prng = new Prng(seed);
      const blocks = asThreadBlocks(lowerAll(randomAllReduce(seed, 1)), prng);
      for (const { inPlace } of PLACEMENTS) {
        expect(verify(blocks, { inPlace })).toEqual(PROVED);
        const programs = relyingOnMessages(blocks, inPlace);
        expect(verify(programs, { inPlace, order: 'messages' })).toEqual(PROVED);
        if (!verify(programs, { inPlace }).proved) relying++;
        const explicit = withExplicitOrder(programs, { inPlace });
        expect(verify(explicit, { inPlace })).toEqual(PROVED);
        expect(smallestDepth(explicit)).toBe(smallestDepth(programs));
        expect(runInRandomOrder(explicit, inPlace, prng)).toBe('right');
        expect(withExplicitOrder(explicit, { inPlace })).toEqual(explicit);
      }
    });
    fc.assert(property, { seed: 30, numRuns: RUNS });
    expect(relying).toBeGreaterThan(RUNS / 3);
  });
});

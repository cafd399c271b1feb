/** Correct programs with one mistake put into them: the verifier refutes every one. */
import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import { type Program, receives, reduces, type Step, sends } from '../../collectives/program.ts';
import type { Place } from '../../collectives/schedule.ts';
import { verify } from '../../collectives/verify.ts';
import { output } from './steps.ts';
import { CASES, PLACEMENTS, programAt, stepsOf, withStep } from './support.ts';

/** Every step of every rank's program, with its address. */
function* everyStep(programs: readonly Program[]) {
  for (const program of programs) {
    for (const [index, step] of stepsOf(program).entries()) {
      yield { at: { rank: program.rank, channel: 0, index }, step };
    }
  }
}

describe.each(CASES)('a mutated $algorithm $collective is refuted', ({ row }) => {
  const sizes = [2, 3, 4, 5];

  it('when any step is missing', () => {
    for (const nranks of sizes) {
      const programs = lowerAll(row.build({ nranks, root: 1 }));
      for (const { at } of everyStep(programs)) {
        expect(verify(withStep(programs, at, undefined), { inPlace: false }).proved).toBe(false);
      }
    }
  });

  it('when any message goes to or comes from another peer', () => {
    for (const nranks of [3, 4, 5]) {
      const programs = lowerAll(row.build({ nranks, root: 1 }));
      for (const { at, step } of everyStep(programs)) {
        for (const key of ['sendTo', 'recvFrom'] as const) {
          const peer = step[key];
          if (peer === undefined) continue;
          for (let other = 0; other < nranks; other++) {
            if (other === peer) continue;
            const mutant = withStep(programs, at, { ...step, [key]: other });
            expect(verify(mutant, { inPlace: false }).proved).toBe(false);
          }
        }
      }
    }
  });

  it('when any place is off by one', () => {
    for (const nranks of sizes) {
      const programs = lowerAll(row.build({ nranks, root: 1 }));
      for (const { inPlace } of PLACEMENTS) {
        for (const { at, step } of everyStep(programs)) {
          for (const key of ['src', 'dst'] as const) {
            const place = step[key];
            if (place === undefined || (inPlace && step.kind === 'copy')) continue;
            const mutant = { ...step, [key]: { ...place, chunk: place.chunk + 1 } };
            expect(verify(withStep(programs, at, mutant), { inPlace }).proved).toBe(false);
          }
        }
      }
    }
  });
});

describe.each(CASES.filter(({ algorithm }) => algorithm === 'ring'))(
  'a mutated $algorithm $collective is refuted',
  ({ row }) => {
    it('when both ends of a message agree on the wrong place, even if all chunks are alike', () => {
      const programs = lowerAll(row.build({ nranks: 4, root: 1 }));
      const shape = programAt(programs, 0);
      const nchunks = shape.collective === 'allGather' ? 4 * shape.chunks : shape.chunks;
      for (const { at, step } of everyStep(programs)) {
        if (!sends(step.kind) || step.landing?.kind !== 'place') continue;
        const place = output((step.landing.place.chunk + 1) % nchunks);
        const receiver = programAt(programs, step.sendTo ?? -1);
        const index = stepsOf(receiver).findIndex(
          ({ recvFrom, dst }) =>
            recvFrom === at.rank && dst?.chunk === (step.landing as { place: Place }).place.chunk,
        );
        const taking = stepsOf(receiver)[index] as Step;
        const half = withStep(programs, at, { ...step, landing: { kind: 'place', place } });
        const mutant = withStep(
          half,
          { rank: receiver.rank, channel: 0, index },
          { ...taking, dst: place },
        );
        const verdict = verify(mutant, { inPlace: false, equalChunks: true });
        expect(verdict.findings[0]?.kind).toMatch(/postcondition|uninitialised|mismatch/);
      }
    });
  },
);

describe.each(CASES.filter(({ collective }) => collective === 'allReduce'))(
  'a mutated $algorithm $collective is refuted',
  ({ row }) => {
    it('when a reduction is left out', () => {
      const programs = lowerAll(row.build({ nranks: 4 }));
      for (const { at, step } of everyStep(programs)) {
        if (!reduces(step.kind) || !receives(step.kind) || step.dst === undefined) continue;
        const { src: _, ...rest } = step;
        const kind = step.kind === 'recvReduceCopy' ? 'recv' : 'recvCopySend';
        expect(verify(withStep(programs, at, { ...rest, kind }), { inPlace: false }).proved).toBe(
          false,
        );
      }
    });
  },
);

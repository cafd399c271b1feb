/**
 * Any program of the table, on any number of channels and boxes, cut into any slices: the verifier accepts
 * it, and the engine gives the reference's bits in whatever order its slices move.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../../collectives/lower.ts';
import { buildSchedule, optionsOf } from '../../../collectives/table.ts';
import { verify } from '../../../collectives/verify.ts';
import { CASES } from '../../collectives/support.ts';
import { countsOf, expectReference } from './engine-trial.ts';

const SEED = 20_211_124;
const RUNS = 300;

const call = fc.record({
  way: fc.constantFrom(...CASES),
  boxes: fc.integer({ min: 1, max: 4 }),
  ranksPerBox: fc.integer({ min: 1, max: 3 }),
  root: fc.nat({ max: 11 }),
  channels: fc.integer({ min: 1, max: 4 }),
  finer: fc.integer({ min: 1, max: 3 }),
  placement: fc.constantFrom('inPlace' as const, 'outOfPlace' as const),
  count: fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: 600 })),
  sliceBytes: fc.constantFrom(16, 64, 256, 4096),
  /** Of the order in which things happen. */
  seed: fc.nat(),
});

describe('any program of the table', () => {
  it(`is proved, and no order of its slices changes a bit of what it gives (${RUNS} programs)`, () => {
    let run = 0;
    const property = fc.property(call, ({ way, boxes, ranksPerBox, finer, ...rest }) => {
      const { channels, placement, count, sliceBytes, seed } = rest;
      const nranks = boxes * ranksPerBox;
      const request = {
        collective: way.collective,
        algorithm: way.algorithm,
        topology: { boxes, ranksPerBox },
        root: rest.root % nranks,
        placement,
      };
      fc.pre(way.row.restrictions.every(({ holds }) => holds(optionsOf(request))));
      const plain = buildSchedule(request);
      const finerRequest = { ...request, chunks: plain.chunks * finer };
      const fits = way.row.restrictions.every(({ holds }) => holds(optionsOf(finerRequest)));
      const programs = lowerAll(buildSchedule({ ...(fits ? finerRequest : request), channels }));
      const inPlace = placement === 'inPlace';
      expect(verify(programs, { inPlace }).findings).toEqual([]);
      const counts = countsOf(way.collective, nranks, count);
      expectReference({ programs, counts, inPlace, seed, sliceBytes });
      run++;
    });
    fc.assert(property, { seed: SEED, numRuns: RUNS });
    expect(run).toBe(RUNS);
  });
});

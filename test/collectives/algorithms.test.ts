/** The postcondition matrix: every algorithm, any number of ranks, proved in both placements. */
import { describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import { verify } from '../../collectives/verify.ts';
import { CASES, PLACEMENTS, RANK_COUNTS, scheduleOf } from './support.ts';

const NOTHING_FOUND = { proved: true, findings: [] };

describe.each(CASES)('$algorithm $collective', ({ algorithm, collective, row }) => {
  it.each(RANK_COUNTS)('is proved for %i ranks in both placements', (nranks) => {
    const schedule = row.build({ nranks, root: nranks - 1 });
    const programs = lowerAll(schedule);
    expect(schedule).toMatchObject({ algorithm, collective, nranks });
    for (const { inPlace } of PLACEMENTS) {
      expect(verify(programs, { inPlace })).toEqual(NOTHING_FOUND);
    }
  });

  it('is proved when a message has several chunks', () => {
    let proved = 0;
    for (const nranks of [1, 2, 3, 4, 6]) {
      for (const chunks of [1, 2, 3, 6, 12]) {
        const schedule = scheduleOf(row, { nranks, chunks });
        if (schedule === undefined) continue;
        for (const { inPlace } of PLACEMENTS) {
          expect(verify(lowerAll(schedule), { inPlace })).toEqual(NOTHING_FOUND);
          proved++;
        }
      }
    }
    expect(proved).toBeGreaterThan(20);
  });

  it('is free of deadlock with two messages per connection', () => {
    for (const nranks of RANK_COUNTS.filter((count) => count <= 17)) {
      const programs = lowerAll(row.build({ nranks }));
      expect(verify(programs, { inPlace: false, depth: 2 })).toEqual(NOTHING_FOUND);
    }
  });
});

describe('binomialTree broadcast', () => {
  const row = CASES.find(({ algorithm }) => algorithm === 'binomialTree')?.row;
  it.each([1, 2, 5, 8, 13])('is proved for every root of %i ranks', (nranks) => {
    for (let root = 0; root < nranks; root++) {
      const schedule = row?.build({ nranks, root });
      expect(schedule?.root).toBe(root);
      for (const { inPlace } of PLACEMENTS) {
        expect(verify(schedule ? lowerAll(schedule) : [], { inPlace })).toEqual(NOTHING_FOUND);
      }
    }
  });
});

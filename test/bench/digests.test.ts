import { describe, expect, it } from 'vitest';
import { compareDigests } from '../../bench/digests.ts';
import type { BenchRow } from '../../bench/results.ts';

function row(size: number, outOfPlace: string[], inPlace: string[] | null): BenchRow {
  const figures = (digests: string[]) => ({ timeUs: 1, algBw: 1, busBw: 1, wrong: 0, digests });
  return {
    ...{ size, count: size / 4, type: 'float', redop: 'sum', root: -1, choice: null },
    outOfPlace: figures(outOfPlace),
    inPlace: inPlace === null ? null : figures(inPlace),
  };
}

describe('compareDigests()', () => {
  it('finds nothing in equal launches', () => {
    const launch = [row(8, ['a', 'a'], ['b', 'b']), row(64, ['c', 'c'], null)];
    expect(compareDigests([launch, launch, launch])).toEqual({
      ...{ launches: 3, results: 6, differing: [] },
    });
  });

  it('names each result that differs in any launch', () => {
    const first = [row(8, ['a', 'a'], ['b', 'b'])];
    const second = [row(8, ['a', 'x'], ['b', 'b'])];
    const third = [row(8, ['a', 'a'], ['y', 'b'])];
    expect(compareDigests([first, second, third]).differing).toEqual([
      '8 B float sum out of place on rank 1',
      '8 B float sum in place on rank 0',
    ]);
  });

  it('takes a launch with fewer results for one that differs', () => {
    const both = [row(8, ['a'], ['b'])];
    expect(compareDigests([both, [row(8, ['a'], null)]]).differing).toEqual([
      '8 B float sum in place on rank 0',
    ]);
  });
});

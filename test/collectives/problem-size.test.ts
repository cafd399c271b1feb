import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../collectives/chunks.ts';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { countsOfProblem, problemElements } from '../../collectives/problem-size.ts';

describe('problemElements()', () => {
  it('is the vector, or all that is gathered or scattered, or the input of an all-to-all', () => {
    expect(problemElements({ collective: 'allReduce', nranks: 4 }, 12)).toBe(12);
    expect(problemElements({ collective: 'reduceScatter', nranks: 4 }, 12)).toBe(48);
    expect(problemElements({ collective: 'allToAll', nranks: 4 }, 12)).toBe(12);
    expect(problemElements({ collective: 'allGatherV', nranks: 3 }, [1, 2, 3])).toBe(6);
    expect(problemElements({ collective: 'allToAllV', nranks: 2 }, [1, 2, 3, 4])).toBe(7);
  });
});

describe('countsOfProblem()', () => {
  it.each(COLLECTIVES)('gives counts for %s that the chunk table takes', (collective) => {
    for (const nranks of [1, 3, 8]) {
      for (const elements of [0, 7, 1000, 1024]) {
        const shape = { collective, nranks, chunks: 2, root: 0, scratch: [] };
        const counts = countsOfProblem(shape, elements);
        const total = problemElements(shape, counts);
        expect(total).toBeLessThanOrEqual(elements);
        expect(total).toBeGreaterThan(elements - nranks);
        expect(chunkTable(shape, counts).bufferLength(0, 'output')).toBeGreaterThanOrEqual(0);
      }
    }
  });

  it('makes every part a multiple, where chunks must be alike', () => {
    expect(countsOfProblem({ collective: 'allReduce', nranks: 4 }, 1001, 16)).toBe(992);
    expect(countsOfProblem({ collective: 'allGatherV', nranks: 4 }, 1001, 16)).toBe(240);
    const custom = { collective: 'custom', nranks: 2, custom: { input: 3, output: 3 } } as const;
    expect(countsOfProblem(custom, 100)).toBe(99);
  });
});

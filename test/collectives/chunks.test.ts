import { describe, expect, it } from 'vitest';
import { type ChunkTable, chunkTable, splitEvenly } from '../../collectives/chunks.ts';
import type { CollectiveShape } from '../../collectives/collective.ts';
import { memoryMap, overlaps } from '../../collectives/memory.ts';
import type { BufferName } from '../../collectives/schedule.ts';

const shape = (fields: Partial<CollectiveShape>): CollectiveShape => ({
  collective: 'allReduce',
  nranks: 3,
  chunks: 4,
  root: 0,
  scratch: [],
  ...fields,
});

function lengths(table: ChunkTable, rank: number, buffer: BufferName, chunks: number): number[] {
  return Array.from(
    { length: chunks },
    (_, chunk) => table.range(rank, { buffer, chunk }, 1).length,
  );
}

describe('splitEvenly()', () => {
  it('gives parts that differ by at most one, larger ones first', () => {
    expect(splitEvenly(10, 4)).toEqual([3, 3, 2, 2]);
    expect(splitEvenly(2, 4)).toEqual([1, 1, 0, 0]);
    expect(splitEvenly(0, 3)).toEqual([0, 0, 0]);
    expect(splitEvenly(8, 4)).toEqual([2, 2, 2, 2]);
  });
});

describe('chunkTable()', () => {
  it('cuts a vector into uneven chunks, one after the other', () => {
    const table = chunkTable(shape({}), 10);
    expect(lengths(table, 1, 'output', 4)).toEqual([3, 3, 2, 2]);
    expect(table.range(2, { buffer: 'input', chunk: 1 }, 2)).toEqual({ offset: 3, length: 5 });
    expect(table.range(2, { buffer: 'output', chunk: 0 }, 4)).toEqual({ offset: 0, length: 10 });
    expect(table.bufferLength(0, 'input')).toBe(10);
    expect(table.bufferLength(0, 'scratch')).toBe(0);
  });

  it('gives scratch chunks the size of the logical chunk they stand for', () => {
    const table = chunkTable(shape({ scratch: [3, 0, 3] }), 10);
    expect(lengths(table, 0, 'scratch', 3)).toEqual([2, 3, 2]);
    expect(table.range(0, { buffer: 'scratch', chunk: 2 }, 1).offset).toBe(5);
    expect(table.bufferLength(0, 'scratch')).toBe(7);
  });

  it('concatenates contributions of different lengths at all-gather', () => {
    const table = chunkTable(shape({ collective: 'allGather', chunks: 2 }), [3, 0, 5]);
    expect(lengths(table, 0, 'output', 6)).toEqual([2, 1, 0, 0, 3, 2]);
    expect([0, 1, 2].map((rank) => table.bufferLength(rank, 'input'))).toEqual([3, 0, 5]);
    expect(table.range(2, { buffer: 'input', chunk: 1 }, 1)).toEqual({ offset: 3, length: 2 });
    expect(table.bufferLength(1, 'output')).toBe(8);
  });

  it('refuses chunks outside the buffer, and counts that do not fit the collective', () => {
    const table = chunkTable(shape({}), 10);
    expect(() => table.range(0, { buffer: 'output', chunk: 3 }, 2)).toThrow(/inside output of 4/);
    expect(() => chunkTable(shape({}), [1, 2, 3])).toThrow(/1 counts for allReduce/);
    expect(() => chunkTable(shape({ collective: 'allGather' }), [1, 2])).toThrow(/3 counts/);
  });
});

describe('memoryMap()', () => {
  const gather = shape({ collective: 'allGather', chunks: 2, scratch: [0] });
  const input = { buffer: 'input', chunk: 1 } as const;
  const ownOutput = { buffer: 'output', chunk: 3 } as const;

  it('makes the input a part of the output in place, and apart from it out of place', () => {
    const inPlace = memoryMap(gather, 1, true);
    const outOfPlace = memoryMap(gather, 1, false);
    expect(inPlace.locate(input)).toBe(inPlace.locate(ownOutput));
    expect(outOfPlace.locate(input)).not.toBe(outOfPlace.locate(ownOutput));
    expect(outOfPlace.size).toBe(6 + 2 + 1);
  });

  it('overlaps() sees runs that have a location in common', () => {
    const inPlace = memoryMap(gather, 1, true);
    expect(overlaps(inPlace, input, 1, { buffer: 'output', chunk: 2 }, 2)).toBe(true);
    expect(overlaps(inPlace, input, 1, { buffer: 'output', chunk: 0 }, 3)).toBe(false);
    expect(overlaps(inPlace, input, 1, { buffer: 'scratch', chunk: 0 }, 1)).toBe(false);
  });
});

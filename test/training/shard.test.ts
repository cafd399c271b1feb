import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ranksOf } from '../../common/math.ts';
import { batchShards, rowNumbers, rowShard } from '../../training/shard.ts';

describe('batchShards()', () => {
  it('of all ranks together cover every row once, batch by batch, whatever the sizes', () => {
    const sizes = [fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 70 })] as const;
    fc.assert(
      fc.property(...sizes, fc.integer({ min: 1, max: 17 }), (rows, batch, nranks) => {
        const shards = ranksOf(nranks).map((rank) => batchShards(rows, batch, rank, nranks));
        const steps = Math.ceil(rows / batch);
        expect(shards.map(({ length }) => length)).toEqual(Array(nranks).fill(steps));
        const inOrder = ranksOf(steps).flatMap((step) => shards.map((of) => of[step] ?? fail()));
        expect(rowNumbers(inOrder)).toEqual(ranksOf(rows));
        for (const step of ranksOf(steps)) {
          const batchRows = Math.min(batch, rows - step * batch);
          const parts = shards.map((of) => of[step] ?? fail());
          expect(new Set(parts.map((part) => part.batchRows))).toEqual(new Set([batchRows]));
          const sizesOfParts = parts.map((part) => part.rows);
          expect(Math.max(...sizesOfParts) - Math.min(...sizesOfParts)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('gives ranks without rows an empty shard', () => {
    expect(batchShards(2, 64, 3, 4)).toEqual([{ first: 2, rows: 0, batchRows: 2 }]);
  });
});

describe('rowShard()', () => {
  it('gives the larger parts to the first ranks', () => {
    expect(ranksOf(4).map((rank) => rowShard(6, rank, 4))).toEqual([
      { first: 0, rows: 2 },
      { first: 2, rows: 2 },
      { first: 4, rows: 1 },
      { first: 5, rows: 1 },
    ]);
  });
});

function fail(): never {
  throw new Error('a shard is missing');
}

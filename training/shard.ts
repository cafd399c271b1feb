/** Which rows each rank works on. Pure: every rank knows every other rank's part. */
import { splitEvenly } from '../collectives/chunks.ts';

/** Consecutive rows. */
export interface RowRange {
  readonly first: number;
  readonly rows: number;
}

/** One rank's part of one global batch; it may be empty. */
export interface BatchShard extends RowRange {
  /** Rows of the whole batch, which the gradient is the mean over. */
  readonly batchRows: number;
}

/** Rank `rank`'s part of `rows` rows: consecutive, parts differ by at most one row. */
export function rowShard(rows: number, rank: number, nranks: number): RowRange {
  const sizes = splitEvenly(rows, nranks);
  const first = sizes.slice(0, rank).reduce((sum, size) => sum + size, 0);
  return { first, rows: sizes[rank] ?? 0 };
}

/** Rank `rank`'s part of every batch of `batch` rows, in order; the last batch takes what is left. */
export function batchShards(
  rows: number,
  batch: number,
  rank: number,
  nranks: number,
): readonly BatchShard[] {
  return Array.from({ length: batchCount(rows, batch) }, (_, index) => {
    const start = index * batch;
    const batchRows = Math.min(batch, rows - start);
    const shard = rowShard(batchRows, rank, nranks);
    return { first: start + shard.first, rows: shard.rows, batchRows };
  });
}

/** Batches of one epoch. */
export function batchCount(rows: number, batch: number): number {
  return Math.ceil(rows / batch);
}

/** The numbers of the rows of all ranges, in order. */
export function rowNumbers(ranges: readonly RowRange[]): number[] {
  return ranges.flatMap(({ first, rows }) => Array.from({ length: rows }, (_, row) => first + row));
}

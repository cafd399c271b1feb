/** A case as a call: its counts, its root, where its data lies and what it is. */
import { DATA_TYPES } from '../../../bench/data-types.ts';
import { type Layout, layoutFor } from '../../../bench/layout.ts';
import type { BenchSize } from '../../../bench/sizes.ts';
import type { ElementCounts } from '../../../collectives/chunks.ts';
import { BLOCKS, type CollectiveShape } from '../../../collectives/collective.ts';
import { COLLECTIVE_WORDS } from '../../../collectives/names.ts';
import { ranksIn } from '../../../collectives/topology.ts';
import type { MatrixCase } from './cases.ts';
import { operands } from './operands.ts';
import { topologyOf } from './ways.ts';

/** Above it a count is that of the whole array, not of a block: more of the same proves no more. */
const BLOCK_COUNT_MAX = 100_000;
/** More than the ranks of any cluster. */
const RANKS_MAX = 16;

export function ranksOfCase({ cluster }: MatrixCase): number {
  return ranksIn(topologyOf(cluster));
}

/** Different ones for different cases. */
export function rootOf(one: MatrixCase): number {
  const { rooted } = BLOCKS[COLLECTIVE_WORDS[one.collective]];
  return rooted ? one.id % ranksOfCase(one) : 0;
}

/** What the call is given; of the V forms uneven counts, some of them 0, the same in both directions. */
export function countsOf(one: MatrixCase): ElementCounts {
  const { collective, id } = one;
  const nranks = ranksOfCase(one);
  const { logicalBlocks } = BLOCKS[COLLECTIVE_WORDS[collective]];
  const isVector = logicalBlocks(shapeOf(one)) === 1 || collective === 'sendrecv';
  const isLarge = one.count > BLOCK_COUNT_MAX && !isVector;
  const count = isLarge ? Math.floor(one.count / nranks) : one.count;
  if (collective === 'alltoall') return count * nranks;
  const uneven = [count, 0, 2 * count, Math.ceil(count / 3)] as const;
  const unevenAt = (index: number) => uneven[(index + id) % uneven.length] ?? 0;
  if (collective === 'all_gather_v' || collective === 'reduce_scatter_v') {
    return Array.from({ length: nranks }, (_, rank) => unevenAt(rank));
  }
  if (collective !== 'alltoall_v') return count;
  return Array.from({ length: nranks * nranks }, (_, pair) =>
    unevenAt(Math.floor(pair / nranks) + (pair % nranks)),
  );
}

/** In whole blocks: chunks are the algorithm's business. */
export function shapeOf(one: MatrixCase): CollectiveShape {
  const collective = COLLECTIVE_WORDS[one.collective];
  const { rooted } = BLOCKS[collective];
  const nranks = ranksOfCase(one);
  return { collective, nranks, chunks: 1, root: rooted ? one.id % nranks : 0, scratch: [] };
}

export function layoutOfCase(one: MatrixCase, rank: number): Layout {
  return layoutFor(shapeOf(one), countsOf(one), rank);
}

/** As the benchmark's calls take it. */
export function sizeOf({ dataType, reduceOp, count }: MatrixCase): BenchSize {
  return { bytes: 0, count, dataType, reduceOp };
}

export function inputOf({ id, dataType, reduceOp }: MatrixCase, rank: number, length: number) {
  return operands(DATA_TYPES[dataType], reduceOp, id * RANKS_MAX + rank, length);
}

/** `all_reduce ring on 2x2, 1000 half sum, in place, 2 channels`. */
export function describeCase(one: MatrixCase): string {
  const { collective, algorithm, cluster, count, dataType, reduceOp, place, channels } = one;
  const where = place === 'inPlace' ? 'in place' : 'out of place';
  return `${collective} ${algorithm} on ${cluster}, ${count} ${dataType} ${reduceOp}, ${where}, ${channels} channels (case ${one.id})`;
}

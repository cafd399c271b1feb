/** How many elements each step works on, and into how many slices it is cut. */
import { type ChunkTable, chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import { BLOCKS, type CollectiveShape } from '../../collectives/collective.ts';
import { placeOf, type Step } from '../../collectives/program.ts';
import type { Rank } from '../../collectives/schedule.ts';

/** Elements of a step at each place that it names. */
export type StepElements = (rank: Rank, step: Step) => number;

/**
 * Elements that every chunk has; `undefined` if they differ. Then ranks may be unlike whose programs are
 * alike.
 */
export function evenChunk(shape: CollectiveShape, counts: ElementCounts): number | undefined {
  const block = evenBlock(shape, counts);
  return block === undefined || block % shape.chunks !== 0 ? undefined : block / shape.chunks;
}

function evenBlock(shape: CollectiveShape, counts: ElementCounts): number | undefined {
  if (typeof counts !== 'number') {
    const first = counts[0] ?? 0;
    const blocks = BLOCKS[shape.collective].logicalBlocks(shape);
    return counts.length === blocks && counts.every((count) => count === first) ? first : undefined;
  }
  const { collective, nranks, custom } = shape;
  if (collective === 'custom') return counts / Math.max(1, custom?.input ?? 1);
  return collective === 'allToAll' || collective === 'allToAllV' ? counts / nranks : counts;
}

export function stepElements(shape: CollectiveShape, counts: ElementCounts): StepElements {
  const even = evenChunk(shape, counts);
  if (even !== undefined) return (_, step) => step.count * even;
  const table: ChunkTable = chunkTable(shape, counts);
  return (rank, step) => table.range(rank, placeOf(step), step.count).length;
}

/** Slices of at most so many bytes, but of one element at least; a step without elements is one slice. */
export function slicesOf(elements: number, bytesPerElement: number, sliceBytes: number): number {
  const perSlice = Math.max(1, Math.floor(sliceBytes / bytesPerElement));
  return Math.max(1, Math.ceil(elements / perSlice));
}

/**
 * A rank's memory as numbered chunk locations. In place and out of place differ here and nowhere
 * else: two places are the same memory exactly if they have the same location.
 */
import { type CollectiveShape, chunksIn, inPlaceAlias } from './collective.ts';
import type { Step } from './program.ts';
import type { BufferName, Place, Rank } from './schedule.ts';

export interface MemoryMap {
  /** Locations in all. */
  readonly size: number;
  /** Location of the place's chunk. The chunks of a run that starts there have the next ones. */
  locate(place: Place): number;
}

export function memoryMap(shape: CollectiveShape, rank: Rank, inPlace: boolean): MemoryMap {
  const inputStart = chunksIn(shape, rank, 'output');
  const scratchStart = inputStart + chunksIn(shape, rank, 'input');
  const starts: Record<BufferName, number> = {
    output: 0,
    input: inputStart,
    scratch: scratchStart,
  };
  const alias = inPlace ? inPlaceAlias(shape, rank) : undefined;
  if (alias !== undefined) starts[alias.part] = starts[alias.whole] + alias.chunk;
  return {
    size: scratchStart + chunksIn(shape, rank, 'scratch'),
    locate: ({ buffer, chunk }) => starts[buffer] + chunk,
  };
}

/** Whether runs of chunks that start at `a` and `b` have a location in common. */
export function overlaps(
  memory: MemoryMap,
  a: Place,
  aCount: number,
  b: Place,
  bCount: number,
): boolean {
  const aStart = memory.locate(a);
  const bStart = memory.locate(b);
  return aStart < bStart + bCount && bStart < aStart + aCount;
}

/** Whether the step copies a place to where it is: that touches nothing. */
export function isOntoItself(memory: MemoryMap, { kind, src, dst }: Step): boolean {
  return (
    kind === 'copy' &&
    src !== undefined &&
    dst !== undefined &&
    memory.locate(src) === memory.locate(dst)
  );
}

/**
 * A rank's memory as numbered chunk locations. In place and out of place differ here and nowhere
 * else: two places are the same memory exactly if they have the same location.
 */
import { unreachable } from '../common/assert.ts';
import { type CollectiveShape, chunksIn, inPlaceOutput } from './collective.ts';
import type { Place, Rank } from './schedule.ts';

export interface MemoryMap {
  /** Locations in all. */
  readonly size: number;
  /** Location of the place's chunk. The chunks of a run that starts there have the next ones. */
  locate(place: Place): number;
}

export function memoryMap(shape: CollectiveShape, rank: Rank, inPlace: boolean): MemoryMap {
  const inputStart = chunksIn(shape, 'output');
  const scratchStart = inputStart + chunksIn(shape, 'input');
  return {
    size: scratchStart + chunksIn(shape, 'scratch'),
    locate({ buffer, chunk }) {
      switch (buffer) {
        case 'output':
          return chunk;
        case 'input':
          return inPlace ? inPlaceOutput(shape, rank, chunk) : inputStart + chunk;
        case 'scratch':
          return scratchStart + chunk;
        default:
          return unreachable(buffer);
      }
    },
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

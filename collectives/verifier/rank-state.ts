/**
 * What a rank holds while its program is executed on symbols. A symbol says which logical chunk's data
 * it is and which ranks contributed: `set * logicalChunks + chunk`, or a negative number below.
 */
import { chunksIn, logicalChunk, logicalChunks } from '../collective.ts';
import { type MemoryMap, memoryMap } from '../memory.ts';
import type { Program } from '../program.ts';
import { NONE } from '../wiring.ts';
import type { ContributorSets } from './contributor-sets.ts';
import { type IsOrdered, RaceDetector } from './race-detector.ts';

/** Nothing was ever stored. */
export const NOTHING = -1;
/** The consequence of something that was reported already. */
export const TAINTED = -2;

export interface RankState {
  readonly program: Program;
  readonly memory: MemoryMap;
  /** By location: the symbol of what it holds. */
  readonly cells: Float64Array;
  /** By location: channel and step that wrote it last; `NONE` if none did. */
  readonly writer: Int32Array;
  readonly writeStep: Int32Array;
  /** Only with several channels: steps of one channel are in order. */
  readonly races: RaceDetector | undefined;
}

export function initialState(
  program: Program,
  inPlace: boolean,
  sets: ContributorSets,
  isOrdered: IsOrdered,
): RankState {
  const { rank, channels } = program;
  const memory = memoryMap(program, rank, inPlace);
  const cells = new Float64Array(memory.size).fill(NOTHING);
  const start = memory.locate({ buffer: 'input', chunk: 0 });
  const contributor = sets.single(rank) * logicalChunks(program);
  for (let chunk = 0; chunk < chunksIn(program, rank, 'input'); chunk++) {
    cells[start + chunk] = contributor + logicalChunk(program, rank, 'input', chunk);
  }
  const isParallel = channels.filter(({ steps }) => steps.length > 0).length > 1;
  const races = isParallel ? new RaceDetector(memory, isOrdered) : undefined;
  const writer = new Int32Array(memory.size).fill(NONE);
  return { program, memory, cells, writer, writeStep: new Int32Array(memory.size), races };
}

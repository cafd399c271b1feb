/** The transfer that puts a rank's own contribution into its output. In place it does nothing. */
import type { Rank, Transfer } from '../schedule.ts';

export function localCopy(rank: Rank, count: number, outputChunk = 0): Transfer {
  return {
    src: rank,
    dst: rank,
    from: { buffer: 'input', chunk: 0 },
    to: { buffer: 'output', chunk: outputChunk },
    count,
    effect: 'copy',
  };
}

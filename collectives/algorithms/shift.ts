/**
 * Shift: every rank sends its vector to the next, and takes that of the one before it.
 *
 * What nccl-tests measure as sendrecv. A digit is the rank that a vector comes from. Four ranks:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    .       .       .       .
 *   round 1  3       0       1       2
 *
 * In place, what comes in would find what has not left yet: it lands in scratch, and is copied.
 *
 * Cost:   α + n·β
 * Good:   measuring links: every rank sends and receives at the same time.
 * Bad:    nothing; there is no other way.
 *
 * nccl-tests, src/sendrecv.cu.
 */
import { ranksOf } from '../../common/math.ts';
import type { Place, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { IN_RING } from './alike.ts';

export function shift({ nranks, chunks = 1, placement }: ScheduleOptions): Schedule {
  const isInPlace = placement === 'inPlace' && nranks > 1;
  const landing: Place = { buffer: isInPlace ? 'scratch' : 'output', chunk: 0 };
  const output: Place = { buffer: 'output', chunk: 0 };
  return {
    collective: 'sendRecv',
    algorithm: 'direct',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: isInPlace ? ranksOf(chunks) : [],
    *rounds() {
      const ranks = ranksOf(nranks);
      yield ranks.map((src): Transfer => {
        const dst = (src + 1) % nranks;
        const from: Place = { buffer: 'input', chunk: 0 };
        return { src, dst, from, to: landing, count: chunks, effect: 'copy' };
      });
      if (!isInPlace) return;
      yield ranks.map((rank): Transfer => {
        return { src: rank, dst: rank, from: landing, to: output, count: chunks, effect: 'copy' };
      });
    },
  };
}

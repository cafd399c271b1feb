/**
 * Pipelined-chain broadcast: the vector goes from rank to rank in segments, one behind the other.
 *
 * The ranks stand in a row that begins at the root. Each passes a segment on while it takes the next
 * one, so after p - 2 rounds the whole row is busy. Four ranks, four segments, root 0:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 0 0 0  . . . .  . . . .  . . . .
 *   round 1  0 0 0 0  0 . . .  . . . .  . . . .
 *   round 2  0 0 0 0  0 0 . .  0 . . .  . . . .
 *   round 3  0 0 0 0  0 0 0 .  0 0 . .  0 . . .
 *   round 4  0 0 0 0  0 0 0 0  0 0 0 .  0 0 . .
 *   round 5  0 0 0 0  0 0 0 0  0 0 0 0  0 0 0 .
 *   round 6  0 0 0 0  0 0 0 0  0 0 0 0  0 0 0 0
 *
 * Cost:   (p-2+k)·(α + n/k·β) with k segments, p > 1
 * Good:   very large vectors: with many segments the cost nears n·β, the least there can be.
 * Bad:    small vectors and many ranks: the last rank waits for p - 1 messages.
 *
 * Pjesivac-Grbovic et al., "Performance analysis of MPI collective operations",
 * Cluster Comput. 10 (2007).
 */
import { ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { type Group, localMoves, rotated, type Vector, vectorIn } from './group.ts';
import { pipeline, type Way } from './pipeline.ts';

/** Segments unless told: enough to show the pipeline, few enough for small vectors. */
export const CHAIN_SEGMENTS = 4;

/** `chunks`: segments. */
export function chainBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = CHAIN_SEGMENTS } = options;
  return {
    collective: 'broadcast',
    algorithm: 'chain',
    nranks,
    chunks,
    root,
    scratch: [],
    rounds: () => chainBroadcastPhase(rotated(nranks, root), vectorIn('output', chunks)),
  };
}

/**
 * Pipelined-chain reduce: partial sums go along the row towards the root, which is its end.
 *
 *            rank 0               rank 1  rank 2  rank 3
 *   start    0    0    0    0
 *   round 1  0    0    0    0
 *   round 2  0    0    0    0
 *   round 3  0123 0    0    0
 *   round 4  0123 0123 0    0
 *   round 5  0123 0123 0123 0
 *   round 6  0123 0123 0123 0123
 *
 * A rank between adds its own contribution to what comes by and keeps nothing; only the root has an
 * output to show.
 *
 * Cost:   (p-2+k)·(α + n/k·(β+γ)) with k segments, p > 1
 * Good:   very large vectors: with many segments the cost nears n·β.
 * Bad:    small vectors and many ranks, as above.
 *
 * Pjesivac-Grbovic et al. 2007.
 */
export function chainReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = CHAIN_SEGMENTS } = options;
  const vector: Vector = {
    ...vectorIn('output', chunks),
    result: (rank) => ({ buffer: rank === root ? 'output' : 'scratch', chunk: 0 }),
  };
  return {
    collective: 'reduce',
    algorithm: 'chain',
    nranks,
    chunks,
    root,
    scratch: nranks > 2 ? ranksOf(chunks) : [],
    rounds: () => chainReducePhase(rotated(nranks, root), vector),
  };
}

/** Member 0 is the root. Every chunk of the vector is a segment. */
export function chainBroadcastPhase(
  { ranks }: Group,
  { chunks, own, result }: Vector,
): Generator<Round> {
  const ways = ranks.slice(1).map((dst, start): Way => {
    const src = ranks[start] as Rank;
    const from = start === 0 ? own(src) : result(src);
    const ends = { src, dst, count: 1, effect: 'copy' } as const;
    const move = (segment: number): Transfer => {
      return { ...ends, from: at(from, segment), to: at(result(dst), segment) };
    };
    return { start, move };
  });
  return pipeline(ways, chunks, localMoves(ranks.slice(0, 1), chunks, own, result));
}

/** Member 0 is the root, the only one that has the result in the end. Every chunk is a segment. */
export function chainReducePhase(
  { ranks }: Group,
  { chunks, own, result }: Vector,
): Generator<Round> {
  const last = ranks.length - 1;
  const ways = ranks.slice(1).map((src, member): Way => {
    const dst = ranks[member] as Rank;
    const start = last - 1 - member;
    const from = start === 0 ? own(src) : result(src);
    const ends = { src, dst, count: 1, effect: 'reduce' } as const;
    const move = (segment: number): Transfer => {
      const operand = at(own(dst), segment);
      return { ...ends, from: at(from, segment), operand, to: at(result(dst), segment) };
    };
    return { start, move };
  });
  const alone = last === 0 ? localMoves(ranks, chunks, own, result) : [];
  return pipeline(ways, chunks, alone);
}

function at({ buffer, chunk }: Place, segment: number): Place {
  return { buffer, chunk: chunk + segment };
}

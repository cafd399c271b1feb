/**
 * Pairwise-exchange all-to-all: in every round each rank exchanges blocks with one other rank.
 *
 * If p is a power of two, the partner in round i is rank XOR i, and the ranks fall into pairs;
 * otherwise each rank sends to the rank i further on and takes from the one i further back. After
 * p - 1 rounds everybody has met everybody. Four ranks (digits: whose block for this rank is there):
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    . . . .  . . . .  . . . .  . . . .
 *   round 1  0 1 . .  0 1 . .  . . 2 3  . . 2 3
 *   round 2  0 1 2 .  0 1 . 3  0 . 2 3  . 1 2 3
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β, where n is what a rank sends, its own block included
 * Good:   large blocks: every block goes the shortest way, and no port is used twice at a time.
 * Bad:    small blocks: latency grows with p.
 *
 * In place, blocks trade places with blocks of other ranks, so the rank's data is first set aside.
 * No data is forwarded: for `allToAllV` a rank need know no counts but its own.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { isPowerOfTwo, modulo, ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { IN_RING, inExchange } from './alike.ts';
import type { ExchangedBlocks } from './direct-all-to-all.ts';
import { blocksOf, everybody, type Group, localMoves, type ReducedBlocks } from './group.ts';

/** For `allToAll` and `allToAllV`. */
export function pairwiseExchangeAllToAll(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'allToAll', nranks, chunks = 1, placement } = options;
  const aside = placement === 'inPlace' && nranks > 1 ? rowsAside(options) : undefined;
  const from = blocksOf('input', chunks);
  const to = blocksOf('output', chunks);
  return {
    collective,
    algorithm: 'pairwiseExchange',
    // What is put aside is put there block by block, in the same order on all ranks.
    alike: aside === undefined ? (inExchange(nranks) ?? IN_RING) : undefined,
    nranks,
    chunks,
    root: 0,
    scratch: aside?.scratch ?? [],
    *rounds() {
      const { ranks } = everybody(nranks);
      const row = (rank: Rank): Place => aside?.row(rank) ?? from(rank, 0);
      if (aside !== undefined) yield localMoves(ranks, nranks * chunks, () => from(0, 0), row);
      const held = (rank: Rank, block: number): Place => {
        const { buffer, chunk } = row(rank);
        return { buffer, chunk: chunk + block * chunks };
      };
      yield* pairwiseAllToAllPhase({ ranks }, { chunks, from: held, to });
    },
  };
}

/**
 * Pairwise-exchange reduce-scatter: in every round each rank exchanges contributions with one other.
 *
 * Each gives the other the block that belongs there, and adds what it gets to its own. Four ranks:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  01      01      23      23
 *   round 2  012     013     023     123
 *   round 3  0123    0123    0123    0123
 *
 * Cost:   (p-1)·α + (p-1)/p·n·(β+γ), where n is what a rank contributes
 * Good:   large blocks, any number of ranks, uneven blocks; nothing is stored on the way.
 * Bad:    small blocks: latency grows with p.
 *
 * Thakur, Rabenseifner and Gropp 2005. For `reduceScatter` and `reduceScatterV`.
 */
export function pairwiseExchangeReduceScatter(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'reduceScatter', nranks, chunks = 1 } = options;
  const own = blocksOf('input', chunks);
  const result = blocksOf('output', 0);
  return {
    collective,
    algorithm: 'pairwiseExchange',
    alike: inExchange(nranks) ?? IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => pairwiseReduceScatterPhase(everybody(nranks), { chunks, own, result }),
  };
}

/** The members' own blocks are moved in the first round. */
export function* pairwiseAllToAllPhase(
  { ranks }: Group,
  { chunks, from, to }: ExchangedBlocks,
): Generator<Round> {
  const own = localMoves(ranks, chunks, from, to);
  if (ranks.length === 1) yield own;
  for (let round = 1; round < ranks.length; round++) {
    const moves = ranks.map((src, member): Transfer => {
      const target = partnerIn(round, member, ranks.length);
      const dst = ranks[target] as Rank;
      const places = { from: from(src, target), to: to(dst, member) };
      return { src, dst, ...places, count: chunks, effect: 'copy' };
    });
    yield round === 1 ? [...own, ...moves] : moves;
  }
}

/** Adds up in `result`, so that `partial` is not needed. */
export function* pairwiseReduceScatterPhase(
  { ranks }: Group,
  { chunks, own, result }: Omit<ReducedBlocks, 'partial'>,
): Generator<Round> {
  if (ranks.length === 1) yield localMoves(ranks, chunks, own, result);
  for (let round = 1; round < ranks.length; round++) {
    const operand = round === 1 ? own : result;
    yield ranks.map((src, member): Transfer => {
      const target = partnerIn(round, member, ranks.length);
      const dst = ranks[target] as Rank;
      const places = { from: own(src, target), operand: operand(dst, target) };
      return { src, dst, ...places, to: result(dst, target), count: chunks, effect: 'reduce' };
    });
  }
}

/** Whom a member sends to. */
function partnerIn(round: number, member: number, members: number): number {
  return isPowerOfTwo(members) ? member ^ round : modulo(member + round, members);
}

/** Where a rank's input waits while others take its place. */
function rowsAside({
  nranks,
  chunks = 1,
  collective,
}: ScheduleOptions & { readonly collective?: CollectiveName }): {
  readonly scratch: readonly number[];
  readonly row: (rank: Rank) => Place;
} {
  // Blocks of different sizes need a row of their own for each rank; the rows of others are empty.
  const rows = collective === 'allToAllV' ? nranks : 1;
  const row = (rank: Rank): Place => {
    return { buffer: 'scratch', chunk: (rank % rows) * nranks * chunks };
  };
  return { scratch: ranksOf(rows * nranks * chunks), row };
}

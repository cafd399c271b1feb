/**
 * Recursive-halving reduce-scatter: partners at distance p/2, p/4, ..., 1 split what both work on.
 *
 * Each partner sends the half of the blocks that it gives up and adds what it gets to the half that it
 * keeps, in scratch; the last block goes to the output. Outputs of four ranks, in place:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  0       1       2       3
 *   round 2  0123    0123    0123    0123
 *
 * Cost:   lg p·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input; for other p, with
 *         `fold.ts`, ⌊lg p⌋+2 messages that come to less than 3n
 * Good:   small and medium messages on a power of two of ranks: fewest rounds and fewest bytes.
 * Bad:    other numbers of ranks: a stand-in adds up, and passes on, the blocks of two.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { inExchange } from './alike.ts';
import { type FoldedPair, foldToPowerOfTwo, guestsAmong } from './fold.ts';
import {
  blockRange,
  blocksAt,
  blocksOf,
  type Group,
  localMoves,
  moveBlocks,
  type ReducedBlocks,
  vectorIn,
  type Where,
} from './group.ts';

export function recursiveHalvingReduceScatter(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'reduceScatter', nranks, chunks = 1 } = options;
  const partial = blocksOf('scratch', chunks);
  const output: Place = { buffer: 'output', chunk: 0 };
  const vector = vectorIn('scratch', nranks * chunks);
  const handBack = ({ guest, standIn }: FoldedPair): Transfer[] =>
    [guest, standIn].map((dst): Transfer => {
      const from = partial(standIn, dst);
      return { src: standIn, dst, from, to: output, count: chunks, effect: 'copy' };
    });
  return {
    collective,
    algorithm: 'recursiveHalving',
    alike: inExchange(nranks),
    nranks,
    chunks,
    root: 0,
    scratch: ranksOf(nranks * chunks),
    rounds: () =>
      foldToPowerOfTwo({ nranks, vector, handBack }, (core) => {
        const own = blocksAt(core.own, chunks);
        const result: Where = (rank, block) =>
          core.isStandIn(rank) ? partial(rank, block) : output;
        const guests = guestsAmong(nranks);
        const firstBlock = (member: number): number => member + Math.min(member, guests);
        return halvingReduceScatterPhase(core, { chunks, own, partial, result, firstBlock });
      }),
  };
}

/** Blocks of which a member may have several: from `firstBlock` of it to that of the next. */
interface HalvedBlocks extends ReducedBlocks {
  readonly firstBlock?: (member: number) => number;
}

/** A power of two of members. */
export function* halvingReduceScatterPhase(
  { ranks }: Group,
  { chunks, own, partial, result, firstBlock = (member) => member }: HalvedBlocks,
): Generator<Round> {
  if (ranks.length === 1) yield localMoves(ranks, chunks, own, result);
  for (let half = ranks.length / 2; half >= 1; half /= 2) {
    const held = half === ranks.length / 2 ? own : partial;
    const to = half === 1 ? result : partial;
    yield ranks.flatMap((src, member) => {
      const partner = member ^ half;
      const dst = ranks[partner] as Rank;
      const first = partner - (partner % half);
      const blocks = blockRange(firstBlock(first), firstBlock(first + half));
      return moveBlocks({ src, dst, blocks, chunks, from: held, operand: held, to });
    });
  }
}

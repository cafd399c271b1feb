/**
 * Two-level all-gather: same-index ranks gather across the boxes, then each box shares what it has.
 *
 * Every block crosses to another box once, to the rank of the index of its owner. Inside, the ranks then
 * gather the blocks of each box: one all-gather per box, its own first. Two boxes of two ranks,
 * `direct` inside and `ring` across:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 . 2 .  . 1 . 3  0 . 2 .  . 1 . 3
 *   round 2  0 1 2 .  0 1 . 3  0 . 2 3  . 1 2 3
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (b-1)·α₂ + (b-1)/p·n·β₂ + b(g-1)·α₁ + (g-1)/g·n·β₁ for b boxes of g ranks, rings in both
 * Good:   several ranks per box: 1/g of what a flat all-gather may send between two boxes.
 * Bad:    small messages: b messages to each neighbour inside, because blocks of other boxes lie apart.
 *
 * Cho, Finkler, Kung and Hunter, "BlueConnect: decomposing all-reduce for deep learning on heterogeneous
 * network hierarchy", MLSys 2019.
 */
import { ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { inParts } from './alike.ts';
import { blocksOf, type Group, sideBySide, type Where } from './group.ts';
import { messageByMessage } from './pipeline.ts';
import { definedParts, inTurn, levelsOf } from './two-level.ts';

type Options = ScheduleOptions & { readonly collective?: CollectiveName };

/** For `allGather` and `allGatherV`. */
export function hierarchicalAllGather(options: Options): Schedule {
  const { collective = 'allGather', nranks, chunks = 1 } = options;
  const levels = levelsOf(options);
  const { size, inside, across, boxesFrom } = levels;
  const parts = definedParts('allGather', options);
  const gathered = blocksOf('output', chunks);
  return {
    collective,
    algorithm: 'hierarchical',
    alike: inParts(levels, parts, 'rotation'),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds() {
      const gatherAcross = parts.across.phase('allGather');
      yield* sideBySide(
        across.map((group, index) => {
          const place: Where = (rank, box) => gathered(rank, box * size + index);
          const own = blocksOf('input', 0);
          return messageByMessage(gatherAcross(group, { chunks, own, gathered: place }));
        }),
      );
      if (size === 1) return;
      const gatherInside = parts.inside.phase('allGather');
      const gatherFrom = (group: Group, box: number): Iterable<Round> => {
        const own = blocksOf('output', chunks, box * size * chunks);
        return gatherInside(group, { chunks, own, gathered: own });
      };
      yield* sideBySide(
        inside.map((group, home) => inTurn(boxesFrom(home).map((box) => gatherFrom(group, box)))),
      );
    },
  };
}

/**
 * Two-level reduce-scatter: the boxes reduce inside, block by block, then same-index ranks across.
 *
 * Inside, one reduce-scatter for each box, the one for its own last: the rank of index i gets its box's sums
 * of the blocks of all ranks of index i, in scratch. Across, these are reduce-scattered.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  0       1       2       3
 *   round 2  0       1       2       3
 *   round 3  0123    0123    0123    0123
 *
 * Cost:   b(g-1)·α₁ + (g-1)/g·n·(β₁+γ) + (b-1)·α₂ + (b-1)/p·n·(β₂+γ), rings in both
 * Good:   several ranks per box: 1/g of the bytes of a flat ring cross.
 * Bad:    small messages: b messages to each neighbour inside.
 *
 * Cho et al. 2019. For `reduceScatter` and `reduceScatterV`.
 */
export function hierarchicalReduceScatter(options: Options): Schedule {
  const { collective = 'reduceScatter', nranks, chunks = 1 } = options;
  const levels = levelsOf(options);
  const { boxes, size, inside, across, boxesFrom } = levels;
  const parts = definedParts('reduceScatter', options);
  const result: Where = blocksOf('output', 0);
  return {
    collective,
    algorithm: 'hierarchical',
    alike: inParts(levels, parts, 'rotation'),
    nranks,
    chunks,
    root: 0,
    scratch: nranks > 1 ? ranksOf(nranks * chunks) : [],
    *rounds() {
      if (size > 1) {
        const reduce = parts.inside.phase('reduceScatter');
        const reduceFor = (group: Group, box: number): Iterable<Round> => {
          const first = box * size * chunks;
          const partial = blocksOf('scratch', chunks, first);
          const own = blocksOf('input', chunks, first);
          return reduce(group, { chunks, own, partial, result: boxes === 1 ? result : partial });
        };
        // Its own box's blocks are the last that a box has to have.
        yield* sideBySide(
          inside.map((group, home) =>
            inTurn(boxesFrom(home - 1).map((box) => reduceFor(group, box))),
          ),
        );
      }
      if (boxes === 1 && size > 1) return;
      const reduceAcross = parts.across.phase('reduceScatter');
      yield* sideBySide(
        across.map((group, index) => {
          const at = (buffer: 'input' | 'scratch'): Where => {
            const blocks = blocksOf(buffer, chunks);
            return (rank, box) => blocks(rank, box * size + index);
          };
          const own = at(size > 1 ? 'scratch' : 'input');
          const blocks = { chunks, own, partial: at('scratch'), result };
          return messageByMessage(reduceAcross(group, blocks));
        }),
      );
    },
  };
}

/**
 * Two-level all-to-all: inside the box to the rank of the right index, then across to the right box.
 *
 * First every rank hands each rank of its box all blocks for ranks of that one's index, in any box. Each
 * then has, for each box, the blocks of its whole box side by side in scratch, and sends them as one
 * message. Two boxes of two ranks, `direct` inside and `pairwiseExchange` across (digits: whose block
 * for this rank is there):
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    . . . .  . . . .  . . . .  . . . .
 *   round 1  . . . .  . . . .  . . . .  . . . .
 *   round 2  . . . .  . . . .  . . . .  . . . .
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   b(g-1)·α₁ + (g-1)/g·n·β₁ + (b-1)·α₂ + (b-1)/b·n·β₂ for b boxes of g ranks
 * Good:   small blocks and several ranks per box: b - 1 messages of a rank cross, not (b-1)·g.
 * Bad:    large blocks: nearly all of them travel twice.
 *
 * Kumar et al., "Optimization of all-to-all communication on the Blue Gene/L supercomputer", ICPP 2008,
 * of the same idea along the dimensions of a torus.
 */
export function hierarchicalAllToAll(options: ScheduleOptions): Schedule {
  const { nranks, chunks = 1, placement } = options;
  const levels = levelsOf(options);
  const { boxes, size, inside, across, boxesFrom } = levels;
  const parts = definedParts('allToAll', options);
  const isInPlace = placement === 'inPlace' && nranks > 1;
  const isInside = size > 1 || isInPlace;
  const isAcross = boxes > 1 || !isInside || isInPlace;
  return {
    collective: 'allToAll',
    algorithm: 'hierarchical',
    alike: inParts(levels, parts, 'rotation'),
    nranks,
    chunks,
    root: 0,
    scratch: isInside && isAcross ? ranksOf(nranks * chunks) : [],
    *rounds() {
      if (isInside) yield* sideBySide(insidePhases());
      if (isAcross) yield* sideBySide(across.map(acrossPhase));
    },
  };
  function insidePhases(): Iterable<Round>[] {
    const exchange = parts.inside.phase('allToAll');
    const target = isAcross ? 'scratch' : 'output';
    const exchangeFor = (group: Group, box: number): Iterable<Round> => {
      const first = box * size * chunks;
      const [from, to] = [blocksOf('input', chunks, first), blocksOf(target, chunks, first)];
      return exchange(group, { chunks, from, to });
    };
    return inside.map((group, home) =>
      inTurn(boxesFrom(home - 1).map((box) => exchangeFor(group, box))),
    );
  }
  function acrossPhase(group: Group): Iterable<Round> {
    const exchange = parts.across.phase('allToAll');
    const boxful = size * chunks;
    const from = blocksOf(isInside ? 'scratch' : 'input', boxful);
    return exchange(group, { chunks: boxful, from, to: blocksOf('output', boxful) });
  }
}

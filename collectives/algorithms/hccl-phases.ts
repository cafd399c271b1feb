/**
 * The phases of HCCL's algorithms: a full-mesh exchange inside the box, and across boxes a pairwise one,
 * shifted by one box more in each iteration, between the ranks of the same index.
 *
 * Box iteration 0 is about a rank's own box. In iteration i it sends to box `mine + i` and receives from
 * box `mine - i`. What crosses goes on its way before the next iteration works inside.
 *
 * HabanaAI/HCL, `hcl/src/platform/gen2_arch_common/hcl_collective_routines.cpp`.
 */
import { modulo, ranksOf } from '../../common/math.ts';
import type { Rank, Round, Transfer } from '../schedule.ts';
import { directReduceScatterPhase } from './direct.ts';
import {
  everybody,
  type GatheredBlocks,
  type Group,
  localMoves,
  moveBlock,
  type ReducedBlocks,
  shiftedMoves,
  sideBySide,
} from './group.ts';
import type { Levels } from './two-level.ts';

/**
 * Afterwards every rank has the block of its own number, reduced over all ranks. In iteration i, each box
 * reduces among its ranks the blocks of the box that they send to.
 */
export function* hcclReduceScatterPhase(levels: Levels, blocks: ReducedBlocks): Generator<Round> {
  const { boxes, size } = levels;
  const { ranks } = everybody(boxes * size);
  if (ranks.length === 1) yield localMoves(ranks, blocks.chunks, blocks.own, blocks.result);
  let crossing: Round = [];
  for (let iteration = 0; iteration < boxes; iteration++) {
    const rounds = size > 1 ? reduceInside(levels, blocks, iteration) : [[]];
    for (const round of rounds) {
      if (round.length + crossing.length > 0) yield [...crossing, ...round];
      crossing = [];
    }
    if (iteration > 0) crossing = sendSums(levels, blocks, iteration);
  }
  if (crossing.length > 0) yield crossing;
}

/** Sums of the own box lie in `result`, others in `partial`. */
function reduceInside(
  { boxes, size, inside }: Levels,
  { chunks, own, partial, result }: ReducedBlocks,
  iteration: number,
): Iterable<Round> {
  const sum = iteration === 0 ? result : partial;
  return sideBySide(
    askedBoxes(inside, size).map(({ group, box }) => {
      const first = modulo(box + iteration, boxes) * size;
      return directReduceScatterPhase(group, {
        chunks,
        own: (rank, index) => own(rank, first + index),
        result: (rank, index) => sum(rank, first + index),
      });
    }),
  );
}

/** Every rank sends its box's sum to the rank of its index in box `mine + iteration`. */
function sendSums(levels: Levels, blocks: ReducedBlocks, iteration: number): Round {
  const { chunks, own, partial, result } = blocks;
  const isAlone = levels.size === 1;
  const from = isAlone ? own : partial;
  const operand = isAlone && iteration === 1 ? own : result;
  return shifted(levels, iteration, (src, dst) =>
    moveBlock(dst, { src, dst, chunks, from, operand, to: result }),
  );
}

/** Block r is that of rank r. What came in the iteration before is shared inside. */
export function* hcclAllGatherPhase(levels: Levels, blocks: GatheredBlocks): Generator<Round> {
  const { boxes, size } = levels;
  const { chunks, own, gathered } = blocks;
  const local = localMoves(everybody(boxes * size).ranks, chunks, own, gathered);
  for (let iteration = 0; iteration < boxes; iteration++) {
    const crossing = iteration + 1 < boxes ? sendOwn(levels, blocks, iteration + 1) : [];
    const sharing = shareInside(levels, blocks, iteration);
    yield iteration === 0 ? [...local, ...crossing, ...sharing] : [...crossing, ...sharing];
  }
}

function sendOwn(
  levels: Levels,
  { chunks, own, gathered }: GatheredBlocks,
  iteration: number,
): Round {
  return shifted(levels, iteration, (src, dst) =>
    moveBlock(src, { src, dst, chunks, from: own, to: gathered }),
  );
}

/** Every rank sends the others of its box the block that it got from box `mine - iteration`. */
function shareInside(
  levels: Levels,
  { chunks, own, gathered }: GatheredBlocks,
  iteration: number,
): Round {
  const from = iteration === 0 ? own : gathered;
  return exchanged(levels, (src, dst, box, index) => {
    const block = modulo(box - iteration, levels.boxes) * levels.size + index;
    return moveBlock(block, { src, dst, chunks, from, to: gathered });
  });
}

/** A transfer from every rank to the one of its index `iteration` boxes further on. */
export function shifted(
  { boxes, size, inside }: Levels,
  iteration: number,
  move: (src: Rank, dst: Rank) => Transfer,
): Transfer[] {
  const nranks = boxes * size;
  const shift = iteration * size;
  const asked = inside[0]?.asked;
  if (asked !== undefined) {
    // Two of very many: a list of all ranks would take longer than everything else.
    return [move(asked, (asked + shift) % nranks), move(modulo(asked - shift, nranks), asked)];
  }
  const group = everybody(nranks);
  return shiftedMoves(group, shift, (_, src, dst) => move(src, dst));
}

/** A transfer from every rank to every other in its box, to the next in the box first. */
export function exchanged(
  { inside, size }: Levels,
  move: (src: Rank, dst: Rank, box: number, index: number) => Transfer,
): Transfer[] {
  return askedBoxes(inside, size).flatMap(({ group, box }) =>
    ranksOf(group.ranks.length - 1).flatMap((step) =>
      shiftedMoves(group, step + 1, (index, src, dst) => move(src, dst, box, index)),
    ),
  );
}

/** The boxes whose transfers are asked for: all, or the one of the rank whose transfers are. */
function askedBoxes(
  inside: readonly Group[],
  size: number,
): { readonly group: Group; readonly box: number }[] {
  const asked = inside[0]?.asked;
  if (asked === undefined) return inside.map((group, box) => ({ group, box }));
  const box = Math.floor(asked / size);
  const group = inside[box];
  return group === undefined ? [] : [{ group, box }];
}

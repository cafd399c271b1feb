/**
 * HCCL's all-to-all: across to the rank of one's index in the right box, then inside to the right rank.
 *
 * In box iteration i a rank sends the blocks for all ranks of box `mine + i` to the one of its index there,
 * as one message, and hands out inside what it got from box `mine - i`. What crosses goes on its way
 * before the box exchanges what it has. Two boxes of two ranks (digits: whose block for this rank is there):
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    . . . .  . . . .  . . . .  . . . .
 *   round 1  0 1 . .  0 1 . .  . . 2 3  . . 2 3
 *   round 2  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (b-1)·α + (b-1)/b·n·β across and b(g-1)·α + (g-1)/g·n·β inside, for b boxes of g ranks
 * Good:   boxes with a link between every two cards: ranks of different index need no connection across.
 * Bad:    large blocks on links inside that are no faster than those across: they travel twice.
 *
 * In place, blocks trade places with blocks of other ranks, so the rank's data is first set aside.
 *
 * HabanaAI/HCL, `hcl/src/platform/gen2_arch_common/hcl_collective_routines.cpp`.
 */
import { modulo, ranksOf } from '../../common/math.ts';
import type { Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { inBoxes } from './alike.ts';
import { blocksOf, everybody, localMoves, type Where } from './group.ts';
import { exchanged, shifted } from './hccl-phases.ts';
import { type Levels, levelsOf } from './two-level.ts';

export function hcclAllToAll(options: ScheduleOptions): Schedule {
  const { nranks, chunks = 1, placement } = options;
  const levels = levelsOf(options);
  const isAside = placement === 'inPlace' && nranks > 1;
  const whole = nranks * chunks;
  const isForwarding = levels.size > 1 && levels.boxes > 1;
  const blocks: Blocks = {
    chunks,
    from: blocksOf(isAside ? 'scratch' : 'input', chunks),
    transit: isForwarding
      ? blocksOf('scratch', chunks, isAside ? whole : 0)
      : blocksOf('output', chunks),
    to: blocksOf('output', chunks),
  };
  return {
    collective: 'allToAll',
    algorithm: 'hccl',
    // What is put aside is put there block by block, in the same order on all ranks.
    alike: isAside ? undefined : inBoxes(levels),
    nranks,
    chunks,
    root: 0,
    scratch: ranksOf(((isAside ? 1 : 0) + (isForwarding ? 1 : 0)) * whole).map((c) => c % whole),
    *rounds() {
      if (isAside) {
        const { ranks } = everybody(nranks);
        yield localMoves(
          ranks,
          whole,
          () => ({ buffer: 'input', chunk: 0 }),
          (rank) => blocks.from(rank, 0),
        );
      }
      yield* boxIterations(levels, blocks);
    },
  };
}

interface Blocks {
  readonly chunks: number;
  /** The block for a rank. */
  readonly from: Where;
  /** What came from the rank of one's index in another box for the ranks of one's own, by its number. */
  readonly transit: Where;
  /** The block from a rank. */
  readonly to: Where;
}

function* boxIterations(levels: Levels, blocks: Blocks): Generator<Round> {
  for (let iteration = 0; iteration < levels.boxes; iteration++) {
    const crossing = iteration + 1 < levels.boxes ? sendAcross(levels, blocks, iteration + 1) : [];
    yield [...crossing, ...handOut(levels, blocks, iteration)];
  }
}

/** All blocks for box `mine + iteration`, in one message. */
function sendAcross(levels: Levels, { chunks, from, transit }: Blocks, iteration: number): Round {
  const { size, boxOf } = levels;
  return shifted(levels, iteration, (src, dst) => ({
    src,
    dst,
    from: from(src, boxOf(dst) * size),
    to: transit(dst, boxOf(src) * size),
    count: size * chunks,
    effect: 'copy',
  }));
}

/** What came from box `mine - iteration`, to the ranks that it is for; in iteration 0 a rank's own. */
function handOut(levels: Levels, { chunks, from, transit, to }: Blocks, iteration: number): Round {
  const { boxes, size, inside, indexOf } = levels;
  if (iteration > 0 && size === 1) return [];
  const move = (src: Rank, dst: Rank, box: number, index: number): Transfer => {
    const first = modulo(box - iteration, boxes) * size;
    const held = (iteration === 0 ? from : transit)(src, first + indexOf(dst));
    return { src, dst, from: held, to: to(dst, first + index), count: chunks, effect: 'copy' };
  };
  const kept = inside.flatMap(({ ranks }, box) =>
    ranks.map((rank, index) => move(rank, rank, box, index)),
  );
  return [...kept, ...exchanged(levels, move)];
}

/**
 * HCCL's all-reduce: slice by slice, first a reduce-scatter and then an all-gather, in box iterations.
 *
 * A slice has a block for every rank. In iteration i of the first half, the ranks of a box exchange their
 * blocks for box `mine + i` directly, every pair over its own link, each adds up those for its index, and
 * sends the sum across. In the second half every rank sends its finished block to the rank of its index
 * in box `mine + i`, which shares it inside. Slices follow each other, one round behind the one
 * before. Two boxes of two ranks, one slice:
 *
 *            rank 0       rank 1       rank 2       rank 3
 *   start    0  0  0  0   1  1  1  1   2  2  2  2   3  3  3  3
 *   round 1  01 0  0  0   1  01 1  1   2  2  23 2   3  3  3  23
 *   round 2  01 0  01 0   1  01 1  01  23 2  23 2   3  23 3  23
 *   round 3  *  0  01 0   1  *  1  01  23 2  *  2   3  23 3  *
 *   round 4  *  *  *  0   *  *  1  *   *  2  *  *   3  *  *  *
 *   round 5  *  *  *  *   *  *  *  *   *  *  *  *   *  *  *  *
 *
 * Cost:   2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ in one slice; of a rank's bytes 2(b-1)/p·n cross
 * Good:   boxes with a link between every two cards and a network port per card: both are used at once.
 * Bad:    small vectors on many ranks: as many messages as a ring.
 *
 * Every block is summed by one rank and then copied: all ranks hold the same bits.
 *
 * HabanaAI/HCL, `hcl/src/platform/gen2_arch_common/hcl_collective_routines.cpp`.
 */
import { assert } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import type { Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { inBoxes } from './alike.ts';
import { blocksOf, type Where } from './group.ts';
import { hcclAllGatherPhase, hcclReduceScatterPhase } from './hccl-phases.ts';
import { staggered } from './pipeline.ts';
import { levelsOf } from './two-level.ts';

/** `chunks` (default `nranks`, one slice) is a multiple of `nranks`. */
export function hcclAllReduce(options: ScheduleOptions): Schedule {
  const { nranks, chunks = nranks } = options;
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  return {
    collective: 'allReduce',
    algorithm: 'hccl',
    alike: inBoxes(levelsOf(options)),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: (asked) =>
      staggered(
        ranksOf(chunks / nranks).map(function* (slice): Generator<Round> {
          const own = blocksOf('input', 1, slice * nranks);
          const result = blocksOf('output', 1, slice * nranks);
          yield* hcclReduceScatterPhase(levelsOf(options, asked), {
            chunks: 1,
            own,
            partial: result,
            result,
          });
          if (nranks === 1) return;
          yield* hcclAllGatherPhase(levelsOf(options, asked), {
            chunks: 1,
            own: result,
            gathered: result,
          });
        }),
      ),
  };
}

/**
 * HCCL's reduce-scatter: the first half of its all-reduce. Sums for other boxes wait in scratch.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  01      01      23      23
 *   round 2  01      01      23      23
 *   round 3  0123    0123    0123    0123
 *
 * Cost:   (p-1)·α + (p-1)/p·n·(β+γ) in one slice; of a rank's bytes (b-1)/p·n cross between b boxes
 * Good:   boxes with a link between every two cards, and one network port per card.
 * Bad:    small blocks on many ranks.
 *
 * HabanaAI/HCL, as above. `chunks` (default 1): slices.
 */
export function hcclReduceScatter(options: ScheduleOptions): Schedule {
  const { nranks, chunks = 1 } = options;
  const levels = levelsOf(options);
  const { boxes, size } = levels;
  return {
    collective: 'reduceScatter',
    algorithm: 'hccl',
    alike: inBoxes(levels),
    nranks,
    chunks,
    root: 0,
    scratch: size > 1 ? ranksOf((boxes - 1) * chunks) : [],
    rounds: (asked) =>
      staggered(
        ranksOf(chunks).map((slice) => {
          const own = sliceOf('input', chunks, slice);
          const result: Where = () => ({ buffer: 'output', chunk: slice });
          // By iteration: a rank has a sum for one rank of every other box.
          const partial: Where = (rank, block) => {
            const ahead = levels.boxOf(block) - levels.boxOf(rank) + boxes;
            return { buffer: 'scratch', chunk: ((ahead % boxes) - 1) * chunks + slice };
          };
          return hcclReduceScatterPhase(levelsOf(options, asked), {
            chunks: 1,
            own,
            partial,
            result,
          });
        }),
      ),
  };
}

/**
 * HCCL's all-gather: the second half of its all-reduce.
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 1 2 .  0 1 . 3  0 . 2 3  . 1 2 3
 *   round 2  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β in one slice; of a rank's bytes (b-1)/p·n cross between b boxes
 * Good:   boxes with a link between every two cards, and one network port per card.
 * Bad:    small blocks on many ranks.
 *
 * HabanaAI/HCL, as above. `chunks` (default 1): slices.
 */
export function hcclAllGather(options: ScheduleOptions): Schedule {
  const { nranks, chunks = 1 } = options;
  return {
    collective: 'allGather',
    algorithm: 'hccl',
    alike: inBoxes(levelsOf(options)),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: (asked) =>
      staggered(
        ranksOf(chunks).map((slice) => {
          const own: Where = () => ({ buffer: 'input', chunk: slice });
          const gathered = sliceOf('output', chunks, slice);
          return hcclAllGatherPhase(levelsOf(options, asked), { chunks: 1, own, gathered });
        }),
      ),
  };
}

/** Of blocks of `chunks` slices each, the one slice. */
function sliceOf(buffer: 'input' | 'output', chunks: number, slice: number): Where {
  return (_, block) => ({ buffer, chunk: block * chunks + slice });
}

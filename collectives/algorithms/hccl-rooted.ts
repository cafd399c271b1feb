/**
 * HCCL's broadcast: the root scatters inside its box, blocks cross box by box, and each box all-gathers.
 *
 * A slice has a block for every index. The root hands the ranks of its box one block each; each of these
 * sends its block to the rank of its index in box `mine + i`, i = 1, 2, ...; inside, every rank that has
 * its block sends it to all others. Slices follow each other. Two boxes of two ranks, root 0, one slice:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0 0     . .     . .     . .
 *   round 1  0 0     . 0     . .     . .
 *   round 2  0 0     0 0     0 .     . 0
 *   round 3  0 0     0 0     0 0     0 0
 *
 * Cost:   at most (b-1)/g·n bytes leave a rank across, for b boxes of g ranks, and (g-1)/g·n inside, from
 *         the root up to twice that
 * Good:   large vectors on few boxes: all cards of the root's box send across at once.
 * Bad:    many boxes: the root's box sends to each of them.
 *
 * HabanaAI/HCL, `hcl/src/platform/gen2_arch_common/hcl_collective_routines.cpp`.
 */
import { assert } from '../../common/assert.ts';
import { modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import type { Where } from './group.ts';
import { hcclReduceScatterPhase } from './hccl-phases.ts';
import { staggered } from './pipeline.ts';
import { type Levels, levelsOf } from './two-level.ts';

/** `chunks` is a multiple of the ranks of a box; by default it is that, one slice. */
export function hcclBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0 } = options;
  const levels = levelsOf(options);
  const { size } = levels;
  const { chunks = size } = options;
  assert(chunks % size === 0, `Expected a multiple of ${size} chunks but found ${chunks}`);
  return {
    collective: 'broadcast',
    algorithm: 'hccl',
    nranks,
    chunks,
    root,
    scratch: [],
    rounds: () =>
      staggered(ranksOf(chunks / size).map((slice) => broadcastSlice(levels, root, slice * size))),
  };
}

/**
 * HCCL's reduce: the reduce-scatter of its all-reduce, then the blocks are gathered to the root.
 *
 * In iteration i, box `root's + i` sends its blocks to the ranks of their index in the root's box, which
 * pass them on to the root. Ranks other than the root keep their sums in scratch. Two boxes of two ranks,
 * root 0, of which alone the output is drawn:
 *
 *            rank 0               rank 1  rank 2  rank 3
 *   start    0    0    0    0
 *   round 1  01   0    0    0
 *   round 2  01   0    01   0
 *   round 3  0123 0    01   0
 *   round 4  0123 0123 0123 0
 *   round 5  0123 0123 0123 0123
 *
 * Cost:   2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ in one slice
 * Good:   large vectors: the work of adding is shared by all ranks.
 * Bad:    small vectors on many ranks.
 *
 * HabanaAI/HCL, as above. `chunks` (default `nranks`, one slice) is a multiple of `nranks`.
 */
export function hcclReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = nranks } = options;
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const levels = levelsOf(options);
  return {
    collective: 'reduce',
    algorithm: 'hccl',
    nranks,
    chunks,
    root,
    scratch: nranks > 1 ? ranksOf(chunks) : [],
    rounds: () =>
      staggered(
        ranksOf(chunks / nranks).map(function* (slice): Generator<Round> {
          const first = slice * nranks;
          const own: Where = (_, block) => ({ buffer: 'input', chunk: first + block });
          const sum: Where = (rank, block) => {
            return { buffer: rank === root ? 'output' : 'scratch', chunk: first + block };
          };
          yield* hcclReduceScatterPhase(levels, { chunks: 1, own, partial: sum, result: sum });
          yield* gatherToRoot(levels, root, sum);
        }),
      ),
  };
}

function* broadcastSlice(levels: Levels, root: Rank, first: number): Generator<Round> {
  const { boxes, size, boxOf, indexOf } = levels;
  const home = boxOf(root);
  const at = (rank: Rank, block: number): Place => {
    return { buffer: rank === root ? 'input' : 'output', chunk: first + block };
  };
  const move = (src: Rank, dst: Rank, block: number, count = 1): Transfer => {
    const to: Place = { buffer: 'output', chunk: first + block };
    return { src, dst, from: at(src, block), to, count, effect: 'copy' };
  };
  const ranksIn = (box: number): Rank[] => ranksOf(size).map((index) => box * size + index);
  const others = ranksIn(home).filter((rank) => rank !== root);
  yield [move(root, root, 0, size), ...others.map((dst) => move(root, dst, indexOf(dst)))];
  for (let iteration = 0; iteration < boxes; iteration++) {
    const next = modulo(home + iteration + 1, boxes);
    const crossing =
      iteration + 1 < boxes
        ? ranksIn(home).map((src) => move(src, next * size + indexOf(src), indexOf(src)))
        : [];
    const sharing = ranksIn(modulo(home + iteration, boxes)).flatMap((src, index, ranks) =>
      ranksOf(size - 1)
        .map((step) => ranks[modulo(index + step + 1, size)] as Rank)
        .filter((dst) => dst !== root)
        .map((dst) => move(src, dst, index)),
    );
    if (crossing.length + sharing.length > 0) yield [...crossing, ...sharing];
  }
}

/** Block r is at rank r. */
function* gatherToRoot(levels: Levels, root: Rank, sum: Where): Generator<Round> {
  const { boxes, size, boxOf } = levels;
  const home = boxOf(root);
  const move = (src: Rank, dst: Rank, block: number): Transfer => {
    return { src, dst, from: sum(src, block), to: sum(dst, block), count: 1, effect: 'copy' };
  };
  for (let iteration = 0; iteration < boxes; iteration++) {
    const [here, next] = [iteration, iteration + 1].map((ahead) => modulo(home + ahead, boxes));
    const crossing =
      iteration + 1 < boxes
        ? ranksOf(size).map((index) =>
            move((next ?? 0) * size + index, home * size + index, (next ?? 0) * size + index),
          )
        : [];
    const passing = ranksOf(size)
      .filter((index) => home * size + index !== root)
      .map((index) => move(home * size + index, root, (here ?? 0) * size + index));
    if (crossing.length + passing.length > 0) yield [...crossing, ...passing];
  }
}

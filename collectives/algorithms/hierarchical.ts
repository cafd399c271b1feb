/**
 * Two-level all-reduce: the boxes reduce inside, then across, and hand the result around inside.
 *
 * Links inside a box are many and fast, those between boxes few: what crosses should be as little as can
 * be. First the ranks of each box reduce-scatter, so that the rank of index i has block i of the box's
 * sum; then the ranks of the same index all-reduce their block across the boxes; then the boxes
 * all-gather. Two boxes of two ranks, `direct` inside and `ring` across:
 *
 *            rank 0       rank 1       rank 2       rank 3
 *   start    0  0  0  0   1  1  1  1   2  2  2  2   3  3  3  3
 *   round 1  01 01 0  0   1  1  01 01  23 23 2  2   3  3  23 23
 *   round 2  *  01 0  0   1  1  *  01  23 *  2  2   3  3  23 *
 *   round 3  *  *  0  0   1  1  *  *   *  *  2  2   3  3  *  *
 *   round 4  *  *  *  *   *  *  *  *   *  *  *  *   *  *  *  *
 *
 * `hierarchical(inside,across)` names the two algorithms. Where the one inside has no reduce-scatter but
 * has a reduce and a broadcast, such as `binomialTree`, only the first rank of each box speaks across.
 *
 * Cost:   2(g-1)·α₁ + 2(b-1)·α₂ + 2(g-1)/g·n·β₁ + 2(b-1)/b·(n/g)·β₂ for b boxes of g ranks, rings in both
 * Good:   several ranks per box, boxes joined by slower links: 1/g of the bytes of a flat ring cross.
 * Bad:    small vectors: two levels of start-up times one after the other.
 *
 * Every block is summed by one rank of one box, and then copied: all ranks hold the same bits.
 *
 * Cho, Finkler, Kung and Hunter, "BlueConnect: decomposing all-reduce for deep learning on heterogeneous
 * network hierarchy", MLSys 2019.
 */
import { assert } from '../../common/assert.ts';
import type { Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { inParts } from './alike.ts';
import { blocksAt, blocksOf, type Group, sideBySide, type Vector, vectorIn } from './group.ts';
import {
  definedParts,
  type LevelAlgorithm,
  type Levels,
  levelsOf,
  type TwoLevelParts,
} from './two-level.ts';

/** `chunks` (default `nranks`) is a multiple of `nranks`. */
export function hierarchicalAllReduce(options: ScheduleOptions): Schedule {
  const { nranks, chunks = nranks } = options;
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const levels = levelsOf(options);
  const parts = definedParts('allReduce', options);
  return {
    collective: 'allReduce',
    algorithm: 'hierarchical',
    alike: parts.inside.has('allGather') ? inParts(levels, parts, 'any') : undefined,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () =>
      parts.inside.has('allGather')
        ? inBlocks(levels, parts, chunks)
        : byFirstRanks(levels, parts, chunks),
  };
}

/** The rank of index i has to do with block i outside its box. */
function* inBlocks(
  { boxes, size, inside, across }: Levels,
  parts: TwoLevelParts,
  chunks: number,
): Generator<Round> {
  const block = chunks / size;
  const result = blocksOf('output', block);
  if (size > 1) yield* sideBySide(inside.map((group) => reduceInside(parts.inside, group, chunks)));
  const held = blocksOf(size > 1 ? 'output' : 'input', block);
  if (boxes > 1 || size === 1) {
    const ownBlocks = across.map((group, index) =>
      reduceAcross(parts.across, group, {
        chunks: block,
        own: (rank) => held(rank, index),
        result: (rank) => result(rank, index),
      }),
    );
    yield* sideBySide(ownBlocks);
  }
  if (size === 1) return;
  const gather = parts.inside.phase('allGather');
  const blocks = { chunks: block, own: result, gathered: result };
  yield* sideBySide(inside.map((group) => gather(group, blocks)));
}

/** Only the first rank of each box has to do with others. */
function* byFirstRanks(
  { boxes, size, inside, across }: Levels,
  parts: TwoLevelParts,
  chunks: number,
): Generator<Round> {
  const vector = vectorIn('output', chunks);
  const reduced: Vector = { ...vector, own: vector.result };
  if (size > 1) {
    const reduce = parts.inside.phase('reduce');
    yield* sideBySide(inside.map((group) => reduce(group, vector)));
  }
  const firstRanks = across.slice(0, 1);
  if (boxes > 1 || size === 1) {
    const held = size > 1 ? reduced : vector;
    yield* sideBySide(firstRanks.map((group) => reduceAcross(parts.across, group, held)));
  }
  if (size === 1) return;
  const broadcast = parts.inside.phase('broadcast');
  yield* sideBySide(inside.map((group) => broadcast(group, reduced)));
}

/** Afterwards member i has block i of the box's sum. An all-reduce gives it the others too. */
function reduceInside(level: LevelAlgorithm, group: Group, chunks: number): Iterable<Round> {
  const vector = vectorIn('output', chunks);
  if (!level.has('reduceScatter')) return level.phase('allReduce')(group, vector);
  const block = chunks / level.members;
  const [own, result] = [blocksOf('input', block), blocksOf('output', block)];
  return level.phase('reduceScatter')(group, { chunks: block, own, partial: result, result });
}

/** An all-reduce of `vector`, in one phase or in two. */
function* reduceAcross(level: LevelAlgorithm, group: Group, vector: Vector): Generator<Round> {
  if (level.has('allReduce')) {
    yield* level.phase('allReduce')(group, vector);
    return;
  }
  const block = vector.chunks / level.members;
  const own = blocksAt(vector.own, block);
  const result = blocksAt(vector.result, block);
  yield* level.phase('reduceScatter')(group, { chunks: block, own, partial: result, result });
  if (level.members === 1) return;
  yield* level.phase('allGather')(group, { chunks: block, own: result, gathered: result });
}

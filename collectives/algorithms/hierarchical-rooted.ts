/**
 * Two-level broadcast: across the boxes to the ranks of the root's index, then inside each box.
 *
 * The vector crosses to each box once. Two boxes of two ranks, root 0, `binomialTree` in both:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       .       .       .
 *   round 1  0       .       0       .
 *   round 2  0       0       0       0
 *
 * Cost:   (⌈lg b⌉·(α₂ + n·β₂)) + (⌈lg g⌉·(α₁ + n·β₁)) for b boxes of g ranks, binomial trees in both
 * Good:   several ranks per box: a flat tree may cross the same link between boxes several times.
 * Bad:    large vectors, unless `chain` is one of the two.
 *
 * Karonis et al., "Exploiting hierarchy in parallel computer networks to optimize collective operation
 * performance", IPDPS 2000.
 */
import { ranksOf } from '../../common/math.ts';
import type { Schedule, ScheduleOptions } from '../schedule.ts';
import { sideBySide, type Vector, vectorIn } from './group.ts';
import { beginningWith, definedParts, levelsOf } from './two-level.ts';

/** `chunks`: segments of a `chain`. */
export function hierarchicalBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  const { size, inside, across, boxOf, indexOf } = levelsOf(options);
  const parts = definedParts('broadcast', options);
  const vector = vectorIn('output', chunks);
  const arrived: Vector = { ...vector, own: vector.result };
  return {
    collective: 'broadcast',
    algorithm: 'hierarchical',
    nranks,
    chunks,
    root,
    scratch: [],
    *rounds() {
      const broadcastAcross = parts.across.phase('broadcast');
      const ofRootsIndex = across.slice(indexOf(root), indexOf(root) + 1);
      for (const group of ofRootsIndex) {
        yield* broadcastAcross(beginningWith(group, boxOf(root)), vector);
      }
      if (size === 1) return;
      const broadcastInside = parts.inside.phase('broadcast');
      const fromIndex = inside.map((group) => beginningWith(group, indexOf(root)));
      yield* sideBySide(fromIndex.map((group) => broadcastInside(group, arrived)));
    },
  };
}

/**
 * Two-level reduce: inside each box to the rank of the root's index, then across the boxes to the root.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0
 *   round 1  01
 *   round 2  0123
 *
 * Cost:   ⌈lg g⌉·(α₁ + n·(β₁+γ)) + ⌈lg b⌉·(α₂ + n·(β₂+γ)) at most, binomial trees in both
 * Good:   several ranks per box: one vector leaves a box.
 * Bad:    large vectors, unless `chain` is one of the two.
 *
 * Karonis et al. 2000. `chunks`: segments of a `chain`.
 */
export function hierarchicalReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  const { boxes, size, inside, across, boxOf, indexOf } = levelsOf(options);
  const parts = definedParts('reduce', options);
  const vector: Vector = {
    ...vectorIn('output', chunks),
    result: (rank) => ({ buffer: rank === root ? 'output' : 'scratch', chunk: 0 }),
  };
  const ofBox: Vector = { ...vector, own: vector.result };
  return {
    collective: 'reduce',
    algorithm: 'hierarchical',
    nranks,
    chunks,
    root,
    scratch: nranks > 2 ? ranksOf(chunks) : [],
    *rounds() {
      if (size > 1) {
        const reduceInside = parts.inside.phase('reduce');
        const toIndex = inside.map((group) => beginningWith(group, indexOf(root)));
        yield* sideBySide(toIndex.map((group) => reduceInside(group, vector)));
      }
      if (boxes === 1 && size > 1) return;
      const reduceAcross = parts.across.phase('reduce');
      const ofRootsIndex = across.slice(indexOf(root), indexOf(root) + 1);
      for (const group of ofRootsIndex) {
        yield* reduceAcross(beginningWith(group, boxOf(root)), size > 1 ? ofBox : vector);
      }
    },
  };
}

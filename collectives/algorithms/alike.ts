/** What algorithms declare of ranks that do the same (`Schedule.alike`). */
import { isPowerOfTwo } from '../../common/math.ts';
import type { Alikeness } from '../schedule.ts';
import type { Levels, TwoLevelParts } from './two-level.ts';

/** Every rank does what every other does, as seen from where it is in the ring of all ranks. */
export const IN_RING: Alikeness = { ranksPerBox: 1, boxes: 'rotation', cards: 'none' };

/** Partners at fixed distances exchange; where no power of two of ranks does, nothing is alike. */
export function inExchange(nranks: number): Alikeness | undefined {
  if (!isPowerOfTwo(nranks)) return undefined;
  return { ranksPerBox: 1, boxes: 'exchange', cards: 'none' };
}

/** Boxes do what other boxes do, as seen from each, and their ranks what the others of their box do. */
export function inBoxes({ size }: Pick<Levels, 'size'>): Alikeness {
  return { ranksPerBox: size, boxes: 'rotation', cards: 'rotation' };
}

/** As their parts do. `order`: in which other boxes' data is worked on, if it is a rotation's. */
export function inParts(
  { size }: Pick<Levels, 'size'>,
  { inside, across }: TwoLevelParts,
  order: 'any' | 'rotation',
): Alikeness {
  const boxes = order === 'rotation' && across.turning !== 'rotation' ? 'none' : across.turning;
  return { ranksPerBox: size, boxes, cards: inside.turning };
}

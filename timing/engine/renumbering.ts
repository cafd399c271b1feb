/**
 * Renumberings of the ranks that leave a schedule, or a schedule and the network below it, as they are. They form
 * a group that takes no rank to itself but by leaving all where they are: ranks that one takes to each other
 * are alike, and the first one of each class, its representative, stands for all of them.
 */

import type { Alikeness, Rank, Turning } from '../../collectives/schedule.ts';
import { isPowerOfTwo } from '../../common/math.ts';
import type { Network } from '../network.ts';

/** A group of renumberings. Its elements are numbers below `size`; 0 leaves everything as it is. */
export interface Renumbering {
  readonly size: number;
  apply(element: number, rank: Rank): Rank;
  /** The rank that stands for those that are like this one. */
  representative(rank: Rank): Rank;
  /** The element that takes the representative of `rank` to it. */
  elementOf(rank: Rank): number;
  inverse(element: number): number;
}

/** Nothing is like anything else. */
export function identity(nranks: number): Renumbering {
  return declared({ ranksPerBox: nranks, boxes: 'none', cards: 'none' }, nranks);
}

/** All that a schedule declares. */
export function declared({ ranksPerBox, boxes, cards }: Alikeness, nranks: number): Renumbering {
  const box = turns(boxes, nranks / ranksPerBox);
  const card = turns(cards, ranksPerBox);
  const both = (
    rank: Rank,
    ofBox: (index: number) => number,
    ofCard: (index: number) => number,
    perBox: number,
  ): number => ofBox(Math.floor(rank / ranksPerBox)) * perBox + ofCard(rank % ranksPerBox);
  return {
    size: box.size * card.size,
    apply: (element, rank) => {
      const [ofBox, ofCard] = [Math.floor(element / card.size), element % card.size];
      return (
        box.apply(ofBox, Math.floor(rank / ranksPerBox)) * ranksPerBox +
        card.apply(ofCard, rank % ranksPerBox)
      );
    },
    representative: (rank) => both(rank, box.representative, card.representative, ranksPerBox),
    elementOf: (rank) => both(rank, box.elementOf, card.elementOf, card.size),
    inverse: (element) =>
      box.inverse(Math.floor(element / card.size)) * card.size + card.inverse(element % card.size),
  };
}

/** Those that a schedule declares and the network admits too. */
export function admitted(alike: Alikeness, network: Network): Renumbering {
  const { nranks, symmetry, topology } = network;
  const { boxes, ranksPerBox } = topology;
  const isFree = symmetry === 'ranks' || (symmetry === 'cards' && boxes === 1);
  if (isFree || (symmetry === 'cards' && keepsBoxes(alike, ranksPerBox))) {
    return declared(alike, nranks);
  }
  if (symmetry === 'none') return identity(nranks);
  // What is left for boxes of another size, or whose cards differ: moving runs of ranks that both have.
  if (alike.boxes === 'none') return identity(nranks);
  const run = leastCommonMultiple(alike.ranksPerBox, ranksPerBox);
  if (alike.boxes === 'exchange' && !isPowerOfTwo(run / alike.ranksPerBox)) return identity(nranks);
  return declared({ ranksPerBox: run, boxes: alike.boxes, cards: 'none' }, nranks);
}

/** Whether ranks of one box of the network are always in one box after it too. */
function keepsBoxes(alike: Alikeness, ranksPerBox: number): boolean {
  if (alike.ranksPerBox === ranksPerBox) return true;
  const isInRuns =
    ranksPerBox % alike.ranksPerBox === 0 && isPowerOfTwo(ranksPerBox / alike.ranksPerBox);
  return isInRuns && alike.boxes === 'exchange';
}

/** The renumberings of `count` boxes, or of as many cards of a box. */
function turns(turning: Turning, count: number): Renumbering {
  switch (turning) {
    case 'none':
      return {
        size: 1,
        apply: (_, index) => index,
        representative: (index) => index,
        elementOf: () => 0,
        inverse: () => 0,
      };
    case 'rotation':
      return {
        size: count,
        apply: (element, index) => (index + element) % count,
        representative: () => 0,
        elementOf: (index) => index,
        inverse: (element) => (count - element) % count,
      };
    case 'exchange':
      return {
        size: count,
        apply: (element, index) => index ^ element,
        representative: () => 0,
        elementOf: (index) => index,
        inverse: (element) => element,
      };
  }
}

/** Of two divisors of one number, which it divides again. */
function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}

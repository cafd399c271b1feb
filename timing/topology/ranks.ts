/** Which cards take part, and as which rank. */

import type { Topology } from '../../collectives/topology.ts';
import { defined } from '../../common/assert.ts';
import type { Layout } from './layout.ts';
import { impossible } from './values.ts';

const ABSENT = -1;

export class Members {
  readonly nranks: number;
  /** Who sits in which box; every rank in its own where the boxes have different numbers of them. */
  readonly topology: Topology;
  /** Boxes with ranks, in order. */
  readonly boxes: readonly number[];
  readonly #layout: Layout;
  readonly #cardOf: Int32Array;
  readonly #rankOf: Int32Array;
  readonly #boxIndex: Int32Array;

  /** `cards` in ascending order. */
  constructor(layout: Layout, cards: readonly number[]) {
    this.#layout = layout;
    this.nranks = cards.length;
    this.#cardOf = Int32Array.from(cards);
    this.#rankOf = new Int32Array(layout.cards).fill(ABSENT);
    for (const [rank, card] of cards.entries()) this.#rankOf[card] = rank;
    const counts = new Int32Array(layout.boxes);
    for (const card of cards) {
      const box = layout.boxOfCard(card);
      counts[box] = (counts[box] ?? 0) + 1;
    }
    this.boxes = [...counts.keys()].filter((box) => (counts[box] ?? 0) > 0);
    this.#boxIndex = new Int32Array(layout.boxes).fill(ABSENT);
    for (const [index, box] of this.boxes.entries()) this.#boxIndex[box] = index;
    const ranksPerBox = counts[this.boxes[0] ?? 0] ?? 0;
    this.topology = this.boxes.every((box) => counts[box] === ranksPerBox)
      ? { boxes: this.boxes.length, ranksPerBox }
      : { boxes: this.nranks, ranksPerBox: 1 };
  }

  /** Number of the card in the whole layout. */
  card(rank: number): number {
    return defined(this.#cardOf[rank], `rank ${rank}`);
  }

  /** `undefined`: the card takes no part. */
  rank(card: number): number | undefined {
    const rank = this.#rankOf[card] ?? ABSENT;
    return rank === ABSENT ? undefined : rank;
  }

  /** Place of a box among those with ranks; `undefined`: it has none. */
  boxIndex(box: number): number | undefined {
    const index = this.#boxIndex[box] ?? ABSENT;
    return index === ABSENT ? undefined : index;
  }

  /** Cards of a box that take part, by their number in the box. */
  cardsIn(box: number): number[] {
    const base = this.#layout.cardBase[box] ?? 0;
    const count = this.#layout.template(box).cards.length;
    return Array.from({ length: count }, (_, card) => card).filter(
      (card) => this.rank(base + card) !== undefined,
    );
  }
}

/**
 * The first `cards`, those with these numbers, or all.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` for cards that are not there
 */
export function membersOf(layout: Layout, cards: number | readonly number[] | undefined): Members {
  const wanted = typeof cards === 'number' || cards === undefined ? cards : cards.length;
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1 || wanted > layout.cards)) {
    throw impossible(
      `Expected 1 to ${layout.cards} cards of ${layout.file.name} in ${layout.boxes} boxes but found ${wanted}`,
    );
  }
  if (typeof cards === 'number' || cards === undefined) {
    return new Members(
      layout,
      Array.from({ length: cards ?? layout.cards }, (_, card) => card),
    );
  }
  const sorted = [...new Set(cards)].sort((a, b) => a - b);
  if (sorted.length !== cards.length) {
    throw impossible('Expected every card once but found one of them twice');
  }
  const stranger = sorted.find(
    (card) => !Number.isInteger(card) || card < 0 || card >= layout.cards,
  );
  if (stranger !== undefined) {
    throw impossible(
      `Expected cards 0 to ${layout.cards - 1} of ${layout.file.name} but found card ${stranger}`,
    );
  }
  return new Members(layout, sorted);
}

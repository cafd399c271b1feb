/**
 * Boxes that are alike: of one kind, with the same cards in use, at the same switches, with the same
 * changes. Ways are looked for between a few of each class alone; the others' follow by renumbering.
 */
import type { Layout } from './layout.ts';
import type { Modifications } from './modified.ts';
import type { Members } from './ranks.ts';

/** Enough that a way through a third box of the same class is found, where there is one. */
const SAMPLES_PER_CLASS = 3;

export interface BoxClasses {
  /** Of each box. */
  readonly classOf: Int32Array;
  /** Of each class: its first boxes. */
  readonly samples: readonly (readonly number[])[];
}

export function boxClasses(
  layout: Layout,
  members: Members,
  modifications: Modifications,
): BoxClasses {
  const changes = changesByBox(layout, members, modifications);
  const alone = boxesWithLinksOfTheirOwn(layout);
  const perBoxes = Object.values(layout.file.switches).flatMap(({ boxesEach }) => boxesEach ?? []);
  const numbers = new Map<string, number>();
  const samples: number[][] = [];
  const classOf = new Int32Array(layout.boxes);
  for (let box = 0; box < layout.boxes; box += 1) {
    const key = [
      layout.templateOf[box],
      usedCards(layout, members, box),
      perBoxes.map((each) => Math.floor(box / each)).join(','),
      changes.get(box) ?? '',
      alone.has(box) ? box : '',
    ].join('|');
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    classOf[box] = number;
    const boxes = samples[number] ?? [];
    samples[number] = boxes;
    if (boxes.length < SAMPLES_PER_CLASS) boxes.push(box);
  }
  return { classOf, samples };
}

/** Every box in a class of its own. */
export function everyBoxAlone(layout: Layout): BoxClasses {
  const boxes = Array.from({ length: layout.boxes }, (_, box) => box);
  return { classOf: Int32Array.from(boxes), samples: boxes.map((box) => [box]) };
}

/** All, none, or which. */
function usedCards(layout: Layout, members: Members, box: number): string {
  const used = members.cardsIn(box);
  if (used.length === layout.template(box).cards.length) return 'all';
  return used.join(',');
}

function changesByBox(
  layout: Layout,
  members: Members,
  { linkPart, cardSlow }: Modifications,
): Map<number, string> {
  const changes = new Map<number, string>();
  const add = (box: number, change: string): void => {
    changes.set(box, `${changes.get(box) ?? ''} ${change}`);
  };
  const links = [...linkPart].sort(([a], [b]) => a - b);
  for (const [link, part] of links) {
    if (link >= layout.boxLinks) break;
    const box = layout.boxOfLink(link);
    add(box, `${link - (layout.linkBase[box] ?? 0)}=${part}`);
  }
  for (const [rank, slow] of [...cardSlow].sort(([a], [b]) => a - b)) {
    const card = members.card(rank);
    const box = layout.boxOfCard(card);
    add(box, `card${card - (layout.cardBase[box] ?? 0)}=${slow}`);
  }
  return changes;
}

function boxesWithLinksOfTheirOwn(layout: Layout): Set<number> {
  const boxes = new Set<number>();
  for (const { from, to } of layout.outerLinks) {
    for (const end of [from, to]) if (end.at === 'box') boxes.add(end.box);
  }
  return boxes;
}

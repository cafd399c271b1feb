/** Where everything is in the picture of a topology: switches above the boxes, and below those of the hosts. */
import { defined } from '../../common/assert.ts';
import type { Layout } from './layout.ts';
import type { BoxTemplate } from './template.ts';

const WIDTH_LEAST = 760;
const MARGIN = 28;
export const CARD_WIDTH = 44;
export const CARD_HEIGHT = 28;
const CARD_GAP = 8;
const BOX_PADDING = 18;
const BOX_GAP = 34;
const BOX_TITLE_HEIGHT = 30;
const NODE_ROW_HEIGHT = 58;
const ARC_LEAST = 16;
const ARC_STEP = 9;
export const SWITCH_HEIGHT = 30;
const SWITCH_ROW_HEIGHT = 112;
export const HEADER_HEIGHT = 84;

/** Cards that are shown of one box, and of all. */
const BOX_CARDS_SHOWN = 16;
const CARDS_SHOWN = 32;
const BOXES_SHOWN = 8;
const SWITCHES_SHOWN = 8;
/** Boxes that are left out take as much room as a narrow one. */
const MORE_WIDTH = 110;

/** Middle of a thing. */
export interface Spot {
  readonly x: number;
  readonly y: number;
}

export interface DrawnBox {
  readonly box: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Of the nodes that are shown, cards among them. */
  readonly nodes: ReadonlyMap<number, Spot>;
  /** Cards that are not shown. */
  readonly hiddenCards: number;
}

export interface DrawnSwitch extends Spot {
  readonly width: number;
  readonly isBelow: boolean;
}

export interface PictureLayout {
  readonly width: number;
  readonly height: number;
  /** Where the list of the links begins. */
  readonly legendTop: number;
  readonly boxes: readonly DrawnBox[];
  /** Room of the boxes that are not shown, and how many. */
  readonly more:
    | { readonly left: number; readonly width: number; readonly count: number }
    | undefined;
  /** By number; those that are missing are not shown. */
  readonly switches: ReadonlyMap<number, DrawnSwitch>;
  /** By set: how many are not shown. */
  readonly hiddenSwitches: ReadonlyMap<string, number>;
}

export function pictureLayout(layout: Layout, legendLines: number): PictureLayout {
  const shown = shownBoxes(layout);
  const levels = switchLevels(layout);
  const above = Math.max(0, ...levels.values());
  const below = Math.min(0, ...levels.values());
  const boxTop = HEADER_HEIGHT + above * SWITCH_ROW_HEIGHT;
  const boxes: DrawnBox[] = [];
  let left = MARGIN;
  let more: PictureLayout['more'];
  const hidden = layout.boxes - shown.length;
  for (const [index, box] of shown.entries()) {
    if (hidden > 0 && index === shown.length - 1) {
      more = { left, width: MORE_WIDTH, count: hidden };
      left += MORE_WIDTH + BOX_GAP;
    }
    const drawn = drawnBox(layout.template(box), box, { x: left, y: boxTop });
    boxes.push(drawn);
    left += drawn.width + BOX_GAP;
  }
  const needed = left - BOX_GAP + MARGIN;
  const width = Math.max(needed, WIDTH_LEAST);
  const shift = (width - needed) / 2;
  const boxBottom = boxTop + Math.max(...boxes.map(({ height }) => height));
  const rowOf = (level: number): number =>
    level > 0
      ? boxTop - level * SWITCH_ROW_HEIGHT + SWITCH_HEIGHT
      : boxBottom - level * SWITCH_ROW_HEIGHT - SWITCH_HEIGHT;
  const legendTop = boxBottom - below * SWITCH_ROW_HEIGHT + 34;
  return {
    width: Math.ceil(width),
    height: Math.ceil(legendTop + legendLines * 20 + MARGIN - 8),
    legendTop,
    boxes: boxes.map((box) => shifted(box, shift)),
    more: more === undefined ? undefined : { ...more, left: more.left + shift },
    ...drawnSwitches(layout, { levels, width, rowOf }),
  };
}

function shifted(box: DrawnBox, by: number): DrawnBox {
  const nodes = new Map([...box.nodes].map(([node, { x, y }]) => [node, { x: x + by, y }]));
  return { ...box, left: box.left + by, nodes };
}

/** All, or the first ones, one of each kind among them, and the last. */
function shownBoxes(layout: Layout): number[] {
  const all = Array.from({ length: layout.boxes }, (_, box) => box);
  const cardsOf = (box: number): number =>
    Math.min(BOX_CARDS_SHOWN, layout.template(box).cards.length);
  const cards = all.reduce((sum, box) => sum + cardsOf(box), 0);
  if (all.length <= BOXES_SHOWN && cards <= CARDS_SHOWN) return all;
  const wanted = new Set<number>();
  for (const [kind] of layout.templates.entries()) wanted.add(layout.templateOf.indexOf(kind));
  const most = Math.max(2, Math.min(BOXES_SHOWN, Math.floor(CARDS_SHOWN / cardsOf(0)))) - 1;
  for (let box = 0; wanted.size < most && box < layout.boxes; box += 1) wanted.add(box);
  const first = [...wanted].slice(0, BOXES_SHOWN).sort((a, b) => a - b);
  return [...new Set([...first, layout.boxes - 1])];
}

function drawnBox(template: BoxTemplate, box: number, corner: Spot): DrawnBox {
  const count = template.cards.length;
  const cards = Array.from({ length: count }, (_, card) => card).filter(
    (card) => count <= BOX_CARDS_SHOWN || card < BOX_CARDS_SHOWN / 2 - 1 || card === count - 1,
  );
  const columns = cards.length + (cards.length < count ? 1 : 0);
  const rows = nodeRows(template);
  const widest = Math.max(columns, ...rows.map((row) => row.length * 1.6));
  const width = Math.max(
    widest * (CARD_WIDTH + CARD_GAP) - CARD_GAP + 2 * BOX_PADDING,
    BOX_PADDING * 2 + 70,
  );
  const arcs = arcHeight(arcSpan(template, cards));
  const cardY = corner.y + BOX_TITLE_HEIGHT + arcs + CARD_HEIGHT / 2;
  const nodes = new Map<number, Spot>();
  const step = (width - 2 * BOX_PADDING) / columns;
  for (const [index, card] of cards.entries()) {
    // The last one stands behind the gap of those that are not shown.
    const column = index === cards.length - 1 ? columns - 1 : index;
    nodes.set(card, { x: corner.x + BOX_PADDING + step * (column + 0.5), y: cardY });
  }
  for (const [row, some] of rows.entries()) {
    for (const [index, node] of some.entries()) {
      const x = corner.x + BOX_PADDING + ((width - 2 * BOX_PADDING) * (index + 0.5)) / some.length;
      nodes.set(node, { x, y: cardY + NODE_ROW_HEIGHT * (row + 1) });
    }
  }
  const bottom = cardY + NODE_ROW_HEIGHT * rows.length + CARD_HEIGHT / 2 + BOX_PADDING;
  const hiddenCards = count - cards.length;
  return {
    ...{ box, left: corner.x, top: corner.y, width },
    ...{ height: bottom - corner.y, nodes, hiddenCards },
  };
}

/** The longest cable between two cards, in cards. */
function arcSpan({ links }: BoxTemplate, cards: readonly number[]): number {
  const place = new Map(cards.map((card, index) => [card, index]));
  let span = 0;
  for (const { from, to } of links) {
    if (from.at !== 'node' || to.at !== 'node') continue;
    const [a, b] = [place.get(from.node), place.get(to.node)];
    if (a !== undefined && b !== undefined) span = Math.max(span, Math.abs(a - b));
  }
  return span;
}

/** Of a cable between cards that are so many places apart. */
export function arcHeight(span: number): number {
  return span === 0 ? 0 : ARC_LEAST + ARC_STEP * (span - 1);
}

/** What is next to the cards, then what is next to that; what nothing leads to comes last. */
function nodeRows({ cards, nodeNames, links }: BoxTemplate): number[][] {
  const nextTo = nodeNames.map(() => new Set<number>());
  for (const { from, to } of links) {
    if (from.at !== 'node' || to.at !== 'node') continue;
    nextTo[from.node]?.add(to.node);
    nextTo[to.node]?.add(from.node);
  }
  const rows: number[][] = [];
  const rest = new Set([...nodeNames.keys()].slice(cards.length));
  let row = [...cards.keys()];
  while (rest.size > 0) {
    const found = [...rest].filter((node) => row.some((one) => nextTo[one]?.has(node)));
    row = found.length > 0 ? found : [...rest];
    for (const node of row) rest.delete(node);
    rows.push(row);
  }
  return rows;
}

/**
 * By set of switches: 1 is just above the boxes, 2 above that; -1 below the boxes, for those that no card has a
 * link to.
 */
function switchLevels(layout: Layout): Map<string, number> {
  const levels = levelsNextToBoxes(layout);
  const joined = joinedSets(layout);
  for (let known = -1; known !== levels.size; ) {
    known = levels.size;
    for (const [one, other] of joined) {
      const level = levels.get(one);
      if (level !== undefined && !levels.has(other)) levels.set(other, level + Math.sign(level));
    }
  }
  for (const { set } of layout.switches) if (!levels.has(set)) levels.set(set, 1);
  return levels;
}

function levelsNextToBoxes({ templates }: Layout): Map<string, number> {
  const levels = new Map<string, number>();
  const links = templates.flatMap((template) =>
    template.links.map(({ from, to }) => ({ from, to, cards: template.cards.length })),
  );
  for (const { from, to, cards } of links) {
    const [outer, inner] = from.at === 'switch' ? [from, to] : [to, from];
    if (outer.at !== 'switch' || inner.at !== 'node') continue;
    if (inner.node < cards) levels.set(outer.set, 1);
    else if (!levels.has(outer.set)) levels.set(outer.set, -1);
  }
  return levels;
}

/** Sets of switches with links between them, both ways. */
function joinedSets({ outerLinks, switches }: Layout): (readonly [string, string])[] {
  const setOf = (number: number): string => defined(switches[number], 'a switch').set;
  return outerLinks.flatMap(({ from, to }) => {
    if (from.at !== 'switch' || to.at !== 'switch') return [];
    const [one, other] = [setOf(from.number), setOf(to.number)];
    return [
      [one, other],
      [other, one],
    ] as const;
  });
}

function drawnSwitches(
  layout: Layout,
  {
    levels,
    width,
    rowOf,
  }: {
    readonly levels: ReadonlyMap<string, number>;
    readonly width: number;
    readonly rowOf: (level: number) => number;
  },
): Pick<PictureLayout, 'switches' | 'hiddenSwitches'> {
  const switches = new Map<number, DrawnSwitch>();
  const hiddenSwitches = new Map<string, number>();
  for (const level of new Set(levels.values())) {
    const all = [...layout.switches.keys()].filter(
      (number) => levels.get(layout.switches[number]?.set ?? '') === level,
    );
    const shown = all.filter((_, index) => {
      return all.length <= SWITCHES_SHOWN || index < SWITCHES_SHOWN - 2 || index === all.length - 1;
    });
    const columns = shown.length + (shown.length < all.length ? 1 : 0);
    const step = (width - 2 * MARGIN) / columns;
    for (const [index, number] of shown.entries()) {
      const column = index === shown.length - 1 ? columns - 1 : index;
      switches.set(number, {
        x: MARGIN + step * (column + 0.5),
        y: rowOf(level),
        width: Math.min(step * 0.8, columns === 1 ? width * 0.8 : 220),
        isBelow: level < 0,
      });
    }
    const [hidden] = all.filter((number) => !switches.has(number));
    const set = hidden === undefined ? undefined : layout.switches[hidden]?.set;
    if (set !== undefined) hiddenSwitches.set(set, all.length - shown.length);
  }
  return { switches, hiddenSwitches };
}

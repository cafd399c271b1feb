/**
 * Boxes, cards, switches and links by number. What is in a box is counted once, in its template: the links
 * of box b are `linkBase[b]` and the following ones, so that 2,048 boxes cost three numbers each.
 */
import { assert, defined } from '../../common/assert.ts';
import { BOXES_MAX, CARDS_MAX, type LinkSpec, type TopologyFile } from './file.ts';
import {
  type BoxTemplate,
  boxTemplate,
  LINKS_MAX,
  type TemplateEnd,
  UniqueNames,
} from './template.ts';
import { impossible, type ParameterValues } from './values.ts';
import { type EndSet, joinEnds } from './wiring.ts';

/** Links of all boxes and switches together. */
const ALL_LINKS_MAX = 2 ** 24;

/** A thing outside of the boxes, or a node in one of them. */
export type OuterEnd =
  | { readonly at: 'switch'; readonly number: number }
  | { readonly at: 'box'; readonly box: number; readonly node: number };

export interface OuterLink {
  readonly spec: LinkSpec;
  readonly from: OuterEnd;
  readonly to: OuterEnd;
  readonly isHalfDuplex: boolean;
  readonly name: string;
}

/** What limits a switch: everything that goes through it shares this. */
export interface InnerLink {
  readonly switch: number;
  readonly name: string;
  readonly bytesPerSecond: number;
}

export interface SwitchNode {
  readonly name: string;
  readonly set: string;
  /** Taper of its set. */
  readonly taper: string | undefined;
}

export class Layout {
  readonly file: TopologyFile;
  readonly templates: readonly BoxTemplate[];
  /** Number of each box's template. */
  readonly templateOf: Int32Array;
  /** First card and first link of each box; with the total behind the last one. */
  readonly cardBase: Int32Array;
  readonly linkBase: Int32Array;
  readonly switches: readonly SwitchNode[];
  readonly outerLinks: readonly OuterLink[];
  readonly #switchBase: ReadonlyMap<string, number>;

  constructor(file: TopologyFile, kinds: readonly string[]) {
    this.file = file;
    const used = [...new Set(kinds)];
    this.templates = used.map((kind) => boxTemplate(file, kind));
    const numbers = new Map(used.map((kind, index) => [kind, index]));
    this.templateOf = Int32Array.from(kinds, (kind) => defined(numbers.get(kind), kind));
    this.cardBase = sums(kinds.length, (box) => this.template(box).cards.length);
    this.linkBase = sums(kinds.length, (box) => this.template(box).links.length);
    if (this.cards > CARDS_MAX) {
      throw impossible(
        `Expected at most ${CARDS_MAX} cards in ${file.name} but found ${this.cards}`,
      );
    }
    if (this.boxLinks > ALL_LINKS_MAX) {
      throw impossible(
        `Expected at most ${ALL_LINKS_MAX} links in ${file.name} but found ${this.boxLinks}: use switches`,
      );
    }
    const switches: SwitchNode[] = [];
    const base = new Map<string, number>();
    for (const [set, { count, boxesEach, taper }] of Object.entries(file.switches)) {
      base.set(set, switches.length);
      const length = boxesEach === undefined ? (count ?? 1) : Math.ceil(kinds.length / boxesEach);
      for (let index = 0; index < length; index += 1) {
        switches.push({ name: length === 1 ? set : `${set}${index}`, set, taper });
      }
    }
    this.switches = switches;
    this.#switchBase = base;
    this.outerLinks = this.#joinOutside();
  }

  get boxes(): number {
    return this.templateOf.length;
  }

  get cards(): number {
    return this.cardBase[this.boxes] ?? 0;
  }

  /** Links of all boxes; the numbers of the others follow. */
  get boxLinks(): number {
    return this.linkBase[this.boxes] ?? 0;
  }

  template(box: number): BoxTemplate {
    return defined(this.templates[this.templateOf[box] ?? -1], `the template of box ${box}`);
  }

  /** Box of a card or of a link: the last whose first one is not behind it. */
  boxOfCard(card: number): number {
    return lastNotAbove(this.cardBase, card);
  }

  boxOfLink(link: number): number {
    return lastNotAbove(this.linkBase, link);
  }

  cardName(card: number): string {
    const box = this.boxOfCard(card);
    return `box${box}/card${card - (this.cardBase[box] ?? 0)}`;
  }

  /** Number of the switch that a box's link ends at. */
  switchOf(end: Extract<TemplateEnd, { at: 'switch' }>, box: number): number {
    const base = defined(this.#switchBase.get(end.set), `switch ${end.set}`);
    const each = this.file.switches[end.set]?.boxesEach;
    if (end.index !== undefined || each === undefined) return base + (end.index ?? 0);
    return base + Math.floor(box / each);
  }

  #joinOutside(): OuterLink[] {
    const sets = new Map<string, EndSet<OuterEnd>>();
    for (const [name, first] of this.#switchBase) {
      const count = this.switches.filter(({ set }) => set === name).length;
      const ends = Array.from({ length: count }, (_, index): OuterEnd => {
        return { at: 'switch', number: first + index };
      });
      sets.set(name, { name, ends });
    }
    for (const { from, to } of this.file.links) {
      for (const name of [from, to]) this.#addBoxEnd(name, sets);
    }
    const names = new UniqueNames();
    const links: OuterLink[] = [];
    for (const spec of this.file.links) {
      for (const [from, to] of joinEnds(spec, sets, this.file.name)) {
        const isHalfDuplex = spec.duplex === 'half';
        const [a, b] = [this.#endName(from), this.#endName(to)];
        const name = names.unique(isHalfDuplex ? `${a}<>${b}` : `${a}>${b}`);
        links.push({ spec, from, to, isHalfDuplex, name });
        if (spec.duplex === 'full') {
          links.push({ spec, from: to, to: from, isHalfDuplex, name: names.unique(`${b}>${a}`) });
        }
      }
      if (links.length > LINKS_MAX) {
        throw impossible(`Expected at most ${LINKS_MAX} links between boxes but found more`);
      }
    }
    return links;
  }

  /** `box3/card0`, `box3/card`, `box3/bus`. */
  #addBoxEnd(name: string, sets: Map<string, EndSet<OuterEnd>>): void {
    const match = /^box(\d+)\/(.+)$/.exec(name);
    if (match === null || sets.has(name)) return;
    const box = Number(match[1]);
    const wanted = match[2] ?? '';
    if (box >= this.boxes || box >= BOXES_MAX) {
      throw impossible(
        `Expected boxes 0 to ${this.boxes - 1} in ${this.file.name} but found a link to ${name}`,
      );
    }
    const ends: OuterEnd[] = [];
    for (const [node, found] of this.template(box).nodeNames.entries()) {
      if (found === wanted || found.replace(/\d+$/, '') === wanted)
        ends.push({ at: 'box', box, node });
    }
    if (ends.length > 0) sets.set(name, { name, ends });
  }

  #endName(end: OuterEnd): string {
    if (end.at === 'switch') return defined(this.switches[end.number], 'a switch').name;
    return `box${end.box}/${this.template(end.box).nodeNames[end.node]}`;
  }
}

/** What limits the tapered switches: their part of the rates of all links into them. */
export function innerLinks(layout: Layout, values: ParameterValues): InnerLink[] {
  if (layout.switches.every(({ taper }) => taper === undefined)) return [];
  const into = new Float64Array(layout.switches.length);
  const add = (number: number, spec: LinkSpec): void => {
    into[number] = (into[number] ?? 0) + linkRate(spec, values);
  };
  for (let box = 0; box < layout.boxes; box += 1) {
    for (const { spec, to } of layout.template(box).links) {
      if (to.at === 'switch') add(layout.switchOf(to, box), spec);
    }
  }
  for (const { spec, to } of layout.outerLinks) {
    if (to.at === 'switch') add(to.number, spec);
  }
  return layout.switches.flatMap(({ name, taper }, number) => {
    const share = taper === undefined ? 1 : values.taper(taper);
    const rate = into[number] ?? 0;
    // All that can come in is no limit.
    if (share >= 1 || rate === 0) return [];
    return [{ switch: number, name: `${name}/inside`, bytesPerSecond: rate * share }];
  });
}

/** Bytes a second in one direction. */
export function linkRate({ rate, ports, efficiency }: LinkSpec, values: ParameterValues): number {
  return values.rate(rate) * ports * values.efficiency(efficiency);
}

function sums(count: number, size: (index: number) => number): Int32Array {
  const base = new Int32Array(count + 1);
  for (let index = 0; index < count; index += 1) base[index + 1] = (base[index] ?? 0) + size(index);
  return base;
}

function lastNotAbove(base: Int32Array, value: number): number {
  let [low, high] = [0, base.length - 1];
  assert(
    value >= 0 && value < (base[high] ?? 0),
    `Expected a number below ${base[high]} but found ${value}`,
  );
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((base[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * One box, taken apart: its nodes (cards first) and its links in each direction, with the wiring of the
 * file carried out. Every box of a kind is a copy of it.
 */
import { defined } from '../../common/assert.ts';
import type { BoxKind, LinkSpec, TopologyFile } from './file.ts';
import { type EndSet, joinEnds } from './wiring.ts';

/** Directed links of one box kind, and of the network between the boxes. */
export const LINKS_MAX = 65_536;

/** Where a link of a box ends: at a node of the box, or at a switch outside. */
export type TemplateEnd =
  | { readonly at: 'node'; readonly node: number }
  /** `index` is absent for the switch of this box, where there is one for every so many boxes. */
  | { readonly at: 'switch'; readonly set: string; readonly index: number | undefined };

export interface TemplateLink {
  readonly spec: LinkSpec;
  readonly from: TemplateEnd;
  readonly to: TemplateEnd;
  /** It carries both directions: `from` and `to` may change places. */
  readonly isHalfDuplex: boolean;
  /** Within the box: `card0>card1`. */
  readonly name: string;
  /** See `Link.role`: `up` and `down` at a card, unless several links of a kind are there. */
  readonly role: string;
}

export interface BoxTemplate {
  readonly kind: string;
  /** Kind of each card. */
  readonly cards: readonly string[];
  readonly nodeNames: readonly string[];
  readonly memories: readonly number[];
  readonly links: readonly TemplateLink[];
}

/** @throws HlsimError `HLSIM_TOPOLOGY_UNREADABLE` for links that cannot be laid as the file says */
export function boxTemplate(file: TopologyFile, kind: string): BoxTemplate {
  const box = defined(file.boxKinds[kind], `box kind ${kind}`);
  const cards = box.cards.flatMap(({ kind: card, count }) => Array<string>(count).fill(card));
  const { sets, nodeNames, memories } = nodesOf(file, box, cards.length);
  const where = `box kind ${kind}`;
  const cables: { spec: LinkSpec; from: TemplateEnd; to: TemplateEnd }[] = [];
  for (const spec of box.links) {
    const room = LINKS_MAX / 2 - cables.length;
    for (const [from, to] of joinEnds(spec, sets, where, room)) cables.push({ spec, from, to });
  }
  const names = new UniqueNames();
  const links: TemplateLink[] = [];
  for (const { spec, from, to } of cables) {
    const [a, b] = [endName(from, nodeNames), endName(to, nodeNames)];
    const add = (one: TemplateEnd, other: TemplateEnd, name: string): void => {
      const isHalfDuplex = spec.duplex === 'half';
      links.push({ spec, from: one, to: other, isHalfDuplex, name: names.unique(name), role: '' });
    };
    add(from, to, spec.duplex === 'half' ? `${a}<>${b}` : `${a}>${b}`);
    if (spec.duplex === 'full') add(to, from, `${b}>${a}`);
  }
  return { kind, cards, nodeNames, memories, links: withRoles(links, cards.length) };
}

interface Nodes {
  readonly sets: ReadonlyMap<string, EndSet<TemplateEnd>>;
  readonly nodeNames: readonly string[];
  readonly memories: readonly number[];
}

function nodesOf(file: TopologyFile, box: BoxKind, cards: number): Nodes {
  const sets = new Map<string, EndSet<TemplateEnd>>();
  const nodeNames: string[] = [];
  const memories: number[] = [];
  const addNodes = (name: string, count: number, isMemory: boolean): void => {
    const ends: TemplateEnd[] = [];
    for (let index = 0; index < count; index += 1) {
      ends.push({ at: 'node', node: nodeNames.length });
      if (isMemory) memories.push(nodeNames.length);
      nodeNames.push(name === 'card' || count > 1 ? `${name}${index}` : name);
    }
    sets.set(name, { name, ends });
  };
  addNodes('card', cards, false);
  for (const [name, { count, memory }] of Object.entries(box.nodes)) addNodes(name, count, memory);
  for (const [set, { count, boxesEach }] of Object.entries(file.switches)) {
    const length = boxesEach === undefined ? (count ?? 1) : 1;
    const ends = Array.from({ length }, (_, index): TemplateEnd => {
      return { at: 'switch', set, index: boxesEach === undefined ? index : undefined };
    });
    sets.set(set, { name: set, ends });
  }
  return { sets, nodeNames, memories };
}

/** Within a box: the switch of the box has no number there. */
function endName(end: TemplateEnd, nodeNames: readonly string[]): string {
  if (end.at === 'node') return defined(nodeNames[end.node], 'the name of a node');
  return end.index === undefined || end.index === 0 ? end.set : `${end.set}${end.index}`;
}

/** The card whose traffic alone a link carries; `undefined` for links between cards too. */
export function cardOfLink(
  link: Pick<TemplateLink, 'from' | 'to'>,
  cards: number,
): number | undefined {
  const [from, to] = [cardOfEnd(link.from, cards), cardOfEnd(link.to, cards)];
  if (from !== undefined && to !== undefined) return undefined;
  return from ?? to;
}

export function cardOfEnd(end: TemplateEnd, cards: number): number | undefined {
  return end.at === 'node' && end.node < cards ? end.node : undefined;
}

/**
 * At a card `up` and `down`, elsewhere the link's name in the box; with a name behind it where two links
 * of one kind would have the same place and role.
 */
function withRoles(links: readonly TemplateLink[], cards: number): TemplateLink[] {
  const roleOf = (link: TemplateLink): string => {
    const from = cardOfEnd(link.from, cards);
    if (from !== undefined && cardOfEnd(link.to, cards) !== undefined) return 'to';
    if (link.isHalfDuplex) return cardOfLink(link, cards) === undefined ? link.name : 'both';
    if (from !== undefined) return 'up';
    return cardOfLink(link, cards) === undefined ? link.name : 'down';
  };
  const placeOf = (link: TemplateLink): string => {
    const [from, to] = [cardOfEnd(link.from, cards), cardOfEnd(link.to, cards)];
    return `${link.spec.kind} ${roleOf(link)} ${from ?? ''} ${to ?? ''}`;
  };
  const counts = new Map<string, number>();
  for (const link of links) counts.set(placeOf(link), (counts.get(placeOf(link)) ?? 0) + 1);
  return links.map((link) => {
    const role = roleOf(link);
    // The other end, which is the same for cards that are alike.
    const other = link.name.replace(/card\d+/, 'card');
    return { ...link, role: counts.get(placeOf(link)) === 1 ? role : `${role} ${other}` };
  });
}

/** Names that were there before get `#2`, `#3` ... behind them. */
export class UniqueNames {
  readonly #counts = new Map<string, number>();

  unique(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  }
}

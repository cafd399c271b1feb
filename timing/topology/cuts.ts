/**
 * Sets of links that all messages out of a group of ranks, or into it, must pass; and what they carry at
 * most.
 *
 * Every route of a message out of group A has a first link, and, where each of them has a link of kind K,
 * a first one of kind K. The set of all these is a cut: the bytes that leave A are at most its rate times
 * the time. So for the last links of the routes into A.
 */
import { defined } from '../../common/assert.ts';
import type { Link, LinkNumber, LinkPlace, Network, Route } from '../network.ts';
import type { RankRange } from './traffic.ts';

/** Routes that are looked at where nothing is known to be alike. */
const ROUTES_MAX = 2 ** 19;
/** Ranks up to which groups of several boxes are tried too. */
const HALVES_RANKS_MAX = 256;

/** What goes out of, or into, each of some groups that are alike. */
export interface GroupCut {
  readonly direction: 'out' | 'into';
  /** `box0/card3`, `box0`. */
  readonly what: string;
  readonly groups: readonly RankRange[];
  readonly bytesPerSecond: number;
  /** Least of all routes that cross. */
  readonly latencySeconds: number;
}

/** What goes between groups that together are all ranks. */
export interface PartitionCut {
  readonly what: string;
  readonly groups: readonly RankRange[];
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
}

export interface Cuts {
  readonly groups: readonly GroupCut[];
  readonly partitions: readonly PartitionCut[];
  /** Least of all cards. */
  readonly issueSeconds: number;
  /** Of all cards together. */
  readonly reduceBytesPerSecond: number;
}

const KNOWN = new WeakMap<Network, Cuts>();

/** Found once for each network. */
export function cutsOf(network: Network): Cuts {
  const cuts = KNOWN.get(network) ?? findCuts(network);
  KNOWN.set(network, cuts);
  return cuts;
}

function findCuts(network: Network): Cuts {
  const groups: GroupCut[] = [];
  const partitions: PartitionCut[] = [];
  for (const partition of network.symmetry === 'none' ? irregular(network) : regular(network)) {
    const sums = new PartitionSums(network, partition);
    groups.push(...sums.groupCuts());
    partitions.push(...sums.partitionCuts());
  }
  let issueSeconds = Number.POSITIVE_INFINITY;
  let reduceBytesPerSecond = 0;
  for (let rank = 0; rank < network.nranks; rank += 1) {
    const card = network.card(rank);
    issueSeconds = Math.min(issueSeconds, card.issueSeconds);
    reduceBytesPerSecond += card.reduceBytesPerSecond;
  }
  return { groups, partitions, issueSeconds, reduceBytesPerSecond };
}

/** Groups, and the routes that are looked at. */
interface Partition {
  readonly what: string;
  /** By their name; those in one entry are alike, and the first one stands for all. */
  readonly entries: readonly { readonly name: string; readonly groups: readonly RankRange[] }[];
  /** Whether the groups are all ranks together. */
  readonly isWhole: boolean;
  /** The ranks that the first groups' messages go to and come from. */
  readonly others: readonly RankRange[];
  /**
   * Ranks in which a link must be, so that it is the same for routes to all other boxes; undefined: all
   * routes are looked at.
   */
  readonly fixed: RankRange | undefined;
}

/**
 * Where boxes are alike: exchanging box 1 and another one leaves all links in box 0 and those of the
 * network where they are. So if a cut has no other links, looking at the routes to box 1 is enough.
 */
function regular(network: Network): Partition[] {
  const { topology, symmetry, nranks } = network;
  const { boxes, ranksPerBox } = topology;
  const first = { from: 0, to: ranksPerBox };
  const others = boxes === 1 ? [first] : [{ from: 0, to: 2 * ranksPerBox }];
  const nameOf = (rank: number): string => network.card(rank).name;
  const indexes = symmetry === 'boxes' ? ranksPerBox : 1;
  const cards = Array.from({ length: indexes }, (_, index) => {
    const count = nranks / indexes;
    const groups = Array.from({ length: count }, (_, copy) => single(index + copy * indexes));
    return { name: nameOf(index), groups };
  });
  const shared = { isWhole: true, others, fixed: first };
  const ofCards = { what: `all ${nranks} cards`, entries: cards, ...shared };
  if (boxes === 1 || ranksPerBox === 1) return [ofCards];
  const groups = Array.from({ length: boxes }, (_, box) => {
    return { from: box * ranksPerBox, to: (box + 1) * ranksPerBox };
  });
  const entries = [{ name: boxName(nameOf(0)), groups }];
  return [ofCards, { what: `all ${boxes} boxes`, entries, ...shared }];
}

/** Every group by itself; as many as can be looked at. */
function irregular(network: Network): Partition[] {
  const { nranks } = network;
  const all = { from: 0, to: nranks };
  const plain = { others: [all], fixed: undefined };
  const nameOf = (rank: number): string => network.card(rank).name;
  const most = Math.max(1, Math.floor(ROUTES_MAX / nranks));
  const step = Math.ceil(nranks / most);
  const ranks = Array.from({ length: Math.ceil(nranks / step) }, (_, index) => index * step);
  const cards: Partition = {
    what: `all ${nranks} cards`,
    entries: ranks.map((rank) => ({ name: nameOf(rank), groups: [single(rank)] })),
    isWhole: step === 1,
    ...plain,
  };
  if (step > 1) return [cards];
  const boxes = boxesOf(nranks, nameOf);
  if (boxes.length === 1 || boxes.length === nranks) return [cards];
  const partitions = [cards, partitionOf(`all ${boxes.length} boxes`, boxes, nameOf, plain)];
  if (nranks > HALVES_RANKS_MAX) return partitions;
  for (let parts = 2; parts < boxes.length; parts *= 2) {
    const ranges = merged(boxes, parts);
    partitions.push(partitionOf(`${ranges.length} groups of boxes`, ranges, nameOf, plain));
  }
  return partitions;
}

function partitionOf(
  what: string,
  ranges: readonly RankRange[],
  nameOf: (rank: number) => string,
  rest: Pick<Partition, 'others' | 'fixed'>,
): Partition {
  const entries = ranges.map((range) => {
    const [first, last] = [boxName(nameOf(range.from)), boxName(nameOf(range.to - 1))];
    return { name: first === last ? first : `${first} to ${last}`, groups: [range] };
  });
  return { what, entries, isWhole: true, ...rest };
}

function single(rank: number): RankRange {
  return { from: rank, to: rank + 1 };
}

/** `box0/card3` -> `box0`. */
function boxName(card: string): string {
  return card.slice(0, Math.max(0, card.indexOf('/')));
}

function boxesOf(nranks: number, nameOf: (rank: number) => string): RankRange[] {
  const starts: number[] = [];
  for (let rank = 0; rank < nranks; rank += 1) {
    if (rank === 0 || boxName(nameOf(rank)) !== boxName(nameOf(rank - 1))) starts.push(rank);
  }
  return starts.map((from, index) => ({ from, to: starts[index + 1] ?? nranks }));
}

/** Into `parts` groups of about as many boxes each. */
function merged(boxes: readonly RankRange[], parts: number): RankRange[] {
  return Array.from({ length: parts }, (_, part) => {
    const first = boxes[Math.floor((part * boxes.length) / parts)];
    const last = boxes[Math.floor(((part + 1) * boxes.length) / parts) - 1];
    return { from: defined(first, 'a box').from, to: defined(last, 'a box').to };
  });
}

/** Links of one cut of a group, those of the network apart. */
class Crossing {
  latencySeconds = Number.POSITIVE_INFINITY;
  #routes = 0;
  readonly #links = new Map<string, { readonly links: Set<LinkNumber>; routes: number }>();

  /** `found` in the order in which the message leaves, or, backwards, arrives. */
  add(found: readonly (readonly [LinkNumber, Link])[], latency: number): void {
    this.#routes += 1;
    this.latencySeconds = Math.min(this.latencySeconds, latency);
    const seen = new Set<string>();
    for (const [index, [number, { kind }]] of found.entries()) {
      if (index === 0) this.#note('', number);
      if (seen.has(kind)) continue;
      seen.add(kind);
      this.#note(kind, number);
    }
  }

  /** By kind, `''` for the nearest link of any: the cuts that every route passes. */
  cuts(): Map<string, ReadonlySet<LinkNumber>> {
    const cuts = new Map<string, ReadonlySet<LinkNumber>>();
    for (const [kind, { links, routes }] of this.#links) {
      if (routes === this.#routes) cuts.set(kind, links);
    }
    return cuts;
  }

  #note(kind: string, number: LinkNumber): void {
    const known = this.#links.get(kind) ?? { links: new Set<LinkNumber>(), routes: 0 };
    known.links.add(number);
    known.routes += 1;
    this.#links.set(kind, known);
  }
}

interface Measured {
  readonly direction: 'out' | 'into';
  readonly name: string;
  readonly groups: readonly RankRange[];
  readonly latencySeconds: number;
  readonly cuts: ReadonlyMap<string, CutRates>;
}

/** Rate of the links of a group alone, and the links that it shares with all. */
interface CutRates {
  readonly own: number;
  readonly shared: ReadonlyMap<LinkNumber, number>;
}

class PartitionSums {
  readonly #network: Network;
  readonly #partition: Partition;
  readonly #measured: readonly Measured[];

  constructor(network: Network, partition: Partition) {
    this.#network = network;
    this.#partition = partition;
    this.#measured = partition.entries.flatMap(({ name, groups }) => {
      const group = defined(groups[0], 'a group');
      const { out, into } = this.#crossings(group);
      return [
        { direction: 'out' as const, name, groups, ...this.#rates(out) },
        { direction: 'into' as const, name, groups, ...this.#rates(into) },
      ];
    });
  }

  groupCuts(): GroupCut[] {
    return this.#measured.flatMap(({ direction, name, groups, latencySeconds, cuts }) => {
      const bytesPerSecond = Math.min(...[...cuts.values()].map(wholeRate));
      if (cuts.size === 0) return [];
      return [{ direction, what: name, groups, bytesPerSecond, latencySeconds }];
    });
  }

  /** All groups' cuts together: by one kind of links everywhere, or each group by its narrowest. */
  partitionCuts(): PartitionCut[] {
    const { isWhole, what, entries } = this.#partition;
    if (!isWhole) return [];
    const groups = entries.flatMap((entry) => entry.groups).sort((a, b) => a.from - b.from);
    return (['out', 'into'] as const).flatMap((direction) => {
      const measured = this.#measured.filter((one) => one.direction === direction);
      const kinds = new Set(measured.flatMap(({ cuts }) => [...cuts.keys()]));
      const totals = [...kinds].map((kind) => total(measured, ({ cuts }) => cuts.get(kind)));
      totals.push(total(measured, ({ cuts }) => narrowest(cuts)));
      const bytesPerSecond = Math.min(...totals);
      const latencySeconds = Math.min(...measured.map((one) => one.latencySeconds));
      if (!Number.isFinite(bytesPerSecond)) return [];
      return [{ what, groups, bytesPerSecond, latencySeconds }];
    });
  }

  #crossings(group: RankRange): { readonly out: Crossing; readonly into: Crossing } {
    const [out, into] = [new Crossing(), new Crossing()];
    for (let inner = group.from; inner < group.to; inner += 1) {
      for (const { from, to } of this.#partition.others) {
        for (let other = from; other < to; other += 1) {
          if (other >= group.from && other < group.to) continue;
          const leaving = this.#linksOf(this.#network.route(inner, other));
          out.add(leaving, latencyOf(leaving));
          const arriving = this.#linksOf(this.#network.route(other, inner));
          into.add(arriving.reverse(), latencyOf(arriving));
        }
      }
    }
    return { out, into };
  }

  #linksOf(route: Route): (readonly [LinkNumber, Link])[] {
    return route.flatMap(({ links }) =>
      links.map((number) => [number, this.#network.link(number)] as const),
    );
  }

  #rates(crossing: Crossing): Pick<Measured, 'latencySeconds' | 'cuts'> {
    const cuts = new Map<string, CutRates>();
    for (const [kind, links] of crossing.cuts()) {
      let own = 0;
      let isFixed = true;
      const shared = new Map<LinkNumber, number>();
      for (const number of links) {
        const { place, bytesPerSecond } = this.#network.link(number);
        if (place.at === 'network') shared.set(number, bytesPerSecond);
        else own += bytesPerSecond;
        isFixed &&= this.#isFixed(place);
      }
      if (isFixed) cuts.set(kind, { own, shared });
    }
    return { latencySeconds: crossing.latencySeconds, cuts };
  }

  #isFixed(place: LinkPlace): boolean {
    const { fixed } = this.#partition;
    if (fixed === undefined || place.at === 'network') return true;
    if (place.at === 'box') return place.box === 0;
    const inside = (rank: number): boolean => rank >= fixed.from && rank < fixed.to;
    return place.at === 'card' ? inside(place.rank) : inside(place.from) && inside(place.to);
  }
}

function latencyOf(links: readonly (readonly [LinkNumber, Link])[]): number {
  return links.reduce((sum, [, { latencySeconds }]) => sum + latencySeconds, 0);
}

function wholeRate({ own, shared }: CutRates): number {
  return [...shared.values()].reduce((sum, rate) => sum + rate, own);
}

function narrowest(cuts: ReadonlyMap<string, CutRates>): CutRates | undefined {
  const sorted = [...cuts.values()].sort((a, b) => wholeRate(a) - wholeRate(b));
  return sorted[0];
}

/** Of all groups together; no limit if one of them has no such cut. */
function total(
  measured: readonly Measured[],
  cutOf: (measured: Measured) => CutRates | undefined,
): number {
  const shared = new Map<LinkNumber, number>();
  let own = 0;
  for (const one of measured) {
    const cut = cutOf(one);
    if (cut === undefined) return Number.POSITIVE_INFINITY;
    own += cut.own * one.groups.length;
    for (const [number, rate] of cut.shared) shared.set(number, rate);
  }
  return wholeRate({ own, shared });
}

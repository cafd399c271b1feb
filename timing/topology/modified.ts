/** A layout with the changes that were asked for, by number. */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { LinkPattern, type NamedLink, type NetworkChange } from './changes.ts';
import type { Layout } from './layout.ts';
import { impossible } from './values.ts';

export interface Modifications {
  /** Part of its rate that a link still has; 0 has failed. Those that are not here have all. */
  readonly linkPart: ReadonlyMap<number, number>;
  /** How many times as long the card of a rank takes. */
  readonly cardSlow: ReadonlyMap<Rank, number>;
}

/** @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` for changes to what is not there, or by no sensible factor */
export function modificationsOf(
  layout: Layout,
  nranks: number,
  changes: readonly NetworkChange[],
): Modifications {
  const links = new Map<number, Cables>();
  const cardSlow = new Map<Rank, number>();
  for (const change of changes) {
    if (change.kind === 'straggler') addStraggler(cardSlow, change.rank, change.slow, nranks);
    else addToLinks(links, layout, change.link, change.kind === 'fail' ? 0 : rateOf(change));
  }
  const linkPart = new Map([...links].map(([link, cables]) => [link, partOf(cables)]));
  return { linkPart, cardSlow };
}

/** What is left of the cables of a link. */
interface Cables {
  readonly ports: number;
  /** Part of each of them. */
  readonly each: number;
  /** And of single ones. */
  readonly single: ReadonlyMap<number, number>;
}

function partOf({ ports, each, single }: Cables): number {
  if (each === 0) return 0;
  const lost = [...single.values()].reduce((sum, part) => sum + 1 - part, 0);
  return lost === ports ? 0 : each * (1 - lost / ports);
}

function rateOf({ link, rate }: Extract<NetworkChange, { kind: 'degrade' }>): number {
  if (rate > 0 && rate <= 1) return rate;
  throw impossible(
    `Expected links ${link} to be degraded to more than 0 and at most 1 of their rate but found ${rate}`,
  );
}

function addToLinks(links: Map<number, Cables>, layout: Layout, text: string, rest: number): void {
  const pattern = new LinkPattern(text);
  let isFound = false;
  for (const { number, ...link } of namedLinks(layout)) {
    if (!pattern.matches(link)) continue;
    isFound = true;
    const { ports } = link;
    const before = links.get(number) ?? { ports, each: 1, single: new Map() };
    const { port } = pattern;
    if (port === undefined) links.set(number, { ...before, each: before.each * rest });
    else {
      const part = (before.single.get(port) ?? 1) * rest;
      links.set(number, { ...before, single: new Map([...before.single, [port, part]]) });
    }
  }
  if (!isFound) throw noSuchLink(layout, text);
}

function addStraggler(cardSlow: Map<Rank, number>, rank: Rank, slow: number, nranks: number): void {
  if (!Number.isInteger(rank) || rank < 0 || rank >= nranks) {
    throw impossible(`Expected a straggler from rank 0 to ${nranks - 1} but found rank ${rank}`);
  }
  if (!(slow >= 1 && Number.isFinite(slow))) {
    throw impossible(`Expected rank ${rank} to take at least 1 times as long but found ${slow}`);
  }
  cardSlow.set(rank, (cardSlow.get(rank) ?? 1) * slow);
}

function* namedLinks(layout: Layout): Generator<NamedLink & { readonly number: number }> {
  for (let box = 0; box < layout.boxes; box += 1) {
    const base = layout.linkBase[box] ?? 0;
    for (const [index, { spec, name }] of layout.template(box).links.entries()) {
      const { kind, ports } = spec;
      yield { kind, ports, name: `box${box}/${name}`, number: base + index };
    }
  }
  for (const [index, { spec, name }] of layout.outerLinks.entries()) {
    yield { kind: spec.kind, ports: spec.ports, name, number: layout.boxLinks + index };
  }
}

function noSuchLink(layout: Layout, text: string): Error {
  const kinds = new Set<string>();
  for (const { links } of layout.templates) for (const { spec } of links) kinds.add(spec.kind);
  for (const { spec } of layout.outerLinks) kinds.add(spec.kind);
  const example = defined(layout.templates[0], 'a template').links[0]?.name;
  const named = example === undefined ? '' : `, or a name such as box0/${example}`;
  return impossible(
    `Expected a kind of links of ${layout.file.name} (${[...kinds].join(', ')})${named} but found ${JSON.stringify(text)}`,
  );
}

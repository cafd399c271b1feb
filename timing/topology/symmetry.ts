/**
 * Which renumberings leave a network as it is. Found out from the routes, not declared: two pairs of ranks
 * are alike if their routes are the same links, each called by its kind, its role and its place as seen
 * from the pair ("the sender's card"). As kind, role and place together name one link, a renumbering that
 * takes a pair to one that is alike takes its route to that one's route.
 */
import type { Topology } from '../../collectives/topology.ts';
import type { Link, LinkNumber, NetworkSymmetry, Route } from '../network.ts';

interface Pair {
  readonly src: number;
  readonly dst: number;
}

export interface SymmetryQuestion {
  readonly topology: Topology;
  /** All boxes are alike: they are of one class. */
  readonly areBoxesAlike: boolean;
  /** So are the cards in a box. */
  readonly areCardsAlike: boolean;
  readonly route: (src: number, dst: number) => Route;
  readonly link: (link: LinkNumber) => Link;
}

export function symmetryOf(question: SymmetryQuestion): NetworkSymmetry {
  const { topology, areBoxesAlike, areCardsAlike } = question;
  const { boxes, ranksPerBox } = topology;
  if (!areBoxesAlike) return 'none';
  const within = areCardsAlike && areAlike(question, pairsWithin(ranksPerBox));
  if (boxes === 1) return within ? 'ranks' : 'none';
  if (!within || !areAlike(question, pairsAcross(ranksPerBox))) return 'boxes';
  if (ranksPerBox === 1) return 'ranks';
  const both: Pair[] = [
    { src: 0, dst: 1 },
    { src: 0, dst: ranksPerBox },
  ];
  // Where the box makes no difference, a link of the box must not either.
  const usesBoxes = both.some(({ src, dst }) =>
    linksOf(question.route(src, dst)).some((link) => question.link(link).place.at === 'box'),
  );
  return !usesBoxes && areAlike(question, both) ? 'ranks' : 'cards';
}

function* pairsWithin(ranksPerBox: number): Generator<Pair> {
  for (let src = 0; src < ranksPerBox; src += 1) {
    for (let dst = 0; dst < ranksPerBox; dst += 1) if (src !== dst) yield { src, dst };
  }
}

/** From box 0 to box 1: all boxes are alike. */
function* pairsAcross(ranksPerBox: number): Generator<Pair> {
  for (let src = 0; src < ranksPerBox; src += 1) {
    for (let dst = 0; dst < ranksPerBox; dst += 1) yield { src, dst: ranksPerBox + dst };
  }
}

function areAlike(question: SymmetryQuestion, pairs: Iterable<Pair>): boolean {
  let first: readonly string[] | undefined;
  for (const pair of pairs) {
    const calls = signature(question, pair);
    first ??= calls;
    if (calls === undefined || !sameTexts(first, calls)) return false;
  }
  return true;
}

/** `undefined`: the route has a link of somebody else's. */
function signature(question: SymmetryQuestion, pair: Pair): readonly string[] | undefined {
  const texts: string[] = [];
  for (const segment of question.route(pair.src, pair.dst)) {
    for (const number of segment.links) {
      const link = question.link(number);
      const place = relativePlace(question.topology, pair, link);
      if (place === undefined) return undefined;
      texts.push(
        `${link.kind} ${link.role} ${place} ${link.bytesPerSecond} ${link.latencySeconds}`,
      );
    }
    texts.push('stop');
  }
  return texts;
}

function relativePlace(
  { ranksPerBox }: Topology,
  { src, dst }: Pair,
  { place }: Link,
): string | undefined {
  switch (place.at) {
    case 'pair':
      if (place.from === src && place.to === dst) return 'pair';
      return place.from === dst && place.to === src ? 'pair back' : undefined;
    case 'card':
      if (place.rank === src) return 'sender';
      return place.rank === dst ? 'receiver' : undefined;
    case 'box':
      if (place.box === Math.floor(src / ranksPerBox)) return 'box of sender';
      return place.box === Math.floor(dst / ranksPerBox) ? 'box of receiver' : undefined;
    case 'network':
      return 'network';
  }
}

function linksOf(route: Route): LinkNumber[] {
  return route.flatMap(({ links }) => links);
}

function sameTexts(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return one?.length === other.length && one.every((text, index) => text === other[index]);
}

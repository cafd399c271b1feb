/** The way from each rank to each other. */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { LinkNumber, Route, Segment } from '../network.ts';
import { type BoxClasses, boxClasses, everyBoxAlone } from './classes.ts';
import type { InnerLink, Layout } from './layout.ts';
import type { Modifications } from './modified.ts';
import type { Members } from './ranks.ts';
import { NO_SLOT, type SampleGraph, sampleGraph } from './sample-graph.ts';
import { type Hop, ShortestWays } from './shortest.ts';
import { impossible, type ParameterValues } from './values.ts';

/** Nodes of the graph, times nodes that ways are looked for from: 64 MiB of each of two tables. */
const WAYS_MAX = 2 ** 24;

export interface RoutingRequest {
  readonly layout: Layout;
  readonly members: Members;
  readonly values: ParameterValues;
  readonly modifications: Modifications;
  readonly inner: readonly InnerLink[];
  /** Between boxes: straight, or stored in the memory of both hosts. */
  readonly path: 'direct' | 'bounce';
}

/**
 * Ways between all ranks.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` for the first two ranks without a way, or a graph that is
 * too large for one without regularity
 */
export function routingOf(request: RoutingRequest): Routing {
  const { layout, members, modifications } = request;
  const sampled = new Routing(request, boxClasses(layout, members, modifications));
  // A way through a third box is not the same for all boxes of a class.
  return sampled.check() ? sampled : checked(new Routing(request, everyBoxAlone(layout)));
}

function checked(routing: Routing): Routing {
  routing.check();
  return routing;
}

export class Routing {
  readonly classes: BoxClasses;
  readonly #request: RoutingRequest;
  readonly #graph: SampleGraph;
  readonly #ways = new Map<number, ShortestWays>();
  readonly #usedEdges = new Set<number>();
  readonly #usedSwitches = new Set<number>();

  constructor(request: RoutingRequest, classes: BoxClasses) {
    const { layout } = request;
    this.#request = request;
    this.classes = classes;
    const boxes = classes.samples.flat();
    const nodes =
      boxes.reduce((sum, box) => sum + layout.template(box).nodeNames.length, 0) +
      layout.switches.length;
    const sources = classes.samples.reduce((sum, [box = 0]) => {
      const { cards, memories } = layout.template(box);
      return sum + cards.length + memories.length;
    }, 0);
    if (nodes * sources > WAYS_MAX) {
      throw impossible(
        `Expected ${layout.file.name} to be regular, or to have at most ${Math.floor(Math.sqrt(WAYS_MAX))} cards and nodes, but found ${nodes} of them that are not alike: use fewer boxes`,
      );
    }
    this.#graph = sampleGraph(layout, boxes, request);
  }

  /** Two different ranks. */
  route(src: Rank, dst: Rank): Route {
    const { layout, members } = this.#request;
    const [from, to] = [members.card(src), members.card(dst)];
    const [fromBox, toBox] = [layout.boxOfCard(from), layout.boxOfCard(to)];
    const { slots, hops } = this.#hops(from, to, [fromBox, toBox]);
    const [fromSlot] = slots;
    const shift = (slot: number, box: number): number =>
      (layout.linkBase[box] ?? 0) - (layout.linkBase[this.#graph.boxes[slot] ?? 0] ?? 0);
    const [fromShift, toShift] = [shift(slots[0], fromBox), shift(slots[1], toBox)];
    return this.#segments(hops, (edge) => {
      const link = this.#graph.edgeLink[edge] ?? 0;
      const slot = this.#graph.edgeSlot[edge] ?? NO_SLOT;
      if (slot === NO_SLOT) return link;
      return link + (slot === fromSlot ? fromShift : toShift);
    });
  }

  /**
   * Finds the ways between all samples.
   *
   * @returns whether they pass through nothing but switches and the two boxes at their ends
   * @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` for two ranks without a way
   */
  check(): boolean {
    const { layout } = this.#request;
    const isAlone = this.classes.samples.length === layout.boxes;
    for (const [from, to] of this.#samplePairs()) {
      const boxes = [layout.boxOfCard(from), layout.boxOfCard(to)] as const;
      const { slots, hops } = this.#hops(from, to, boxes);
      if (!isAlone && this.#leaves(slots, hops.flat())) return false;
      this.#note(hops);
    }
    return true;
  }

  /** Cards of the first box of each class, with all others there, in a second one, and in other classes. */
  *#samplePairs(): Generator<readonly [number, number]> {
    const { layout, members } = this.#request;
    const { samples } = this.classes;
    for (const [from, [first, second]] of samples.entries()) {
      const others = samples.map(([box], to) => (to === from ? second : box));
      const there = [first, ...others].flatMap((box) => cardNumbers(layout, members, box));
      for (const card of cardNumbers(layout, members, first)) {
        for (const other of there) if (other !== card) yield [card, other];
      }
    }
  }

  /** Links that the checked ways have, in the samples. */
  usedLinks(): LinkNumber[] {
    return [...this.#usedEdges].map((edge) => this.#graph.edgeLink[edge] ?? 0);
  }

  /** Names of the sets of switches that the checked ways pass. */
  usedSwitches(): Set<string> {
    const { switches } = this.#request.layout;
    const first = this.#graph.nodes - switches.length;
    return new Set([...this.#usedSwitches].map((node) => switches[node - first]?.set ?? ''));
  }

  #note(parts: readonly Hop[][]): void {
    const { switches } = this.#request.layout;
    for (const { edge, from } of parts.flat()) {
      this.#usedEdges.add(edge);
      if (from >= this.#graph.nodes - switches.length) this.#usedSwitches.add(from);
    }
  }

  #leaves(slots: readonly [number, number], hops: readonly Hop[]): boolean {
    return hops.some(({ edge }) => {
      const slot = this.#graph.edgeSlot[edge] ?? NO_SLOT;
      return slot !== NO_SLOT && slot !== slots[0] && slot !== slots[1];
    });
  }

  /** In the samples that stand for the two boxes: parts of the way, with stops in memory between them. */
  #hops(
    from: number,
    to: number,
    [fromBox, toBox]: readonly [number, number],
  ): { slots: readonly [number, number]; hops: Hop[][] } {
    const { layout, path } = this.#request;
    const { classOf, samples } = this.classes;
    const [a, b] = [classOf[fromBox] ?? 0, classOf[toBox] ?? 0];
    const isOtherOfClass = a === b && fromBox !== toBox;
    const boxes = [samples[a]?.[0], samples[b]?.[isOtherOfClass ? 1 : 0]] as const;
    const slotOf = (box: number | undefined): number =>
      defined(this.#graph.slotOf.get(box ?? -1), 'a sample');
    const slots = [slotOf(boxes[0]), slotOf(boxes[1])] as const;
    const nodeOf = (card: number, box: number, slot: number): number =>
      (this.#graph.slotBase[slot] ?? 0) + card - (layout.cardBase[box] ?? 0);
    const ends = [nodeOf(from, fromBox, slots[0]), nodeOf(to, toBox, slots[1])] as const;
    if (path === 'direct' || fromBox === toBox) {
      const hops = this.#path(...ends);
      if (hops === undefined) throw this.#noRoute(from, to);
      return { slots, hops: [hops] };
    }
    return { slots, hops: this.#bounce(ends, slots) ?? this.#noBounce(from, to) };
  }

  /** To the memory of the own host, to the memory of the other host, to the card. */
  #bounce(ends: readonly [number, number], slots: readonly [number, number]): Hop[][] | undefined {
    const up = this.#shortest(
      this.#memories(slots[0]).map((memory) => ({ memory, hops: this.#path(ends[0], memory) })),
    );
    const down = this.#shortest(
      this.#memories(slots[1]).map((memory) => ({ memory, hops: this.#path(memory, ends[1]) })),
    );
    const over = up && down && this.#path(up.memory, down.memory);
    return over && [up.hops, over, down.hops];
  }

  #memories(slot: number): number[] {
    const { layout } = this.#request;
    const base = this.#graph.slotBase[slot] ?? 0;
    return layout.template(this.#graph.boxes[slot] ?? 0).memories.map((node) => base + node);
  }

  /** Of fewest links; of equals the first. */
  #shortest(
    ways: readonly { readonly memory: number; readonly hops: Hop[] | undefined }[],
  ): { readonly memory: number; readonly hops: Hop[] } | undefined {
    let best: { readonly memory: number; readonly hops: Hop[] } | undefined;
    for (const { memory, hops } of ways) {
      if (hops !== undefined && hops.length < (best?.hops.length ?? Number.POSITIVE_INFINITY)) {
        best = { memory, hops };
      }
    }
    return best;
  }

  #path(from: number, to: number): Hop[] | undefined {
    const ways = this.#ways.get(from) ?? new ShortestWays(this.#graph, from);
    this.#ways.set(from, ways);
    return ways.reaches(to) ? ways.path(to) : undefined;
  }

  /** A message is stored at the ends of each part, and in cards that forward it. */
  #segments(parts: readonly Hop[][], linkOf: (edge: number) => LinkNumber): Route {
    const segments: Segment[] = [];
    for (const part of parts) {
      let links: LinkNumber[] = [];
      for (const [index, { edge, from }] of part.entries()) {
        if (index > 0 && this.#graph.passage[from] === 'store') {
          segments.push({ links });
          links = [];
        }
        const inside = index > 0 ? this.#graph.insideOf.get(from) : undefined;
        if (inside !== undefined) links.push(inside);
        links.push(linkOf(edge));
      }
      segments.push({ links });
    }
    return segments;
  }

  #noRoute(from: number, to: number): Error {
    const { layout } = this.#request;
    return impossible(
      `Expected a route between every two cards of ${layout.file.name} but found none from ${this.#named(from)} to ${this.#named(to)}: add a link, or leave one of the cards out`,
    );
  }

  #noBounce(from: number, to: number): never {
    const { layout } = this.#request;
    throw impossible(
      `Expected a route through the memory of both hosts for the path bounce of ${layout.file.name} but found none from ${this.#named(from)} to ${this.#named(to)}: boxes need a node with memory: true, and links from it to the cards and to a switch`,
    );
  }

  #named(card: number): string {
    const rank = this.#request.members.rank(card);
    return `${this.#request.layout.cardName(card)} (rank ${rank})`;
  }
}

/** Numbers in the layout of the cards of a box that take part. */
function cardNumbers(layout: Layout, members: Members, box: number | undefined): number[] {
  if (box === undefined) return [];
  const base = layout.cardBase[box] ?? 0;
  return members.cardsIn(box).map((card) => base + card);
}

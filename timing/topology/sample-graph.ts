/** The graph that ways are looked for in: some boxes, one beside the other, and all switches. */
import type { InnerLink, Layout, OuterEnd } from './layout.ts';
import type { Modifications } from './modified.ts';
import type { Graph, Passage } from './shortest.ts';
import type { TemplateEnd } from './template.ts';
import type { ParameterValues } from './values.ts';

/** Of an edge that belongs to no box. */
export const NO_SLOT = -1;

export interface SampleGraph extends Graph {
  /** Boxes in the graph; their places are called slots. */
  readonly boxes: readonly number[];
  readonly slotOf: ReadonlyMap<number, number>;
  /** First node of each slot: its cards come first. */
  readonly slotBase: readonly number[];
  /** Number of the link that an edge is, in the box of its slot. */
  readonly edgeLink: readonly number[];
  readonly edgeSlot: readonly number[];
  /** The link inside a switch that is limited, by its node. */
  readonly insideOf: ReadonlyMap<number, number>;
}

export function sampleGraph(
  layout: Layout,
  boxes: readonly number[],
  context: {
    readonly values: ParameterValues;
    readonly modifications: Modifications;
    readonly inner: readonly InnerLink[];
  },
): SampleGraph {
  const { values, modifications, inner } = context;
  const { slotBase, passage } = nodesOf(layout, boxes);
  const slotOf = new Map(boxes.map((box, slot) => [box, slot]));
  const switchBase = passage.length - layout.switches.length;
  const places: Places = { layout, boxes, slotBase, slotOf, switchBase };
  const edges = new EdgeList(passage.length, modifications);
  for (const [slot, box] of boxes.entries()) {
    const first = layout.linkBase[box] ?? 0;
    for (const [index, { spec, from, to, isHalfDuplex }] of layout.template(box).links.entries()) {
      const [a, b] = [innerNode(places, slot, from), innerNode(places, slot, to)];
      const ends = { from: a, to: b, isHalfDuplex };
      edges.add(ends, values.time(spec.latency), first + index, slot);
    }
  }
  for (const [index, { spec, from, to, isHalfDuplex }] of layout.outerLinks.entries()) {
    const [a, b] = [outerNode(places, from), outerNode(places, to)];
    if (a === undefined || b === undefined) continue;
    const latency = values.time(spec.latency);
    edges.add({ from: a, to: b, isHalfDuplex }, latency, layout.boxLinks + index, NO_SLOT);
  }
  const firstInside = layout.boxLinks + layout.outerLinks.length;
  const insideOf = new Map(
    inner.map((link, index) => [switchBase + link.switch, firstInside + index]),
  );
  return { nodes: passage.length, passage, ...edges.lists(), boxes, slotOf, slotBase, insideOf };
}

/** Where things are in the graph. */
interface Places {
  readonly layout: Layout;
  readonly boxes: readonly number[];
  readonly slotBase: readonly number[];
  readonly slotOf: ReadonlyMap<number, number>;
  readonly switchBase: number;
}

/** The nodes of each box, then the switches. */
function nodesOf(
  layout: Layout,
  boxes: readonly number[],
): Pick<SampleGraph, 'slotBase' | 'passage'> {
  const slotBase: number[] = [];
  const passage: Passage[] = [];
  for (const box of boxes) {
    slotBase.push(passage.length);
    const { cards, nodeNames, memories } = layout.template(box);
    const ends = new Set(memories);
    for (const node of nodeNames.keys()) {
      passage.push(node < cards.length ? 'store' : ends.has(node) ? 'end' : 'pass');
    }
  }
  for (const _ of layout.switches) passage.push('pass');
  return { slotBase, passage };
}

function innerNode(
  { layout, boxes, slotBase, switchBase }: Places,
  slot: number,
  end: TemplateEnd,
): number {
  return end.at === 'node'
    ? (slotBase[slot] ?? 0) + end.node
    : switchBase + layout.switchOf(end, boxes[slot] ?? 0);
}

/** `undefined`: its box is not in the graph. */
function outerNode({ slotBase, slotOf, switchBase }: Places, end: OuterEnd): number | undefined {
  if (end.at === 'switch') return switchBase + end.number;
  const slot = slotOf.get(end.box);
  return slot === undefined ? undefined : (slotBase[slot] ?? 0) + end.node;
}

class EdgeList {
  readonly #edgesOf: number[][];
  readonly #edgeTo: number[] = [];
  readonly #edgeLatency: number[] = [];
  readonly #edgeLink: number[] = [];
  readonly #edgeSlot: number[] = [];
  readonly #modifications: Modifications;

  constructor(nodes: number, modifications: Modifications) {
    this.#edgesOf = Array.from({ length: nodes }, () => []);
    this.#modifications = modifications;
  }

  /** Nothing, if the link has failed. */
  add(
    ends: { readonly from: number; readonly to: number; readonly isHalfDuplex: boolean },
    latency: number,
    link: number,
    slot: number,
  ): void {
    if (this.#modifications.linkPart.get(link) === 0) return;
    const { from, to, isHalfDuplex } = ends;
    const ways = isHalfDuplex ? [[from, to] as const, [to, from] as const] : [[from, to] as const];
    for (const [begin, end] of ways) {
      this.#edgesOf[begin]?.push(this.#edgeTo.length);
      this.#edgeTo.push(end);
      this.#edgeLatency.push(latency);
      this.#edgeLink.push(link);
      this.#edgeSlot.push(slot);
    }
  }

  lists() {
    return {
      edgesOf: this.#edgesOf,
      edgeTo: this.#edgeTo,
      edgeLatency: this.#edgeLatency,
      edgeLink: this.#edgeLink,
      edgeSlot: this.#edgeSlot,
    };
  }
}

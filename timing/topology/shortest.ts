/**
 * The shortest ways from one node of a graph to all others: fewest stops in memory first (a card that
 * forwards is one), then fewest links, then least latency; of equals the first in the order of the file.
 */
/**
 * What a node does with messages for others:
 * - `pass`: they go through.
 * - `store`: they are stored and sent on, where nothing else is possible: a card.
 * - `end`: nothing; messages begin and end here alone: host memory.
 */
export type Passage = 'pass' | 'store' | 'end';

export interface Graph {
  readonly nodes: number;
  /** Of each node: the edges that begin there, by number. */
  readonly edgesOf: readonly (readonly number[])[];
  readonly edgeTo: readonly number[];
  readonly edgeLatency: readonly number[];
  readonly passage: readonly Passage[];
}

const NONE = -1;

/** One edge of a way, and where it begins. */
export interface Hop {
  readonly edge: number;
  readonly from: number;
}

/**
 * Ways from one source. Found in layers: nodes with s stops and h links behind them are final when all
 * with fewer stops, or as many and fewer links, are done, as every edge adds one link; so no queue that
 * sorts is needed.
 */
export class ShortestWays {
  readonly source: number;
  readonly #graph: Graph;
  readonly #parentEdge: Int32Array;
  readonly #parentNode: Int32Array;

  constructor(graph: Graph, source: number) {
    this.source = source;
    this.#graph = graph;
    this.#parentEdge = new Int32Array(graph.nodes).fill(NONE);
    this.#parentNode = new Int32Array(graph.nodes).fill(NONE);
    this.#search();
  }

  reaches(node: number): boolean {
    return node === this.source || this.#parentEdge[node] !== NONE;
  }

  /** From the source to `node`, which it reaches. */
  path(node: number): Hop[] {
    const path: Hop[] = [];
    for (let at = node; at !== this.source; ) {
      const hop = { edge: this.#parentEdge[at] ?? NONE, from: this.#parentNode[at] ?? NONE };
      path.push(hop);
      at = hop.from;
    }
    return path.reverse();
  }

  #search(): void {
    const labels = new Labels(this.#graph.nodes);
    labels.set(this.source, 0, 0, 0);
    const layers: number[][][] = [[[this.source]]];
    for (let stops = 0; stops < layers.length; stops += 1) {
      const byLinks = layers[stops] ?? [];
      for (let links = 0; links < byLinks.length; links += 1) {
        for (const node of byLinks[links] ?? []) {
          if (labels.finish(node)) this.#relax(node, labels, layers);
        }
      }
    }
  }

  #relax(node: number, labels: Labels, layers: number[][][]): void {
    const { edgesOf, edgeTo, edgeLatency, passage } = this.#graph;
    const isSource = node === this.source;
    if (!isSource && passage[node] === 'end') return;
    const stops = (labels.stops[node] ?? 0) + (!isSource && passage[node] === 'store' ? 1 : 0);
    const links = (labels.links[node] ?? 0) + 1;
    for (const edge of edgesOf[node] ?? []) {
      const to = edgeTo[edge] ?? NONE;
      const latency = (labels.latency[node] ?? 0) + (edgeLatency[edge] ?? 0);
      if (!labels.isBetter(to, stops, links, latency)) continue;
      labels.set(to, stops, links, latency);
      this.#parentEdge[to] = edge;
      this.#parentNode[to] = node;
      addToLayer(layers, stops, links, to);
    }
  }
}

function addToLayer(layers: number[][][], stops: number, links: number, node: number): void {
  const byLinks = layers[stops] ?? [];
  const layer = byLinks[links] ?? [];
  layer.push(node);
  byLinks[links] = layer;
  layers[stops] = byLinks;
}

/** The best way to each node that is known so far. */
class Labels {
  readonly stops: Int32Array;
  readonly links: Int32Array;
  readonly latency: Float64Array;
  readonly #done: Uint8Array;

  constructor(nodes: number) {
    this.stops = new Int32Array(nodes).fill(NONE);
    this.links = new Int32Array(nodes);
    this.latency = new Float64Array(nodes);
    this.#done = new Uint8Array(nodes);
  }

  set(node: number, stops: number, links: number, latency: number): void {
    this.stops[node] = stops;
    this.links[node] = links;
    this.latency[node] = latency;
  }

  /** Whether the node was not done before. */
  finish(node: number): boolean {
    if (this.#done[node] === 1) return false;
    this.#done[node] = 1;
    return true;
  }

  isBetter(node: number, stops: number, links: number, latency: number): boolean {
    if (this.#done[node] === 1) return false;
    const known = this.stops[node] ?? NONE;
    if (known === NONE) return true;
    const order =
      stops - known || links - (this.links[node] ?? 0) || latency - (this.latency[node] ?? 0);
    return order < 0;
  }
}

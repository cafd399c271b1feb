/**
 * Double-binary-tree all-reduce: each half of the vector goes up one of two trees, and comes back down.
 *
 * `two-trees.ts` makes the trees such that a rank inside one is a leaf of the other (but for rank 0 of an
 * odd number), so that all ports are busy. Each half is cut into segments that follow each other up and
 * down; each tree has a channel of its own. Four ranks, one segment per tree: the first tree is
 * 0 - 2 - (1, 3), the second 3 - 1 - (0, 2).
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0   0    1   1    2   2    3   3
 *   round 1  0   0    1   12   12  2    3   3
 *   round 2  0   0    1   012  123 2    3   3
 *   round 3  *   0    1   012  123 2    3   *
 *   round 4  *   0    1   *    *   2    3   *
 *   round 5  *   *    *   *    *   *    *   *
 *
 * Cost:   about 2⌈lg p⌉·(α + s·β) + 2n·β + n·γ, with segments of s bytes; ports that wait for their turn
 *         cost up to n/2 more
 * Good:   middle and large vectors on many ranks: few start-up times and nearly the bytes of a ring.
 * Bad:    very large vectors: a rank in the middle sends up to 2n where a ring sends 2(p-1)/p·n.
 *
 * Every segment is summed in one order, up its tree, and then copied: all ranks hold the same bits.
 *
 * Sanders, Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan",
 * Parallel Comput. 35 (2009); NCCL `graph/trees.cc`.
 */
import { assert } from '../../common/assert.ts';
import { modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { localCopy } from './local-copy.ts';
import { pipeline, type Way } from './pipeline.ts';
import { input, output, scratch } from './places.ts';
import { type Tree, twoTrees } from './two-trees.ts';

/** `chunks` (default 2) is even: `chunks / 2` segments per tree. */
export function doubleBinaryTreeAllReduce({ nranks, chunks = 2 }: ScheduleOptions): Schedule {
  const segments = segmentsOf(chunks);
  return {
    collective: 'allReduce',
    algorithm: 'doubleBinaryTree',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds() {
      if (nranks === 1) return [[localCopy(0, chunks)]];
      const trees = twoTrees(nranks).map((tree) => edgesOf(tree));
      const ways = bothHalves(trees, segments).flatMap((half) => [
        ...upwards(half, output, output),
        ...downwards(half, output, roundsUp(half.edges)),
      ]);
      return pipeline(ways, segments);
    },
  };
}

/**
 * Double-binary-tree broadcast: the root feeds two trees over all other ranks, one half each.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0 0     . .     . .     . .
 *   round 1  0 0     0 .     . 0     . .
 *   round 2  0 0     0 0     . 0     0 .
 *   round 3  0 0     0 0     0 0     0 0
 *
 * Cost:   about ⌈lg p⌉·(α + 2s·β) + n·β, with segments of s bytes
 * Good:   large vectors on many ranks: as few bytes as a chain and as few start-up times as a tree.
 * Bad:    small vectors: a binomial tree has fewer messages.
 *
 * Sanders, Speck and Traeff 2009. `chunks` (default 2) is even: `chunks / 2` segments per tree.
 */
export function doubleBinaryTreeBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 2 } = options;
  const segments = segmentsOf(chunks);
  return {
    collective: 'broadcast',
    algorithm: 'doubleBinaryTree',
    nranks,
    chunks,
    root,
    scratch: [],
    rounds() {
      const halves = bothHalves(plantedTrees(nranks, root), segments);
      const ways = halves.flatMap((half) => downwards(half, input, 0));
      return pipeline(ways, segments, [localCopy(root, chunks)]);
    },
  };
}

/**
 * Double-binary-tree reduce: two trees over all other ranks bring one half each to the root.
 *
 *            rank 0     rank 1  rank 2  rank 3
 *   start    0    0
 *   round 1  0    0
 *   round 2  0    0
 *   round 3  0123 0123
 *
 * Cost:   about ⌈lg p⌉·(α + 2s·β) + n·β + n·γ, with segments of s bytes
 * Good:   large vectors on many ranks.
 * Bad:    small vectors: a binomial tree has fewer messages.
 *
 * Sanders, Speck and Traeff 2009. `chunks` (default 2) is even: `chunks / 2` segments per tree.
 */
export function doubleBinaryTreeReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 2 } = options;
  const segments = segmentsOf(chunks);
  return {
    collective: 'reduce',
    algorithm: 'doubleBinaryTree',
    nranks,
    chunks,
    root,
    scratch: nranks > 2 ? ranksOf(chunks) : [],
    rounds() {
      const halves = bothHalves(plantedTrees(nranks, root), segments);
      const ways = halves.flatMap((half) => upwards(half, scratch, output));
      return pipeline(ways, segments, nranks === 1 ? [localCopy(root, chunks)] : []);
    },
  };
}

function segmentsOf(chunks: number): number {
  assert(chunks % 2 === 0, `Expected an even number of chunks but found ${chunks}`);
  return chunks / 2;
}

/** The way between a rank and its parent. */
interface Edge {
  readonly child: Rank;
  readonly parent: Rank;
  /** Round in which the child sends its first segment up; no parent takes from two at once. */
  readonly up: number;
  /** Edges from the parent to the root. */
  readonly depth: number;
  readonly isFromLeaf: boolean;
  /** Whether the child is the first that its parent takes from. */
  readonly isFirst: boolean;
  readonly isToRoot: boolean;
}

/** The edges of a tree whose node `node` is rank `rankOf(node)`. */
function edgesOf({ root, children }: Tree, rankOf = (node: number): Rank => node): Edge[] {
  const edges: Edge[] = [];
  /** Returns the round by which the node has everything from below. */
  const visit = (parent: number, depth: number): number => {
    const below = (children[parent] ?? []).map((child) => {
      return { child, ready: visit(child, depth + 1) };
    });
    let free = 0;
    for (const [index, { child, ready }] of below.sort((a, b) => a.ready - b.ready).entries()) {
      const up = Math.max(ready, free);
      free = up + 1;
      edges.push({
        child: rankOf(child),
        parent: rankOf(parent),
        up,
        depth,
        isFromLeaf: (children[child] ?? []).length === 0,
        isFirst: index === 0,
        isToRoot: parent === root,
      });
    }
    return free;
  };
  visit(root, 0);
  return edges;
}

/** Two trees over all ranks but `root`, which is the parent of the roots of both. */
function plantedTrees(nranks: number, root: Rank): Edge[][] {
  if (nranks === 1) return [];
  const others = nranks - 1;
  return twoTrees(others).map((tree) => {
    const planted = { root: others, children: [...tree.children, [tree.root]] };
    return edgesOf(planted, (node) => modulo(root + 1 + node, nranks));
  });
}

/** Rounds until the root has the first segment from all below. */
function roundsUp(edges: readonly Edge[]): number {
  return Math.max(...edges.map(({ up }) => up)) + 1;
}

/** A tree, and what it carries. */
interface Half {
  readonly edges: readonly Edge[];
  /** Its first chunk. */
  readonly first: number;
  readonly channel: number;
}

function bothHalves(trees: readonly (readonly Edge[])[], segments: number): Half[] {
  return trees.map((edges, channel) => ({ edges, first: channel * segments, channel }));
}

type Buffer = (chunk: number) => Place;

/** Sums of the ranks inside lie in `sum`, those of the root in `result`. */
function upwards({ edges, first, channel }: Half, sum: Buffer, result: Buffer): Way[] {
  return edges.map(({ child, parent, up, isFromLeaf, isFirst, isToRoot }) => ({
    start: up,
    move(segment): Transfer {
      const chunk = first + segment;
      const from = isFromLeaf ? input(chunk) : sum(chunk);
      const to = isToRoot ? result(chunk) : sum(chunk);
      const operand = isFirst ? input(chunk) : to;
      return { src: child, dst: parent, from, operand, to, count: 1, effect: 'reduce', channel };
    },
  }));
}

/** The root has the data in `source`, from round `start` on. */
function downwards({ edges, first, channel }: Half, source: Buffer, start: number): Way[] {
  return edges.map(({ child, parent, depth, isToRoot }) => ({
    start: start + depth,
    move(segment): Transfer {
      const to = output(first + segment);
      const from = isToRoot ? source(to.chunk) : to;
      return { src: parent, dst: child, from, to, count: 1, effect: 'copy', channel };
    },
  }));
}

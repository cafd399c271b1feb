/**
 * Two binary trees over the same ranks, made such that what is inside one is a leaf of the other.
 *
 * The first is NCCL's: a rank whose lowest set bit is b has its children b/2 to the left and to the
 * right, so that all odd ranks are leaves. The second is its mirror image if the number of ranks is
 * even, and is shifted by one rank if it is odd. With an even number each rank is a leaf of at least one.
 * With an odd number, rank 0, the root of the first, also takes the last place of the second, which has a
 * child. No rank has more than two children in both trees together.
 *
 * Sanders, Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan",
 * Parallel Comput. 35 (2009); NCCL `graph/trees.cc`.
 */
import { assert, defined } from '../../common/assert.ts';
import { modulo, ranksOf } from '../../common/math.ts';

export interface Tree {
  readonly root: number;
  /** By rank. */
  readonly children: readonly (readonly number[])[];
}

/** Both trees over ranks 0 .. `nranks` - 1. */
export function twoTrees(nranks: number): readonly [Tree, Tree] {
  assert(nranks >= 1, `Expected at least 1 rank but found ${nranks}`);
  const same = (node: number): number => node;
  const mirrored = (node: number): number => nranks - 1 - node;
  const shifted = (node: number): number => modulo(node + 1, nranks);
  return [relabelled(nranks, same), relabelled(nranks, nranks % 2 === 0 ? mirrored : shifted)];
}

/** The first tree, with `rankOf(node)` in the place of rank `node`. */
function relabelled(nranks: number, rankOf: (node: number) => number): Tree {
  const children = ranksOf(nranks).map((): number[] => []);
  for (let node = 1; node < nranks; node++) {
    const parent = rankOf(parentOf(node, nranks));
    defined(children[parent], `children of ${parent}`).push(rankOf(node));
  }
  return { root: rankOf(0), children };
}

/** Of any node but 0, the root. If there is no parent by the bits, it is the node without its last bit. */
function parentOf(node: number, nranks: number): number {
  const lowest = node & -node;
  const parent = (node ^ lowest) | (lowest << 1);
  return parent < nranks ? parent : node ^ lowest;
}

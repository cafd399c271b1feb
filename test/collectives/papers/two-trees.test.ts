import { describe, expect, it } from 'vitest';
import { type Tree, twoTrees } from '../../../collectives/algorithms/two-trees.ts';
import { ceilLog2, ranksOf } from '../../../common/math.ts';
import { claim } from './claims.ts';

const FILE = 'two-trees.ts';

const COUNTS = ranksOf(130).map((index) => index + 1);

function childrenIn(tree: Tree, rank: number): readonly number[] {
  return tree.children[rank] ?? [];
}

/** Ranks by their distance from the root. */
function levelsOf(tree: Tree): number[][] {
  const levels: number[][] = [];
  let level = [tree.root];
  while (level.length > 0 && levels.length <= tree.children.length) {
    levels.push(level);
    level = level.flatMap((rank) => [...childrenIn(tree, rank)]);
  }
  return levels;
}

/** `parent: children` of every rank that has some. */
function lines(tree: Tree): string[] {
  return tree.children.flatMap((children, rank) =>
    children.length === 0 ? [] : [`${rank}: ${children.join(' ')}`],
  );
}

describe('NCCL, graph/trees.cc: the trees drawn for 14 ranks (mirror) and 13 ranks (shift)', () => {
  const FIRST_OF_14 = ['0: 8', '2: 1 3', '4: 2 6', '6: 5 7', '8: 4 12', '10: 9 11', '12: 10 13'];

  it('has 0 - 8 - (4, 12) ... for 14 ranks, and its mirror image 13 - 5 - (9, 1) ...', () => {
    const [first, second] = twoTrees(14);
    expect(first.root).toBe(0);
    expect(lines(first)).toEqual(FIRST_OF_14);
    expect(second.root).toBe(13);
    const mirrored = ranksOf(14).map((rank) =>
      childrenIn(first, 13 - rank).map((child) => 13 - child),
    );
    expect(second.children.map((children) => [...children].sort())).toEqual(
      mirrored.map((children) => [...children].sort()),
    );
  });

  it('has 0 - 8 - (4, 12) ... for 13 ranks, and the same one rank further 1 - 9 - (5, 0) ...', () => {
    const [first, second] = twoTrees(13);
    expect(lines(first)).toEqual([...FIRST_OF_14.slice(0, 6), '12: 10']);
    expect(second.root).toBe(1);
    expect(lines(second)).toEqual([
      '0: 11',
      '1: 9',
      '3: 2 4',
      '5: 3 7',
      '7: 6 8',
      '9: 5 0',
      '11: 10 12',
    ]);
  });
});

describe('twoTrees()', () => {
  it.each([0, 1])('tree %i reaches every rank once, about lg p from its root', (index) => {
    for (const nranks of COUNTS) {
      const levels = levelsOf(twoTrees(nranks)[index === 0 ? 0 : 1]);
      expect(levels.flat().sort((a, b) => a - b)).toEqual(ranksOf(nranks));
      expect(levels.length).toBeLessThanOrEqual(ceilLog2(nranks) + 1);
    }
  });

  claim(
    FILE,
    'a rank whose lowest set bit is b has its children b/2 to the left and to the right',
    () => {
      const [first] = twoTrees(64);
      for (let rank = 1; rank < 64; rank++) {
        const half = (rank & -rank) / 2;
        expect(childrenIn(first, rank)).toEqual(half < 1 ? [] : [rank - half, rank + half]);
      }
    },
  );

  claim(FILE, 'With an even number each rank is a leaf of at least one.', () => {
    for (const nranks of COUNTS.filter((count) => count % 2 === 0)) {
      const [first, second] = twoTrees(nranks);
      const insideBoth = ranksOf(nranks).filter(
        (rank) => childrenIn(first, rank).length > 0 && childrenIn(second, rank).length > 0,
      );
      expect(insideBoth).toEqual([]);
    }
  });

  claim(
    FILE,
    'With an odd number, rank 0, the root of the first, also takes the last place of the second',
    () => {
      for (const nranks of COUNTS.filter((count) => count % 2 === 1 && count > 1)) {
        const [first, second] = twoTrees(nranks);
        const insideBoth = ranksOf(nranks).filter(
          (rank) => childrenIn(first, rank).length > 0 && childrenIn(second, rank).length > 0,
        );
        expect(insideBoth).toEqual([0]);
      }
    },
  );

  claim(FILE, 'No rank has more than two children in both trees together.', () => {
    for (const nranks of COUNTS) {
      const [first, second] = twoTrees(nranks);
      const most = Math.max(
        ...ranksOf(nranks).map(
          (rank) => childrenIn(first, rank).length + childrenIn(second, rank).length,
        ),
      );
      expect(most).toBeLessThanOrEqual(2);
    }
  });
});

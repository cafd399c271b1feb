/**
 * Binomial-tree gather: each rank collects the blocks of its subtree, and sends them on in one message.
 *
 * Ranks are counted from the root. In round k those whose distance is an odd multiple of 2^k send what
 * they have, the blocks of up to 2^k ranks side by side in scratch, to the one 2^k nearer. Four ranks,
 * root 0, of which alone the output is drawn:
 *
 *            rank 0   rank 1  rank 2  rank 3
 *   start    0 . . .
 *   round 1  0 1 . .
 *   round 2  0 1 2 3
 *
 * Cost:   ⌈lg p⌉·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   small contributions: the root takes ⌈lg p⌉ messages instead of p - 1.
 * Bad:    large contributions: most travel several times.
 *
 * Where the ranks of a subtree go past the last rank, its blocks are not side by side in the root's
 * output: they arrive in scratch, and are copied.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { ceilLog2, floorLog2, modulo } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { blockRange, type Group, localMoves, moveBlocks, rotated, type Where } from './group.ts';

export function binomialTreeGather(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  const layout = treeLayout(nranks, root, chunks);
  const { atRoot, staged } = layout;
  const group = rotated(nranks, root);
  const place: Where = (rank, block) => (rank === root ? atRoot(block) : layout.transit(block));
  return {
    collective: 'gather',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root,
    scratch: layout.scratch,
    *rounds() {
      yield* treeGatherPhase(group, { chunks, own: () => ({ buffer: 'input', chunk: 0 }), place });
      const last = staged.map((block) =>
        move(root, place(root, block), layout.home(block), chunks),
      );
      if (last.length > 0) yield last;
    },
  };
}

/**
 * Binomial-tree scatter: the gather backwards.
 *
 * Each rank gets the blocks of its subtree in one message, and sends on those that are not its own.
 * Outputs of four ranks, root 0:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       .       .       .
 *   round 1  0       .       .       .
 *   round 2  0       0       0       0
 *
 * Cost:   ⌈lg p⌉·α + (p-1)/p·n·β, where n is the root's whole input
 * Good:   small blocks: the root sends ⌈lg p⌉ messages instead of p - 1.
 * Bad:    large blocks: most travel several times.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function binomialTreeScatter(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  const layout = treeLayout(nranks, root, chunks, 'input');
  const { atRoot, staged } = layout;
  const group = rotated(nranks, root);
  const place: Where = (rank, block) => (rank === root ? atRoot(block) : layout.transit(block));
  return {
    collective: 'scatter',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root,
    scratch: layout.scratch,
    *rounds() {
      const first = staged.map((block) => move(root, layout.home(block), atRoot(block), chunks));
      if (first.length > 0) yield first;
      const result = (): Place => ({ buffer: 'output', chunk: 0 });
      yield* treeScatterPhase(group, { chunks, place, result });
    },
  };
}

/** Blocks by distance from the root, and where they lie. */
interface TreeLayout {
  /** Logical chunks of the scratch: all blocks by distance. */
  readonly scratch: readonly number[];
  readonly transit: (block: number) => Place;
  /** Where it lies in the root's buffer. */
  readonly home: (block: number) => Place;
  /** Where the root has it while it sends or receives. */
  readonly atRoot: (block: number) => Place;
  /** Blocks that the root has in scratch, because those of one message are not side by side at home. */
  readonly staged: readonly number[];
}

function treeLayout(
  nranks: number,
  root: Rank,
  chunks: number,
  buffer: 'input' | 'output' = 'output',
): TreeLayout {
  const rankAt = (block: number): Rank => modulo(root + block, nranks);
  const wrap = nranks - root;
  const child = 2 ** floorLog2(wrap);
  const isSplit = wrap < nranks && wrap !== child;
  const staged = isSplit ? blockRange(child, Math.min(2 * child, nranks)) : [];
  const home = (block: number): Place => ({ buffer, chunk: rankAt(block) * chunks });
  const transit = (block: number): Place => ({ buffer: 'scratch', chunk: block * chunks });
  return {
    scratch: blockRange(0, nranks * chunks).map((chunk) =>
      modulo(root * chunks + chunk, nranks * chunks),
    ),
    transit,
    home,
    atRoot: (block) => (staged.includes(block) ? transit(block) : home(block)),
    staged,
  };
}

export interface TreeGatherBlocks {
  readonly chunks: number;
  /** Where member i has block i at first. */
  readonly own: Where;
  /** Where a member collects the blocks of its subtree, its own first; the root, member 0, all. */
  readonly place: Where;
}

/** Member 0 is the root. */
export function* treeGatherPhase(
  { ranks }: Group,
  { chunks, own, place }: TreeGatherBlocks,
): Generator<Round> {
  const members = ranks.length;
  const hasChildren = (member: number): boolean => member % 2 === 0 && member + 1 < members;
  const local = ranks.flatMap((rank, member) =>
    member === 0 || hasChildren(member)
      ? localMoves(
          [rank],
          chunks,
          () => own(rank, member),
          () => place(rank, member),
        )
      : [],
  );
  if (members === 1) yield local;
  for (let size = 1; size < members; size *= 2) {
    const moves = subtrees(members, size).flatMap(({ parent, child, end }) => {
      const [src, dst] = [ranks[child] as Rank, ranks[parent] as Rank];
      const from = hasChildren(child) ? place : own;
      return moveBlocks({ src, dst, blocks: blockRange(child, end), chunks, from, to: place });
    });
    yield size === 1 ? [...local, ...moves] : moves;
  }
}

export interface TreeScatterBlocks {
  readonly chunks: number;
  /** Where a member has the blocks of its subtree, its own first; the root, member 0, all. */
  readonly place: Where;
  /** Where member i has block i in the end. */
  readonly result: Where;
}

/** Member 0 is the root. */
export function* treeScatterPhase(
  { ranks }: Group,
  { chunks, place, result }: TreeScatterBlocks,
): Generator<Round> {
  const members = ranks.length;
  const isLeaf = (member: number): boolean => member % 2 === 1 || member + 1 === members;
  const local = ranks.flatMap((rank, member) =>
    member > 0 && isLeaf(member)
      ? []
      : localMoves(
          [rank],
          chunks,
          () => place(rank, member),
          () => result(rank, member),
        ),
  );
  if (members === 1) yield local;
  for (let size = 2 ** ceilLog2(members) / 2; size >= 1; size /= 2) {
    const moves = subtrees(members, size).flatMap(({ parent, child, end }) => {
      const [src, dst] = [ranks[parent] as Rank, ranks[child] as Rank];
      const to = isLeaf(child) ? result : place;
      return moveBlocks({ src, dst, blocks: blockRange(child, end), chunks, from: place, to });
    });
    yield size === 1 ? [...moves, ...local] : moves;
  }
}

/** The subtrees of up to `size` members, and the parents that they are handed to or come from. */
function subtrees(members: number, size: number): { parent: number; child: number; end: number }[] {
  const found: { parent: number; child: number; end: number }[] = [];
  for (let child = size; child < members; child += 2 * size) {
    found.push({ parent: child - size, child, end: Math.min(child + size, members) });
  }
  return found;
}

function move(rank: Rank, from: Place, to: Place, count: number): Transfer {
  return { src: rank, dst: rank, from, to, count, effect: 'copy' };
}

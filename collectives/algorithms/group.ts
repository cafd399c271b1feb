/**
 * What the phases of algorithms share. A phase, such as a ring reduce-scatter, is a generator of rounds
 * among a group of ranks; algorithms are made of phases, and two-level ones run the phases of several
 * groups side by side.
 *
 * A phase works on blocks of consecutive chunks. Where a rank keeps a block is a parameter (`Where`), so
 * that the same phase serves whole buffers and parts of them. It names members by their index in the
 * group, and blocks by numbers of its own; block i is that of member i if each member has one.
 */
import { modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Transfer } from '../schedule.ts';

export interface Group {
  /** Distinct ranks; a member is named by its index here. */
  readonly ranks: readonly Rank[];
  /** The one rank whose transfers are asked for; all if absent. Phases may make others' too. */
  readonly asked?: Rank | undefined;
}

/** Where `rank` keeps the phase's block number `block`. */
export interface Where {
  (rank: Rank, block: number): Place;
  /** Consecutive blocks lie side by side. Only saves looking at each; absent where it is not known. */
  readonly isRow?: true;
}

/** Blocks that are reduced: afterwards member i has block i, reduced over all members. */
export interface ReducedBlocks {
  /** Chunks of one block. */
  readonly chunks: number;
  /** A rank's contribution. It is read only, unless another of the three is the same place. */
  readonly own: Where;
  /** Where partial sums lie on their way. */
  readonly partial: Where;
  /** Where a member has its own block in the end. May be the same as `partial`. */
  readonly result: Where;
}

/** Blocks that are gathered: afterwards every member has the block of each. */
export interface GatheredBlocks {
  /** Chunks of one block. */
  readonly chunks: number;
  /** Where member i has block i at first. */
  readonly own: Where;
  /** Where every member has all blocks in the end. May be the same as `own`. */
  readonly gathered: Where;
}

/** One vector per rank: reduced, or handed on. */
export interface Vector {
  /** Chunks of it. */
  readonly chunks: number;
  /** Where a rank has its contribution, or the one who hands on has it all. */
  readonly own: (rank: Rank) => Place;
  /** Where partial sums and the result lie. May be the same as `own`. */
  readonly result: (rank: Rank) => Place;
}

/** All ranks of a job, of which one's transfers may be all that is asked for. */
export function everybody(nranks: number, asked?: Rank): Group {
  return { ranks: ranksOf(nranks), asked };
}

/** A transfer from each member to the one `shift` (no multiple of their number) further on, as far as asked for. */
export function shiftedMoves(
  { ranks, asked }: Group,
  shift: number,
  move: (member: number, src: Rank, dst: Rank) => Transfer,
): Transfer[] {
  const members = ranks.length;
  const between = (member: number): Transfer => {
    return move(member, ranks[member] as Rank, ranks[(member + shift) % members] as Rank);
  };
  if (asked === undefined) return ranks.map((_, member) => between(member));
  const own = ranks.indexOf(asked);
  return own < 0 ? [] : [between(own), between(modulo(own - shift, members))];
}

/** All ranks of a job, counted from the root: that is member 0. */
export function rotated(nranks: number, root: Rank): Group {
  return { ranks: ranksOf(nranks).map((distance) => (root + distance) % nranks) };
}

/** Blocks of `chunks` chunks, one after the other from chunk `first` of `buffer` on, on every rank. */
export function blocksOf(buffer: Place['buffer'], chunks: number, first = 0): Where {
  const where = (_: Rank, block: number): Place => ({ buffer, chunk: first + block * chunks });
  return Object.assign(where, { isRow: true as const });
}

/** Blocks of `chunks` chunks, one after the other from a place on that may differ from rank to rank. */
export function blocksAt(first: (rank: Rank) => Place, chunks: number): Where {
  const where = (rank: Rank, block: number): Place => {
    const { buffer, chunk } = first(rank);
    return { buffer, chunk: chunk + block * chunks };
  };
  return Object.assign(where, { isRow: true as const });
}

/** Blocks `first` to `end - 1`. */
export function blockRange(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/** The vector of the collective, from `input` to `buffer`. */
export function vectorIn(buffer: Place['buffer'], chunks: number): Vector {
  return {
    chunks,
    own: () => ({ buffer: 'input', chunk: 0 }),
    result: () => ({ buffer, chunk: 0 }),
  };
}

export interface BlockMove {
  readonly src: Rank;
  readonly dst: Rank;
  /** Chunks of one block. */
  readonly chunks: number;
  readonly from: Where;
  readonly to: Where;
  /** With it, the move reduces. */
  readonly operand?: Where;
}

/** Moves one block. */
export function moveBlock(block: number, move: BlockMove): Transfer {
  const { src, dst, chunks: count, operand } = move;
  const from = move.from(src, block);
  const to = move.to(dst, block);
  if (operand === undefined) return { src, dst, from, to, count, effect: 'copy' };
  return { src, dst, from, to, operand: operand(dst, block), count, effect: 'reduce' };
}

/** Moves blocks, one transfer for each run of them that lies in one piece at both ends. */
export function moveBlocks(
  move: BlockMove & { /** Distinct, in rising order. */ readonly blocks: readonly number[] },
): Transfer[] {
  const { blocks, chunks, from, to, operand } = move;
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (first === undefined || last === undefined) return [];
  const areRows = from.isRow && to.isRow && (operand === undefined || operand.isRow);
  if (areRows && last - first === blocks.length - 1) {
    return [{ ...moveBlock(first, move), count: blocks.length * chunks }];
  }
  const runs: Transfer[] = [];
  let run: Transfer | undefined;
  let count = 0;
  for (const block of blocks) {
    const next = moveBlock(block, move);
    if (run === undefined || !follows(next, run, count)) {
      if (run !== undefined) runs.push({ ...run, count });
      run = next;
      count = 0;
    }
    count += next.count;
  }
  if (run !== undefined) runs.push({ ...run, count });
  return runs;
}

/** Whether `next` begins, at all places, `count` chunks after `run` does. */
function follows(next: Transfer, run: Transfer, count: number): boolean {
  return (
    isAfter(next.from, run.from, count) &&
    isAfter(next.to, run.to, count) &&
    (next.operand === undefined ||
      (run.operand !== undefined && isAfter(next.operand, run.operand, count)))
  );
}

function isAfter(next: Place, place: Place, count: number): boolean {
  return next.buffer === place.buffer && next.chunk === place.chunk + count;
}

/** The local copies of what a rank has at one place and needs at another; none where they are one. */
export function localMoves(
  ranks: readonly Rank[],
  count: number,
  from: (rank: Rank, member: number) => Place,
  to: (rank: Rank, member: number) => Place,
): Transfer[] {
  return ranks.flatMap((rank, member): Transfer[] => {
    const [source, target] = [from(rank, member), to(rank, member)];
    if (source.buffer === target.buffer && source.chunk === target.chunk) return [];
    return [{ src: rank, dst: rank, from: source, to: target, count, effect: 'copy' }];
  });
}

/** The phases of groups that have no rank in common, at the same time: round i is all their rounds i. */
export function* sideBySide(phases: Iterable<Iterable<Round>>): Generator<Round> {
  const running = [...phases].map((phase) => phase[Symbol.iterator]());
  for (;;) {
    const rounds = running.map((phase) => phase.next()).filter(({ done }) => done !== true);
    if (rounds.length === 0) return;
    yield rounds.flatMap(({ value }) => value as Round);
  }
}

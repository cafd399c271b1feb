/**
 * How much every algorithm for a collective must move, whatever it does: out of a group of ranks, into it,
 * and between groups.
 *
 * A message brings, of every element, one value: a copy, or a sum of contributions. So for one element:
 * - if somebody outside of a group must hold what somebody inside contributed, one message at least leaves
 *   the group; and one enters it if somebody inside must hold what somebody outside contributed;
 * - with c groups that contribute and h that must hold, at least c + h - 1 messages go between groups, one
 *   fewer if a group does both. Proof: let x be the first group that has the complete value. Until then
 *   every contributing group but x has sent at least once; these are c messages, or c - 1 if x
 *   contributes. After that, every holding group but x becomes complete by a message of its own, which
 *   arrives later; these are h, or h - 1 if x holds. Least is c + h - 2, if x does both, and c + h - 1 if
 *   none does. (One contributor: it is x. One holder: the messages until x is complete, and one more if x
 *   is another, again give the same.)
 */

import type { ElementCounts } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import type { Rank } from '../../collectives/schedule.ts';

/** Ranks `from` to `to` - 1. */
export interface RankRange {
  readonly from: Rank;
  readonly to: Rank;
}

export interface CollectiveCall {
  readonly collective: CollectiveName;
  readonly nranks: number;
  readonly counts: ElementCounts;
  readonly bytesPerElement: number;
  readonly root: Rank;
}

/** All in bytes. Groups are proper parts of all ranks. */
export interface Traffic {
  readonly out: (group: RankRange) => number;
  readonly into: (group: RankRange) => number;
  /** Groups that together are all ranks, in order; at least two. */
  readonly between: (groups: readonly RankRange[]) => number;
  /** Results of reductions of two operands, on all cards together. */
  readonly reduced: number;
  /** Everybody has to hear of everybody, of whatever size. */
  readonly isBarrier: boolean;
}

export function trafficOf(call: CollectiveCall): Traffic {
  const { collective, nranks } = call;
  const isBarrier = collective === 'barrier';
  return { ...movesOf(call), reduced: reducedBytes(call, nranks), isBarrier };
}

type Moves = Pick<Traffic, 'out' | 'into' | 'between'>;

function movesOf(call: CollectiveCall): Moves {
  const { collective, nranks, root } = call;
  const hasRoot = ({ from, to }: RankRange): boolean => root >= from && root < to;
  switch (collective) {
    case 'allReduce': {
      const vector = vectorBytes(call);
      return everywhere(vector, vector, (groups) => 2 * (groups - 1) * vector);
    }
    case 'broadcast': {
      const vector = vectorBytes(call);
      return {
        out: (group) => (hasRoot(group) ? vector : 0),
        into: (group) => (hasRoot(group) ? 0 : vector),
        between: (groups) => (groups.length - 1) * vector,
      };
    }
    case 'reduce': {
      const vector = vectorBytes(call);
      return {
        out: (group) => (hasRoot(group) ? 0 : vector),
        into: (group) => (hasRoot(group) ? vector : 0),
        between: (groups) => (groups.length - 1) * vector,
      };
    }
    case 'sendRecv': {
      // Everybody sends to the next one: one message leaves a range, and one enters it.
      const vector = vectorBytes(call);
      return everywhere(vector, vector, (groups) => groups * vector);
    }
    case 'allToAll':
    case 'allToAllV':
      return exchange(call);
    case 'barrier':
    case 'custom':
      return everywhere(0, 0, () => 0);
    default:
      return blocks(call, blockSums(call, nranks), hasRoot);
  }
}

function everywhere(out: number, into: number, between: (groups: number) => number): Moves {
  return { out: () => out, into: () => into, between: (groups) => between(groups.length) };
}

/** Those with a block for every rank. */
function blocks(
  { collective }: CollectiveCall,
  sums: Float64Array,
  hasRoot: (group: RankRange) => boolean,
): Moves {
  const all = sums.at(-1) ?? 0;
  const inside = ({ from, to }: RankRange): number => (sums[to] ?? 0) - (sums[from] ?? 0);
  const outside = (group: RankRange): number => all - inside(group);
  const ofOthers = (groups: readonly RankRange[]): number =>
    sum(groups.filter((group) => !hasRoot(group)).map(inside));
  switch (collective) {
    case 'gather':
      return {
        out: (group) => (hasRoot(group) ? 0 : inside(group)),
        into: (group) => (hasRoot(group) ? outside(group) : 0),
        between: ofOthers,
      };
    case 'scatter':
      return {
        out: (group) => (hasRoot(group) ? outside(group) : 0),
        into: (group) => (hasRoot(group) ? 0 : inside(group)),
        between: ofOthers,
      };
    case 'allGather':
    case 'allGatherV':
      return { out: inside, into: outside, between: (groups) => (groups.length - 1) * all };
    default:
      // Reduce-scatter, whose contributions go the other way.
      return { out: outside, into: inside, between: (groups) => (groups.length - 1) * all };
  }
}

/** From each to each. */
function exchange(call: CollectiveCall): Moves {
  const { counts, nranks, bytesPerElement } = call;
  if (typeof counts === 'number') {
    const block = (counts / nranks) * bytesPerElement;
    const crossing = ({ from, to }: RankRange): number =>
      (to - from) * (nranks - (to - from)) * block;
    return { out: crossing, into: crossing, between: (groups) => sum(groups.map(crossing)) };
  }
  const crossing = (group: RankRange, isOut: boolean): number => {
    let elements = 0;
    for (let inner = group.from; inner < group.to; inner += 1) {
      for (let other = 0; other < nranks; other += 1) {
        if (other >= group.from && other < group.to) continue;
        elements += counts[isOut ? inner * nranks + other : other * nranks + inner] ?? 0;
      }
    }
    return elements * bytesPerElement;
  };
  return {
    out: (group) => crossing(group, true),
    into: (group) => crossing(group, false),
    between: (groups) => sum(groups.map((group) => crossing(group, true))),
  };
}

function vectorBytes({ counts, bytesPerElement }: CollectiveCall): number {
  return (typeof counts === 'number' ? counts : sum(counts)) * bytesPerElement;
}

/** Bytes of the blocks of all ranks before each. */
function blockSums({ counts, bytesPerElement }: CollectiveCall, nranks: number): Float64Array {
  const sums = new Float64Array(nranks + 1);
  for (let rank = 0; rank < nranks; rank += 1) {
    const count = typeof counts === 'number' ? counts : (counts[rank] ?? 0);
    sums[rank + 1] = (sums[rank] ?? 0) + count * bytesPerElement;
  }
  return sums;
}

/** n contributions become one by n - 1 reductions, wherever they are. */
function reducedBytes(call: CollectiveCall, nranks: number): number {
  switch (call.collective) {
    case 'allReduce':
    case 'reduce':
      return (nranks - 1) * vectorBytes(call);
    case 'reduceScatter':
    case 'reduceScatterV':
      return (nranks - 1) * (blockSums(call, nranks).at(-1) ?? 0);
    default:
      return 0;
  }
}

function sum(some: readonly number[]): number {
  return some.reduce((total, one) => total + one, 0);
}

/**
 * The phases that run among any group of ranks, by the name of their algorithm: what a two-level
 * algorithm can be made of.
 */
import { isPowerOfTwo } from '../../common/math.ts';
import type { Round, Turning } from '../schedule.ts';
import { treeBroadcastPhase, treeReducePhase } from './binomial-tree.ts';
import { chainBroadcastPhase, chainReducePhase } from './chain.ts';
import { directAllGatherPhase, directReduceScatterPhase } from './direct.ts';
import { directAllToAllPhase, type ExchangedBlocks } from './direct-all-to-all.ts';
import type { GatheredBlocks, Group, ReducedBlocks, Vector } from './group.ts';
import { neighbourAllGatherPhase } from './neighbour-exchange.ts';
import { pairwiseAllToAllPhase, pairwiseReduceScatterPhase } from './pairwise-exchange.ts';
import { doublingAllGatherPhase, doublingAllReducePhase } from './recursive-doubling.ts';
import { halvingReduceScatterPhase } from './recursive-halving.ts';
import { ringAllGatherPhase, ringReduceScatterPhase } from './ring.ts';

/** What each phase does its work on. Of a rooted one, member 0 is the root. */
interface Work {
  readonly reduceScatter: ReducedBlocks;
  readonly allGather: GatheredBlocks;
  readonly allReduce: Vector;
  readonly broadcast: Vector;
  readonly reduce: Vector;
  readonly allToAll: ExchangedBlocks;
}

export type PhaseName = keyof Work;

export type Phase<Name extends PhaseName> = (group: Group, work: Work[Name]) => Iterable<Round>;

interface GroupAlgorithm {
  /** Whether a group may have so many members. */
  readonly fits: (members: number) => boolean;
  /** How members may be renumbered so that all do the same as before. */
  readonly turning: (members: number) => Turning;
  readonly phases: { readonly [Name in PhaseName]?: Phase<Name> };
}

const anyNumber = (): boolean => true;
const byRotation = (): Turning => 'rotation';
const byExchange = (): Turning => 'exchange';
const notAtAll = (): Turning => 'none';

/** By name in the table. */
const GROUP_ALGORITHMS: Readonly<Record<string, GroupAlgorithm>> = {
  ring: {
    fits: anyNumber,
    turning: byRotation,
    phases: { reduceScatter: ringReduceScatterPhase, allGather: ringAllGatherPhase },
  },
  direct: {
    fits: anyNumber,
    turning: byRotation,
    phases: {
      reduceScatter: directReduceScatterPhase,
      allGather: directAllGatherPhase,
      allToAll: directAllToAllPhase,
    },
  },
  pairwiseExchange: {
    fits: anyNumber,
    turning: (members) => (isPowerOfTwo(members) ? 'exchange' : 'rotation'),
    phases: { reduceScatter: pairwiseReduceScatterPhase, allToAll: pairwiseAllToAllPhase },
  },
  binomialTree: {
    fits: anyNumber,
    turning: notAtAll,
    phases: { broadcast: treeBroadcastPhase, reduce: treeReducePhase },
  },
  chain: {
    fits: anyNumber,
    turning: notAtAll,
    phases: { broadcast: chainBroadcastPhase, reduce: chainReducePhase },
  },
  recursiveDoubling: {
    fits: isPowerOfTwo,
    turning: byExchange,
    phases: { allReduce: doublingAllReducePhase, allGather: doublingAllGatherPhase },
  },
  recursiveHalving: {
    fits: isPowerOfTwo,
    turning: byExchange,
    phases: { reduceScatter: halvingReduceScatterPhase },
  },
  halvingDoubling: {
    fits: isPowerOfTwo,
    turning: byExchange,
    phases: { reduceScatter: halvingReduceScatterPhase, allGather: doublingAllGatherPhase },
  },
  neighbourExchange: {
    fits: (members) => members === 1 || members % 2 === 0,
    turning: notAtAll,
    phases: { allGather: neighbourAllGatherPhase },
  },
};

/** All names, for tests and messages. */
export const GROUP_ALGORITHM_NAMES: readonly string[] = Object.keys(GROUP_ALGORITHMS);

/** The phase of the algorithm `name` for groups of `members`; `undefined` if it has none. */
export function phaseOf<Name extends PhaseName>(
  name: string,
  phase: Name,
  members: number,
): Phase<Name> | undefined {
  const algorithm = GROUP_ALGORITHMS[name];
  return algorithm?.fits(members) === true ? algorithm.phases[phase] : undefined;
}

/** How the members of a group that runs the algorithm may be renumbered. */
export function turningOf(name: string, members: number): Turning {
  return GROUP_ALGORITHMS[name]?.turning(members) ?? 'none';
}

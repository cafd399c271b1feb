/**
 * The phases that run among any group of ranks, by the name of their algorithm: what a two-level
 * algorithm can be made of.
 */
import { isPowerOfTwo } from '../../common/math.ts';
import type { Round } from '../schedule.ts';
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
  readonly phases: { readonly [Name in PhaseName]?: Phase<Name> };
}

const anyNumber = (): boolean => true;

/** By name in the table. */
const GROUP_ALGORITHMS: Readonly<Record<string, GroupAlgorithm>> = {
  ring: {
    fits: anyNumber,
    phases: { reduceScatter: ringReduceScatterPhase, allGather: ringAllGatherPhase },
  },
  direct: {
    fits: anyNumber,
    phases: {
      reduceScatter: directReduceScatterPhase,
      allGather: directAllGatherPhase,
      allToAll: directAllToAllPhase,
    },
  },
  pairwiseExchange: {
    fits: anyNumber,
    phases: { reduceScatter: pairwiseReduceScatterPhase, allToAll: pairwiseAllToAllPhase },
  },
  binomialTree: {
    fits: anyNumber,
    phases: { broadcast: treeBroadcastPhase, reduce: treeReducePhase },
  },
  chain: {
    fits: anyNumber,
    phases: { broadcast: chainBroadcastPhase, reduce: chainReducePhase },
  },
  recursiveDoubling: {
    fits: isPowerOfTwo,
    phases: { allReduce: doublingAllReducePhase, allGather: doublingAllGatherPhase },
  },
  recursiveHalving: {
    fits: isPowerOfTwo,
    phases: { reduceScatter: halvingReduceScatterPhase },
  },
  halvingDoubling: {
    fits: isPowerOfTwo,
    phases: { reduceScatter: halvingReduceScatterPhase, allGather: doublingAllGatherPhase },
  },
  neighbourExchange: {
    fits: (members) => members === 1 || members % 2 === 0,
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

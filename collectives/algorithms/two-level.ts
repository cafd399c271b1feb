/**
 * What two-level algorithms share: the groups of a topology, and which algorithm runs inside the boxes
 * and which across them.
 */
import { assert, defined } from '../../common/assert.ts';
import { modulo, ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Rank, Round, ScheduleOptions, Turning } from '../schedule.ts';
import { flatTopology, ranksIn } from '../topology.ts';
import type { Group } from './group.ts';
import { type Phase, type PhaseName, phaseOf, turningOf } from './group-algorithms.ts';

/** Ranks by box and by index in their box. */
export interface Levels {
  readonly boxes: number;
  /** Ranks per box. */
  readonly size: number;
  /** By box: its ranks, by index. */
  readonly inside: readonly Group[];
  /** By index: the ranks that have it, by box. */
  readonly across: readonly Group[];
  boxOf(rank: Rank): number;
  indexOf(rank: Rank): number;
  /** All boxes from `box` backwards: in the order in which a ring across brings their data. */
  boxesFrom(box: number): number[];
}

/** As far as `asked` has to do with it, if one rank's transfers are all that is asked for. */
export function levelsOf(
  { nranks, topology = flatTopology(nranks) }: ScheduleOptions,
  asked?: Rank,
): Levels {
  const { boxes, ranksPerBox: size } = topology;
  assert(
    ranksIn(topology) === nranks,
    `Expected a topology of ${nranks} ranks but found ${boxes} boxes of ${size}`,
  );
  return {
    boxes,
    size,
    inside: ranksOf(boxes).map((box) => ({
      ranks: ranksOf(size).map((index) => box * size + index),
      asked,
    })),
    across: ranksOf(size).map((index) => ({
      ranks: ranksOf(boxes).map((box) => box * size + index),
      asked,
    })),
    boxOf: (rank) => Math.floor(rank / size),
    indexOf: (rank) => rank % size,
    boxesFrom: (box) => ranksOf(boxes).map((distance) => modulo(box - distance, boxes)),
  };
}

/** The group with `member` first, and the others after it as they come. */
export function beginningWith({ ranks }: Group, member: number): Group {
  return { ranks: [...ranks.slice(member), ...ranks.slice(0, member)] };
}

/** Phases one after the other. */
export function* inTurn(phases: Iterable<Iterable<Round>>): Generator<Round> {
  for (const phase of phases) yield* phase;
}

type TwoLevelCollective =
  | 'allReduce'
  | 'allGather'
  | 'reduceScatter'
  | 'broadcast'
  | 'reduce'
  | 'allToAll';

/** Of each level, sets of phases of which one must be there; and what is taken if nothing is named. */
interface Needs {
  readonly inside: readonly (readonly PhaseName[])[];
  readonly across: readonly (readonly PhaseName[])[];
  readonly insideUnlessNamed: string;
  readonly acrossUnlessNamed: string;
}

const NEEDS: Readonly<Record<TwoLevelCollective, Needs>> = {
  allReduce: {
    inside: [
      ['reduceScatter', 'allGather'],
      ['allReduce', 'allGather'],
      ['reduce', 'broadcast'],
    ],
    across: [['allReduce'], ['reduceScatter', 'allGather']],
    insideUnlessNamed: 'direct',
    acrossUnlessNamed: 'ring',
  },
  allGather: bothLevels('allGather', 'direct', 'ring'),
  reduceScatter: bothLevels('reduceScatter', 'direct', 'ring'),
  broadcast: bothLevels('broadcast', 'binomialTree', 'binomialTree'),
  reduce: bothLevels('reduce', 'binomialTree', 'binomialTree'),
  allToAll: bothLevels('allToAll', 'direct', 'pairwiseExchange'),
};

function bothLevels(phase: PhaseName, inside: string, across: string): Needs {
  return {
    inside: [[phase]],
    across: [[phase]],
    insideUnlessNamed: inside,
    acrossUnlessNamed: across,
  };
}

/** The algorithm of one level, for groups of its size. */
export interface LevelAlgorithm {
  readonly name: string;
  readonly members: number;
  /** How its members may be renumbered so that all do the same as before. */
  readonly turning: Turning;
  has(phase: PhaseName): boolean;
  /** The phase, which must be there. */
  phase<Name extends PhaseName>(name: Name): Phase<Name>;
}

export interface TwoLevelParts {
  readonly inside: LevelAlgorithm;
  readonly across: LevelAlgorithm;
}

/** The parts of `collective` by the names of the options; `undefined` if one cannot do what it has to. */
export function partsOf(
  collective: CollectiveName,
  options: ScheduleOptions,
): TwoLevelParts | undefined {
  const needs = NEEDS[withoutV(collective)];
  const { boxes, size } = levelsOf(options);
  const inside = levelAlgorithm(options.inside ?? needs.insideUnlessNamed, size);
  const across = levelAlgorithm(options.across ?? needs.acrossUnlessNamed, boxes);
  const suits = (level: LevelAlgorithm, sets: readonly (readonly PhaseName[])[]): boolean =>
    sets.some((set) => set.every((phase) => level.has(phase)));
  return suits(inside, needs.inside) && suits(across, needs.across)
    ? { inside, across }
    : undefined;
}

/** As `partsOf`, of options that have been checked. */
export function definedParts(collective: CollectiveName, options: ScheduleOptions): TwoLevelParts {
  return defined(partsOf(collective, options), `phases of ${collective} inside and across`);
}

function levelAlgorithm(name: string, members: number): LevelAlgorithm {
  return {
    name,
    members,
    turning: turningOf(name, members),
    has: (phase) => phaseOf(name, phase, members) !== undefined,
    phase: (phase) => defined(phaseOf(name, phase, members), `a ${phase} of ${name}`),
  };
}

function withoutV(collective: CollectiveName): TwoLevelCollective {
  const name = collective.replace(/V$/, '');
  assert(name in NEEDS, `Expected a two-level collective but found ${collective}`);
  return name as TwoLevelCollective;
}

/** The one list of algorithms. Tests, tuner, bench, command-line help and docs go through it. */
import { HlsimError } from '../common/errors.ts';
import { binomialTreeBroadcast } from './algorithms/binomial-tree.ts';
import { recursiveDoublingAllReduce } from './algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from './algorithms/ring.ts';
import { COLLECTIVES, type CollectiveName } from './collective.ts';
import type { Rank, Schedule, ScheduleOptions } from './schedule.ts';
import { ranksIn, type Topology } from './topology.ts';

/** Something that a call must satisfy. */
export interface Restriction {
  /** Completes "ring allReduce needs ...". */
  readonly needs: string;
  readonly holds: (options: ScheduleOptions) => boolean;
}

export interface AlgorithmRow {
  /** Unique within a collective. */
  readonly name: string;
  readonly collectives: readonly CollectiveName[];
  readonly restrictions: readonly Restriction[];
  readonly build: (options: ScheduleOptions) => Schedule;
  /** One sentence for help texts. */
  readonly summary: string;
}

export const ALGORITHMS: readonly AlgorithmRow[] = [
  {
    name: 'ring',
    collectives: ['allReduce'],
    restrictions: [
      {
        needs: 'a number of chunks that is a multiple of the number of ranks',
        holds: ({ nranks, chunks = nranks }) => chunks % nranks === 0,
      },
    ],
    build: ringAllReduce,
    summary: 'Reduce-scatter, then all-gather, around a ring: fewest bytes, most rounds',
  },
  {
    name: 'recursiveDoubling',
    collectives: ['allReduce'],
    restrictions: [],
    build: recursiveDoublingAllReduce,
    summary: 'Partners at distance 1, 2, 4, ... exchange whole vectors: fewest rounds, most bytes',
  },
  {
    name: 'ring',
    collectives: ['allGather'],
    restrictions: [],
    build: ringAllGather,
    summary: 'Every contribution goes once around a ring: fewest bytes, most rounds',
  },
  {
    name: 'binomialTree',
    collectives: ['broadcast'],
    restrictions: [],
    build: binomialTreeBroadcast,
    summary: 'The ranks that have the vector double from round to round',
  },
];

export interface BuildRequest {
  readonly collective: CollectiveName;
  /** `name` of a row. */
  readonly algorithm: string;
  readonly topology: Topology;
  /** Root of a rooted collective; 0 if absent. */
  readonly root?: Rank;
  /** Chunks of one contribution; the algorithm's own choice if absent. */
  readonly chunks?: number;
}

/** Names of the algorithms that do `collective`. */
export function algorithmsFor(collective: CollectiveName): string[] {
  return ALGORITHMS.filter((row) => row.collectives.includes(collective)).map(({ name }) => name);
}

/** Throws `HLSIM_USAGE` for a name, root or number of chunks that there is no schedule for. */
export function buildSchedule(request: BuildRequest): Schedule {
  const { collective, algorithm, topology, root = 0, chunks } = request;
  const row = rowFor(collective, algorithm);
  const nranks = ranksIn(topology);
  expectInteger('ranks', nranks, 1);
  expectInteger('root', root, 0, nranks - 1);
  if (chunks !== undefined) expectInteger('chunks', chunks, 1);
  const options: ScheduleOptions = { nranks, root, ...(chunks === undefined ? {} : { chunks }) };
  const broken = row.restrictions.find(({ holds }) => !holds(options));
  if (broken === undefined) return row.build(options);
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected ${broken.needs} for ${algorithm} ${collective} but found ${nranks} ranks and ` +
      `${chunks ?? 'default'} chunks: change it or use one of ${algorithmsFor(collective).join(', ')}`,
    { fields: { collective, algorithm, nranks, chunks } },
  );
}

function rowFor(collective: CollectiveName, algorithm: string): AlgorithmRow {
  if (!COLLECTIVES.includes(collective)) {
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected a collective of ${COLLECTIVES.join(', ')} but found ${collective}`,
      { fields: { collective } },
    );
  }
  const row = ALGORITHMS.find(
    ({ name, collectives }) => name === algorithm && collectives.includes(collective),
  );
  if (row !== undefined) return row;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected an algorithm for ${collective} but found ${algorithm}: ` +
      `use one of ${algorithmsFor(collective).join(', ')}`,
    { fields: { collective, algorithm } },
  );
}

function expectInteger(
  what: string,
  value: number,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const range =
    most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new HlsimError('HLSIM_USAGE', `Expected ${what} ${range} but found ${value}`, {
    fields: { [what]: value },
  });
}

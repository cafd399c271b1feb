/** Looks up the one list of algorithms. Tests, tuner, bench, command-line help and docs go through it. */
import { HlsimError } from '../common/errors.ts';
import type { AlgorithmOptions, AlgorithmRow } from './algorithm-row.ts';
import { ALGORITHMS } from './algorithms.ts';
import { onChannels } from './channels.ts';
import { COLLECTIVES, type CollectiveName } from './collective.ts';
import type { Rank, Schedule, ScheduleOptions } from './schedule.ts';
import { ranksIn, type Topology } from './topology.ts';

export interface BuildRequest {
  readonly collective: CollectiveName;
  /** `name` of a row; a two-level one may name its parts: `hierarchical(direct,ring)`. */
  readonly algorithm: string;
  readonly topology: Topology;
  /** Root of a rooted collective; 0 if absent. */
  readonly root?: Rank;
  /** Chunks of one block; the algorithm's own choice if absent. */
  readonly chunks?: number;
  /** Copies of the algorithm that run side by side, each on its part of the data; 1 if absent. */
  readonly channels?: number;
  /** `outOfPlace` if absent. */
  readonly placement?: ScheduleOptions['placement'];
}

/** Names of the algorithms that do `collective`. */
export function algorithmsFor(collective: CollectiveName): string[] {
  return ALGORITHMS.filter((row) => row.collectives.includes(collective)).map(({ name }) => name);
}

/** Throws `HLSIM_USAGE` for a name, root or number of chunks that there is no schedule for. */
export function buildSchedule(request: BuildRequest): Schedule {
  const { collective, algorithm, channels = 1 } = request;
  expectBuildable(request);
  return onChannels(rowFor(collective, algorithm).build(optionsOf(request)), channels);
}

/** Throws what `buildSchedule` would. */
export function expectBuildable(request: BuildRequest): void {
  const { collective, algorithm, topology, channels = 1, chunks } = request;
  const row = rowFor(collective, algorithm);
  expectInteger('channels', channels, 1);
  const options = optionsOf(request);
  const broken = row.restrictions.find(({ holds }) => !holds(options));
  if (broken === undefined) return;
  const nranks = ranksIn(topology);
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected ${broken.needs} for ${algorithm} ${collective} but found ${nranks} ranks in ` +
      `${topology.boxes} boxes and ${chunks ?? 'default'} chunks: change it or use one of ` +
      algorithmsFor(collective).join(', '),
    { fields: { collective, algorithm, nranks, chunks } },
  );
}

/** The row of an algorithm, by its name without the parts. Throws `HLSIM_USAGE` if there is none. */
export function rowFor(collective: CollectiveName, algorithm: string): AlgorithmRow {
  if (!COLLECTIVES.includes(collective)) {
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected a collective of ${COLLECTIVES.join(', ')} but found ${collective}`,
      { fields: { collective } },
    );
  }
  const { name } = partsOf(algorithm);
  const row = ALGORITHMS.find(
    (candidate) => candidate.name === name && candidate.collectives.includes(collective),
  );
  if (row !== undefined) return row;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected an algorithm for ${collective} but found ${algorithm}: ` +
      `use one of ${algorithmsFor(collective).join(', ')}`,
    { fields: { collective, algorithm } },
  );
}

/** What a row is asked with. Throws `HLSIM_USAGE` for numbers out of range. */
export function optionsOf(request: BuildRequest): AlgorithmOptions {
  const { collective, algorithm, topology, root = 0, chunks, placement } = request;
  const nranks = ranksIn(topology);
  expectInteger('ranks', nranks, 1);
  expectInteger('root', root, 0, nranks - 1);
  if (chunks !== undefined) expectInteger('chunks', chunks, 1);
  const { inside, across } = partsOf(algorithm);
  return {
    collective,
    nranks,
    root,
    topology,
    ...(chunks === undefined ? {} : { chunks }),
    ...(placement === undefined ? {} : { placement }),
    ...(inside === undefined ? {} : { inside }),
    ...(across === undefined ? {} : { across }),
  };
}

interface AlgorithmParts {
  readonly name: string;
  readonly inside?: string | undefined;
  readonly across?: string | undefined;
}

/** `hierarchical(direct,ring)` in its parts; any other text is a name. */
function partsOf(algorithm: string): AlgorithmParts {
  const [, name, inside, across] = /^(\w+)\((\w+),(\w+)\)$/.exec(algorithm) ?? [];
  return name === undefined ? { name: algorithm } : { name, inside, across };
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

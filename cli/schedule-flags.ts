/** Flags that say which schedule is meant, and the schedule that they mean. */
import { BLOCKS, type CollectiveName } from '../collectives/collective.ts';
import { COLLECTIVE_WORDS, collectiveOfWord } from '../collectives/names.ts';
import type { Schedule } from '../collectives/schedule.ts';
import type { BuildRequest } from '../collectives/table.ts';
import type { Topology } from '../collectives/topology.ts';
import { type FlagValues, optional, usageError, withDefault } from './flags.ts';
import { integer, text } from './readers.ts';

/** More ranks than this have too many messages for a person, and for most algorithms. */
export const RANKS_MAX = 1024;
const CHANNELS_MAX = 64;
const CHUNKS_MAX = 4096;
/** Messages of a schedule that is taken apart here: all-to-all of 512 ranks, say. */
const TRANSFERS_MAX = 300_000;

/** The collectives, for help texts. */
export const COLLECTIVES_HELP = Object.keys(COLLECTIVE_WORDS).join(', ');

export const scheduleFlags = {
  ranks: withDefault('4', {
    name: 'ranks',
    value: '<n>',
    description: 'ranks of the communicator',
    reader: integer(1, RANKS_MAX),
  }),
  boxes: optional({
    name: 'boxes',
    value: '<n>',
    description:
      'boxes that the ranks are in, the same number in each; a box per rank unless given',
    reader: integer(1, RANKS_MAX),
  }),
  root: withDefault('0', {
    name: 'root',
    value: '<rank>',
    description: 'root of a collective that has one',
    reader: integer(0, RANKS_MAX - 1),
  }),
  channels: withDefault('1', {
    name: 'channels',
    value: '<n>',
    description: 'copies of the algorithm side by side, each with its part of the data',
    reader: integer(1, CHANNELS_MAX),
  }),
  chunks: optional({
    name: 'chunks',
    value: '<n>',
    description: "chunks that a block is cut into; the algorithm's own number unless given",
    reader: integer(1, CHUNKS_MAX),
  }),
} as const;

export const algorithmFlag = {
  name: 'algorithm',
  value: '<name>',
  reader: text('the name of an algorithm'),
} as const;

type ScheduleFlagValues = FlagValues<typeof scheduleFlags>;

/** @throws HlsimError `HLSIM_USAGE` if no collective has this name */
export function readCollective(word: string): CollectiveName {
  const collective = collectiveOfWord(word);
  if (collective !== undefined) return collective;
  throw usageError(
    `Expected the collective to be one of ${COLLECTIVES_HELP} but found ${JSON.stringify(word)}`,
  );
}

/** What the flags ask for, but for the algorithm. */
export function scheduleRequest(
  collective: CollectiveName,
  flags: ScheduleFlagValues,
): Omit<BuildRequest, 'algorithm'> {
  const { root, channels, chunks } = flags;
  if (root !== 0 && !BLOCKS[collective].rooted) {
    throw usageError(`Expected --root only with a collective that has a root but found ${root}`);
  }
  return {
    collective,
    topology: topologyOf(flags),
    root,
    channels,
    ...(chunks === undefined ? {} : { chunks }),
  };
}

export interface ScheduleSize {
  readonly rounds: number;
  readonly channels: number;
  /** Messages and local moves. */
  readonly transfers: number;
}

/** Throws `HLSIM_USAGE` for more than can be shown. */
export function sizeOfSchedule(schedule: Schedule): ScheduleSize {
  let [rounds, channels, transfers] = [0, 1, 0];
  for (const round of schedule.rounds()) {
    rounds++;
    transfers += round.length;
    for (const { channel = 0 } of round) channels = Math.max(channels, channel + 1);
    if (transfers > TRANSFERS_MAX) {
      throw usageError(
        `Expected a schedule of at most ${TRANSFERS_MAX} messages but ${schedule.algorithm} ` +
          `${schedule.collective} on ${schedule.nranks} ranks has more: ask for fewer ranks, channels or chunks`,
      );
    }
  }
  return { rounds, channels, transfers };
}

function topologyOf({ ranks, boxes = ranks }: ScheduleFlagValues): Topology {
  if (ranks % boxes === 0) return { boxes, ranksPerBox: ranks / boxes };
  throw usageError(
    `Expected --boxes to be a divisor of --ranks ${ranks} but found ${boxes}: boxes are alike`,
  );
}

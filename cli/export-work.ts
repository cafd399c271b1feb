/** What `hlsim export` is asked for: programs that are proved, and the counts of the call. */

import { withExplicitOrder } from '../collectives/explicit-order.ts';
import { wordOfCollective } from '../collectives/names.ts';
import { countsOfProblem, problemElements } from '../collectives/problem-size.ts';
import { algorithmsFor, buildSchedule } from '../collectives/table.ts';
import { defined } from '../common/assert.ts';
import { HlsimError } from '../common/errors.ts';
import type { ExportRequest } from '../timing/export/operations.ts';
import { type FlagValues, usageError } from './flags.ts';
import { readScheduleFile } from './schedule-file.ts';
import {
  readCollective,
  type scheduleFlags,
  scheduleRequest,
  sizeOfSchedule,
} from './schedule-flags.ts';
import { judgeSchedule } from './schedule-verdict.ts';
import { counted } from './wording.ts';

/** Elements are what nccl-tests sends unless told otherwise. */
const FLOAT_BYTES = 4;

export interface ExportWish extends FlagValues<typeof scheduleFlags> {
  readonly algorithm: string | undefined;
  readonly schedule: string | undefined;
  readonly size: number;
  readonly memoryRate: number;
}

export interface Exported {
  readonly request: ExportRequest;
  /** `ring all_reduce, 8 ranks`. */
  readonly title: string;
  readonly nranks: number;
  /** At most those that were asked for: what can be dealt to the ranks. */
  readonly bytes: number;
}

/** @throws HlsimError `HLSIM_USAGE`, `HLSIM_PROGRAM_UNREADABLE`, `HLSIM_SCHEDULE_REFUTED` */
export async function exportOf(word: string | undefined, wish: ExportWish): Promise<Exported> {
  if ((word === undefined) === (wish.schedule === undefined)) {
    const both = word === undefined ? 'neither' : 'both';
    throw usageError(`Expected a collective or --schedule but found ${both}`);
  }
  return wish.schedule === undefined
    ? exportAlgorithm(word ?? '', wish)
    : exportFile(wish.schedule, wish);
}

function exportAlgorithm(word: string, wish: ExportWish): Exported {
  const collective = readCollective(word);
  const { algorithm } = wish;
  if (algorithm === undefined) {
    const names = algorithmsFor(collective).join(', ');
    throw usageError(`Expected --algorithm <name> (one of ${names}) but found none: add it`);
  }
  const schedule = buildSchedule({ ...scheduleRequest(collective, wish), algorithm });
  sizeOfSchedule(schedule);
  return exported(`${algorithm} ${word}`, { work: schedule }, schedule, wish, 1);
}

async function exportFile(path: string, wish: ExportWish): Promise<Exported> {
  if (wish.algorithm !== undefined) {
    throw usageError('Expected --schedule without --algorithm, which it decides, but found both');
  }
  const file = await readScheduleFile(path);
  const { proved, objection, placements } = judgeSchedule(file);
  if (!proved) {
    const why = objection ?? placements.flatMap(({ findings }) => findings)[0]?.message;
    throw new HlsimError(
      'HLSIM_SCHEDULE_REFUTED',
      `Expected --schedule to name a schedule that is proved but found it refuted: ${why}: see hlsim verify ${path}`,
    );
  }
  const { name, collective, equalChunks } = file;
  const inPlace = !file.placements.includes('outOfPlace');
  // What overlaps where is known of calls out of place; in place, steps go in turn.
  const order = inPlace ? 'inTurn' : 'overlapping';
  const work = withExplicitOrder(file.programs, { inPlace });
  const shape = defined(work[0], 'the program of rank 0');
  const title = `${name === '' ? path : name} ${wordOfCollective(collective)}`;
  return exported(title, { work, order }, shape, wish, equalChunks ? shape.chunks : 1);
}

function exported(
  title: string,
  work: Pick<ExportRequest, 'work' | 'order'>,
  shape: Parameters<typeof countsOfProblem>[0],
  { size, memoryRate }: ExportWish,
  multipleOf: number,
): Exported {
  const { nranks } = shape;
  const counts = countsOfProblem(shape, Math.floor(size / FLOAT_BYTES), multipleOf);
  const call = { counts, bytesPerElement: FLOAT_BYTES, memoryBytesPerSecond: memoryRate };
  return {
    request: { ...work, ...call },
    title: `${title}, ${counted(nranks, 'rank')}`,
    nranks,
    bytes: problemElements(shape, counts) * FLOAT_BYTES,
  };
}

/** The schedule file of `hlsim bench --schedule`: whether it can be run, told before any process starts. */
import type { BenchOptions } from '../bench/options.ts';
import { BLOCKS } from '../collectives/collective.ts';
import type { MscclSchedule } from '../collectives/msccl/read.ts';
import { writeMscclXml } from '../collectives/msccl/write.ts';
import { COLLECTIVE_WORDS, type CollectiveWord, wordOfCollective } from '../collectives/names.ts';
import { HlsimError } from '../common/errors.ts';
import { HLCP_MESSAGE_BYTES_MAX } from '../coordinator/hlcp/messages.ts';
import { DEPTH_MAX } from '../node/hccl/lanes.ts';
import { usageError } from './flags.ts';
import { readScheduleFile } from './schedule-file.ts';
import { judgeSchedule, PLACEMENT_WORDS } from './schedule-verdict.ts';

/** A schedule travels in one control message, inside other text. */
const SCHEDULE_BYTES_MAX = HLCP_MESSAGE_BYTES_MAX / 2;

export interface ScheduleRequest {
  readonly collective: CollectiveWord;
  /** Absent: no schedule, but what HCCL picks. */
  readonly path: string | undefined;
  readonly root: number;
  /** Absent: not known yet. */
  readonly nranks: number | undefined;
}

type ScheduleOptions = Pick<BenchOptions, 'schedule' | 'countMultiple' | 'places'>;

/**
 * @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` for what is no schedule, `HLSIM_USAGE` for one that is not
 * for this sweep, `HLSIM_SCHEDULE_REFUTED` for one that is wrong
 */
export async function scheduleOf(request: ScheduleRequest): Promise<ScheduleOptions> {
  const { path } = request;
  if (path === undefined) return { countMultiple: 1, places: ['outOfPlace', 'inPlace'] };
  const file = await readScheduleFile(path);
  checkFits(file, request);
  checkProved(file, path);
  const schedule = writeMscclXml(file.document);
  if (schedule.length > SCHEDULE_BYTES_MAX) {
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a schedule of at most ${SCHEDULE_BYTES_MAX} bytes to run but found ${schedule.length}`,
    );
  }
  const countMultiple = file.equalChunks ? (file.programs[0]?.chunks ?? 1) : 1;
  return { schedule, countMultiple, places: [...file.placements] };
}

function checkFits(file: MscclSchedule, { collective: word, root, nranks }: ScheduleRequest): void {
  if (file.objection !== undefined) {
    throw refuted(`Expected --schedule to name a sound schedule but found: ${file.objection}`);
  }
  const collective = COLLECTIVE_WORDS[word];
  if (file.collective !== collective) {
    throw usageError(
      `Expected --schedule to name a file for ${word} but found one for ${wordOfCollective(file.collective)}`,
    );
  }
  if (nranks !== undefined && nranks !== file.nranks) {
    throw usageError(
      `Expected ${file.nranks} ranks, which the schedule is for, but found ${nranks}: start so many hosts times devices`,
    );
  }
  const rootOfFile = file.programs[0]?.root;
  if (BLOCKS[collective].rooted && rootOfFile !== root) {
    throw usageError(
      `Expected -r, --root ${rootOfFile}, which the schedule is for, but found ${root}`,
    );
  }
}

/** Its connections may hold as many messages as the engine has room for. */
function checkProved(file: MscclSchedule, path: string): void {
  const { placements, smallestDepth } = judgeSchedule(file, DEPTH_MAX);
  const broken = placements.find(({ proved }) => !proved);
  if (broken === undefined) return;
  const why =
    smallestDepth !== undefined && smallestDepth > DEPTH_MAX
      ? `it needs connections that hold ${smallestDepth} messages, of which there are at most ${DEPTH_MAX}`
      : (broken.findings[0]?.message ?? 'no finding');
  throw refuted(
    `Expected --schedule to name a schedule that is proved but found it refuted ${PLACEMENT_WORDS[broken.placement]}: ${why}: see hlsim verify ${path}`,
  );
}

function refuted(message: string): HlsimError {
  return new HlsimError('HLSIM_SCHEDULE_REFUTED', message);
}

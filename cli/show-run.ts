/** What `hlsim show` prints of a schedule: who holds what after each round, and the programs. */
import { BLOCKS } from '../collectives/collective.ts';
import { cellsShown, type DrawingOptions, usualPlacement } from '../collectives/drawing.ts';
import { lower, lowerAll } from '../collectives/lower.ts';
import { mscclDocument } from '../collectives/msccl/from-programs.ts';
import { writeMscclXml } from '../collectives/msccl/write.ts';
import { wordOfCollective } from '../collectives/names.ts';
import { drawSchedule, PICTURE_MARKS_MAX, pictureMarks } from '../collectives/picture.ts';
import { printSchedule } from '../collectives/print.ts';
import { printProgram } from '../collectives/print-program.ts';
import type { Program } from '../collectives/program.ts';
import type { Schedule } from '../collectives/schedule.ts';
import { type BuildRequest, buildSchedule, rowFor } from '../collectives/table.ts';
import { usageError } from './flags.ts';
import { type ScheduleSize, sizeOfSchedule } from './schedule-flags.ts';
import { counted } from './wording.ts';

/** Cells of a drawing in text: above that the lines are wider than any screen. */
const CELLS_MAX = 20_000;
/** Lines of all programs together; the programs of more are shown one at a time. */
const PROGRAM_LINES_MAX = 400;

/** A schedule as it was asked for. */
export interface Shown extends ScheduleSize {
  readonly request: BuildRequest;
  readonly schedule: Schedule;
  readonly placement: 'inPlace' | 'outOfPlace';
}

/** Throws `HLSIM_USAGE` for a schedule that there is not, or that is too large. */
export function scheduleToShow(
  request: BuildRequest,
  placement = usualPlacement(request.collective),
): Shown {
  const schedule = buildSchedule({ ...request, placement });
  return { request, schedule, placement, ...sizeOfSchedule(schedule) };
}

/** The whole text: what it is, who holds what, the programs. */
export function showLines(shown: Shown): string[] {
  return [...headingLines(shown), '', ...holdingLines(shown), '', ...programLines(shown.schedule)];
}

/** The program of one rank. */
export function rankLines(shown: Shown, rank: number): string[] {
  const { nranks } = shown.schedule;
  if (rank >= nranks) {
    throw usageError(`Expected --rank from 0 to ${nranks - 1} but found ${rank}`);
  }
  return [...headingLines(shown), '', printProgram(lower(shown.schedule, rank))];
}

/** The SVG file. */
export function pictureText({ schedule, placement }: Shown): string {
  const options: DrawingOptions = { placement, buffers: 'all' };
  const marks = pictureMarks(schedule, options);
  if (marks <= PICTURE_MARKS_MAX) return drawSchedule(schedule, options);
  throw usageError(
    `Expected a picture of at most ${PICTURE_MARKS_MAX} cells and arrows but ${schedule.algorithm} ` +
      `${schedule.collective} on ${schedule.nranks} ranks has ${marks}: ask for fewer ranks, channels or chunks`,
  );
}

/** All programs as MSCCL XML. A schedule for exchanges at one location holds for that placement alone. */
export function mscclText({ request, schedule, placement }: Shown): string {
  const { algorithm, collective } = request;
  const name = `${algorithm} ${wordOfCollective(collective)} ${schedule.nranks}`;
  const isBoth = usualPlacement(collective) === 'inPlace';
  const placements = isBoth ? (['inPlace', 'outOfPlace'] as const) : ([placement] as const);
  return writeMscclXml(mscclDocument(lowerAll(schedule), { name, placements })).trimEnd();
}

function headingLines({ request, schedule, rounds, channels, transfers }: Shown): string[] {
  const { algorithm, collective, topology } = request;
  const { nranks, chunks, root } = schedule;
  const facts = [
    `${counted(nranks, 'rank')} in ${counted(topology.boxes, 'box', 'boxes')}`,
    ...(BLOCKS[collective].rooted ? [`root ${root}`] : []),
    `${counted(chunks, 'chunk')} a block`,
    counted(channels, 'channel'),
    counted(rounds, 'round'),
    counted(transfers, 'message or local move', 'messages and local moves'),
  ];
  return [
    `${algorithm} ${wordOfCollective(collective)}: ${facts.join(', ')}`,
    rowFor(collective, algorithm).summary,
  ];
}

function holdingLines({ schedule, placement, rounds }: Shown): string[] {
  const options: DrawingOptions = { placement, buffers: 'all' };
  const cells = cellsShown(schedule, options) * (rounds + 1);
  if (cells > CELLS_MAX) {
    return [`Who holds what would be ${cells} cells, which nobody can read: ask for fewer ranks`];
  }
  const where = placement === 'inPlace' ? 'in place' : 'out of place';
  const drawing = printSchedule(schedule, options);
  return [
    `Who holds what after each round, ${where}: the ranks whose data a chunk has, * all of them, . nothing.`,
    ...(drawing.includes(':') ? ['13:2 is the data of ranks 1 and 3 for block 2.'] : []),
    drawing,
  ];
}

function programLines(schedule: Schedule): string[] {
  const programs = lowerAll(schedule);
  const lines = programs.map(linesOf).reduce((sum, some) => sum + some, 0);
  if (lines <= PROGRAM_LINES_MAX) return programs.flatMap((program) => [printProgram(program), '']);
  const most = Math.max(...programs.map(linesOf));
  return [
    `The programs of ${counted(programs.length, 'rank')} have up to ${counted(most, 'step')} each: --rank shows one.`,
  ];
}

function linesOf({ channels }: Program): number {
  return channels.reduce((sum, { steps }) => sum + steps.length, 0);
}

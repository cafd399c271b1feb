/**
 * What every rank holds after each round of a schedule, as cells to be drawn: as text by `print.ts`, as a
 * picture by `picture.ts`.
 *
 * A cell is one chunk. It is shown by the ranks whose contribution it holds, `*` is all ranks of an
 * all-reduce, `.` nothing. Where the place does not say which block it is, that follows: `13:2` are the
 * contributions of ranks 1 and 3 to block 2.
 */
import { defined } from '../common/assert.ts';
import { ranksOf } from '../common/math.ts';
import {
  BLOCKS,
  type CollectiveName,
  type CollectiveShape,
  chunksIn,
  inPlaceAlias,
} from './collective.ts';
import type { Contribution } from './contribution.ts';
import type { BufferName, Place, Rank, Schedule } from './schedule.ts';
import { type Holdings, traceSchedule } from './trace.ts';

interface Cell {
  readonly place: Place;
  readonly text: string;
  /** Of the contributions that make it complete: 0 is nothing, 1 is all. */
  readonly share: number;
}

/** One buffer of a rank: its cells side by side. */
export interface Strip {
  readonly buffer: BufferName;
  readonly cells: readonly Cell[];
}

/** By rank: its buffers. */
export type DrawnState = readonly (readonly Strip[])[];

export interface DrawingOptions {
  /** As the schedule was built; unless given, see `usualPlacement`. */
  readonly placement?: 'inPlace' | 'outOfPlace';
  /**
   * `output` alone (unless given); or `all`: the buffer that others lie in, if in place, and scratch.
   */
  readonly buffers?: 'output' | 'all';
}

/** Those that put different data where their input is, so that a schedule holds for one placement. */
const EXCHANGES: ReadonlySet<CollectiveName> = new Set(['allToAll', 'allToAllV', 'sendRecv']);

/**
 * In place, as then every rank's contribution can be seen from the start; but out of place where a
 * schedule is not made for it unless asked.
 */
export function usualPlacement(collective: CollectiveName): 'inPlace' | 'outOfPlace' {
  return EXCHANGES.has(collective) ? 'outOfPlace' : 'inPlace';
}

/** First the state before round 1, then that after each round. */
export function* drawnStates(
  schedule: Schedule,
  { placement = usualPlacement(schedule.collective), buffers = 'output' }: DrawingOptions = {},
): Generator<DrawnState> {
  const inPlace = placement === 'inPlace';
  const shown = ranksOf(schedule.nranks).map((rank): BufferName[] =>
    buffers === 'output' ? ['output'] : buffersToShow(schedule, rank, inPlace),
  );
  const cellText = buffers === 'output' ? contributors : contributorsAndBlock;
  for (const ranks of traceSchedule(schedule, { inPlace })) {
    yield ranks.map((holdings, rank) =>
      defined(shown[rank], `rank ${rank}`).map((buffer) => {
        const length = chunksIn(schedule, rank, buffer);
        const cells = Array.from({ length }, (_, chunk) =>
          cellAt(schedule, holdings, { buffer, chunk }, cellText),
        );
        return { buffer, cells };
      }),
    );
  }
}

/** Cells of one state. */
export function cellsShown(schedule: Schedule, options: DrawingOptions = {}): number {
  const { placement = usualPlacement(schedule.collective), buffers = 'output' } = options;
  const countOf = (rank: Rank): number => {
    const shown: BufferName[] =
      buffers === 'output' ? ['output'] : buffersToShow(schedule, rank, placement === 'inPlace');
    return shown.reduce((sum, buffer) => sum + chunksIn(schedule, rank, buffer), 0);
  };
  return ranksOf(schedule.nranks).reduce((sum, rank) => sum + countOf(rank), 0);
}

/** Where a rank has only one buffer in place, that one. */
function buffersToShow(shape: CollectiveShape, rank: Rank, inPlace: boolean): BufferName[] {
  const hasOutput = chunksIn(shape, rank, 'output') > 0;
  const only: BufferName = hasOutput ? 'output' : 'input';
  const whole = inPlace ? (inPlaceAlias(shape, rank)?.whole ?? only) : only;
  const shown: BufferName[] = [whole, 'scratch'];
  return shown.filter((buffer) => chunksIn(shape, rank, buffer) > 0);
}

type CellText = (shape: Schedule, value: Contribution, place: Place) => string;

function cellAt(schedule: Schedule, holdings: Holdings, place: Place, textOf: CellText): Cell {
  const value = holdings.at(place);
  if (value === undefined) return { place, text: '.', share: 0 };
  const text = textOf(schedule, value, place);
  if (BLOCKS[schedule.collective].contributors === 'owner') return { place, text, share: 1 };
  const present = value.counts.reduce((sum, count) => sum + Math.min(1, count), 0);
  return { place, text, share: present / schedule.nranks };
}

function contributors({ nranks, collective }: Schedule, value: Contribution): string {
  const isComplete = value.counts.every((count) => count === 1);
  if (collective === 'allReduce' && isComplete && nranks > 1) return '*';
  const names = [...value.counts].flatMap((count, rank) => new Array<number>(count).fill(rank));
  return names.join(nranks > 10 ? '+' : '');
}

/** Collectives whose blocks go to, or come from, one rank each: `who` alone tells of allGather's. */
const BLOCK_TELLS: ReadonlySet<CollectiveName> = new Set([
  'reduceScatter',
  'reduceScatterV',
  'scatter',
  'allToAll',
  'allToAllV',
]);

function contributorsAndBlock(schedule: Schedule, value: Contribution, place: Place): string {
  const who = contributors(schedule, value);
  const { collective, nranks, chunks } = schedule;
  const isExchange = collective === 'allToAll' || collective === 'allToAllV';
  const block = Math.floor(value.chunk / chunks) % nranks;
  if (isExchange) return `${who}:${block}`;
  return place.buffer === 'scratch' && BLOCK_TELLS.has(collective) ? `${who}:${block}` : who;
}

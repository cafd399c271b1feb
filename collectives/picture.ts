/**
 * A schedule as an SVG picture: ranks as columns, rounds as rows. Each row shows what every rank holds
 * after the round, and arrows show the messages that brought it there. The picture stands by itself: no
 * font, script or style from elsewhere, and colours for light and dark surroundings.
 */
import { assert, defined } from '../common/assert.ts';
import type { CollectiveShape } from './collective.ts';
import {
  cellsShown,
  type DrawingOptions,
  type DrawnState,
  drawnStates,
  usualPlacement,
} from './drawing.ts';
import { memoryMap } from './memory.ts';
import { escapeXml, PICTURE_STYLE } from './picture-style.ts';
import type { Place, Rank, Round, Schedule, Transfer } from './schedule.ts';

/** Cells of all rows, and arrows, that a picture may have: above that nobody can read it. */
export const PICTURE_MARKS_MAX = 40_000;

const MARGIN = 24;
const LABEL_WIDTH = 72;
const HEADER_HEIGHT = 86;
const LEGEND_HEIGHT = 44;
const CELL_HEIGHT = 24;
const CELL_WIDTH_MIN = 24;
const CELL_WIDTH_MAX = 64;
const CHARACTER_WIDTH = 7.4;
const BUFFER_GAP = 10;
const RANK_GAP = 30;
const ROW_GAP = 52;

/** How many marks the picture of a schedule has; more than `PICTURE_MARKS_MAX` is too many. */
export function pictureMarks(schedule: Schedule, options: DrawingOptions = {}): number {
  const cells = cellsShown(schedule, options);
  let marks = cells;
  for (const round of schedule.rounds()) marks += cells + round.length;
  return marks;
}

/** The picture, a whole SVG file. The schedule has at most `PICTURE_MARKS_MAX` marks. */
export function drawSchedule(schedule: Schedule, options: DrawingOptions = {}): string {
  const marks = pictureMarks(schedule, options);
  assert(
    marks <= PICTURE_MARKS_MAX,
    `Expected at most ${PICTURE_MARKS_MAX} marks but found ${marks}`,
  );
  const { placement = usualPlacement(schedule.collective) } = options;
  const states = [...drawnStates(schedule, { ...options, placement })];
  const layout = new Layout(schedule, states, placement === 'inPlace');
  const rounds = [...schedule.rounds()];
  const { algorithm, collective, nranks } = schedule;
  const title = escapeXml(`${algorithm} ${collective}, ${nranks} ranks, ${rounds.length} rounds`);
  const { width, height } = layout;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${title}</title>`,
    `<style>${PICTURE_STYLE}</style>`,
    '<defs>',
    arrowHead('copy'),
    arrowHead('reduce'),
    '</defs>',
    `<rect class="ground" width="${width}" height="${height}"/>`,
    `<text class="title" x="${MARGIN}" y="${MARGIN + 12}">${title}</text>`,
    ...layout.columns(),
    ...layout.buffers(defined(states[0], 'the state before round 1')),
    ...rounds.flatMap((round, index) => layout.arrows(round, index)),
    ...states.flatMap((state, row) => layout.row(state, row)),
    legend(height - MARGIN),
    '</svg>',
    '',
  ].join('\n');
}

/** Where everything is. */
class Layout {
  readonly width: number;
  readonly height: number;
  readonly #cellWidth: number;
  /** Left edge of each rank's column, and their widths. */
  readonly #lefts: number[] = [];
  readonly #widths: number[] = [];
  /** Left edge of the cell at each location of a rank's memory. */
  readonly #cells: ReadonlyMap<number, number>[] = [];
  readonly #locate: ((place: Place) => number)[] = [];

  constructor(shape: CollectiveShape, states: readonly DrawnState[], inPlace: boolean) {
    const start = defined(states[0], 'the state before round 1');
    this.#cellWidth = cellWidth(states);
    let left = MARGIN + LABEL_WIDTH;
    for (const [rank, strips] of start.entries()) {
      const { locate } = memoryMap(shape, rank, inPlace);
      const cells = new Map<number, number>();
      let x = left;
      for (const [index, strip] of strips.entries()) {
        if (index > 0) x += BUFFER_GAP;
        for (const { place } of strip.cells) {
          cells.set(locate(place), x);
          x += this.#cellWidth;
        }
      }
      const width = Math.max(x - left, 2 * CELL_WIDTH_MIN);
      this.#lefts.push(left);
      this.#widths.push(width);
      this.#cells.push(cells);
      this.#locate.push(locate);
      left += width + RANK_GAP;
    }
    this.width = Math.ceil(Math.max(left - RANK_GAP + MARGIN, 480));
    this.height = rowTop(states.length - 1) + CELL_HEIGHT + LEGEND_HEIGHT + MARGIN;
  }

  columns(): string[] {
    return this.#lefts.map((_, rank) => {
      const x = this.#middle(rank);
      return `<text class="rank" x="${x}" y="${HEADER_HEIGHT - 26}">rank ${rank}</text>`;
    });
  }

  /** The names of a rank's buffers, above the first row. */
  buffers(state: DrawnState): string[] {
    return state.flatMap((strips, rank) =>
      strips.flatMap(({ buffer, cells }) => {
        const [first] = cells;
        const x = first && this.#cellLeft(rank, first.place);
        if (x === undefined) return [];
        return [`<text class="buffer" x="${x}" y="${HEADER_HEIGHT - 8}">${buffer}</text>`];
      }),
    );
  }

  row(state: DrawnState, row: number): string[] {
    const y = rowTop(row);
    const middle = y + CELL_HEIGHT / 2 + 4;
    const label = row === 0 ? 'start' : `round ${row}`;
    const lines = [`<text class="label" x="${MARGIN}" y="${middle}">${label}</text>`];
    for (const [rank, strips] of state.entries()) {
      for (const { buffer, cells } of strips) {
        for (const { place, text, share } of cells) {
          const x = this.#cellLeft(rank, place) ?? 0;
          const title = `rank ${rank} ${buffer}[${place.chunk}]: ${text}`;
          lines.push(
            `<g><title>${escapeXml(title)}</title>` +
              `<rect class="${cellClass(share)}" x="${x}" y="${y}" width="${this.#cellWidth}" height="${CELL_HEIGHT}"/>` +
              `<text class="holds" x="${x + this.#cellWidth / 2}" y="${middle}">${escapeXml(this.#fitting(text))}</text></g>`,
          );
        }
      }
    }
    return lines;
  }

  /** Of round `index + 1`: from the row before it to its own. */
  arrows(round: Round, index: number): string[] {
    const top = rowTop(index) + CELL_HEIGHT + 2;
    const bottom = rowTop(index + 1) - 3;
    return round.map((transfer) => {
      const { src, dst, from, to, count, effect } = transfer;
      const [x1, x2] = [this.#center(src, from, count), this.#center(dst, to, count)];
      const place = src === dst ? ' local' : '';
      return (
        `<g><title>${escapeXml(sentence(transfer))}</title>` +
        `<line class="${effect}${place}" x1="${x1}" y1="${top}" x2="${x2}" y2="${bottom}" marker-end="url(#${effect})"/></g>`
      );
    });
  }

  #middle(rank: Rank): number {
    return (this.#lefts[rank] ?? 0) + (this.#widths[rank] ?? 0) / 2;
  }

  /** Middle of a run of cells, or of the rank where they are not shown. */
  #center(rank: Rank, { buffer, chunk }: Place, count: number): number {
    const first = this.#cellLeft(rank, { buffer, chunk });
    const last = this.#cellLeft(rank, { buffer, chunk: chunk + count - 1 });
    if (first === undefined || last === undefined) return this.#middle(rank);
    return (first + last + this.#cellWidth) / 2;
  }

  #cellLeft(rank: Rank, place: Place): number | undefined {
    return this.#cells[rank]?.get(this.#locate[rank]?.(place) ?? -1);
  }

  /** What does not fit can be read in the cell's title. */
  #fitting(text: string): string {
    if (text === '.') return '';
    const most = Math.floor((this.#cellWidth - 4) / CHARACTER_WIDTH);
    return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 1))}…`;
  }
}

function cellWidth(states: readonly DrawnState[]): number {
  let longest = 1;
  for (const state of states) {
    for (const { cells } of state.flat()) {
      for (const { text } of cells) longest = Math.max(longest, text.length);
    }
  }
  const wanted = Math.ceil(longest * CHARACTER_WIDTH) + 6;
  return Math.min(CELL_WIDTH_MAX, Math.max(CELL_WIDTH_MIN, wanted));
}

function rowTop(row: number): number {
  return HEADER_HEIGHT + row * (CELL_HEIGHT + ROW_GAP);
}

function cellClass(share: number): string {
  if (share === 0) return 'empty';
  return share === 1 ? 'whole' : 'some';
}

function sentence({ src, dst, from, to, count, effect }: Transfer): string {
  const chunks = count === 1 ? '1 chunk' : `${count} chunks`;
  const way = src === dst ? `within rank ${src}` : `from rank ${src} to rank ${dst}`;
  return `${effect} ${chunks} ${way}: ${from.buffer}[${from.chunk}] to ${to.buffer}[${to.chunk}]`;
}

function arrowHead(effect: Transfer['effect']): string {
  return (
    `<marker id="${effect}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">` +
    `<path class="${effect}-head" d="M0 0L8 4L0 8z"/></marker>`
  );
}

function legend(y: number): string {
  const line = (x: number, effect: string, words: string): string =>
    `<line class="${effect}" x1="${x}" y1="${y - 4}" x2="${x + 34}" y2="${y - 4}" marker-end="url(#${effect})"/>` +
    `<text class="label" x="${x + 42}" y="${y}">${words}</text>`;
  const box = (x: number, kind: string, words: string): string =>
    `<rect class="${kind}" x="${x}" y="${y - 13}" width="18" height="16"/>` +
    `<text class="label" x="${x + 26}" y="${y}">${words}</text>`;
  return [
    line(MARGIN, 'copy', 'copies'),
    line(MARGIN + 110, 'reduce', 'reduces'),
    box(MARGIN + 226, 'some', 'part'),
    box(MARGIN + 296, 'whole', 'complete'),
  ].join('\n');
}

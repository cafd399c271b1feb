/**
 * The comparison as an SVG picture for a slide: time and bus bandwidth over size, both logarithmic, one
 * panel for each collective and number of ranks, all panels of a row on one scale.
 */

import { escapeXml } from '../../collectives/picture-style.ts';
import { formatBytes } from '../../common/bytes.ts';
import { decadeAxis, type LogAxis, sizeAxis } from './axes.ts';
import type { ContestantTimes, PeerRow } from './comparison.ts';
import type { Machine } from './machine.ts';
import { CURVE_STYLES, legendEntry, markAt, round, STYLE_SHEET } from './plot-style.ts';

const PANEL_WIDTH = 244;
const PANEL_HEIGHT = 260;
const PANEL_GAP = 30;
const ROW_GAP = 46;
const LEFT = 92;
const RIGHT = 28;
const TOP = 132;
const BOTTOM = 92;
const WIDTH_MIN = 900;
const LEGEND_STEP = 168;

/** One of the two rows of panels. */
interface Quantity {
  readonly label: string;
  readonly tick: (value: number) => string;
  /** Median, least and greatest; undefined: nothing to draw. */
  readonly of: (
    times: ContestantTimes,
  ) => { readonly at: number; readonly from: number; readonly to: number } | undefined;
}

const TIME: Quantity = {
  label: 'time of a call',
  tick: durationText,
  of: ({ timeUs }) =>
    timeUs === null ? undefined : { at: timeUs.median, from: timeUs.min, to: timeUs.max },
};

const BUS_BANDWIDTH: Quantity = {
  label: 'bus bandwidth',
  tick: rateText,
  of: ({ timeUs, busBw }) =>
    timeUs === null || busBw === null
      ? undefined
      : {
          at: busBw,
          from: (busBw * timeUs.median) / timeUs.max,
          to: (busBw * timeUs.median) / timeUs.min,
        },
};

/** A whole SVG file. Without any time there is a picture without curves. */
export function drawPeers(rows: readonly PeerRow[], machine: Machine): string {
  const panels = panelsOf(rows);
  const inner = panels.length * (PANEL_WIDTH + PANEL_GAP) - PANEL_GAP;
  const width = Math.max(WIDTH_MIN, LEFT + inner + RIGHT);
  const height = TOP + 2 * PANEL_HEIGHT + ROW_GAP + BOTTOM;
  const ids = rows[0]?.contestants.map(({ contestant }) => contestant) ?? [];
  const title = 'Collectives between processes on one machine';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${title}</title>`,
    `<style>${STYLE_SHEET}</style>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text class="title" x="${LEFT}" y="36">${title}</text>`,
    `<text class="machine" x="${LEFT}" y="58">${escapeXml(machineText(machine))}</text>`,
    ...ids.flatMap((id, index) => legendEntry(id, LEFT + index * LEGEND_STEP, 84)),
    ...[TIME, BUS_BANDWIDTH].flatMap((quantity, index) =>
      panelRow(quantity, panels, TOP + index * (PANEL_HEIGHT + ROW_GAP)),
    ),
    `<text class="axis" x="${LEFT + inner / 2}" y="${height - 44}">size of the whole array</text>`,
    `<text class="machine" x="${LEFT}" y="${height - 16}">Median of interleaved rounds, bars: their range. float32, in place, slowest rank, blocking calls, wall clock, every result checked.</text>`,
    '</svg>',
    '',
  ].join('\n');
}

interface Panel {
  readonly title: string;
  readonly rows: readonly PeerRow[];
}

function panelsOf(rows: readonly PeerRow[]): readonly Panel[] {
  const groups = new Map<string, PeerRow[]>();
  for (const collective of new Set(rows.map((row) => row.collective))) {
    for (const row of rows.filter((one) => one.collective === collective)) {
      const title = `${collective.replace('_', '-')}, ${row.ranks} ranks`;
      groups.set(title, [...(groups.get(title) ?? []), row]);
    }
  }
  return [...groups].map(([title, group]) => ({ title, rows: group }));
}

function panelRow(quantity: Quantity, panels: readonly Panel[], y: number): string[] {
  const all = panels.flatMap(({ rows }) => rows);
  const values = all
    .flatMap(({ contestants }) => contestants.map(quantity.of))
    .flatMap((value) => (value === undefined ? [] : [value.from, value.to]));
  if (values.length === 0) return [];
  const yAxis = decadeAxis(values);
  const xAxis = sizeAxis(all.map(({ bytes }) => bytes));
  const middle = y + PANEL_HEIGHT / 2;
  return [
    `<text class="axis" transform="translate(${LEFT - 66} ${middle}) rotate(-90)">${quantity.label}</text>`,
    ...panels.flatMap((panel, index) => {
      const x = LEFT + index * (PANEL_WIDTH + PANEL_GAP);
      const frame = new Frame(x, y, xAxis, yAxis);
      return [
        ...frame.grid(index === 0 ? quantity.tick : undefined),
        quantity === TIME
          ? `<text class="panel" x="${x + PANEL_WIDTH / 2}" y="${y - 10}">${escapeXml(panel.title)}</text>`
          : '',
        ...curves(frame, quantity, panel),
      ];
    }),
  ];
}

/** Where a panel is, and where in it a value lies. */
class Frame {
  readonly #x: number;
  readonly #y: number;
  readonly #xAxis: LogAxis;
  readonly #yAxis: LogAxis;

  constructor(x: number, y: number, xAxis: LogAxis, yAxis: LogAxis) {
    this.#x = x;
    this.#y = y;
    this.#xAxis = xAxis;
    this.#yAxis = yAxis;
  }

  x(bytes: number): number {
    return round(this.#x + this.#xAxis.position(bytes) * PANEL_WIDTH);
  }

  y(value: number): number {
    return round(this.#y + (1 - this.#yAxis.position(value)) * PANEL_HEIGHT);
  }

  /** Labels at the left only where asked for: all panels of a row have the same. */
  grid(yTick: ((value: number) => string) | undefined): string[] {
    const [left, right] = [this.#x, this.#x + PANEL_WIDTH];
    const [top, bottom] = [this.#y, this.#y + PANEL_HEIGHT];
    return [
      ...this.#yAxis.ticks.flatMap((tick) => {
        const at = this.y(tick);
        const line = `<line class="grid" x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`;
        const label = `<text class="tick y" x="${left - 8}" y="${at + 4}">${yTick?.(tick)}</text>`;
        return yTick === undefined ? [line] : [line, label];
      }),
      ...this.#xAxis.ticks.flatMap((tick) => {
        const at = this.x(tick);
        return [
          `<line class="grid" x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`,
          `<text class="tick x" x="${at}" y="${bottom + 16}">${formatBytes(tick)}</text>`,
        ];
      }),
      `<rect class="frame" x="${left}" y="${top}" width="${PANEL_WIDTH}" height="${PANEL_HEIGHT}"/>`,
    ];
  }
}

/** Peers first, so that hlsim's curves lie on top. */
function curves(frame: Frame, quantity: Quantity, { rows }: Panel): string[] {
  const ids = rows[0]?.contestants.map(({ contestant }) => contestant) ?? [];
  return [...ids].reverse().flatMap((id) => {
    const { color, width, mark } = CURVE_STYLES[id];
    const points = rows.flatMap((row) => {
      const times = row.contestants.find(({ contestant }) => contestant === id);
      const value = times === undefined ? undefined : quantity.of(times);
      if (value === undefined) return [];
      const [from, to] = [frame.y(value.from), frame.y(value.to)];
      return [{ x: frame.x(row.bytes), y: frame.y(value.at), from, to }];
    });
    if (points.length === 0) return [];
    const path = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('');
    return [
      `<g data-contestant="${id}">`,
      ...points.map(
        ({ x, from, to }) =>
          `<line class="range" x1="${x}" y1="${from}" x2="${x}" y2="${to}" stroke="${color}" stroke-width="3"/>`,
      ),
      `<path d="${path}" stroke="${color}" stroke-width="${width}"/>`,
      ...points.map(({ x, y }) => markAt(mark, x, y, color)),
      '</g>',
    ];
  });
}

function durationText(microseconds: number): string {
  if (microseconds >= 1e6) return `${round(microseconds / 1e6)} s`;
  if (microseconds >= 1e3) return `${round(microseconds / 1e3)} ms`;
  return `${round(microseconds)} us`;
}

function rateText(gigabytesPerSecond: number): string {
  if (gigabytesPerSecond >= 1) return `${round(gigabytesPerSecond)} GB/s`;
  if (gigabytesPerSecond >= 1e-3) return `${round(gigabytesPerSecond * 1e3)} MB/s`;
  return `${round(gigabytesPerSecond * 1e6)} kB/s`;
}

function machineText({ cpu, cores, kernel, node, congestionControl }: Machine): string {
  return `${cpu}, ${cores} cores; ${kernel}; Node.js ${node}; TCP congestion control ${congestionControl ?? 'unknown'}`;
}

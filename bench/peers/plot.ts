/**
 * The comparison as an SVG picture for a slide: time and bus bandwidth over size, both logarithmic, one
 * panel for each collective and number of ranks, all panels of a row on one scale.
 */

import { escapeXml } from '../../collectives/picture-style.ts';
import { formatBytes } from '../../common/bytes.ts';
import { decadeAxis, sizeAxis } from '../plot/axes.ts';
import { Frame } from '../plot/frame.ts';
import { curveLine, legendEntry, markAt, STYLE_SHEET } from '../plot/marks.ts';
import { durationText, rateText } from '../plot/tick-texts.ts';
import type { ContestantTimes, PeerRow } from './comparison.ts';
import { CONTESTANT_TITLES } from './contestants.ts';
import type { Machine } from './machine.ts';
import { CURVE_STYLES } from './plot-style.ts';

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
    ...ids.flatMap((id, index) =>
      legendEntry(CONTESTANT_TITLES[id], CURVE_STYLES[id], LEFT + index * LEGEND_STEP, 84),
    ),
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
      const frame = new Frame({
        ...{ x, y, width: PANEL_WIDTH, height: PANEL_HEIGHT, xAxis, yAxis, xTick: formatBytes },
        ...(index === 0 ? { yTick: quantity.tick } : {}),
      });
      return [
        ...frame.grid(),
        quantity === TIME
          ? `<text class="panel" x="${x + PANEL_WIDTH / 2}" y="${y - 10}">${escapeXml(panel.title)}</text>`
          : '',
        ...curves(frame, quantity, panel),
      ];
    }),
  ];
}

/** Peers first, so that hlsim's curves lie on top. */
function curves(frame: Frame, quantity: Quantity, { rows }: Panel): string[] {
  const ids = rows[0]?.contestants.map(({ contestant }) => contestant) ?? [];
  return [...ids].reverse().flatMap((id) => {
    const { color, mark } = CURVE_STYLES[id];
    const points = rows.flatMap((row) => {
      const times = row.contestants.find(({ contestant }) => contestant === id);
      const value = times === undefined ? undefined : quantity.of(times);
      if (value === undefined) return [];
      const [from, to] = [frame.y(value.from), frame.y(value.to)];
      return [{ x: frame.x(row.bytes), y: frame.y(value.at), from, to }];
    });
    if (points.length === 0) return [];
    return [
      `<g data-contestant="${id}">`,
      ...points.map(
        ({ x, from, to }) =>
          `<line class="range" x1="${x}" y1="${from}" x2="${x}" y2="${to}" stroke="${color}" stroke-width="3"/>`,
      ),
      curveLine(points, CURVE_STYLES[id]),
      ...points.map(({ x, y }) => markAt(mark, x, y, color)),
      '</g>',
    ];
  });
}

function machineText({ cpu, cores, kernel, node, congestionControl }: Machine): string {
  return `${cpu}, ${cores} cores; ${kernel}; Node.js ${node}; TCP congestion control ${congestionControl ?? 'unknown'}`;
}

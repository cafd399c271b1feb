/** A picture of curves: sections, each with a legend, and below it panels side by side and below each other. */
import { escapeXml } from '../../collectives/picture-style.ts';
import type { Axis } from './axes.ts';
import { Frame } from './frame.ts';
import { type CurveStyle, curveLine, legendEntry, markAt, round, STYLE_SHEET } from './marks.ts';

export interface Curve {
  /** The same name has the same style in every panel of a section, and one entry of its legend. */
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Dashed and without marks, in the colour of the curve of this name: what bounds it, say. */
  readonly boundOf?: string;
}

export interface Panel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xAxis: Axis;
  readonly yAxis: Axis;
  readonly xTick: (value: number) => string;
  readonly yTick: (value: number) => string;
  readonly curves: readonly Curve[];
}

export interface LinePlot {
  readonly title: string;
  /** Small print below the title, a line each. */
  readonly notes: readonly string[];
  readonly sections: readonly PlotSection[];
}

export interface PlotSection {
  /** What the legend is of. */
  readonly legend: string;
  /** Rows of panels. */
  readonly rows: readonly (readonly Panel[])[];
}

const PANEL_WIDTH = 330;
const PANEL_HEIGHT = 260;
const COLUMN_GAP = 104;
const ROW_GAP = 84;
const LEFT = 92;
const RIGHT = 28;
const BOTTOM = 60;
const WIDTH_MIN = 900;
const HEADING_HEIGHT = 58;
const NOTE_HEIGHT = 17;
const LEGEND_WIDTH = 210;
const LEGEND_HEIGHT = 20;

/** Okabe and Ito, "Color Universal Design" (2008), without yellow, which is faint on white; then again with other marks. */
const COLORS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#b0609a',
  '#e69f00',
  '#4d4d4d',
  '#56b4e9',
] as const;
const MARKS: readonly CurveStyle['mark'][] = ['circle', 'square', 'triangle', 'diamond', 'cross'];

/** A whole SVG file. The same plot gives the same text. */
export function drawLinePlot({ title, notes, sections }: LinePlot): string {
  const columns = Math.max(1, ...sections.flatMap(({ rows }) => rows.map(({ length }) => length)));
  const width = Math.max(
    WIDTH_MIN,
    LEFT + columns * (PANEL_WIDTH + COLUMN_GAP) - COLUMN_GAP + RIGHT,
  );
  let y = HEADING_HEIGHT + notes.length * NOTE_HEIGHT;
  const drawn = sections.map((section) => {
    const { lines, height } = drawSection(section, y, width);
    y += height;
    return lines;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE_SHEET}</style>`,
    `<rect width="${width}" height="${y}" fill="#ffffff"/>`,
    `<text class="title" x="${LEFT}" y="36">${escapeXml(title)}</text>`,
    ...notes.map(
      (note, index) =>
        `<text class="machine" x="${LEFT}" y="${HEADING_HEIGHT + index * NOTE_HEIGHT}">${escapeXml(note)}</text>`,
    ),
    ...drawn.flat(),
    '</svg>',
    '',
  ].join('\n');
}

function drawSection(
  { legend, rows }: PlotSection,
  y: number,
  width: number,
): { readonly lines: string[]; readonly height: number } {
  const names = namesOf(rows);
  const perLine = Math.max(1, Math.floor((width - LEFT - RIGHT) / LEGEND_WIDTH));
  const legendTop = y + 24;
  const top = legendTop + Math.ceil(names.length / perLine) * LEGEND_HEIGHT + 44;
  const lines = [
    `<text class="legend" x="${LEFT}" y="${legendTop}" font-weight="bold">${escapeXml(legend)}</text>`,
    ...names.flatMap((name, index) => {
      const x = LEFT + (index % perLine) * LEGEND_WIDTH;
      const line = 1 + Math.floor(index / perLine);
      return legendEntry(name, styleOf(index), x, legendTop + line * LEGEND_HEIGHT);
    }),
    ...rows.flatMap((panels, row) =>
      panels.flatMap((panel, column) => {
        const x = LEFT + column * (PANEL_WIDTH + COLUMN_GAP);
        return drawPanel(panel, names, x, top + row * (PANEL_HEIGHT + ROW_GAP));
      }),
    ),
  ];
  return { lines, height: top - y + rows.length * (PANEL_HEIGHT + ROW_GAP) - ROW_GAP + BOTTOM };
}

function drawPanel(panel: Panel, names: readonly string[], x: number, y: number): string[] {
  const { title, xLabel, yLabel, xAxis, yAxis, xTick, yTick, curves } = panel;
  const place = { x, y, width: PANEL_WIDTH, height: PANEL_HEIGHT };
  const frame = new Frame({ ...place, xAxis, yAxis, xTick, yTick });
  const middle = round(x + PANEL_WIDTH / 2);
  return [
    `<text class="panel" x="${middle}" y="${y - 10}">${escapeXml(title)}</text>`,
    `<text class="axis" x="${middle}" y="${y + PANEL_HEIGHT + 36}">${escapeXml(xLabel)}</text>`,
    `<text class="axis" transform="translate(${x - 70} ${y + PANEL_HEIGHT / 2}) rotate(-90)">${escapeXml(yLabel)}</text>`,
    ...frame.grid(),
    ...curves.flatMap((curve) => drawCurve(curve, frame, names)),
  ];
}

function drawCurve(
  { name, points, boundOf }: Curve,
  frame: Frame,
  names: readonly string[],
): string[] {
  if (points.length === 0) return [];
  const style = styleOf(names.indexOf(boundOf ?? name));
  const placed = points.map((point) => ({ x: frame.x(point.x), y: frame.y(point.y) }));
  if (boundOf !== undefined) {
    const line = curveLine(placed, { ...style, width: 1.2 });
    return [`<g data-curve="${escapeXml(name)}" stroke-dasharray="5 4">`, line, '</g>'];
  }
  return [
    `<g data-curve="${escapeXml(name)}">`,
    curveLine(placed, style),
    ...placed.map(({ x, y }) => markAt(style.mark, x, y, style.color)),
    '</g>',
  ];
}

/** In the order in which they come up first. */
function namesOf(rows: PlotSection['rows']): readonly string[] {
  const curves = rows.flat().flatMap((panel) => panel.curves);
  return [
    ...new Set(curves.filter(({ boundOf }) => boundOf === undefined).map(({ name }) => name)),
  ];
}

function styleOf(index: number): CurveStyle {
  const color = COLORS[index % COLORS.length] ?? '#000000';
  const mark = MARKS[(index + Math.floor(index / COLORS.length)) % MARKS.length] ?? 'circle';
  return { color, mark, width: 2 };
}

/** How curves look: colours, marks, lines, and the style sheet of every plot. */
import { escapeXml } from '../../collectives/picture-style.ts';

export interface CurveStyle {
  readonly color: string;
  readonly mark: 'circle' | 'square' | 'diamond' | 'triangle' | 'cross';
  readonly width: number;
}

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
}

/** Half the width of a mark. */
const MARK = 3.6;

export const STYLE_SHEET = `text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#222}
.title{font-size:22px;font-weight:bold}.machine{font-size:12px;fill:#666}.panel{font-size:14px;font-weight:bold;text-anchor:middle}
.tick{font-size:11px;fill:#444}.x{text-anchor:middle}.y{text-anchor:end}.axis{font-size:13px;text-anchor:middle}.legend{font-size:13px}
.frame{fill:none;stroke:#999}.grid{stroke:#e4e4e4}.range{stroke-opacity:.45}path{fill:none;stroke-linejoin:round}`;

/** A line with its mark, and what it stands for. */
export function legendEntry(title: string, style: CurveStyle, x: number, y: number): string[] {
  const { color, width, mark } = style;
  return [
    `<line x1="${x}" y1="${y - 4}" x2="${x + 30}" y2="${y - 4}" stroke="${color}" stroke-width="${width}"/>`,
    markAt(mark, x + 15, y - 4, color),
    `<text class="legend" x="${x + 38}" y="${y}">${escapeXml(title)}</text>`,
  ];
}

/** From point to point, without the marks. */
export function curveLine(points: readonly PlotPoint[], { color, width }: CurveStyle): string {
  const path = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  return `<path d="${path}" stroke="${color}" stroke-width="${width}"/>`;
}

/** One point of a curve. */
export function markAt(mark: CurveStyle['mark'], x: number, y: number, color: string): string {
  const [left, right, top, bottom] = [x - MARK, x + MARK, y - MARK, y + MARK].map(round);
  const closed = (d: string): string => `<path d="${d}Z" style="fill:${color}"/>`;
  switch (mark) {
    case 'circle':
      return `<circle cx="${x}" cy="${y}" r="${MARK}" fill="${color}"/>`;
    case 'square':
      return closed(`M${left} ${top}L${right} ${top}L${right} ${bottom}L${left} ${bottom}`);
    case 'diamond':
      return closed(`M${x} ${top}L${right} ${y}L${x} ${bottom}L${left} ${y}`);
    case 'triangle':
      return closed(`M${x} ${top}L${right} ${bottom}L${left} ${bottom}`);
    case 'cross':
      return `<path d="M${left} ${top}L${right} ${bottom}M${left} ${bottom}L${right} ${top}" stroke="${color}" stroke-width="1.6"/>`;
  }
}

/** Hundredths of a pixel are enough. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

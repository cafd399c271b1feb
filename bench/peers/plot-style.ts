/**
 * How each contestant looks in the picture. The colours are those of Okabe and Ito ("Color Universal
 * Design", 2008) or near them, told apart by most colour-blind eyes; the marks differ too.
 */
import { escapeXml } from '../../collectives/picture-style.ts';
import { CONTESTANT_TITLES, type ContestantId } from './contestants.ts';

export interface CurveStyle {
  readonly color: string;
  readonly mark: 'circle' | 'square' | 'diamond' | 'triangle' | 'cross';
  readonly width: number;
}

export const CURVE_STYLES: Readonly<Record<ContestantId, CurveStyle>> = {
  'hlsim-ws': { color: '#0072b2', mark: 'circle', width: 2.6 },
  'hlsim-p2p': { color: '#d55e00', mark: 'square', width: 2.6 },
  'openmpi-tcp': { color: '#009e73', mark: 'triangle', width: 1.5 },
  'openmpi-shm': { color: '#b0609a', mark: 'diamond', width: 1.5 },
  gloo: { color: '#4d4d4d', mark: 'cross', width: 1.5 },
};

/** Half the width of a mark. */
const MARK = 3.6;

export const STYLE_SHEET = `text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#222}
.title{font-size:22px;font-weight:bold}.machine{font-size:12px;fill:#666}.panel{font-size:14px;font-weight:bold;text-anchor:middle}
.tick{font-size:11px;fill:#444}.x{text-anchor:middle}.y{text-anchor:end}.axis{font-size:13px;text-anchor:middle}.legend{font-size:13px}
.frame{fill:none;stroke:#999}.grid{stroke:#e4e4e4}.range{stroke-opacity:.45}path{fill:none;stroke-linejoin:round}`;

/** A line with its mark, and the contestant's name. */
export function legendEntry(id: ContestantId, x: number, y: number): string[] {
  const { color, width, mark } = CURVE_STYLES[id];
  return [
    `<line x1="${x}" y1="${y - 4}" x2="${x + 30}" y2="${y - 4}" stroke="${color}" stroke-width="${width}"/>`,
    markAt(mark, x + 15, y - 4, color),
    `<text class="legend" x="${x + 38}" y="${y}">${escapeXml(CONTESTANT_TITLES[id])}</text>`,
  ];
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

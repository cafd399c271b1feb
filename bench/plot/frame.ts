/** One panel of a plot: where it is, its grid, and where in it a value lies. */
import type { Axis } from './axes.ts';
import { round } from './marks.ts';

export interface FrameOptions {
  /** Upper left corner, and extent, in pixels. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly xAxis: Axis;
  readonly yAxis: Axis;
  readonly xTick: (value: number) => string;
  /** Absent: no labels at the left, for the later panels of a row on one scale. */
  readonly yTick?: (value: number) => string;
}

export class Frame {
  readonly #options: FrameOptions;

  constructor(options: FrameOptions) {
    this.#options = options;
  }

  x(value: number): number {
    const { x, width, xAxis } = this.#options;
    return round(x + xAxis.position(value) * width);
  }

  y(value: number): number {
    const { y, height, yAxis } = this.#options;
    return round(y + (1 - yAxis.position(value)) * height);
  }

  /** Lines and labels of all ticks, and the border. */
  grid(): string[] {
    const { x: left, y: top, width, height, xAxis, yAxis, xTick, yTick } = this.#options;
    const [right, bottom] = [left + width, top + height];
    return [
      ...yAxis.ticks.flatMap((tick) => {
        const at = this.y(tick);
        const line = `<line class="grid" x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`;
        const label = `<text class="tick y" x="${left - 8}" y="${at + 4}">${yTick?.(tick)}</text>`;
        return yTick === undefined ? [line] : [line, label];
      }),
      ...xAxis.ticks.flatMap((tick) => {
        const at = this.x(tick);
        return [
          `<line class="grid" x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`,
          `<text class="tick x" x="${at}" y="${bottom + 16}">${xTick(tick)}</text>`,
        ];
      }),
      `<rect class="frame" x="${left}" y="${top}" width="${width}" height="${height}"/>`,
    ];
  }
}

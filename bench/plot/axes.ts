/** Axes: which range, which ticks, and where a value lies. */
import { assert } from '../../common/assert.ts';

export interface Axis {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
  /** 0 at `min`, 1 at `max`. */
  position(value: number): number;
}

/** Logarithmic: from the decade below the least value to the one above the greatest, with a tick at each decade. */
export function decadeAxis(values: readonly number[]): Axis {
  const { least, greatest } = extremes(values);
  const first = Math.floor(Math.log10(least));
  const last = Math.max(first + 1, Math.ceil(Math.log10(greatest)));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  return logAxis(10 ** first, 10 ** last, ticks);
}

const SIZE_TICKS_MAX = 5;
/** Room beside the outermost sizes, for their marks. */
const SIZE_MARGIN = 1.4;

/** Logarithmic: ticks at powers of two, some binary steps apart. For sizes in bytes, and for counts. */
export function sizeAxis(sizes: readonly number[], ticksMax = SIZE_TICKS_MAX): Axis {
  const { least, greatest } = extremes(sizes);
  const first = Math.floor(Math.log2(least));
  const last = Math.max(first + 1, Math.ceil(Math.log2(greatest)));
  const step = Math.ceil((last - first + 1) / ticksMax);
  const ticks: number[] = [];
  for (let exponent = first; exponent <= last; exponent += step) ticks.push(2 ** exponent);
  return logAxis(2 ** first / SIZE_MARGIN, 2 ** last * SIZE_MARGIN, ticks);
}

/** Linear, from 0 to 1, or to the fifth at or above `most`, with a tick at each. For shares of a whole. */
export function shareAxis(most = 1): Axis {
  const steps = Math.max(5, Math.ceil(most / 0.2 - 1e-9));
  const ticks = Array.from({ length: steps + 1 }, (_, step) => step / 5);
  const max = steps / 5;
  return { min: 0, max, ticks, position: (value) => value / max };
}

function extremes(values: readonly number[]): { least: number; greatest: number } {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  assert(values.length > 0 && least > 0, 'Expected values above 0 for a logarithmic axis');
  return { least, greatest };
}

function logAxis(min: number, max: number, ticks: readonly number[]): Axis {
  const span = Math.log(max / min);
  return { min, max, ticks, position: (value) => Math.log(value / min) / span };
}

/** Lists of numbers as people write them: `1,2,4..256` doubles from 4 to 256. */

/** More rows than anybody reads. */
export const LIST_LENGTH_MAX = 256;
const COUNT = /^\d{1,9}$/;

/** Ascending as given, each once. `undefined` for what is no such list, or has a number outside of 1 to `max`. */
export function parseCounts(text: string, max: number): readonly number[] | undefined {
  const found: number[] = [];
  for (const part of text.split(',')) {
    const counts = partOf(part.trim());
    if (counts === undefined) return undefined;
    found.push(...counts);
    if (found.length > LIST_LENGTH_MAX) return undefined;
  }
  const isInRange = found.every((count) => count >= 1 && count <= max);
  return isInRange ? [...new Set(found)] : undefined;
}

/** `4..256`: 4, 8, ... up to 256, which is the last whether or not it is a doubling; or one number. */
function partOf(text: string): readonly number[] | undefined {
  const [from = '', to, ...rest] = text.split('..');
  if (rest.length > 0 || !COUNT.test(from) || (to !== undefined && !COUNT.test(to)))
    return undefined;
  const [first, last] = [Number(from), Number(to ?? from)];
  if (first < 1 || last < first) return undefined;
  const counts: number[] = [];
  for (let count = first; count < last; count *= 2) counts.push(count);
  return [...counts, last];
}

/** Sizes from `from` to `to`, each `factor` times the last. `to` is one only if a step meets it, as in nccl-tests. */
export function multiplied(from: number, to: number, factor: number): readonly number[] {
  const sizes: number[] = [];
  for (let size = from; size <= to; size *= factor) sizes.push(size);
  return sizes;
}

/** Sizes from `from` to `to` with `step` between them. `undefined` if they are too many. */
export function stepped(from: number, to: number, step: number): readonly number[] | undefined {
  if ((to - from) / step >= LIST_LENGTH_MAX) return undefined;
  const sizes: number[] = [];
  for (let size = from; size <= to; size += step) sizes.push(size);
  return sizes;
}

/** `2x`, `1.5x` or `2`: how many times as slow; at least 1. */
export function parseSlow(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)x?$/.exec(text.trim());
  const slow = Number(match?.[1]);
  return match !== null && slow >= 1 && slow <= SLOW_MAX ? slow : undefined;
}

const SLOW_MAX = 1e6;

/** Of what the critical path is made: how long it issued, was on each class of links, reduced, waited. */
import { assert } from '../../common/assert.ts';
import type { Span } from '../prediction.ts';

export interface BreakdownPart {
  /** `link scaleUp`, and the other activities by their names. */
  readonly name: string;
  readonly seconds: number;
  /** Of the whole time: 0 to 1. */
  readonly share: number;
}

/** What rounding of many sums may leave between two pieces. */
const ROUNDING = 1e-9;

/**
 * The parts, largest first; they add up to the end of the path. What is not on the path costs nothing: it is done
 * meanwhile.
 */
export function breakdownOf(path: readonly Span[]): readonly BreakdownPart[] {
  expectWithoutGap(path);
  const total = path.at(-1)?.endSeconds ?? 0;
  const sums = new Map<string, number>();
  for (const span of path) {
    const name = nameOf(span);
    sums.set(name, (sums.get(name) ?? 0) + span.endSeconds - span.beginSeconds);
  }
  return [...sums]
    .map(([name, seconds]) => ({ name, seconds, share: total === 0 ? 0 : seconds / total }))
    .filter(({ seconds }) => seconds > 0)
    .sort((a, b) => b.seconds - a.seconds || (a.name < b.name ? -1 : 1));
}

function nameOf({ activity, linkKind }: Span): string {
  return activity === 'link' ? `link ${linkKind ?? 'of no class'}` : activity;
}

function expectWithoutGap(path: readonly Span[]): void {
  const end = path.at(-1)?.endSeconds ?? 0;
  let at = 0;
  for (const { beginSeconds, endSeconds } of path) {
    assert(
      Math.abs(beginSeconds - at) <= ROUNDING * end && endSeconds >= beginSeconds,
      `Expected a critical path without gap but found a piece from ${beginSeconds} to ${endSeconds} s after ${at} s`,
    );
    at = endSeconds;
  }
}

/** From measurements to a tuning table: per size the fastest way, adjacent sizes in one rule. */
import { defined } from '../common/assert.ts';
import { COLLECTIVES, type CollectiveName } from './collective.ts';
import type { Choice, TuningRule, TuningTable } from './tuner.ts';

/** Times that differ by less are the same: a difference that the next measurement need not show again. */
export const TIE_SHARE = 0.02;

export interface TuningMeasurement extends Choice {
  readonly collective: CollectiveName;
  /** nccl-tests' size, see `ChoiceRequest`. */
  readonly bytes: number;
  readonly nranks: number;
  readonly boxes: number;
  readonly seconds: number;
}

/** Sizes with one winner that follow each other. */
interface Run {
  readonly winner: TuningMeasurement;
  readonly first: number;
  last: number;
}

/**
 * Rules for exactly the ranks and boxes that were measured. Of ways that are equally fast (`TIE_SHARE`)
 * the one with the fewest channels wins, then the faster one; of several times of one way the shortest
 * counts. Between two measured sizes with different winners the border is their geometric mean.
 */
export function tuningFromMeasurements(points: readonly TuningMeasurement[]): TuningTable {
  const groups = grouped(points, ({ collective, nranks, boxes }) => [
    COLLECTIVES.indexOf(collective),
    nranks,
    boxes,
  ]);
  return { rules: groups.flatMap(rulesOf) };
}

/** `points` have collective, ranks and boxes in common. */
function rulesOf(points: readonly TuningMeasurement[]): TuningRule[] {
  const runs: Run[] = [];
  for (const sameSize of grouped(points, ({ bytes }) => [bytes])) {
    const winner = winnerOf(sameSize);
    const previous = runs.at(-1);
    if (previous !== undefined && wayOf(previous.winner) === wayOf(winner)) {
      previous.last = winner.bytes;
    } else {
      runs.push({ winner, first: winner.bytes, last: winner.bytes });
    }
  }
  return runs.map(({ winner, first, last }, index) => {
    const [before, after] = [runs[index - 1], runs[index + 1]];
    const from = before === undefined ? undefined : border(before.last, first) + 1;
    const to = after === undefined ? undefined : border(last, after.first);
    return ruleOf(winner, from, to);
  });
}

/** Largest size that still goes with the smaller one. */
function border(smaller: number, larger: number): number {
  return Math.max(smaller, Math.floor(Math.sqrt(smaller * larger)));
}

function winnerOf(points: readonly TuningMeasurement[]): TuningMeasurement {
  const fastest = Math.min(...points.map(({ seconds }) => seconds));
  const equals = points.filter(({ seconds }) => seconds <= fastest * (1 + TIE_SHARE));
  const [winner] = equals.sort((a, b) => a.channels - b.channels || a.seconds - b.seconds);
  return defined(winner, 'a measurement');
}

function ruleOf(
  { collective, nranks, boxes, algorithm, channels, chunks, sliceBytes }: TuningMeasurement,
  from: number | undefined,
  to: number | undefined,
): TuningRule {
  const bytes = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  return {
    collective,
    ...(from === undefined && to === undefined ? {} : { bytes }),
    ranks: { from: nranks, to: nranks },
    boxes: { from: boxes, to: boxes },
    algorithm,
    channels,
    ...(chunks === undefined ? {} : { chunks }),
    ...(sliceBytes === undefined ? {} : { sliceBytes }),
  };
}

/** Everything of a choice. */
function wayOf({ algorithm, channels, chunks, sliceBytes }: Choice): string {
  return `${algorithm} ${channels} ${chunks} ${sliceBytes}`;
}

/** Those with equal keys together, by ascending keys. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => readonly number[]): T[][] {
  const groups = new Map<string, { key: readonly number[]; items: T[] }>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key.join(' '));
    if (group === undefined) groups.set(key.join(' '), { key, items: [item] });
    else group.items.push(item);
  }
  return [...groups.values()].sort((a, b) => compare(a.key, b.key)).map((group) => group.items);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, position) => value !== b[position]);
  return index < 0 ? 0 : (a[index] as number) - (b[index] as number);
}

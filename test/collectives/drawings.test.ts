/** The traces drawn in the algorithm files are what the schedules do. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { printSchedule } from '../../collectives/print.ts';
import type { ScheduleOptions } from '../../collectives/schedule.ts';
import { CASES, scheduleOf } from './support.ts';

const FOLDER = new URL('../../collectives/algorithms/', import.meta.url);
const FILES = readdirSync(FOLDER);

/** All drawings of a file: a line of `rank 0  rank 1 ...`, then `start`, then the rounds. */
function drawingsIn(file: string): string[] {
  const lines = readFileSync(new URL(file, FOLDER), 'utf8')
    .split('\n')
    .map((line) => line.replace(/^ \* {0,3}/, ''));
  return lines.flatMap((line, index) => {
    if (!/^ +rank 0( +rank \d+)+$/.test(line)) return [];
    const rest = lines.slice(index + 1);
    const end = rest.findIndex((row) => !/^(start|round)/.test(row));
    return [[line, ...rest.slice(0, end)].join('\n')];
  });
}

/** What a drawing may show: four ranks, two-level algorithms with two boxes of two. */
const FOUR_RANKS: readonly ScheduleOptions[] = [
  { nranks: 4 },
  { nranks: 4, topology: { boxes: 2, ranksPerBox: 2 } },
];

const PRINTED = CASES.map((one) => {
  const schedules = FOUR_RANKS.flatMap((options) => scheduleOf(one, options) ?? []);
  return { ...one, drawings: [...new Set(schedules.map((schedule) => printSchedule(schedule)))] };
});

/** Drawings that show something else. */
const SPECIAL = [printSchedule(recursiveDoublingAllReduce({ nranks: 3 }))];

const DRAWN = FILES.flatMap((file) => drawingsIn(file).map((drawing) => ({ file, drawing })));

describe('printSchedule()', () => {
  it.each(PRINTED)('prints a drawing of $algorithm $collective', ({ drawings }) => {
    const found = DRAWN.filter(({ drawing }) => drawings.includes(drawing));
    expect(found, drawings.join('\n\n')).not.toEqual([]);
  });

  it('prints every drawing', () => {
    const known = new Set([...SPECIAL, ...PRINTED.flatMap(({ drawings }) => drawings)]);
    expect(DRAWN.filter(({ drawing }) => !known.has(drawing))).toEqual([]);
    expect(DRAWN.map(({ drawing }) => drawing)).toEqual(expect.arrayContaining(SPECIAL));
  });

  it('separates rank numbers of two digits', () => {
    const text = printSchedule(recursiveDoublingAllReduce({ nranks: 16 }));
    expect(text.split('\n')[2]).toContain('10+11');
  });
});

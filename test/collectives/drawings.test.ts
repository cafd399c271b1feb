/** The traces drawn in the algorithm files are what the schedules do. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { binomialTreeBroadcast } from '../../collectives/algorithms/binomial-tree.ts';
import { recursiveDoublingAllReduce } from '../../collectives/algorithms/recursive-doubling.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { printSchedule } from '../../collectives/print.ts';
import type { Schedule } from '../../collectives/schedule.ts';
import { CASES } from './support.ts';

const FOLDER = new URL('../../collectives/algorithms/', import.meta.url);

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

const DRAWN: readonly { file: string; schedules: readonly Schedule[] }[] = [
  { file: 'ring.ts', schedules: [ringAllReduce({ nranks: 4 }), ringAllGather({ nranks: 4 })] },
  { file: 'recursive-doubling.ts', schedules: [recursiveDoublingAllReduce({ nranks: 4 })] },
  { file: 'fold.ts', schedules: [recursiveDoublingAllReduce({ nranks: 3 })] },
  { file: 'binomial-tree.ts', schedules: [binomialTreeBroadcast({ nranks: 4 })] },
];

describe('printSchedule()', () => {
  it.each(DRAWN)('prints exactly what $file draws', ({ file, schedules }) => {
    expect(drawingsIn(file)).toEqual(schedules.map((schedule) => printSchedule(schedule)));
  });

  it('has a drawing of every algorithm in the table', () => {
    const drawn = DRAWN.flatMap(({ schedules }) => schedules);
    for (const { algorithm, collective } of CASES) {
      expect(drawn).toContainEqual(expect.objectContaining({ algorithm, collective }));
    }
  });

  it('knows of every file that draws something', () => {
    const drawing = readdirSync(FOLDER).filter((file) => drawingsIn(file).length > 0);
    expect(drawing.sort()).toEqual(DRAWN.map(({ file }) => file).sort());
  });

  it('separates rank numbers of two digits', () => {
    const text = printSchedule(recursiveDoublingAllReduce({ nranks: 16 }));
    expect(text.split('\n')[2]).toContain('10+11');
  });
});

import { describe, expect, it } from 'vitest';
import { bruckAllToAll } from '../../collectives/algorithms/bruck.ts';
import { recursiveHalvingReduceScatter } from '../../collectives/algorithms/recursive-halving.ts';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { usualPlacement } from '../../collectives/drawing.ts';
import { COLLECTIVE_WORDS, collectiveOfWord, wordOfCollective } from '../../collectives/names.ts';
import { printSchedule } from '../../collectives/print.ts';
import { CASES, PLACEMENTS, scheduleOf } from './support.ts';

describe('printSchedule() with all buffers', () => {
  it('shows the whole input in place, and scratch with the blocks that are in it', () => {
    expect(printSchedule(recursiveHalvingReduceScatter({ nranks: 2 }), { buffers: 'all' })).toBe(
      [
        '         rank 0 input | scratch  rank 1 input | scratch',
        'start    0  0  | .  .            1  1  | .  .',
        'round 1  01 0  | .  .            1  01 | .  .',
      ].join('\n'),
    );
    const four = printSchedule(recursiveHalvingReduceScatter({ nranks: 4 }), { buffers: 'all' });
    expect(four.split('\n')[2]).toContain('| 02:0 02:1 .    .');
  });

  it('shows from whom to whom the blocks of an all-to-all are', () => {
    const text = printSchedule(bruckAllToAll({ nranks: 3 }), { buffers: 'all' });
    const last = text.split('\n').at(-1) ?? '';
    for (const block of ['0:0 1:0 2:0 |', '0:1 1:1 2:1 |', '0:2 1:2 2:2 |']) {
      expect(last).toContain(block);
    }
  });

  it.each(CASES)('ends with all that is promised: $algorithm $collective', (one) => {
    for (const { inPlace } of PLACEMENTS) {
      const placement = inPlace ? 'inPlace' : 'outOfPlace';
      const schedule = scheduleOf(one, { nranks: 4, placement });
      if (schedule === undefined) continue;
      const lines = printSchedule(schedule, { placement, buffers: 'all' }).split('\n');
      expect(lines.length).toBe(2 + [...schedule.rounds()].length);
      expect(lines.every((line) => line === line.trimEnd())).toBe(true);
    }
  });
});

describe('usualPlacement()', () => {
  it('is in place, but where other data takes the place of the input', () => {
    const apart = COLLECTIVES.filter((name) => usualPlacement(name) === 'outOfPlace');
    expect(apart).toEqual(['allToAll', 'sendRecv', 'allToAllV']);
  });
});

describe('the names of collectives', () => {
  it('are those of nccl-tests, one for each collective', () => {
    expect(Object.values(COLLECTIVE_WORDS).toSorted()).toEqual([...COLLECTIVES].toSorted());
    for (const collective of COLLECTIVES) {
      expect(collectiveOfWord(wordOfCollective(collective))).toBe(collective);
    }
    expect(collectiveOfWord('allReduce')).toBeUndefined();
    expect(wordOfCollective('custom')).toBe('custom');
  });
});

import { describe, expect, it } from 'vitest';
import { CONTESTANT_IDS, CONTESTANT_TITLES } from '../../bench/peers/contestants.ts';
import { readPeerOptions } from '../../bench/peers/options.ts';
import { drawPeers } from '../../bench/peers/plot.ts';
import { peerRecord } from '../../bench/peers/record.ts';
import {
  contestantLines,
  failureLines,
  floorLines,
  renderTables,
} from '../../bench/peers/table.ts';
import { decadeAxis, sizeAxis } from '../../bench/plot/axes.ts';
import { contestant, MACHINE, rowsWith } from './peers-samples.ts';

const ALL = {
  'hlsim-ws': [100, 100, 110],
  'hlsim-p2p': [10, 10, 10],
  'openmpi-tcp': [90, 80, 70],
  'openmpi-shm': [30, 30, 30],
  gloo: [190, 190, 190],
} as const;

describe('table', () => {
  it('shows the median time of every contestant', () => {
    const text = renderTables(rowsWith(ALL));
    expect(text).toContain('all_reduce, 2 ranks: median time of a call, microseconds');
    for (const id of CONTESTANT_IDS) expect(text).toContain(CONTESTANT_TITLES[id]);
    expect(text).toMatch(/1 MiB +100 +10\.0 +80\.0 +30\.0 +190$/m);
  });

  it('shows the median and range of the ratios, and whether the floor is met', () => {
    const text = renderTables(
      rowsWith({ 'hlsim-ws': ALL['hlsim-ws'], 'openmpi-tcp': ALL['openmpi-tcp'] }),
    );
    expect(text).toMatch(/ws : OpenMPI TCP$/m);
    expect(text).toMatch(/1 MiB +0\.8 \[0\.64-0\.9\] >=0\.7 met$/m);
  });

  it('a contestant without a right result in any round has a dash and no ratio', () => {
    const text = renderTables(rowsWith({ 'hlsim-ws': [100, 100, 100], gloo: [] }));
    expect(text).toMatch(/1 MiB +100 +-$/m);
    expect(text).not.toContain('ws : Gloo');
  });

  it('names the floors that are missed', () => {
    const lines = floorLines(rowsWith(ALL));
    expect(lines[0]).toBe('# Floors: 3 of 4 met');
    expect(lines.slice(1)).toEqual([
      '# MISSED ws : Gloo, all_reduce, 2 ranks, 1 MiB: 1.90 [1.73-1.90], floor 2',
    ]);
  });

  it('names a contestant that is left out, why, and what to install', () => {
    const missing = [
      { id: 'gloo', reason: 'no torch', remedy: 'apt-get install python3-torch' },
    ] as const;
    expect(contestantLines([contestant('openmpi-tcp')], missing)).toEqual([
      '# OpenMPI TCP: 1.0',
      '# Gloo: LEFT OUT: no torch (apt-get install python3-torch)',
    ]);
  });

  it('names what failed, where', () => {
    const failure = { contestant: 'gloo', ranks: 4, round: 1, what: 'ended with SIGKILL' } as const;
    expect(failureLines([failure])).toEqual([
      '# FAILED Gloo, 4 ranks, round 2: ended with SIGKILL',
    ]);
  });
});

describe('record', () => {
  it('holds the machine, the raw times of every round, the floors and who is missing', () => {
    const rows = rowsWith(ALL);
    const missing = [{ id: 'gloo', reason: 'absent', remedy: 'install it' }] as const;
    const record = peerRecord({
      ...{ machine: MACHINE, options: readPeerOptions([]), contestants: [], missing, rows },
      ...{ failures: [], startMs: 0, endMs: 1000 },
    });
    const read = JSON.parse(JSON.stringify(record));
    expect(read).toMatchObject({ machine: MACHINE, missing, endTime: '1970-01-01T00:00:01.000Z' });
    expect(read.rows[0].contestants[0]).toMatchObject({ timesUs: [100, 100, 110] });
    expect(read.floors.length).toBeGreaterThan(10);
    expect(read.method.clock).toBe('wall');
  });
});

describe('picture', () => {
  it('has a curve of every contestant for time and for bus bandwidth, and a legend', () => {
    const svg = drawPeers(rowsWith(ALL), MACHINE);
    for (const id of CONTESTANT_IDS) {
      expect(svg.split(`data-contestant="${id}"`)).toHaveLength(3);
      expect(svg).toContain(`>${CONTESTANT_TITLES[id]}</text>`);
    }
  });

  it('says what the axes and panels are, and on which machine, as well-formed text', () => {
    const svg = drawPeers(rowsWith(ALL), MACHINE);
    for (const text of [
      'all-reduce, 2 ranks',
      'time of a call',
      'bus bandwidth',
      'size of the whole array',
    ]) {
      expect(svg).toContain(`>${text}</text>`);
    }
    expect(svg).toContain('A &lt;fast&gt; CPU &amp; more');
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('without any time has no curves', () => {
    expect(drawPeers(rowsWith({ gloo: [] }), MACHINE)).not.toContain('data-contestant');
  });

  it('an axis holds every value, with ticks inside', () => {
    for (const axis of [decadeAxis([0.3, 4, 870]), decadeAxis([5]), sizeAxis([8, 4096, 2 ** 26])]) {
      expect(axis.position(axis.min)).toBe(0);
      expect(axis.position(axis.max)).toBe(1);
      for (const tick of axis.ticks) expect(axis.position(tick)).toBeGreaterThanOrEqual(0);
      for (const tick of axis.ticks) expect(axis.position(tick)).toBeLessThanOrEqual(1);
    }
  });
});

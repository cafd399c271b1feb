import { describe, expect, it } from 'vitest';
import type { PlaceReport, RankReport } from '../../../bench/overlap/options.ts';
import { renderOverlap } from '../../../bench/overlap/render.ts';
import { sameBits, summariesOf } from '../../../bench/overlap/summary.ts';

type Costs = readonly [on: number, off: number, communication: number, computing: number];

/** `cpuMs` is half of the time, and the first bucket comes after a quarter. */
function cost(wallMs: number) {
  return { wallMs, cpuMs: wallMs / 2, firstMs: wallMs / 4 };
}

function place(...rounds: readonly Costs[]): PlaceReport {
  return {
    rows: 16,
    rounds: rounds.map(([on, off, communication, computing]) => ({
      on: cost(on),
      off: cost(off),
      communication: cost(communication),
      computing: cost(computing),
    })),
  };
}

function report(rank: number, device: PlaceReport, digests = { on: 'a', off: 'a' }): RankReport {
  const program = place([1, 1, 1, 1]);
  return { rank, buckets: 3, gradientBytes: 4096, places: { device, program }, digests };
}

const REPORTS = [
  report(0, place([60, 80, 40, 40], [50, 100, 50, 60], [90, 90, 45, 40])),
  report(1, place([64, 76, 40, 40], [50, 90, 40, 60], [80, 90, 45, 40])),
];

describe('summariesOf()', () => {
  it('takes the slowest rank of each round, and ratios within a round', () => {
    const [device, program] = summariesOf(REPORTS);
    expect(device).toMatchObject({
      place: 'device',
      rows: 16,
      onMs: { median: 64, min: 50, max: 90 },
      offMs: { median: 90, min: 80, max: 100 },
      communicationMs: { median: 45 },
      computingMs: { median: 40 },
      ratio: { median: 1.25, min: 1, max: 2 },
      hidden: { median: 0.4, min: 0, max: 1 },
      hideable: { median: 0.75 },
      communicationCores: { median: 0.5 },
    });
    expect(program).toMatchObject({ place: 'program', ratio: { median: 1 } });
  });
});

describe('sameBits()', () => {
  it('sees one sum that differs', () => {
    expect(sameBits(REPORTS)).toBe(true);
    const other = report(1, place([1, 1, 1, 1]), { on: 'a', off: 'b' });
    expect(sameBits([...REPORTS, other])).toBe(false);
  });
});

describe('renderOverlap()', () => {
  it('is a table with medians and ranges', () => {
    const table = renderOverlap([{ link: '200 MB/s', places: summariesOf(REPORTS) }]).split('\n');
    expect(table).toHaveLength(3);
    expect(table[1]?.split(/ {2,}/)).toEqual([
      ...['200 MB/s', 'device', '40.00 ms', '45.00 ms', '0.50', '90.00 ms', '64.00 ms'],
      ...['1.25 (1.00 to 2.00)', '40 % (0 % to 100 %)', '75 %'],
    ]);
  });
});

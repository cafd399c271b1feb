import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparisonRows, failuresOf } from '../../bench/peers/comparison.ts';
import { FLOORS, floorOf } from '../../bench/peers/floors.ts';
import { ratiosOf, spreadOf } from '../../bench/peers/statistics.ts';
import { KiB, MiB } from '../../common/bytes.ts';
import { contestant, PLAN, rowsWith, run } from './peers-samples.ts';

describe('median and range', () => {
  it('of no values there is none', () => {
    expect(spreadOf([])).toBeUndefined();
  });

  it('the median of an odd number is the middle one, of an even number the mean of the middle two', () => {
    expect(spreadOf([9, 1, 3])).toEqual({ median: 3, min: 1, max: 9 });
    expect(spreadOf([9, 1, 3, 5])).toEqual({ median: 4, min: 1, max: 9 });
  });

  it('half of the values are on each side of the median', () => {
    const values = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, (sample) => {
        const { median = 0, min = 0, max = 0 } = spreadOf(sample) ?? {};
        const half = sample.length / 2;
        expect(sample.filter((value) => value <= median).length).toBeGreaterThanOrEqual(half);
        expect(sample.filter((value) => value >= median).length).toBeGreaterThanOrEqual(half);
        expect([min, max]).toEqual([Math.min(...sample), Math.max(...sample)]);
      }),
    );
  });
});

describe('ratios', () => {
  it("are the peer's time through hlsim's of the same round", () => {
    expect(ratiosOf([100, 200], [200, 100])).toEqual([2, 0.5]);
  });

  it('leave out a round that either did not finish', () => {
    expect(ratiosOf([100, null, 50], [null, 100, 100])).toEqual([2]);
  });
});

describe('comparison', () => {
  it('the ratio is the median of the rounds, not the ratio of the medians', () => {
    const [row] = rowsWith({ 'hlsim-ws': [100, 1000, 10], gloo: [300, 1000, 1000] });
    expect(row?.comparisons[0]).toMatchObject({ ratios: [3, 1, 100], ratio: { median: 3 } });
  });

  it('says whether the floor is met', () => {
    const rows = rowsWith({ 'hlsim-ws': [100, 100, 100], gloo: [199, 199, 199] });
    expect(rows[0]?.comparisons[0]).toMatchObject({ floor: 2, met: false });
    const faster = rowsWith({ 'hlsim-ws': [100, 100, 100], gloo: [200, 200, 200] });
    expect(faster[0]?.comparisons[0]).toMatchObject({ floor: 2, met: true });
  });

  it('where nothing is promised, nothing is met or missed', () => {
    const [row] = rowsWith({ 'hlsim-ws': [100, 100, 100], 'openmpi-shm': [1, 1, 1] });
    expect(row?.comparisons[0]).toMatchObject({ peer: 'openmpi-shm', floor: null, met: null });
  });

  it('the time of a wrong result counts for nothing, and the wrong elements are a failure', () => {
    const runs = [
      run('gloo', 0, PLAN, { timeUs: 5, wrong: 7 }),
      run('gloo', 1, PLAN, { timeUs: 9 }),
    ];
    const [row] = comparisonRows(PLAN, ['gloo'], 2, runs);
    expect(row?.contestants[0]?.timesUs).toEqual([null, 9]);
    const [failure, ...others] = failuresOf(runs, () => PLAN);
    expect(others).toEqual([]);
    expect(failure).toMatchObject({ contestant: 'gloo', ranks: 2, round: 0 });
    expect(failure?.what).toContain('7 wrong elements');
  });

  it('a crash is a failure and leaves its round empty', () => {
    const crashed = {
      ...{ contestant: contestant('openmpi-tcp'), ranks: 2, round: 0 },
      ...{ timings: new Map(), failure: 'ended with SIGSEGV' },
    };
    expect(comparisonRows(PLAN, ['openmpi-tcp'], 1, [crashed])[0]?.contestants[0]).toMatchObject({
      timesUs: [null],
      timeUs: null,
      busBw: null,
    });
    expect(failuresOf([crashed], () => PLAN)[0]?.what).toBe('ended with SIGSEGV');
  });

  it('bus bandwidth follows the conventions of nccl-tests', () => {
    const [row] = rowsWith({ gloo: [1000, 1000, 1000] });
    // 1 MiB in 1 ms, twice (n - 1) / n of it for 2 ranks.
    expect(row?.contestants[0]?.busBw).toBeCloseTo(1.048576, 6);
  });
});

describe('floors', () => {
  const at = (bytes: number, ranks: number, collective: 'all_reduce' | 'all_gather') => ({
    ...{ bytes, ranks, collective },
  });

  it('hold at the sizes and ranks that they name, and nowhere else', () => {
    expect(floorOf('hlsim-ws', 'openmpi-tcp', at(64 * MiB, 8, 'all_gather'))).toBe(1.3);
    expect(floorOf('hlsim-ws', 'gloo', at(16 * MiB, 2, 'all_reduce'))).toBe(1.2);
    expect(floorOf('hlsim-ws', 'gloo', at(16 * MiB, 4, 'all_reduce'))).toBe(1);
    expect(floorOf('hlsim-ws', 'openmpi-tcp', at(4 * KiB, 4, 'all_reduce'))).toBe(0.15);
    expect(floorOf('hlsim-p2p', 'openmpi-shm', at(64 * MiB, 2, 'all_reduce'))).toBe(1.5);
    expect(floorOf('hlsim-p2p', 'gloo', at(8, 2, 'all_gather'))).toBe(10);
    expect(floorOf('hlsim-p2p', 'gloo', at(8, 4, 'all_gather'))).toBeUndefined();
    expect(floorOf('hlsim-p2p', 'openmpi-tcp', at(4 * MiB, 2, 'all_reduce'))).toBeUndefined();
    expect(floorOf('hlsim-ws', 'openmpi-shm', at(64 * MiB, 2, 'all_reduce'))).toBeUndefined();
  });

  it('no two are promised for the same figure', () => {
    for (const floor of FLOORS) {
      for (const collective of floor.collectives) {
        for (const ranks of floor.ranks) {
          for (const bytes of floor.bytes) {
            const what = at(bytes, ranks, collective);
            expect(floorOf(floor.hlsim, floor.peer, what)).toBe(floor.ratio);
          }
        }
      }
    }
  });
});

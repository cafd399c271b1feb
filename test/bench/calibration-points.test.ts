/** From results of hlsim bench to points of a calibration. */
import { describe, expect, it } from 'vitest';
import { launches, PROVIDERS } from '../../bench/calibration/plan.ts';
import { pointsCsv, samplesOf } from '../../bench/calibration/points.ts';

const launch = { provider: 'ws', collective: 'all_reduce', algorithm: 'ring', ranks: 2 } as const;

function results(...times: readonly (readonly [size: number, time: number])[]): string {
  return JSON.stringify({
    results: times.map(([size, time]) => {
      return { size, slice_bytes: 262_144, out_of_place: { time, busbw: 1 } };
    }),
  });
}

describe('points of a calibration', () => {
  it('are medians over the rounds, without the size that only warms up', () => {
    const rounds = [
      results([64, 900], [1024, 30], [16_384, 70]),
      results([64, 800], [1024, 10], [16_384, 50]),
      results([64, 700], [1024, 20], [16_384, 60]),
    ];
    const samples = rounds.flatMap((json) => samplesOf(launch, json));
    expect(pointsCsv(samples, 'ws', ['# comment'])).toBe(
      [
        '# comment',
        'algorithm,collective,ranks,size,time_us,slice',
        'ring,all_reduce,2,1024,20.0,262144',
        'ring,all_reduce,2,16384,60.0,262144',
        '',
      ].join('\n'),
    );
    expect(pointsCsv(samples, 'p2p', [])).toBe('algorithm,collective,ranks,size,time_us,slice\n');
  });

  it('are refused from what is no result', () => {
    expect(() => samplesOf(launch, '{"results": [{"size": 0}]}')).toThrow(/results of hlsim bench/);
  });

  it('are to be measured of ring on 2 and 4 ranks, and of much that the fit does not see', () => {
    const all = launches();
    for (const provider of PROVIDERS) {
      const own = all.filter((one) => one.provider === provider);
      const ring = own.filter(({ algorithm }) => algorithm === 'ring').map(({ ranks }) => ranks);
      expect(ring).toEqual(expect.arrayContaining([2, 3, 4, 8]));
      expect(new Set(own.map(({ algorithm }) => algorithm)).size).toBeGreaterThan(3);
    }
  });
});

import { describe, expect, it } from 'vitest';
import { fractionRequests, fractionsOf, hlsimKey } from '../../bench/limits/fractions.ts';
import { readLimitOptions } from '../../bench/limits/options.ts';
import {
  cPlan,
  limitArgument,
  limitKey,
  nodePlan,
  pullCopyBytes,
  REGION_BYTES,
  REGION_LIMITS,
  readLimit,
} from '../../bench/limits/plan.ts';
import { fractionLines, rateLines } from '../../bench/limits/report.ts';
import { limitFigures } from '../../bench/limits/sources.ts';
import { MiB } from '../../common/bytes.ts';

const REQUEST = { ranks: [2, 4], sizes: [64 * MiB] };

describe('plan', () => {
  it('measures every limit of one region once, in C or in Node.js', () => {
    const single = [...cPlan({ ranks: [], sizes: [] }), ...nodePlan()].map(({ limit }) => limit);
    expect(single.sort()).toEqual(Object.keys(REGION_LIMITS).sort());
  });

  it('measures every bound that hlsim is held against', () => {
    const measured = new Set(cPlan(REQUEST).map(limitKey));
    for (const { bound } of fractionRequests(REQUEST)) expect(measured).toContain(bound.key);
  });

  it('is told to the programs in words that read back', () => {
    for (const measurement of [...cPlan(REQUEST), ...nodePlan()]) {
      expect(readLimit(limitArgument(measurement))).toEqual(measurement);
    }
    for (const text of ['', 'copy', 'copy:0:1:1', 'copy:1:1:x']) {
      expect(readLimit(text)).toBeUndefined();
    }
  });

  it('pulling moves 5/4 of a memcpy of the array with 2 ranks, towards 3/2 with many', () => {
    expect(pullCopyBytes(2, 1000)).toBe(1250);
    expect(pullCopyBytes(1000, 1_000_000) / 1_000_000).toBeCloseTo(1.5, 2);
  });
});

describe('fractions', () => {
  const what = { collective: 'all_gather', ranks: 2, bytes: 64 * MiB } as const;
  const bound = limitKey({ limit: 'gather', ranks: 2, bytes: 64 * MiB });
  const figures = (own: number, limit: number) =>
    new Map([
      [hlsimKey('hlsim-p2p', what), own],
      [bound, limit],
    ]);

  it("are the bound's time through hlsim's, round by round, and say whether the floor is met", () => {
    const rounds = [figures(100, 90), figures(100, 70), figures(200, 170)];
    const [fraction, ...others] = fractionsOf(fractionRequests(REQUEST), rounds);
    expect(others).toEqual([]);
    expect(fraction).toMatchObject({ fractions: [0.9, 0.7, 0.85], floor: 0.8, met: true });
    expect(fractionLines([fraction].filter((one) => one !== undefined))[1]).toMatch(
      /0\.85 \[0\.70-0\.90\] >=0\.8 met/,
    );
  });

  it('a round without one of the two counts for nothing', () => {
    const rounds = [figures(100, 50), new Map([[bound, 1]])];
    expect(fractionsOf(fractionRequests(REQUEST), rounds)[0]?.fractions).toEqual([0.5]);
  });

  it('of ws is the time that C needs for the bytes that must cross sockets', () => {
    const requests = fractionRequests({ ranks: [4], sizes: [REGION_BYTES] });
    const ws = requests.filter(({ hlsim }) => hlsim === 'hlsim-ws');
    expect(ws.map((one) => [one.collective, one.bound.key])).toEqual([
      ['rdma_write', `tcp 1 ${REGION_BYTES}`],
      ['all_reduce', `ring 4 ${(6 * REGION_BYTES) / 4}`],
      ['all_gather', `ring 4 ${(3 * REGION_BYTES) / 4}`],
    ]);
  });

  it('are promised of one write over sockets and of the collectives of p2p', () => {
    const promised = fractionRequests({ ranks: [2, 4, 8], sizes: [16 * MiB, 64 * MiB] }).filter(
      ({ floor }) => floor !== null,
    );
    const write = promised.filter(({ hlsim }) => hlsim === 'hlsim-ws');
    expect(write.map(({ collective, floor }) => [collective, floor])).toEqual([
      ['rdma_write', 0.9],
    ]);
    expect(promised.filter(({ collective }) => collective === 'all_gather')).toHaveLength(6);
    expect(promised.filter(({ collective }) => collective === 'all_reduce')).toHaveLength(1);
  });
});

describe('report', () => {
  it('shows rates as bytes of the region through the time, and says what was not measured', () => {
    const key = limitKey({ limit: 'copy', ranks: 1, bytes: REGION_BYTES });
    const lines = rateLines([new Map([[key, 10_000]])]);
    expect(lines.find((line) => line.startsWith('memcpy, C'))).toMatch(/6\.71 \[6\.71-6\.71\]$/);
    expect(lines.find((line) => line.startsWith('unix socket, C'))).toMatch(/not measured$/);
  });

  it('reads the lines of the programs, and refuses what is none', () => {
    const line = '{"limit":"tcp","ranks":1,"bytes":64,"timeUs":2.5}';
    expect([...limitFigures(`${line}\n`)]).toEqual([['tcp 1 64', 2.5]]);
    expect(() => limitFigures('{"limit":"tcp"}')).toThrow('Expected a measurement');
  });
});

describe('command line', () => {
  it('knows its own flags alone', () => {
    expect(readLimitOptions([])).toMatchObject({ ranks: [2, 4, 8], sizes: [16 * MiB, 64 * MiB] });
    expect(readLimitOptions(['--quick'])).toMatchObject({ ranks: [2], rounds: 3 });
    expect(() => readLimitOptions(['--svg', 'x.svg'])).toThrow('--svg');
    expect(() => readLimitOptions(['--sizes', '8'])).toThrow('--sizes');
  });
});

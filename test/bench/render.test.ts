import { describe, expect, it } from 'vitest';
import {
  type BenchDevice,
  benchJson,
  choiceText,
  renderFooter,
  renderHeader,
  renderRow,
} from '../../bench/render.ts';
import { BenchResults } from '../../bench/results.ts';
import { measurement, OPTIONS, report } from './samples.ts';

const DEVICES: readonly BenchDevice[] = [
  { rank: 0, group: 0, pid: 4711, hostname: 'host-a', device: 0 },
  { rank: 1, group: 0, pid: 123456, hostname: 'a-long-host-name', device: 11 },
];

function sweep(): BenchResults {
  const results = new BenchResults(OPTIONS, 2);
  const times = [
    [11.54, 1234.567],
    [99999.4, 999999],
    [12345678.9, 0.0123],
  ] as const;
  for (const [index, [outOfPlace = 0, inPlace = 0]] of times.entries()) {
    for (const rank of [0, 1]) {
      const wrong = index === 2 ? rank * 7 : 0;
      const of = {
        outOfPlace: measurement(outOfPlace, wrong),
        inPlace: measurement(inPlace, wrong),
      };
      results.add(rank, report(index, of));
    }
  }
  return results;
}

describe('the table', () => {
  it('is that of nccl-tests, with a line that says whose clock it is', () => {
    const results = sweep();
    const table = [
      renderHeader(OPTIONS, DEVICES),
      ...results.rows.map(renderRow),
      renderFooter(results),
    ];
    expect(`${table.join('\n')}\n`).toBe(`\
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 12 minBytes 8 maxBytes 512 step: 8(factor) warmup iters: 1 iters: 20 agg iters: 1 validation: 1 graph: 0
# Time: wall clock of this machine, the slowest rank counts. Algorithm: picked for each size, at the end of its line
#
# Using devices
#  Rank  0 Group  0 Pid   4711 on     host-a device  0 [0000:00:00] Gaudi (simulated)
#  Rank  1 Group  0 Pid 123456 on a-long-host-name device 11 [0000:0b:00] Gaudi (simulated)
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
           8             2     float     sum      -1    11.54    0.00    0.00       0  1234.57    0.00    0.00       0   ring
          64            16     float     sum      -1  99999.4    0.00    0.00       0   999999    0.00    0.00       0   ring
         512           128     float     sum      -1   1.2e+7    0.00    0.00       7     0.01   41.63   41.63       7   ring
# Out of bounds values : 14 FAILED
# Avg bus bandwidth    : 6.93779
#
# Collective test concluded: all_reduce_perf
`);
  });

  it('says OK where nothing is wrong, and N/A where nothing was compared', () => {
    const results = new BenchResults({ ...OPTIONS, maxBytes: 8, check: false }, 1);
    const unchecked = measurement(5, null);
    const row = results.add(0, report(0, { outOfPlace: unchecked, inPlace: unchecked }));
    expect(row === undefined ? '' : renderRow(row)).toBe(
      '           8             2     float     sum      -1     5.00    0.00    0.00     N/A     5.00    0.00    0.00     N/A   ring',
    );
    expect(renderFooter(results)).toContain(
      '# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 0\n',
    );
  });

  it.each([
    [2.765_07e-6, '2.76507e-06'],
    [9.999_999e-5, '0.0001'],
    [0.000_123_456_78, '0.000123457'],
    [41.5, '41.5'],
    [123_456.4, '123456'],
    [999_999.9, '1e+06'],
    [1.5e120, '1.5e+120'],
  ])("gives an average of %d as C's %%g does", (averageBusBandwidth, text) => {
    const results = new BenchResults(OPTIONS, 1);
    Object.defineProperty(results, 'averageBusBandwidth', { value: averageBusBandwidth });
    expect(renderFooter(results)).toContain(`# Avg bus bandwidth    : ${text}\n`);
  });

  it('names a step in bytes and a chosen algorithm', () => {
    const { stepFactor: _, ...rest } = OPTIONS;
    const header = renderHeader({ ...rest, stepBytes: 1024, algorithm: 'ring' }, DEVICES);
    expect(header).toContain(' step: 1024(bytes) ');
    expect(header).toContain('Algorithm: ring\n');
  });

  it('says that a schedule file was run', () => {
    const header = renderHeader({ ...OPTIONS, schedule: '<algo/>' }, DEVICES);
    expect(header).toContain('Algorithm: the schedule file\n');
  });

  it('says N/A where there is no such place', () => {
    const options = { ...OPTIONS, collective: 'sendrecv', maxBytes: 8 } as const;
    const results = new BenchResults(options, 1);
    const of = { reduceOp: 'none', outOfPlace: measurement(5), inPlace: null, choice: null };
    const row = results.add(0, report(0, of));
    expect(row === undefined ? '' : renderRow(row)).toBe(
      '           8             2     float    none      -1     5.00    0.00    0.00       0      N/A     N/A     N/A     N/A',
    );
  });
});

describe('choiceText()', () => {
  it.each([
    ['ring', { algorithm: 'ring', channels: 1 }],
    ['ring x2', { algorithm: 'ring', channels: 2 }],
    ['chain x4 64 KiB', { algorithm: 'chain', channels: 4, chunks: 8, sliceBytes: 65536 }],
    ['', null],
  ])('is %j', (text, choice) => {
    expect(choiceText(choice)).toBe(text);
  });
});

describe('benchJson()', () => {
  const run = {
    devices: DEVICES,
    args: ['bench', 'all_reduce', '-b', '8'],
    startTime: new Date(2026, 0, 31, 23, 59, 58),
    endTime: new Date(2026, 1, 1, 0, 0, 3),
    version: '1.2.3',
  };
  const json = JSON.parse(JSON.stringify(benchJson(sweep(), run)));

  it("has nccl-tests' keys", () => {
    expect(Object.keys(json)).toEqual(
      expect.arrayContaining(
        'version start_time args env nccl_version config results out_of_bounds average_bus_bandwidth end_time'.split(
          ' ',
        ),
      ),
    );
    expect(Object.keys(json.config)).toEqual(
      expect.arrayContaining(
        'nthreads ngpus minimum_bytes maximum_bytes step_factor warmup_iters iterations aggregated_iterations validation graph blocking_collectives per_iter_timing per_iter_skip parallel_init devices'.split(
          ' ',
        ),
      ),
    );
    expect(json).toMatchObject({
      version: 2,
      hlsim_version: '1.2.3',
      start_time: '2026-01-31 23:59:58',
      end_time: '2026-02-01 00:00:03',
      args: ['bench', 'all_reduce', '-b', '8'],
      clock: 'wall',
    });
  });

  it('names the host process of every rank', () => {
    expect(json.config.devices[1]).toEqual({
      rank: 1,
      group: 0,
      pid: 123456,
      hostname: 'a-long-host-name',
      device: 11,
      device_hex: '0000:0b:00',
      device_info: 'Gaudi (simulated)',
    });
  });

  it('has each row out of place and in place', () => {
    expect(json.results).toHaveLength(3);
    expect(json.results[2]).toEqual({
      size: 512,
      count: 128,
      type: 'float',
      redop: 'sum',
      root: '-1',
      out_of_place: {
        time: 12345678.9,
        alg_bw: expect.closeTo(4.1472e-8, 12),
        bus_bw: expect.closeTo(4.1472e-8, 12),
        nwrong: 7,
      },
      in_place: {
        time: 0.0123,
        alg_bw: expect.closeTo(41.626, 3),
        bus_bw: expect.closeTo(41.626, 3),
        nwrong: 7,
      },
      actual_iterations: 20,
      experiment_name: 'all_reduce_perf',
      algorithm: 'ring',
      channels: 1,
      chunks: null,
      slice_bytes: null,
    });
    expect(json.out_of_bounds).toEqual({ count: 14, okay: 'false' });
  });

  it('tells nothing of the environment', () => {
    expect(json.env).toEqual([]);
  });
});

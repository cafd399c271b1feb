import { describe, expect, it } from 'vitest';
import type { BenchOptions } from '../../bench/options.ts';
import { BenchResults } from '../../bench/results.ts';
import { HlsimError } from '../../common/errors.ts';
import { measurement, OPTIONS, report } from './samples.ts';

describe('BenchResults', () => {
  it('gives a row once every rank has reported: time of the slowest, sum of the wrong', () => {
    const results = new BenchResults(OPTIONS, 2);
    const slow = report(0, { outOfPlace: measurement(400, 1), inPlace: measurement(50, 2) });
    expect(results.add(1, slow)).toBeUndefined();
    expect(results.rows).toEqual([]);
    const row = results.add(
      0,
      report(0, { outOfPlace: measurement(100, 3), inPlace: measurement(80, 0) }),
    );
    expect(row).toEqual({
      size: 8,
      count: 2,
      type: 'float',
      redop: 'sum',
      root: -1,
      outOfPlace: { timeUs: 400, algBw: 8 / 400e3, busBw: 8 / 400e3, wrong: 4, digests: [] },
      inPlace: { timeUs: 80, algBw: 8 / 80e3, busBw: 8 / 80e3, wrong: 2, digests: [] },
      choice: { algorithm: 'ring', channels: 1 },
    });
    expect(results.rows).toEqual([row]);
    expect(results.outOfBounds).toBe(6);
  });

  it('is complete after the last size, and not before', () => {
    const results = new BenchResults(OPTIONS, 1);
    expect(results.complete).toBe(false);
    for (const index of [0, 1]) results.add(0, report(index));
    expect(results.complete).toBe(false);
    results.add(0, report(2));
    expect(results.complete).toBe(true);
    expect(() => results.add(0, report(3))).toThrow(
      /Expected 3 sizes from rank 0 but found: one more/,
    );
  });

  it('averages busbw over out of place and in place of all rows', () => {
    const options = { ...OPTIONS, minBytes: 1e6, maxBytes: 2e6, stepFactor: 2 };
    const results = new BenchResults(options, 4);
    expect(results.averageBusBandwidth).toBe(0);
    for (const index of [0, 1]) {
      const bytes = 1e6 * 2 ** index;
      for (const rank of [0, 1, 2, 3]) {
        const of = {
          bytes,
          count: bytes / 4,
          outOfPlace: measurement(1000),
          inPlace: measurement(2000),
        };
        results.add(rank, report(index, of));
      }
    }
    // algbw 1, 0.5, 2, 1 GB/s, each times 2 x 3 / 4.
    expect(results.averageBusBandwidth).toBeCloseTo((1.5 * (1 + 0.5 + 2 + 1)) / 4, 12);
  });

  it('names the reduction "none" for all_gather', () => {
    const results = new BenchResults({ ...OPTIONS, collective: 'all_gather', minBytes: 64 }, 1);
    const row = results.add(0, report(0, { bytes: 64, count: 16, reduceOp: 'none' }));
    expect(row?.redop).toBe('none');
  });

  it('keeps "not checked" apart from "none wrong"', () => {
    const results = new BenchResults({ ...OPTIONS, check: false }, 1);
    const unchecked = { outOfPlace: measurement(1, null), inPlace: measurement(1, null) };
    expect(results.add(0, report(0, unchecked))?.outOfPlace?.wrong).toBeNull();
    expect(results.outOfBounds).toBe(0);
  });

  it('has no figures where a place was not measured, and keeps them out of the mean', () => {
    const results = new BenchResults({ ...OPTIONS, collective: 'sendrecv', minBytes: 512 }, 2);
    const of = { bytes: 512, count: 128, reduceOp: 'none', inPlace: null, choice: null };
    for (const rank of [0, 1]) results.add(rank, report(0, of));
    const [row] = results.rows;
    expect(row?.inPlace).toBeNull();
    expect(row?.choice).toBeNull();
    expect(results.averageBusBandwidth).toBe(row?.outOfPlace?.busBw);
  });

  it('names the root of a collective that has one, else -1', () => {
    const results = new BenchResults({ ...OPTIONS, collective: 'reduce', root: 1 }, 2);
    for (const rank of [0, 1]) results.add(rank, report(0));
    expect(results.rows[0]?.root).toBe(1);
  });

  it('keeps the digests of the ranks in their order', () => {
    const results = new BenchResults({ ...OPTIONS, digest: true }, 2);
    results.add(1, report(0, { outOfPlace: measurement(1, 0, 'second') }));
    results.add(0, report(0, { outOfPlace: measurement(1, 0, 'first') }));
    expect(results.rows[0]?.outOfPlace?.digests).toEqual(['first', 'second']);
  });

  it('has a row for each type and operation', () => {
    const options: BenchOptions = {
      ...{ ...OPTIONS, maxBytes: 8 },
      dataTypes: ['half', 'int64'],
      reduceOps: ['sum', 'avg'],
    };
    const results = new BenchResults(options, 1);
    const rows = [
      { dataType: 'half', reduceOp: 'sum', count: 4 },
      { dataType: 'half', reduceOp: 'avg', count: 4 },
      { dataType: 'int64', reduceOp: 'sum', count: 1 },
      { dataType: 'int64', reduceOp: 'avg', count: 1 },
    ];
    for (const [index, row] of rows.entries()) {
      results.add(0, report(index, { bytes: 8, ...row }));
    }
    expect(results.complete).toBe(true);
    expect(results.rows.map(({ type, redop }) => `${type} ${redop}`)).toEqual([
      'half sum',
      'half avg',
      'int64 sum',
      'int64 avg',
    ]);
  });

  const wrongReports: readonly (readonly [string, number, unknown])[] = [
    ['that is no object', 0, 'size'],
    ['without a time', 0, { ...report(0), inPlace: { wrong: 0 } }],
    ['with a negative count of wrong elements', 0, report(0, { inPlace: measurement(1, -1) })],
    ['with a time that is no number', 0, report(0, { inPlace: measurement(Number.NaN) })],
    ['with an unknown field', 0, { ...report(0), more: 1 }],
    ['of a later size', 0, report(1)],
    ['of other bytes', 0, report(0, { bytes: 12 })],
    ['of another count', 0, report(0, { count: 3 })],
    ['of another type', 0, report(0, { dataType: 'double' })],
    ['of another operation', 0, report(0, { reduceOp: 'max' })],
    ['of a rank beyond the last', 2, report(0)],
    ['of a negative rank', -1, report(0)],
    ['that was not checked', 0, report(0, { inPlace: measurement(1, null) })],
  ];
  it.each(wrongReports)('refuses a report %s', (_, rank, given) => {
    const results = new BenchResults(OPTIONS, 2);
    let code: unknown;
    try {
      results.add(rank, given);
    } catch (reason) {
      code = reason instanceof HlsimError ? reason.code : reason;
    }
    expect(code).toBe('HLSIM_PROTOCOL_ERROR');
    expect(results.rows).toEqual([]);
  });

  it('refuses a second report of a rank for one size', () => {
    const results = new BenchResults(OPTIONS, 2);
    results.add(0, report(0));
    expect(() => results.add(0, report(0))).toThrow(/one report of a size.*a second one/);
  });
});

import { describe, expect, it } from 'vitest';
import { type BenchOptions, benchJob, readBenchOptions } from '../../bench/options.ts';
import { HlsimError } from '../../common/errors.ts';
import { OPTIONS } from './samples.ts';

describe('benchJob()', () => {
  it('carries the options to the program', () => {
    const job = benchJob(OPTIONS);
    expect(job.program).toBe('builtin:bench');
    expect(job.environment).toEqual({});
    expect(readBenchOptions(job.arguments[0])).toEqual(OPTIONS);
  });

  it('carries everything that can be chosen', () => {
    const options: BenchOptions = {
      ...{ ...OPTIONS, algorithm: 'chain', channels: 2, chunks: 8, sliceBytes: 4096 },
      ...{ schedule: '<algo/>', countMultiple: 8, places: ['inPlace'] },
      ...{ dataTypes: ['half', 'uint64'], reduceOps: ['avg', 'prod'] },
    };
    expect(readBenchOptions(benchJob(options).arguments[0])).toEqual(options);
  });

  it('gives the job its variables', () => {
    const { environment } = benchJob(OPTIONS, { HLSIM_TUNING: '{}' });
    expect(environment).toEqual({ HLSIM_TUNING: '{}' });
  });
});

describe('readBenchOptions()', () => {
  it.each([
    undefined,
    '',
    '{',
    '[]',
    JSON.stringify({ ...OPTIONS, iterations: 0 }),
    JSON.stringify({ ...OPTIONS, collective: 'allReduce' }),
    JSON.stringify({ ...OPTIONS, dataTypes: [] }),
    JSON.stringify({ ...OPTIONS, dataTypes: ['float32'] }),
    JSON.stringify({ ...OPTIONS, places: [] }),
    JSON.stringify({ ...OPTIONS, extra: 1 }),
  ])('refuses %j', (text) => {
    expect(() => readBenchOptions(text)).toThrow(HlsimError);
    expect(() => readBenchOptions(text)).toThrow(/^Expected the options of a sweep/);
  });
});

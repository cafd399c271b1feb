import { describe, expect, it } from 'vitest';
import { benchJob, readBenchOptions } from '../../bench/options.ts';
import { HlsimError } from '../../common/errors.ts';
import { OPTIONS } from './samples.ts';

describe('benchJob()', () => {
  it('carries the options to the program', () => {
    const job = benchJob(OPTIONS);
    expect(job.program).toBe('builtin:bench');
    expect(job.environment).toEqual({});
    expect(readBenchOptions(job.arguments[0])).toEqual(OPTIONS);
  });

  it('passes an algorithm in the environment of the job', () => {
    const job = benchJob({ ...OPTIONS, algorithm: 'ring' });
    expect(job.environment).toEqual({ HLSIM_ALGORITHM: 'ring' });
  });
});

describe('readBenchOptions()', () => {
  it.each([
    undefined,
    '',
    '{',
    '[]',
    JSON.stringify({ ...OPTIONS, iterations: 0 }),
    JSON.stringify({ ...OPTIONS, collective: 'broadcast' }),
    JSON.stringify({ ...OPTIONS, extra: 1 }),
  ])('refuses %j', (text) => {
    expect(() => readBenchOptions(text)).toThrow(HlsimError);
    expect(() => readBenchOptions(text)).toThrow(/^Expected the options of a sweep/);
  });
});

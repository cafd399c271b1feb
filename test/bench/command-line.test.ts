/** Flags of the benchmarks that have few of them. */
import { describe, expect, it } from 'vitest';
import { readCalibrationFlags } from '../../bench/calibration/command-line.ts';
import { readOverlapFlags } from '../../bench/overlap/command-line.ts';

describe.each([
  ['bench:calibration', readCalibrationFlags],
  ['bench:overlap', readOverlapFlags],
] as const)('the command line of %s', (name, read) => {
  it('takes what is given in place of its own numbers', () => {
    expect(read(['--rounds', '7']).rounds).toBe(7);
    expect(read([]).rounds).toBeGreaterThan(0);
    expect(read(['--help']).help).toBe(true);
  });

  it.each(['0', '-1', '1.5', 'many', '', '1e3', '99999999999'])('refuses --rounds %j', (rounds) => {
    expect(() => read([`--rounds=${rounds}`])).toThrow(/--rounds to be a whole number from 1 to/);
  });

  it.each([['--nope'], ['--rounds'], ['stray']])('refuses %j and names its help', (flag) => {
    expect(() => read([flag])).toThrow(new RegExp(`npm run ${name} -- --help`));
  });
});

import { describe, expect, it } from 'vitest';
import { readOverlapFlags } from '../../../bench/overlap/command-line.ts';
import { readOverlapOptions } from '../../../bench/overlap/options.ts';

describe('readOverlapFlags()', () => {
  it('has defaults, and rates in bytes per second', () => {
    const defaults = { rounds: 9, steps: 5, linkRate: 125_000_000, json: undefined, help: false };
    expect(readOverlapFlags([])).toEqual(defaults);
    const given = ['--rounds', '2', '--link-rate', '50', '--json', 'x.json', '--help'];
    const expected = { rounds: 2, linkRate: 50_000_000, json: 'x.json', help: true };
    expect(readOverlapFlags(given)).toEqual({ ...defaults, ...expected });
  });

  it.each([
    ['--rounds 0', '--rounds', '"0"'],
    ['--steps many', '--steps', '"many"'],
    ['--link-rate -1', '--link-rate'],
    ['--link-rate 1.5', '--link-rate', '"1.5"'],
    ['--speed 7', '--speed', '--help'],
    ['words', 'words'],
  ])('refuses %s', (line, ...words) => {
    const read = () => readOverlapFlags(line.split(' '));
    expect(read).toThrowError(expect.objectContaining({ code: 'HLSIM_USAGE' }));
    for (const word of words) expect(read).toThrow(word);
  });
});

describe('readOverlapOptions()', () => {
  const options = { rounds: 1, steps: 1, hidden: [8], bucketBytes: 1 };

  it('reads what the command gives to a rank', () => {
    expect(readOverlapOptions(JSON.stringify(options))).toEqual(options);
  });

  it.each([
    ['nothing', undefined],
    ['no JSON', '{rounds'],
    ['no round', JSON.stringify({ ...options, rounds: 0 })],
    ['an unknown option', JSON.stringify({ ...options, more: 1 })],
  ])('refuses %s', (_, argument) => {
    expect(() => readOverlapOptions(argument)).toThrowError(
      expect.objectContaining({ code: 'HLSIM_CONFIG' }),
    );
  });
});

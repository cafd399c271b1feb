import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { counted, joinedWords, shellWord, startingWords } from '../../cli/wording.ts';

describe('counted()', () => {
  it('is singular for one alone', () => {
    expect([0, 1, 2].map((count) => counted(count, 'host'))).toEqual([
      '0 hosts',
      '1 host',
      '2 hosts',
    ]);
    expect(counted(2, 'process', 'processes')).toBe('2 processes');
  });
});

describe('the words while a cluster starts', () => {
  it('are singular for one host', () => {
    expect(startingWords(1)).toBe('Starting a coordinator and 1 host process');
    expect(startingWords(4)).toBe('Starting a coordinator and 4 host processes');
    expect(joinedWords(1, 1)).toBe('1 of 1 host has joined');
    expect(joinedWords(1, 4)).toBe('1 of 4 hosts have joined');
  });
});

describe('shellWord()', () => {
  it('leaves a plain word as it is', () => {
    expect(shellWord('./state/a-1_b')).toBe('./state/a-1_b');
  });

  it('is read back by a shell as one word, whatever is in it', () => {
    // No NUL, which no argument can hold.
    const text = fc.string({ unit: 'grapheme' }).filter((word) => !word.includes('\0'));
    const words = fc.array(text, { minLength: 20, maxLength: 40 });
    fc.assert(
      fc.property(words, (given) => {
        const script = `for word in ${given.map(shellWord).join(' ')}; do printf '%s\\0' "$word"; done`;
        const read = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
        expect(read.split('\0').slice(0, -1)).toEqual(given);
      }),
      { numRuns: 10 },
    );
  });
});

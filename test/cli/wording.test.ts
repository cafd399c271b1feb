import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { counted, shellWord } from '../../cli/wording.ts';

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

/** The flags of `hlsim train` that are wrong, and what its one line says. */
import { describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

const LAYERS = '1 to 8 whole numbers from 1 to 1024 with commas between them';

describe('hlsim train digits --hosts 2', () => {
  it.each([
    ['--overlap', 'maybe', 'one of on, off'],
    ['--progress', 'perhaps', 'one of manual, auto'],
    ['--bucket-bytes', '0', 'a size such as 8, 64K, 16M or 1G'],
    ['--bucket-bytes', 'many', 'a size such as 8, 64K, 16M or 1G'],
    ['--hidden', '0', LAYERS],
    ['--hidden', '1025', LAYERS],
    ['--hidden', '32,', LAYERS],
    ['--hidden', '32,x', LAYERS],
    ['--hidden', '1,2,3,4,5,6,7,8,9', LAYERS],
  ])('refuses %s %s', async (flag, value, expected) => {
    const line = ['train', 'digits', '--hosts', '2', flag, value];
    const { exitCode, results, notes } = await record(...line);
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    expect(notes).toContain(`Expected ${flag} to be ${expected}`);
    expect(notes).toContain(`but found ${JSON.stringify(value)} [HLSIM_USAGE]`);
  });
});

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJsonFile } from '../../cli/json-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('openJsonFile()', () => {
  it('leaves no file before the results are there', () => {
    const path = join(directory, 'new.json');
    const file = openJsonFile(path);
    expect(readdirSync(directory)).toEqual([]);
    file.write({ a: 1 });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ a: 1 });
  });

  it('leaves what an earlier run wrote until then', () => {
    const path = join(directory, 'old.json');
    writeFileSync(path, '{"a":1}');
    const file = openJsonFile(path);
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}');
    file.write([]);
    expect(readFileSync(path, 'utf8')).toBe('[]\n');
  });

  it('leaves a symbolic link to a file that is not there yet', () => {
    const target = join(directory, 'target.json');
    const link = join(directory, 'link.json');
    symlinkSync(target, link);
    const file = openJsonFile(link);
    expect(existsSync(target)).toBe(false);
    file.write(1);
    expect(readFileSync(target, 'utf8')).toBe('1\n');
  });

  it.each(['/proc/x.json', '/', '/nowhere/at/all.json'])('refuses %s before the work', (path) => {
    expect(() => openJsonFile(path)).toThrow(
      expect.objectContaining({ code: 'HLSIM_USAGE', message: expect.stringContaining('--json') }),
    );
  });

  it('tells a file that stops taking the results', () => {
    expect(() => openJsonFile('/dev/full').write({})).toThrow(
      expect.objectContaining({
        code: 'HLSIM_CONFIG',
        message: expect.stringMatching(/--json, "\/dev\/full", but found: ENOSPC/),
      }),
    );
  });
});

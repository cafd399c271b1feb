import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const scripts = new URL('../../scripts/', import.meta.url);

/** The scripts are JavaScript without types, as they run before anything is installed. */
interface Setup {
  matchesLock(locked: Packages, installed: Packages): boolean;
  requireNodeVersion(version: string): void;
}
interface Lock {
  withLock<T>(path: string, work: () => Promise<T>): Promise<T>;
}
type Packages = Record<string, { version?: string; optional?: boolean }>;

const setup: Setup = await import(new URL('setup.js', scripts).href);
const { withLock }: Lock = await import(new URL('lock.js', scripts).href);

describe('matchesLock()', () => {
  const locked: Packages = {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/other-platform': { version: '2.0.0', optional: true },
  };

  it('holds for what npm ci installs on this platform', () => {
    expect(setup.matchesLock(locked, { 'node_modules/a': { version: '1.0.0' } })).toBe(true);
  });

  it.each<[string, Packages]>([
    ['a package is missing', {}],
    ['a package has another version', { 'node_modules/a': { version: '1.0.1' } }],
    [
      'there is a package that is not in the lock file',
      { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } },
    ],
    [
      'an optional package has another version',
      {
        'node_modules/a': { version: '1.0.0' },
        'node_modules/other-platform': { version: '2.1.0' },
      },
    ],
  ])('does not hold when %s', (_how, installed) => {
    expect(setup.matchesLock(locked, installed)).toBe(false);
  });
});

describe('requireNodeVersion()', () => {
  it.each(['20.19.0', '20.20.2', '22.0.0', '24.1.0'])('accepts %s', (version) => {
    expect(() => setup.requireNodeVersion(version)).not.toThrow();
  });

  it.each(['20.18.3', '18.20.0'])('ends the process at %s with one clear line', (version) => {
    const url = new URL('setup.js', scripts).href;
    const script = `import { requireNodeVersion } from '${url}'; requireNodeVersion('${version}');`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`^hlsim: .*20\\.19 or newer .*${version}.*\\n$`));
  });
});

describe('withLock()', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('lets one process at a time work', () => {
    const log = join(directory, 'log');
    const worker = `
      import { appendFileSync } from 'node:fs';
      import { withLock } from '${new URL('lock.js', scripts).href}';
      await withLock('${join(directory, 'a.lock')}', async () => {
        appendFileSync('${log}', 'enter ');
        await new Promise((resolve) => setTimeout(resolve, 50));
        appendFileSync('${log}', 'leave ');
      });`;
    const file = join(directory, 'worker.mjs');
    writeFileSync(file, worker);
    const command = Array(4).fill(`"${process.execPath}" "${file}" &`).join(' ');
    expect(spawnSync('sh', ['-c', `${command} wait`]).status).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('enter leave '.repeat(4));
  });

  it('takes over the lock of a process that has died', async () => {
    const path = join(directory, 'b.lock');
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    writeFileSync(path, String(pid));
    expect(await withLock(path, async () => 'done')).toBe('done');
  });

  it('lets go when the work fails', async () => {
    const path = join(directory, 'c.lock');
    const failing = withLock(path, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await withLock(path, async () => 'done')).toBe('done');
  });
});

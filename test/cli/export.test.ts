import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hlsim-export-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const exportTo = (line: string, prefix = join(folder, 'out')) =>
  record('export', ...line.split(' '), '--output', prefix);

async function mscclFile(line: string): Promise<string> {
  const { results } = await record('show', ...line.split(' '), '--format', 'msccl');
  const path = join(folder, 'schedule.xml');
  writeFileSync(path, results);
  return path;
}

describe('hlsim export', () => {
  it('writes GOAL text, and says what it wrote', async () => {
    const { exitCode, results, notes } = await exportTo(
      'all_reduce --algorithm ring --ranks 4 --size 1M --format goal',
    );
    expect({ exitCode, notes }).toEqual({ exitCode: 0, notes: '' });
    expect(results).toBe(`ring all_reduce, 4 ranks, 1048576 bytes: ${join(folder, 'out.goal')}`);
    const text = readFileSync(join(folder, 'out.goal'), 'utf8');
    expect(text).toMatch(/^num_ranks 4\n\nrank 0 \{\n/);
    expect(text.match(/: send 262144b to /g)).toHaveLength(4 * 6);
    expect(readdirSync(folder)).toEqual(['out.goal']);
  });

  it('writes a Chakra file per rank', async () => {
    const { exitCode, results } = await exportTo(
      'broadcast --algorithm binomialTree --ranks 3 --root 2 --size 100 --format chakra',
    );
    expect(exitCode).toBe(0);
    expect(results).toContain('binomialTree broadcast, 3 ranks, 100 bytes: 3 files, ');
    expect(readdirSync(folder)).toEqual(['out.0.et', 'out.1.et', 'out.2.et']);
    for (const file of readdirSync(folder)) {
      expect(readFileSync(join(folder, file)).length).toBeGreaterThan(40);
    }
  });

  it('says how long a rank computes, by the rate of its memory', async () => {
    await exportTo(
      'all_reduce --algorithm ring --ranks 2 --size 8M --format goal --memory-rate 1GB/s',
    );
    // A reduction of 4 MiB reads and writes three times that.
    const nanoseconds = 3 * 4 * 2 ** 20;
    expect(readFileSync(join(folder, 'out.goal'), 'utf8')).toContain(`: calc ${nanoseconds}\n`);
  });

  it('takes a schedule from a file, and gives the same messages as the algorithm', async () => {
    const messages = (path: string) =>
      readFileSync(path, 'utf8')
        .match(/(?:send|recv) \d+b (?:to|from) \d+/g)
        ?.sort();
    const line = 'all_gather --algorithm ring --ranks 4 --channels 2';
    const path = await mscclFile(line);
    const { exitCode, notes } = await exportTo(
      `--schedule ${path} --size 1M --format goal`,
      join(folder, 'file'),
    );
    expect({ exitCode, notes }).toEqual({ exitCode: 0, notes: '' });
    await exportTo(`${line} --size 1M --format goal`);
    const found = messages(join(folder, 'file.goal'));
    expect(found).toEqual(messages(join(folder, 'out.goal')));
    expect(found?.length).toBeGreaterThan(0);
  });

  it('refuses a schedule that is wrong, and leaves no file', async () => {
    const path = await mscclFile('all_reduce --algorithm ring --ranks 3');
    const text = readFileSync(path, 'utf8');
    // One reduction less.
    writeFileSync(path, text.replace(/type="rr(c?)s"/, 'type="rcs"'));
    expect(readFileSync(path, 'utf8')).not.toBe(text);
    const { exitCode, notes } = await exportTo(`--schedule ${path} --format goal`);
    expect(exitCode).toBe(1);
    expect(notes).toContain('[HLSIM_SCHEDULE_REFUTED]');
    expect(readdirSync(folder)).toEqual(['schedule.xml']);
  });

  it.each([
    ['all_reduce --algorithm ring', '--format', 'none'],
    ['all_reduce --format goal', '--algorithm', 'ring'],
    ['--format goal', 'collective', 'neither'],
    ['all_reduce --schedule a.xml --format goal', 'both'],
    ['--schedule a.xml --algorithm ring --format goal', '--algorithm', 'both'],
    ['all_reduce --algorithm ring --ranks 9999 --format goal', '--ranks', '9999'],
    ['alltoall --algorithm direct --ranks 1024 --format goal', 'at most 300000 messages'],
    ['all_reduce --algorithm ring --format dot', 'chakra, goal', 'dot'],
  ])('%s is refused in one line', async (line, ...words) => {
    const { exitCode, notes } = await exportTo(line);
    expect(exitCode).toBe(2);
    expect(notes).toMatch(/^hlsim: [A-Z].* \[HLSIM_USAGE\]$/);
    for (const word of words) expect(notes).toContain(word);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a place where no file can be', async () => {
    const line = 'all_reduce --algorithm ring --ranks 2 --format chakra';
    const { exitCode, notes } = await exportTo(line, join(folder, 'nowhere', 'out'));
    expect(exitCode).toBe(2);
    expect(notes).toContain('Expected --output to name a file that can be written');
  });
});

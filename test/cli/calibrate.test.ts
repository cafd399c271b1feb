import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

const EXAMPLE = 'examples/calibration/points.csv';
const HEADER = 'algorithm,collective,ranks,size,time_us';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hlsim-calibrate-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function csv(...lines: string[]): string {
  const path = join(folder, 'points.csv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const flat = ['--topology', 'flat', '--fit', 'alpha,beta'];

describe('hlsim calibrate', () => {
  it('recovers the parameters of the example, keyed by MSCCL XML files', async () => {
    const json = join(folder, 'fit.json');
    const rule = 'schedule!=ring-2.xml,ring-4.xml';
    const { exitCode } = await record(
      ...['calibrate', EXAMPLE, ...flat, '--holdout', rule, '--json', json],
    );
    expect(exitCode).toBe(0);
    const read = JSON.parse(readFileSync(json, 'utf8'));
    expect(read.parameters.map(({ name }: { name: string }) => name)).toEqual([
      'port.latency',
      'port.rate',
    ]);
    const [alpha, beta] = read.parameters.map(({ value }: { value: number }) => value);
    expect(Math.abs(alpha / 12e-6 - 1)).toBeLessThan(1e-3);
    expect(Math.abs(beta / 5e9 - 1)).toBeLessThan(1e-3);
    expect([read.fit.points, read.accuracy.points, read.heldOut.length]).toEqual([6, 6, 6]);
    expect(read.accuracy.max).toBeLessThan(1e-3);
  });

  it('writes parameters that hlsim step reads, and a picture', async () => {
    const output = join(folder, 'flat.params.yaml');
    const svg = join(folder, 'fit.svg');
    const line = ['calibrate', EXAMPLE, ...flat, '--output', output, '--svg', svg];
    expect((await record(...line)).exitCode).toBe(0);
    expect(readFileSync(svg, 'utf8')).toMatch(/<svg[\s\S]*<\/svg>\s*$/);
    const step = ['step', 'examples/models/digits.yaml', '--topology', 'flat', '--cards', '4'];
    const before = await record(...step);
    const after = await record(...step, '--parameters', output);
    expect([before.exitCode, after.exitCode, after.notes]).toEqual([0, 0, '']);
    expect(after.results.split('\n').at(-1)).not.toBe(before.results.split('\n').at(-1));
  });

  it.each([
    ['every=4', 3],
    ['ranks=4', 6],
    ['ranks>2', 6],
    ['size>=64K', 8],
    ['size<64K', 4],
    ['algorithm=ring-2.xml;size=4M', 6],
  ])('holds out by %s', async (rule, held) => {
    const { results } = await record('calibrate', EXAMPLE, ...flat, '--holdout', rule);
    expect(results).toContain(`Accuracy, on the ${held} points held out (${rule})`);
  });

  it('says that the accuracy is unknown where nothing is held out', async () => {
    const { results } = await record('calibrate', EXAMPLE, ...flat);
    expect(results).toContain('Accuracy: unknown');
  });

  it.each(['every=1', 'ranks', 'size>lots', 'algorithm>ring', 'colour=red'])(
    'refuses the rule %s',
    async (rule) => {
      const { exitCode, notes } = await record('calibrate', EXAMPLE, ...flat, '--holdout', rule);
      expect(exitCode).toBe(2);
      expect(notes).toContain('Expected what to hold out');
    },
  );

  it.each([
    ['no number of ranks', 'ring,all_reduce,none,1024,5', /ranks in line 3 .*"none"/],
    ['a time of nothing', 'ring,all_reduce,2,1024,0', /time in line 3 .*more than 0/],
    ['no such collective', 'ring,all_reduse,2,1024,5', /collective in line 3 .*all_reduse/],
    ['no such algorithm', 'rung,all_reduce,2,1024,5', /rung.*line 3/],
  ])('tells the line of a point with %s', async (_, line, expected) => {
    const path = csv(HEADER, 'ring,all_reduce,2,1024,5', line);
    const { exitCode, results, notes } = await record('calibrate', path, ...flat);
    expect(exitCode).not.toBe(0);
    expect(results).toBe('');
    expect(notes).toMatch(expected);
  });

  it.each([
    [
      'a column that it does not know',
      [`${HEADER},colour`, 'ring,all_reduce,2,1024,5,red'],
      'colour',
    ],
    ['a column missing', ['algorithm,ranks,size,time_us', 'ring,2,1024,5'], 'collective'],
    ['no point', [HEADER], 'no point'],
    ['a line of another length', [HEADER, 'ring,all_reduce,2'], 'line 2'],
  ])('refuses a file with %s', async (_, lines, expected) => {
    const { exitCode, notes } = await record('calibrate', csv(...lines), ...flat);
    expect(exitCode).not.toBe(0);
    expect(notes).toContain(expected);
  });
});

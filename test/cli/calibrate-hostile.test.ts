/** Files of points that nobody should write: one clear error each, with its line, in bounded time and memory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

const HEADER = 'algorithm,collective,ranks,size,time_us';
const POINT = 'ring,all_reduce,2,1024,5';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hlsim-calibrate-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function refused(content: string | Uint8Array): Promise<string> {
  const path = join(folder, 'points.csv');
  writeFileSync(path, content);
  const { exitCode, results, notes } = await record(
    ...['calibrate', path, '--topology', 'flat', '--fit', 'alpha,beta'],
  );
  expect(exitCode).toBeGreaterThan(0);
  expect(results).toBe('');
  const errors = notes.split('\n').filter((line) => line.startsWith('hlsim: '));
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(/^hlsim: Expected .* \[HLSIM_\w+\]$/);
  // A whole file is not repeated in a message.
  expect(errors[0]?.length).toBeLessThan(1000);
  return errors[0] ?? '';
}

describe('hlsim calibrate refuses', () => {
  it.each([
    ['an empty file', '', /no point \(line 1\)/],
    ['empty lines alone', '\n\n\n', /no point \(line 1\)/],
    ['comments alone', '# nothing\n# at all\n', /no point/],
    ['a line of names alone', `${HEADER}\n`, /no point \(line 1\)/],
    ['a line of names behind comments alone', `# a\n# b\n${HEADER}\n`, /no point \(line 3\)/],
    ['columns that there are not', `${HEADER},colour\n${POINT},red\n`, /"colour" \(line 1\)/],
    ['points without names', `${POINT}\n${POINT}\n`, /"ring" \(line 1\)/],
    ['a column twice', `${HEADER},ranks\n${POINT},2\n`, /column of ranks .* two \(line 1\)/],
    ['a column by two names', `${HEADER},bytes\n${POINT},8\n`, /size or bytes .* two \(line 1\)/],
    ['a name that is a method', `${HEADER},toString\n${POINT},1\n`, /"toString" \(line 1\)/],
    [
      'a column missing',
      'algorithm,collective,ranks,size\nring,all_reduce,2,8\n',
      /time.*\(line 1\)/,
    ],
    ['a quote that is not closed', `${HEADER}\n${POINT}\n"ring,all_reduce,2,1024,5\n`, /line 3/],
    ['a quote within a cell', `${HEADER}\nri"ng,all_reduce,2,1024,5\n`, /line 2/],
    ['too few cells', `${HEADER}\n${POINT}\nring,all_reduce,2\n`, /line 3/],
    ['too many cells', `${HEADER}\n${POINT},5,6\n`, /line 2/],
    ['a cell without end', `${HEADER}\n${'r'.repeat(1e6)}\n`, /line 2/],
    ['a number without end', `${HEADER}\nring,all_reduce,${'9'.repeat(1e6)},8,5\n`, /line 2/],
    ['a name without end', `${'r'.repeat(1e6)},${HEADER}\n${POINT},5\n`, /line 1/],
  ])('%s', async (_, content, expected) => {
    expect(await refused(content)).toMatch(expected);
  });

  it.each(['0', '-2', '1.5', '1e3', 'NaN', 'Infinity', '16385', '99999999999999999999', ''])(
    'ranks of "%s"',
    async (ranks) => {
      const text = `${HEADER}\n${POINT}\nring,all_reduce,${ranks},1024,5\n`;
      expect(await refused(text)).toMatch(/ranks in line 3 .* 1 to 16384/);
    },
  );

  it.each(['-5', 'NaN', 'Infinity', '1e999', '1e300', '0', '-0', '0x10', '1e-330', '5us', ''])(
    'a time of "%s"',
    async (time) => {
      const text = `${HEADER}\n${POINT}\nring,all_reduce,2,1024,${time}\n`;
      expect(await refused(text)).toMatch(/time in line 3 .*more than 0 and a day at most/);
    },
  );

  it.each(['-5', 'NaN', '1e999', '1.5', '99999999999999999999', '9P', ''])(
    'a size of "%s"',
    async (size) => {
      const text = `${HEADER}\n${POINT}\nring,all_reduce,2,${size},5\n`;
      expect(await refused(text)).toMatch(/size in line 3 .*a size such as/);
    },
  );

  it.each([
    ['an algorithm that there is not', 'rung,all_reduce,2,1024,5,,,', /rung.*\(point in line 3\)/],
    ['a collective that there is not', 'ring,all_reduse,2,1024,5,,,', /collective in line 3/],
    ['no algorithm', ',all_reduce,2,1024,5,,,', /algorithm in line 3/],
    ['what takes no time', 'ring,all_reduce,1,0,5,,,', /takes none .*\(point in line 3\)/],
    ['boxes that do not divide', 'ring,all_reduce,4,1024,5,3,,', /3 boxes .*\(point in line 3\)/],
    ['channels without end', 'ring,all_reduce,2,1024,5,,999999999,', /channels in line 3 .*64/],
    ['slices without end', 'ring,all_reduce,2,4G,5,,,1', /slices .*\(point in line 3\)/],
    [
      'sizes without end',
      'ring,all_reduce,2,9007199254740991,5,,,',
      /slices .*\(point in line 3\)/,
    ],
    ['no XML file', 'none.xml,all_reduce,2,1024,5,,,', /none\.xml.*\(point in line 3\)/],
    ['a folder for an XML file', '..xml,all_reduce,2,1024,5,,,', /\.\.xml.*\(point in line 3\)/],
  ])('%s', async (_, line, expected) => {
    const text = `${HEADER},boxes,channels,slice\n${POINT},,,\n${line}\n`;
    expect(await refused(text)).toMatch(expected);
  });

  it('an XML file that is none', async () => {
    writeFileSync(join(folder, 'wrong.xml'), '<algo');
    const text = `${HEADER}\n${POINT}\nwrong.xml,all_reduce,2,1024,5\n`;
    expect(await refused(text)).toMatch(/\(point in line 3\)/);
  });

  it('a file that is no text', async () => {
    const bytes = Uint8Array.from({ length: 65_536 }, (_, index) => (index * 167) % 256);
    expect(await refused(bytes)).toMatch(/points\.csv/);
    expect(await refused(`${HEADER}\n${POINT}\n\0\0\0\n`)).toMatch(/line 3/);
  });

  it('points that are too much together, one by one being small enough', async () => {
    const lines = 'ring,all_reduce,2,4G,5,64K\n'.repeat(100);
    const error = await refused(`${HEADER},slice\n${lines}`);
    expect(error).toMatch(/2000000 steps and slices together, .*\(point in line \d+\)/);
  });

  it('a million points, of which it reads no more than it takes', async () => {
    const before = process.cpuUsage();
    const text = `${HEADER}\n${`${POINT}\n`.repeat(1_000_000)}`;
    expect(await refused(text)).toMatch(/at most 10000 points .*\(line 10002\)/);
    const { user, system } = process.cpuUsage(before);
    // Reading all of them takes ten seconds of CPU and more.
    expect((user + system) / 1e6).toBeLessThan(6);
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readMscclXml } from '../../collectives/msccl/read.ts';
import { COLLECTIVE_WORDS, collectiveOfWord } from '../../collectives/names.ts';
import { algorithmsFor } from '../../collectives/table.ts';
import { verify } from '../../collectives/verify.ts';
import { record } from './recording-terminal.ts';

async function show(line: string): Promise<string> {
  const { exitCode, results, notes } = await record('show', ...line.split(' '));
  expect(notes).toBe('');
  expect(exitCode).toBe(0);
  return results;
}

describe('hlsim show', () => {
  it('says what the schedule is, who holds what, and what every rank does', async () => {
    const text = await show('all_reduce --algorithm ring --ranks 4');
    expect(text).toContain(
      'ring all_reduce: 4 ranks in 4 boxes, 4 chunks a block, 1 channel, 6 rounds',
    );
    expect(text).toMatch(/^round 3 {2}0 {3}\* {3}023 03 /m);
    expect(text).toMatch(/^round 6( +\*){16}$/m);
    expect(text).toContain('  0.0  send input[0] to 1');
    expect(text.match(/^ring allReduce, rank \d of 4$/gm)).toHaveLength(4);
  });

  it.each(Object.keys(COLLECTIVE_WORDS))('shows every algorithm of %s', async (word) => {
    const collective = collectiveOfWord(word) ?? 'allReduce';
    for (const algorithm of algorithmsFor(collective)) {
      const text = await show(`${word} --algorithm ${algorithm} --ranks 4 --boxes 2`);
      expect(text).toContain(`${algorithm} ${word}: 4 ranks in 2 boxes`);
      expect(text).toMatch(/^start /m);
      expect(text).toMatch(/^round 1 /m);
    }
  });

  it('shows input and scratch where data lies there, and which block it is', async () => {
    const inPlace = await show('reduce_scatter --algorithm recursiveHalving --ranks 4');
    expect(inPlace).toContain('rank 0 input | scratch');
    expect(inPlace).toContain('02:1');
    const apart = 'reduce_scatter --algorithm recursiveHalving --ranks 4 --placement out-of-place';
    expect(await show(apart)).toContain('rank 0 output | scratch');
  });

  it('shows one rank alone with --rank', async () => {
    const text = await show('broadcast --algorithm binomialTree --ranks 8 --root 3 --rank 5');
    expect(text).toContain('root 3');
    expect(text).toContain('binomialTree broadcast, rank 5 of 8');
    expect(text.match(/, rank \d of 8$/gm)).toHaveLength(1);
    expect(text).not.toContain('round 1 ');
  });

  it('sums up what is too large to be read', async () => {
    const text = await show('all_reduce --algorithm ring --ranks 64');
    expect(text).toContain('ask for fewer ranks');
    expect(text).toContain('--rank shows one');
    expect(text.split('\n').length).toBeLessThan(10);
  });

  it('writes MSCCL XML that is proved when it is read again', async () => {
    const text = await show('all_reduce --algorithm ring --ranks 3 --channels 2 --format msccl');
    const { programs, equalChunks, placements } = readMscclXml(text);
    expect(programs).toHaveLength(3);
    expect(placements).toEqual(expect.arrayContaining(['inPlace', 'outOfPlace']));
    for (const inPlace of [false, true]) {
      const { findings } = verify(programs, { inPlace, equalChunks, order: 'messages' });
      expect(findings).toEqual([]);
    }
  });

  it('writes a picture to the file of --svg', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
    try {
      const path = join(directory, 'ring.svg');
      const line = `all_reduce --algorithm ring --ranks 4 --svg ${path}`;
      const { exitCode, notes } = await record('show', ...line.split(' '));
      expect(exitCode).toBe(0);
      expect(notes).toBe(`Picture written to ${path}`);
      expect(readFileSync(path, 'utf8')).toMatch(/^<svg [^>]*>\n<title>ring allReduce, 4 ranks/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    ['all_reduce', '--algorithm <name>', 'ring'],
    ['all_reduce --algorithm magic', 'ring', 'magic'],
    ['allReduce --algorithm ring', 'all_reduce', '"allReduce"'],
    ['all_reduce --algorithm ring --ranks 0', '--ranks', '"0"'],
    ['all_reduce --algorithm ring --ranks 4 --boxes 3', '--boxes', 'divisor', '3'],
    ['all_reduce --algorithm ring --root 1', '--root', '1'],
    ['broadcast --algorithm binomialTree --ranks 4 --root 4', 'root', 'from 0 to 3', '4'],
    ['all_reduce --algorithm ring --ranks 4 --rank 4', '--rank', 'from 0 to 3', '4'],
    ['all_reduce --algorithm ring --ranks 4 --chunks 6', 'multiple', '6 chunks'],
    ['all_reduce --algorithm ring --placement here', '--placement', 'in-place', '"here"'],
    ['all_reduce --algorithm ring --format pdf', '--format', 'msccl', '"pdf"'],
    ['all_reduce --algorithm ring --format msccl --rank 1', '--rank', 'both'],
    ['all_reduce --algorithm ring --svg /nowhere/at/all.svg', '--svg', '/nowhere/at/all.svg'],
    ['all_reduce --algorithm ring --ranks 128 --svg x.svg', 'at most', 'fewer ranks'],
    ['all_reduce --algorithm ring --ranks 1024', 'at most', 'fewer ranks'],
  ])('refuses hlsim show %s', async (line, ...words) => {
    const { exitCode, results, notes } = await record('show', ...line.split(' '));
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    expect(notes).toMatch(/^hlsim: Expected .* \[HLSIM_USAGE\]$/);
    for (const word of words) expect(notes).toContain(word);
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rate, shortTime, timeText } from '../../cli/model-readers.ts';
import { COLLECTIVE_WORDS, collectiveOfWord } from '../../collectives/names.ts';
import { algorithmsFor } from '../../collectives/table.ts';
import { record } from './recording-terminal.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function cost(line: string): Promise<string> {
  const { exitCode, results, notes } = await record('cost', ...line.split(' '));
  expect(notes).toBe('');
  expect(exitCode).toBe(0);
  return results;
}

/** The value behind a fact's name. */
function factOf(text: string, name: string): string {
  return new RegExp(`^  ${name} +(.*)$`, 'm').exec(text)?.[1] ?? '';
}

describe('hlsim cost', () => {
  it('gives steps, bytes, reductions, critical path and the closed form of one algorithm', async () => {
    const model = '--alpha 10us --beta 1ns --gamma 0.5ns';
    const text = await cost(`all_reduce --algorithm ring --ranks 4 --size 4000 ${model}`);
    // 6α + 1.5nβ + 0.75nγ = 60 us + 6 us + 1.5 us
    expect(factOf(text, 'predicted time')).toBe('67.5 us');
    expect(factOf(text, 'closed form')).toBe(
      '67.5 us = 2(p-1)α + 2(p-1)/p·nβ + (p-1)/p·nγ (the same)',
    );
    expect(factOf(text, 'critical path')).toBe('6α + 1.5nβ + 0.75nγ, n = 4000 bytes');
    expect(factOf(text, 'messages')).toBe('6 of a rank at most, 24 in all');
    expect(factOf(text, 'bytes on the wire')).toBe('5.9 KiB of a rank at most, 23.4 KiB in all');
    expect(text).toMatch(/^2 +7 +6 +6000 +3000$/m);
    expect(text).toMatch(/^0 us +11 us +\d +0\.0 +send input\[\d\] to \d$/m);
    expect(text.match(/ its message$/gm)).toHaveLength(6);
  });

  it('says that it is a model in virtual time', async () => {
    const text = await cost('barrier');
    expect(text).toContain('Virtual time of a model, not a measurement.');
    expect(text).toContain('α 5 us a message, β 0.1 ns a byte (10 GB/s) sent');
  });

  it.each(Object.keys(COLLECTIVE_WORDS))('compares all algorithms of %s', async (word) => {
    const collective = collectiveOfWord(word) ?? 'allReduce';
    const text = await cost(`${word} --ranks 6 --boxes 2 --size 6000`);
    for (const algorithm of algorithmsFor(collective)) {
      const isPriced = new RegExp(`^${algorithm} +\\d+ +\\d+ .* us`, 'm').test(text);
      const isImpossible = /^Not for these ranks and chunks: (.*)$/m.exec(text)?.[1] ?? '';
      expect(isPriced || isImpossible.split(', ').includes(algorithm)).toBe(true);
    }
  });

  it('takes the ports that it is told', async () => {
    const direct = 'all_reduce --algorithm direct --ranks 4 --size 4000 --beta 1ns --gamma 0ns';
    const full = await cost(`${direct} --alpha 10us --ports full`);
    // 2α + 2(p-1)/p·nβ
    expect(factOf(full, 'predicted time')).toBe('26 us');
    const single = await cost(`${direct} --alpha 10us --ports single`);
    expect(factOf(single, 'predicted time')).toBe('66 us');
  });

  it('writes everything to the file of --json', async () => {
    const path = join(directory, 'cost.json');
    await cost(`all_reduce --algorithm ring --ranks 32 --bandwidth 1GB/s --json ${path}`);
    const found = JSON.parse(readFileSync(path, 'utf8'));
    expect(found).toMatchObject({
      clock: 'virtual',
      model: { alphaSeconds: 5e-6, betaSecondsPerByte: 1e-9 },
      collective: 'allReduce',
      boxes: 32,
      results: [{ algorithm: 'ring', critical: { alphas: 62 }, most: { messages: 62 } }],
    });
    expect(found.results[0].ranks).toHaveLength(32);
    expect(found.results[0].criticalPath.length).toBeGreaterThan(60);
  });

  it('prices an MSCCL XML file as it prices the algorithm that it was made of', async () => {
    const line = 'all_gather --algorithm ring --ranks 4';
    const { results: xml } = await record('show', ...line.split(' '), '--format', 'msccl');
    const path = join(directory, 'ring.xml');
    writeFileSync(path, xml);
    const found = await cost(`--schedule ${path} --size 64K`);
    const expected = await cost(`${line} --size 64K`);
    expect(found).toContain('all_gather, 4 ranks');
    expect(factOf(found, 'predicted time')).toBe(factOf(expected, 'predicted time'));
    expect(factOf(found, 'critical path')).toBe(factOf(expected, 'critical path'));
  });

  it('refuses to price a file that is wrong', async () => {
    const line = 'all_gather --algorithm ring --ranks 3 --format msccl';
    const { results: xml } = await record('show', ...line.split(' '));
    const path = join(directory, 'wrong.xml');
    const wrong = xml.replace(/(type="r"[^/]*dstoff=")(\d)/, (_, start: string, offset: string) => {
      return `${start}${(Number(offset) + 1) % 3}`;
    });
    expect(wrong).not.toBe(xml);
    writeFileSync(path, wrong);
    const { exitCode, notes } = await record('cost', '--schedule', path);
    expect(exitCode).toBe(1);
    expect(notes).toMatch(
      /^hlsim: Expected a schedule that is right .* \[HLSIM_PROGRAM_UNREADABLE\]$/,
    );
  });

  it.each([
    ['', 'a collective or --schedule', 'neither'],
    ['all_reduce --schedule x.xml', 'a collective or --schedule', 'both'],
    ['--schedule x.xml --algorithm ring', '--schedule without --algorithm', 'both'],
    ['--schedule x.xml --chunks 2', '--schedule without --chunks', 'both'],
    ['all_to_nobody', 'all_reduce', '"all_to_nobody"'],
    ['all_reduce --algorithm magic', 'ring', 'magic'],
    ['all_reduce --alpha 5', '--alpha', '5us', '"5"'],
    ['all_reduce --bandwidth fast', '--bandwidth', '10GB/s', '"fast"'],
    ['all_reduce --bandwidth 0GB/s', '--bandwidth', '"0GB/s"'],
    ['all_reduce --beta 1ns --bandwidth 1GB/s', '--beta', '--bandwidth', 'both'],
    ['all_reduce --ports many', '--ports', 'single, full', '"many"'],
    ['all_reduce --size lots', '--size', '"lots"'],
    ['all_reduce --ranks 6 --boxes 4', '--boxes', 'divisor of --ranks 6', '4'],
    ['all_reduce --ranks 6 --root 2', '--root', '2'],
    ['all_reduce --json /nowhere/at/all.json', '--json', '/nowhere/at/all.json'],
  ])('refuses hlsim cost %s', async (line, ...words) => {
    const given = line === '' ? [] : line.split(' ');
    const { exitCode, results, notes } = await record('cost', ...given);
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    expect(notes).toMatch(/^hlsim: Expected .* \[HLSIM_USAGE\]$/);
    for (const word of words) expect(notes).toContain(word);
  });
});

describe('times and rates', () => {
  it.each([
    ['5us', 5e-6],
    ['0.1ns', 1e-10],
    ['2ms', 2e-3],
    ['0s', 0],
    ['1s', 1],
  ])('reads %s as seconds', (text, seconds) => {
    expect(shortTime.read(text)).toBeCloseTo(seconds, 15);
  });

  it.each([
    ['10GB/s', 10e9],
    ['37.5GB/s', 37.5e9],
    ['1GiB/s', 2 ** 30],
    ['8kB/s', 8000],
    ['1B/s', 1],
  ])('reads %s as bytes a second', (text, bytes) => {
    expect(rate.read(text)).toBe(bytes);
  });

  it.each(['', '5', '-1us', '1e3us', '5 us', '1h', 'us', '.5us'])('refuses the time %j', (text) => {
    expect(shortTime.read(text)).toBeUndefined();
  });

  it.each(['', '10', '10GB', '10Gb/s', '0GB/s', 'GB/s', '1kiB/s'])(
    'refuses the rate %j',
    (text) => {
      expect(rate.read(text)).toBeUndefined();
    },
  );

  it.each([
    [0, '0 us'],
    [1.5e-9, '1.5 ns'],
    [1.23456e-5, '12.35 us'],
    [0.25, '250 ms'],
    [90, '90 s'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(timeText(seconds)).toBe(text);
  });
});

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const SMALL = 'predict all_reduce --topology hls2 -b 1K -e 1M -f 32';

describe('hlsim predict', () => {
  it('says that time is virtual, which model and network it is of, and what is assumed', async () => {
    const { exitCode, results } = await record(...`${SMALL} --algorithm hccl`.split(' '));
    expect(exitCode).toBe(0);
    expect(results).toContain('VIRTUAL time of a model, not a measurement');
    expect(results).toContain('# Model: flow');
    expect(results).toContain('# Network: hls2: 8 cards in 1 box');
    expect(results).toMatch(/# Assumed parameters.*scaleUp\.latency 700ns/);
    expect(results).toContain('# Proved: hccl on 8 ranks');
    expect(results.match(/^ +\d+ +\d+ +float +sum .* hccl$/gm)).toHaveLength(3);
  });

  it('compares all algorithms and marks one as the fastest', async () => {
    const line = 'predict all_reduce --topology hls2 -b 32M -e 32M --algorithm all';
    const { exitCode, results } = await record(...line.split(' '));
    expect(exitCode).toBe(0);
    expect(results.match(/ \*$/gm)).toHaveLength(1);
  });

  it('explains the last row by path, parts, links and parameters', async () => {
    const line = 'predict all_reduce --topology hls2 -b 1M -e 1M --algorithm ring --explain';
    const { exitCode, results } = await record(...line.split(' '));
    expect(exitCode).toBe(0);
    for (const text of ['Critical path', 'Busiest links', 'scaleUp.rate', 'adds up to']) {
      expect(results).toContain(text);
    }
  });

  it('takes numbers of a parameter file in place of the topology’s own', async () => {
    const file = join(directory, 'parameters.yaml');
    const slow = { value: '1us', source: 'a test', status: 'assumed' };
    writeFileSync(
      file,
      JSON.stringify({ topology: 'hls2', parameters: { 'scaleUp.latency': slow } }),
    );
    const { exitCode, results } = await record(...`${SMALL} --parameters ${file}`.split(' '));
    expect(exitCode).toBe(0);
    expect(results).toMatch(/# Assumed parameters.*scaleUp\.latency 1us/);
  });

  it('predicts the same for every rank as for one of those that are alike', async () => {
    const line = 'predict all_reduce --topology hls2 --boxes 2 -b 1M -e 1M --algorithm hccl --json';
    const times: unknown[] = [];
    for (const exact of [[], ['--exact']]) {
      const file = join(directory, `${exact.length}.json`);
      expect((await record(...line.split(' '), file, ...exact)).exitCode).toBe(0);
      times.push(/"seconds": ?[\d.e-]+/.exec(readFileSync(file, 'utf8'))?.[0]);
    }
    expect(times[0]).toBeDefined();
    expect(times[1]).toBe(times[0]);
  });

  it('goes another way, or through host memory, and is never faster for it', async () => {
    const line = 'predict all_reduce --topology hls2 --boxes 2 -b 32M -e 32M --algorithm hccl';
    const secondsOf = async (...more: string[]): Promise<number> => {
      const { exitCode, results } = await record(...line.split(' '), ...more);
      expect(exitCode).toBe(0);
      return Number(/ -1 +([\d.]+) /.exec(results)?.[1]);
    };
    const plain = await secondsOf();
    expect(plain).toBeGreaterThan(0);
    expect(await secondsOf('--fail', 'link=box0/card0>card1')).toBeGreaterThan(plain);
    expect(await secondsOf('--path', 'bounce')).toBeGreaterThan(plain);
    expect(await secondsOf('--degrade', 'link=scaleUp,rate=0.5')).toBeGreaterThan(plain);
  });

  it('an experiment gives the same bytes twice, with a manifest', async () => {
    const file = new URL('../../examples/experiments/straggler.yaml', import.meta.url).pathname;
    for (const name of ['a', 'b']) {
      const { exitCode, notes } = await record(
        ...['predict', '--experiment', file, '--output', join(directory, name)],
      );
      expect(notes).toBe('');
      expect(exitCode).toBe(0);
    }
    const names = readdirSync(join(directory, 'a'));
    expect(names).toContain('manifest.json');
    for (const name of names) {
      const read = (folder: string) => readFileSync(join(directory, folder, name), 'utf8');
      expect(read('b')).toBe(read('a'));
    }
  }, 60_000);

  it.each([
    ['no topology', 'predict all_reduce'],
    ['no boxes', `${SMALL} --boxes 0`],
    ['a size beyond all measure', 'predict all_reduce --topology hls2 -e 9000000G'],
    ['more cards than there are', `${SMALL} --boxes 1 --cards 9`],
    ['an algorithm that there is not', `${SMALL} --algorithm nonsense`],
    ['links that there are not', `${SMALL} --degrade link=nonsense,rate=0.5`],
    ['a rank that there is not', `${SMALL} --straggler rank=99,slow=2x`],
    ['a file that cannot be written', `${SMALL} --json /proc/x.json`],
    ['a picture that cannot be written', `${SMALL} --svg /proc/x.svg`],
    ['a topology that there is not', 'predict all_reduce --topology /nowhere.yaml'],
    ['a seed without jitter', `${SMALL} --seed 3`],
    ['an experiment without a folder', 'predict --experiment x.yaml'],
  ])('refuses %s with one line and a code', async (_, line) => {
    const { exitCode, results, notes } = await record(...line.split(' '));
    expect(exitCode).not.toBe(0);
    expect(results).not.toMatch(/float/);
    expect(notes).toMatch(/^hlsim: Expected .*\[HLSIM_\w+\]$/);
  });
});

/** What `hlsim bench` and `hlsim tune` refuse before any process starts. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Each wrong command line, and what its one line must name. */
const WRONG: readonly (readonly [commandLine: string, ...words: string[]])[] = [
  ['bench all_to_nobody --hosts 2', 'sendrecv', 'alltoall_v', '"all_to_nobody"'],
  ['bench all_reduce --hosts 2 -d float32', '--datatype', 'half', 'all', '"float32"'],
  ['bench all_reduce --hosts 2 -o mean', '--op', 'avg', 'all', '"mean"'],
  ['bench broadcast --hosts 2 --devices 2 -r 4', '--root below 4', 'found 4'],
  ['bench broadcast --hosts 2 -r -1', '--root', '"-1"'],
  [
    'bench broadcast --hosts 2 --algorithm dissemination',
    '--algorithm',
    'binomialTree',
    '"dissemination"',
  ],
  [
    'bench broadcast --hosts 3 --algorithm scatterRecursiveDoubling',
    'a power of two of ranks',
    '3 ranks',
  ],
  ['bench all_reduce --hosts 2 --algorithm ring --chunks 3', 'multiple of the number', '3 chunks'],
  ['bench all_reduce --hosts 2 --channels 0', '--channels', 'from 1 to 32', '"0"'],
  ['bench all_reduce --hosts 2 --chunks 0', '--chunks', '"0"'],
  ['bench all_reduce --hosts 2 --slice 100', '--slice', 'multiple of 64', '"100"'],
  ['bench all_reduce --hosts 2 --slice 2M', '--slice', 'at most 1048576', '"2M"'],
  ['bench all_reduce --hosts 2 --bitwise 1', '--bitwise', 'from 2', '"1"'],
  ['bench sendrecv --hosts 2 --algorithm direct', 'sendrecv without --algorithm', 'messages'],
  ['bench sendrecv --hosts 2 --channels 2', 'sendrecv without --channels'],
  ['bench all_reduce --hosts 2 --schedule x --algorithm ring', '--schedule', '--algorithm', 'both'],
  ['bench all_reduce --hosts 2 --schedule x --tuning y', '--schedule', '--tuning', 'both'],
  ['bench all_reduce --hosts 256 --devices 2 -d bfloat16', 'fewer than 512 ranks', 'bfloat16'],
  ['tune --collectives all_reduce,nothing', '--collectives', 'all_reduce, all_gather', '"nothing"'],
  ['tune --collectives sendrecv', '--collectives', '"sendrecv"'],
  ['tune -b 1M -e 1K', '--maxbytes', '1048576', '1024'],
  ['tune --hosts 0', '--hosts', '"0"'],
  ['tune --coordinator ws://127.0.0.1:1', '--coordinator'],
];

describe('a wrong command line', () => {
  it.each(WRONG)('hlsim %s', async (commandLine, ...words) => {
    const { exitCode, results, notes } = await record(...commandLine.split(' '));
    expect(exitCode).toBe(2);
    expect(results).toBe('');
    expect(notes).toMatch(/^hlsim: [A-Z].* \[HLSIM_USAGE\]$/);
    for (const word of words) expect(notes).toContain(word);
  });
});

/** The programs of an all-reduce of two ranks; `reduce` is the step that is to add up. */
function schedule({ reduce = 'rrc', coll = 'allreduce', attributes = '' } = {}): string {
  const block = (rank: number, own: number, other: number) => `
  <gpu id="${rank}" i_chunks="2" o_chunks="0" s_chunks="0">
    <tb id="0" send="${1 - rank}" recv="${1 - rank}" chan="0">
      ${step(0, 's', other)}${step(1, reduce, own)}${step(2, 's', own)}${step(3, 'r', other)}
    </tb>
  </gpu>`;
  return `<algo name="mine" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="${coll}" inplace="1" ${attributes}>${block(0, 0, 1)}${block(1, 1, 0)}
</algo>`;
}

function step(index: number, type: string, chunk: number): string {
  return `<step s="${index}" type="${type}" srcbuf="i" srcoff="${chunk}" dstbuf="i" dstoff="${chunk}" cnt="1" depid="-1" deps="-1" hasdep="0"/>`;
}

describe('hlsim bench --schedule', () => {
  async function bench(text: string, ...words: string[]) {
    const file = join(directory, 'mine.xml');
    writeFileSync(file, text);
    return record('bench', ...words, '--schedule', file);
  }

  it('refuses a file that is refuted, with the first finding', async () => {
    const { exitCode, notes } = await bench(
      schedule({ reduce: 'r' }),
      'all_reduce',
      '--hosts',
      '2',
    );
    expect(exitCode).toBe(1);
    expect(notes).toMatch(
      /^hlsim: Expected .* refuted in place: Rank 0 channel 0 .*step \d.*chunk \d.*: .*hlsim verify .*mine\.xml \[HLSIM_SCHEDULE_REFUTED\]$/,
    );
  });

  it.each([
    [
      'another number of ranks',
      ['all_reduce', '--hosts', '2', '--devices', '2'],
      /2 ranks.*found 4/,
    ],
    ['another collective', ['all_gather', '--hosts', '2'], /for all_gather.*for all_reduce/],
  ])('refuses a file for %s', async (_, words, message) => {
    const { exitCode, notes } = await bench(schedule(), ...words);
    expect(exitCode).toBe(2);
    expect(notes).toMatch(message);
    expect(notes).toMatch(/\[HLSIM_USAGE\]$/);
  });

  it('refuses a file for another root', async () => {
    const { results } = await record(
      ...['show', 'broadcast', '--algorithm', 'direct', '--ranks', '3'],
      ...['--root', '1', '--format', 'msccl'],
    );
    const { exitCode, notes } = await bench(results, 'broadcast', '--hosts', '3', '--root', '2');
    expect(exitCode).toBe(2);
    expect(notes).toMatch(/--root 1, which the schedule is for, but found 2 \[HLSIM_USAGE\]$/);
  });

  it.each([
    ['is cut off', schedule().slice(0, 400)],
    ['is no schedule', 'hello'],
    ['has an attribute that is no number', schedule().replace('srcoff="1"', 'srcoff="one"')],
  ])('refuses a file that %s, with the line', async (_, text) => {
    const { exitCode, notes } = await bench(text, 'all_reduce', '--hosts', '2');
    expect(exitCode).toBe(1);
    expect(notes).toMatch(/^hlsim: .*line \d+.* \[HLSIM_PROGRAM_UNREADABLE\]$/);
  });

  it('refuses a file that is not there', async () => {
    const words = [
      'bench',
      'all_reduce',
      '--hosts',
      '2',
      '--schedule',
      join(directory, 'none.xml'),
    ];
    const { exitCode, notes } = await record(...words);
    expect(exitCode).toBe(1);
    expect(notes).toMatch(/^hlsim: .*none\.xml.* \[HLSIM_PROGRAM_UNREADABLE\]$/);
  });
});

describe('hlsim bench --tuning', () => {
  it.each([
    ['is not there', undefined, 'HLSIM_PROGRAM_UNREADABLE'],
    ['is no table', 'rules: 7\n', 'HLSIM_CONFIG'],
    ['is no YAML', 'rules: [\n', 'HLSIM_CONFIG'],
  ])('refuses a table that %s', async (_, text, code) => {
    const file = join(directory, 'mine.yaml');
    if (text !== undefined) writeFileSync(file, text);
    const { exitCode, notes } = await record(
      ...['bench', 'all_reduce', '--hosts', '2', '--tuning', file],
    );
    expect(exitCode).toBe(1);
    expect(notes).toMatch(new RegExp(`^hlsim: Expected .* \\[${code}\\]$`));
  });
});

describe('hlsim tune --output', () => {
  it('tells at once that a file cannot be written', async () => {
    const { exitCode, notes } = await record('tune', '--output', '/proc/tuning.yaml');
    expect(exitCode).toBe(2);
    expect(notes).toMatch(/^hlsim: Expected --output .*"\/proc\/tuning\.yaml".* \[HLSIM_USAGE\]$/);
  });

  it('leaves no empty file behind if nothing is measured', async () => {
    const path = join(directory, 'tuning.yaml');
    const nowhere = ['--join-timeout', '1ms', '--hosts', '1', '--collectives', 'barrier'];
    const { exitCode } = await record('tune', '--output', path, ...nowhere);
    expect([exitCode, existsSync(path)]).toEqual([1, false]);
  });
});

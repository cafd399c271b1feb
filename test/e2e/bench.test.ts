import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALGORITHMS } from '../../collectives/algorithms.ts';
import { readTuningFile } from '../../collectives/tuning-file.ts';
import { type Command, type Ended, TestProcesses } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

let processes: TestProcesses;
let directory: string;
beforeEach(() => {
  processes = new TestProcesses();
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  await processes.expectNone();
});

/** Two hosts that stay, for what does not ask how a cluster starts. */
const cluster = new StandingCluster();
let standing: Record<string, string>;
beforeAll(async () => {
  standing = await cluster.up('--hosts', '2');
});
afterAll(async () => {
  expect((await cluster.here('down')).code).toBe(0);
  await cluster.end();
});

function onCluster(...args: string[]): Promise<Command & Ended> {
  return processes.run(args, standing);
}

/** Rows of the table: the lines that are not comments. */
function rows(stdout: string): string[][] {
  const lines = stdout.split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => line.trim().split(/ +/));
}

const algorithmNames = ALGORITHMS.map(({ name }) => name);

describe('hlsim bench', () => {
  it.each([
    ['all_reduce', '2', '2', 'sum'],
    ['all_gather', '3', '1', 'none'],
  ])(
    '%s on %s hosts with %s devices prints the table, everything right',
    async (collective, hosts, devices, redop) => {
      const { code, stdout, stderr } = await processes.run([
        ...['bench', collective, '--hosts', hosts, '--devices', devices],
        ...['-b', '8K', '-e', '512K', '-f', '8', '-n', '2', '-w', '1', '-c', '1'],
      ]);
      expect(code, stderr).toBe(0);
      const nranks = Number(hosts) * Number(devices);
      expect(stdout).toContain(`# Collective test starting: ${collective}_perf\n`);
      expect(stdout).toContain('# Using devices\n');
      expect(stdout.match(/^# {2}Rank +\d+ Group +0 Pid +\d+ on /gm)).toHaveLength(nranks);
      const table = rows(stdout);
      expect(table).toHaveLength(3);
      for (const row of table) {
        const [
          size,
          count,
          type,
          op,
          root,
          time,
          ,
          ,
          wrong,
          inPlaceTime,
          ,
          ,
          inPlaceWrong,
          algorithm,
        ] = row;
        expect(Number(count)).toBeGreaterThan(0);
        expect(Number(size) % 4).toBe(0);
        expect([type, op, root, wrong, inPlaceWrong]).toEqual(['float', redop, '-1', '0', '0']);
        expect(Number(time)).toBeGreaterThan(0);
        expect(Number(inPlaceTime)).toBeGreaterThan(0);
        expect(algorithmNames).toContain(algorithm);
      }
      expect(stdout).toMatch(/^# Out of bounds values : 0 OK$/m);
      expect(stdout).toMatch(/^# Avg bus bandwidth {4}: \d+(\.\d+)?(e-\d\d)?$/m);
      // Nothing but the table: each line is a row, a comment or empty.
      for (const line of stdout.split('\n')) expect(line).toMatch(/^(?:#.*| +\d.*|)$/);
    },
  );

  it('writes the JSON of nccl-tests, where pid is the host process', async () => {
    const file = join(directory, 'bench.json');
    const args = ['bench', 'all_reduce', '--hosts', '2', '--devices', '2', '--json', file];
    const { code, stdout, stderr } = await processes.run([
      ...[...args, '-b', '1K', '-e', '4K', '-i', '1K', '-n', '2'],
    ]);
    expect(code, stderr).toBe(0);
    const json = JSON.parse(readFileSync(file, 'utf8'));
    expect(json.args).toEqual(expect.arrayContaining(['bench', 'all_reduce']));
    expect(json.config).toMatchObject({
      minimum_bytes: 1024,
      maximum_bytes: 4096,
      step_bytes: 1024,
      iterations: 2,
      warmup_iters: 1,
      validation: 1,
    });
    const devices: { rank: number; pid: number; hostname: string; device: number }[] =
      json.config.devices;
    expect(devices.map(({ rank }) => rank)).toEqual([0, 1, 2, 3]);
    expect(devices.map(({ device }) => device)).toEqual([0, 1, 0, 1]);
    expect(devices[0]?.pid).toBe(devices[1]?.pid);
    expect(new Set(devices.map(({ pid }) => pid)).size).toBe(2);
    expect(devices.map((device) => device.hostname)).toEqual(Array(4).fill(hostname()));
    for (const { pid } of devices) expect(stdout).toMatch(new RegExp(`Pid +${pid}\\b`));
    expect(json.results.map(({ size }: { size: number }) => size)).toEqual([
      1024, 2048, 3072, 4096,
    ]);
    for (const result of json.results) {
      expect(algorithmNames).toContain(result.algorithm);
      expect(result.channels).toBeGreaterThan(0);
      expect(result.slice_bytes).toBeGreaterThan(0);
      for (const place of [result.out_of_place, result.in_place]) {
        expect(place.nwrong).toBe(0);
        expect(place.time).toBeGreaterThan(0);
        expect(place.alg_bw).toBeGreaterThan(0);
      }
    }
    expect(Date.parse(json.end_time)).toBeGreaterThanOrEqual(Date.parse(json.start_time));
    expect(JSON.stringify(json)).not.toMatch(/token/i);
  });

  it('that cannot write its JSON in the end says so in one line, after the table', async () => {
    const { code, stdout, stderr } = await onCluster(
      ...['bench', 'all_reduce', '-b', '64', '-e', '64', '-n', '1', '--json', '/dev/full'],
    );
    expect(code).toBe(1);
    expect(rows(stdout)).toHaveLength(1);
    expect(stderr.match(/^hlsim: .*$/gm)).toEqual([
      expect.stringMatching(/^hlsim: .*--json, "\/dev\/full".*ENOSPC.* \[HLSIM_CONFIG\]$/),
    ]);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it('without a check says that nothing was checked', async () => {
    const { code, stdout } = await onCluster(
      ...['bench', 'all_reduce', '-b', '64', '-e', '64', '-n', '1', '-c', '0'],
    );
    expect(code).toBe(0);
    expect(rows(stdout)[0]?.[8]).toBe('N/A');
  });

  it('that does not fit into HBM fails with the reason, not with a hang', async () => {
    const { code, stderr, lastNote } = await processes.run([
      ...['bench', 'all_reduce', '--hosts', '2', '--hbm', '1M', '-b', '16M', '-e', '16M'],
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ENOMEM|memory/i);
    expect(lastNote).toMatch(/^hlsim: .*\[HLSIM_[A-Z_]+\]$/);
  });

  it('takes every type with every operation, on one cluster', async () => {
    const { code, stdout, stderr } = await processes.run([
      ...['bench', 'reduce_scatter', '--hosts', '3', '-d', 'all', '-o', 'all'],
      ...['-b', '4K', '-e', '4K', '-n', '1', '-w', '0'],
    ]);
    expect(code, stderr).toBe(0);
    const table = rows(stdout);
    expect(table).toHaveLength(10 * 5);
    expect(new Set(table.map(([, , type, op]) => `${type} ${op}`)).size).toBe(50);
    expect(stdout).toMatch(/^# Out of bounds values : 0 OK$/m);
  });

  it.each([
    ['sendrecv', ['N/A', 'N/A', 'N/A', 'N/A']],
    ['alltoall_v', ['N/A', 'N/A', 'N/A', 'N/A', expect.any(String), '512', 'KiB']],
  ])('%s has no figures in place', async (collective, rest) => {
    const { code, stdout, stderr } = await onCluster(
      ...['bench', collective, '-b', '4K', '-e', '4K', '-n', '1'],
    );
    expect(code, stderr).toBe(0);
    const [row] = rows(stdout);
    expect(row?.[8]).toBe('0');
    expect(row?.slice(9)).toEqual(rest);
  });

  it('uses what it is told to', async () => {
    const { code, stdout, stderr } = await processes.run([
      ...['bench', 'broadcast', '--hosts', '3', '-b', '64K', '-e', '64K', '-n', '1', '-r', '2'],
      ...['--algorithm', 'chain', '--channels', '2', '--chunks', '4', '--slice', '4K'],
    ]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('Algorithm: chain\n');
    const [row] = rows(stdout);
    expect(row?.slice(3, 5)).toEqual(['none', '2']);
    expect(row?.slice(13).join(' ')).toBe('chain x2 4 KiB');
  });

  it('refuses an algorithm that cannot do it with so many ranks', async () => {
    const { code, lastNote } = await processes.run([
      ...['bench', 'all_gather', '--hosts', '3', '-b', '64', '-e', '64'],
      ...['--algorithm', 'recursiveDoubling'],
    ]);
    expect(code).not.toBe(0);
    expect(lastNote).toMatch(/^hlsim: .*a power of two of ranks.* \[HLSIM_\w+\]$/);
  });

  it('--hccl-strict takes only what the real HCCL takes', async () => {
    const words = ['bench', 'all_reduce', '-b', '64', '-e', '64', '-n', '1'];
    const refused = await onCluster(...words, '--hccl-strict', '-d', 'double');
    expect(refused.code).not.toBe(0);
    expect(refused.lastNote).toMatch(/^hlsim: .*hcclInvalidArgument.* \[HLSIM_\w+\]$/);
    const taken = await onCluster(...words, '--hccl-strict', '-d', 'bfloat16');
    expect(taken.code, taken.stderr).toBe(0);
  });

  it('comes to the same bits in fresh launches', async () => {
    const file = join(directory, 'bitwise.json');
    const { code, stdout, stderr } = await processes.run([
      ...['bench', 'all_reduce', '--hosts', '4', '-b', '1K', '-e', '256K', '-f', '16', '-n', '1'],
      ...['--bitwise', '3', '--json', file],
    ]);
    expect(code, stderr).toBe(0);
    expect(rows(stdout)).toHaveLength(3);
    expect(stdout).toMatch(/^# Bitwise: 24 results were the same to the bit in 3 launches$/m);
    const json = JSON.parse(readFileSync(file, 'utf8'));
    expect(json.bitwise).toEqual({ launches: 3, results: 24, differing: [] });
    const { digests } = json.results[0].out_of_place;
    expect(digests).toHaveLength(4);
    expect(new Set(digests).size).toBe(1);
  });
});

/** Two ranks, each of which adds up one half and then sends it. */
const HALVES = `<algo name="halves" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="allreduce" inplace="1">
  <gpu id="0" i_chunks="2" o_chunks="0" s_chunks="0">
    <tb id="0" send="1" recv="1" chan="0">
      <step s="0" type="s" srcbuf="i" srcoff="1" dstbuf="i" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="1" type="rrc" srcbuf="i" srcoff="0" dstbuf="i" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="2" type="s" srcbuf="i" srcoff="0" dstbuf="i" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="3" type="r" srcbuf="i" srcoff="1" dstbuf="i" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
    </tb>
  </gpu>
  <gpu id="1" i_chunks="2" o_chunks="0" s_chunks="0">
    <tb id="0" send="0" recv="0" chan="0">
      <step s="0" type="s" srcbuf="i" srcoff="0" dstbuf="i" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="1" type="rrc" srcbuf="i" srcoff="1" dstbuf="i" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="2" type="s" srcbuf="i" srcoff="1" dstbuf="i" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
      <step s="3" type="r" srcbuf="i" srcoff="0" dstbuf="i" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
    </tb>
  </gpu>
</algo>
`;

describe('hlsim bench --schedule', () => {
  const sizes = ['-b', '8', '-e', '512K', '-f', '256', '-n', '2'];

  it.each([
    ['all_reduce', 'ring', ['--hosts', '4']],
    ['all_gather', 'bruck', ['--hosts', '3', '--devices', '2']],
    ['reduce_scatter', 'recursiveHalving', ['--hosts', '3']],
  ])('runs the file of hlsim show for %s %s', async (collective, algorithm, cluster) => {
    const ranks = cluster.includes('--devices') ? '6' : (cluster[1] ?? '');
    const shown = await processes.run([
      ...['show', collective, '--algorithm', algorithm, '--ranks', ranks, '--format', 'msccl'],
    ]);
    expect(shown.code, shown.stderr).toBe(0);
    const file = join(directory, 'shown.xml');
    writeFileSync(file, shown.stdout);
    const words = ['bench', collective, ...cluster, '--schedule', file, ...sizes];
    const { code, stdout, stderr } = await processes.run(words);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('Algorithm: the schedule file\n');
    const table = rows(stdout);
    expect(table.length).toBeGreaterThan(2);
    for (const row of table) {
      expect([row[8], row[12]]).toEqual(['0', '0']);
      expect(row[13]).toMatch(new RegExp(`^msccl:${algorithm}`));
    }
  });

  it('runs a file that a person wrote, in the place that it is for', async () => {
    const file = join(directory, 'mine.xml');
    writeFileSync(file, HALVES);
    const words = ['bench', 'all_reduce', '--schedule', file, ...sizes];
    const { code, stdout, stderr } = await onCluster(...words, '-d', 'half', '-o', 'avg');
    expect(code, stderr).toBe(0);
    const table = rows(stdout);
    expect(table).toHaveLength(3);
    for (const row of table) {
      expect(row.slice(5, 9)).toEqual(['N/A', 'N/A', 'N/A', 'N/A']);
      expect(row[12]).toBe('0');
      expect(row[13]).toMatch(/^msccl:halves#/);
    }
  });
});

describe('hlsim tune', () => {
  it('measures what fits, and writes a table that hlsim bench goes by', async () => {
    const file = join(directory, 'tuning.yaml');
    const tuned = await processes.run([
      ...['tune', '--hosts', '2', '--collectives', 'all_gather', '-b', '64', '-e', '4K'],
      ...['-n', '1', '--channels', '1', '--output', file],
    ]);
    expect(tuned.code, tuned.stderr).toBe(0);
    const text = readFileSync(file, 'utf8');
    expect(tuned.stdout.trimEnd()).toBe(text.trimEnd());
    const { rules } = readTuningFile(text);
    expect(rules.length).toBeGreaterThan(0);
    for (const { collective, ranks, boxes, channels, algorithm } of rules) {
      expect({ collective, ranks, boxes, channels }).toEqual({
        ...{ collective: 'allGather', channels: 1 },
        ...{ ranks: { from: 2, to: 2 }, boxes: { from: 2, to: 2 } },
      });
      expect(algorithmNames).toContain(algorithm);
    }
  });

  it('leaves a table alone until there is a new one', async () => {
    const file = join(directory, 'tuning.yaml');
    writeFileSync(file, 'rules: []\n');
    const { code, lastNote } = await processes.run([
      ...['tune', '--hosts', '2', '--output', file, '--join-timeout', '1ms'],
    ]);
    expect(code, lastNote).toBe(1);
    expect(readFileSync(file, 'utf8')).toBe('rules: []\n');
  });

  it('hlsim bench takes the algorithms of a table', async () => {
    const file = join(directory, 'mine.yaml');
    writeFileSync(
      file,
      'rules:\n  - collective: all_reduce\n    bytes: { from: 1K }\n    algorithm: binomialTree\n    channels: 2\n',
    );
    const { code, stdout, stderr } = await onCluster(
      ...['bench', 'all_reduce', '-b', '64', '-e', '4K', '-f', '64', '-n', '1', '--tuning', file],
    );
    expect(code, stderr).toBe(0);
    const choices = rows(stdout).map((row) => row.slice(13, 15).join(' '));
    expect(choices[1]).toBe('binomialTree x2');
    expect(choices[0]).not.toBe('binomialTree x2');
  });
});

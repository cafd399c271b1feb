import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestProcesses } from './command.ts';

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

/** Rows of the table: the lines that are not comments. */
function rows(stdout: string): string[][] {
  const lines = stdout.split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => line.trim().split(/ +/));
}

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
        const [size, count, type, op, root, time, , , wrong, inPlaceTime, , , inPlaceWrong] = row;
        expect(Number(count)).toBeGreaterThan(0);
        expect(Number(size) % 4).toBe(0);
        expect([type, op, root, wrong, inPlaceWrong]).toEqual(['float', redop, '-1', '0', '0']);
        expect(Number(time)).toBeGreaterThan(0);
        expect(Number(inPlaceTime)).toBeGreaterThan(0);
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
    const { code, stdout, stderr } = await processes.run([
      ...['bench', 'all_reduce', '--hosts', '2', '-b', '64', '-e', '64', '-n', '1'],
      ...['--json', '/dev/full'],
    ]);
    expect(code).toBe(1);
    expect(rows(stdout)).toHaveLength(1);
    expect(stderr.match(/^hlsim: .*$/gm)).toEqual([
      expect.stringMatching(/^hlsim: .*--json, "\/dev\/full".*ENOSPC.* \[HLSIM_CONFIG\]$/),
    ]);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it('without a check says that nothing was checked', async () => {
    const { code, stdout } = await processes.run([
      ...['bench', 'all_reduce', '--hosts', '2', '-b', '64', '-e', '64', '-n', '1', '-c', '0'],
    ]);
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
});

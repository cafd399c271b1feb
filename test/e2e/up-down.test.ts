import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { program, type TestProcesses } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

const END_MS = 15_000;

let processes: TestProcesses;
let state: string;
let cluster: StandingCluster;
beforeEach(() => {
  cluster = new StandingCluster();
  ({ processes, state } = cluster);
});
afterEach(() => cluster.end());

const here = (command: string, ...args: string[]) => cluster.here(command, ...args);
const up = (...args: string[]) => cluster.up(...args);

async function processRows(): Promise<{ name: string; pid: number; state: string }[]> {
  const { code, stdout } = await here('ps', '--json');
  expect(code).toBe(0);
  return JSON.parse(stdout).processes;
}

describe('hlsim up', () => {
  it('starts a cluster that stays, that jobs can use one after the other, and down ends', async () => {
    const environment = await up('--hosts', '2', '--devices', '2');
    expect(processes.daemons('node')).toHaveLength(2);
    const ps = await here('ps');
    expect(ps.stdout).toMatch(/^2 of 2 hosts with 2 devices each, complete, epoch 1, no job$/m);
    expect(ps.stdout).toMatch(/^coordinator +\d+ +running/m);
    expect(ps.stdout).toMatch(/^host-\d +\d+ +running +2,3 +127\.0\.0\.1:\d+$/m);
    for (const attempt of [1, 2]) {
      const run = await processes.run(['run', program('report-environment')], environment);
      expect(run.code, `attempt ${attempt}: ${run.stderr}`).toBe(0);
      expect(run.resultLines).toHaveLength(4);
    }
    const down = await here('down');
    expect(down.code, down.stderr).toBe(0);
    expect(processes.list()).toEqual([]);
    expect(existsSync(state)).toBe(false);
  });

  it('keeps its token to its owner, and not among the arguments of a process', async () => {
    const environment = await up('--hosts', '1');
    const token = environment['HLSIM_TOKEN'] ?? '';
    expect(token.length).toBeGreaterThan(16);
    expect(statSync(join(state, 'cluster.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(state, 'cluster.json'), 'utf8')).toContain(token);
    for (const { argv } of processes.list()) expect(argv.join(' ')).not.toContain(token);
    await here('down');
  });

  it('quotes the state directory in the words that end the cluster', async () => {
    const directory = join(state, '..', "st a'b");
    const { code, stdout } = await processes.run([
      ...['up', '--hosts', '1', '--state-dir', directory],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('1 host with 1 device is up.');
    const quoted = `'${directory.replace("'", `'\\''`)}'`;
    expect(stdout).toContain(`To end it: hlsim down --state-dir ${quoted}\n`);
    expect((await processes.run(['down', '--state-dir', directory])).code).toBe(0);
  });

  it('refuses where a cluster is up already, and leaves that one alone', async () => {
    await up('--hosts', '1');
    const pids = processes.list().map(({ pid }) => pid);
    const again = await here('up', '--hosts', '1');
    expect(again.code).toBe(1);
    expect(again.lastNote).toMatch(/^hlsim: .* \[HLSIM_CLUSTER_EXISTS\]$/);
    expect(processes.list().map(({ pid }) => pid)).toEqual(pids);
    await here('down');
  });

  it('of two at once one wins, and its cluster is whole', async () => {
    const both = await Promise.all([here('up', '--hosts', '2'), here('up', '--hosts', '2')]);
    expect(both.map(({ code }) => code).toSorted()).toEqual([0, 1]);
    expect((await processRows()).map((row) => row.state)).toEqual([
      'running',
      'running',
      'running',
    ]);
    await here('down');
  });

  it('starts anew where every process of an earlier cluster was killed', async () => {
    await up('--hosts', '1');
    for (const { pid } of processes.list()) process.kill(pid, 'SIGKILL');
    await processes.allGone(END_MS);
    await up('--hosts', '1');
    await here('down');
    expect(processes.list()).toEqual([]);
  });

  it('cancels the job of a client that is interrupted, and takes the next job', async () => {
    const environment = await up('--hosts', '2');
    const endless = processes.hlsim(['run', program('endless-all-reduce')], environment);
    await endless.printed(/\[1\] reducing/);
    endless.child.kill('SIGINT');
    expect(await endless.ended).toEqual({ code: 130, signal: null });
    const next = await processes.run(['run', program('report-environment')], environment);
    expect(next.code, next.stderr).toBe(0);
    await here('down');
  });

  it('refuses a second job while one runs', async () => {
    const environment = await up('--hosts', '2');
    const endless = processes.hlsim(['run', program('endless-all-reduce')], environment);
    await endless.printed(/\[1\] reducing/);
    const second = await processes.run(['run', program('report-environment')], environment);
    expect(second.code).toBe(1);
    expect(second.lastNote).toMatch(/^hlsim: .* \[HLSIM_JOB_REFUSED\]$/);
    endless.child.kill('SIGTERM');
    await endless.ended;
    await here('down');
  });

  it('tells a waiting client that the cluster is being taken down', async () => {
    const environment = await up('--hosts', '2');
    const endless = processes.hlsim(['run', program('endless-all-reduce')], environment);
    await endless.printed(/\[1\] reducing/);
    expect((await here('down')).code).toBe(0);
    expect((await endless.ended).code).toBe(1);
    expect(endless.lastNote).toMatch(/^hlsim: .* \[HLSIM_(?:COORDINATOR_LOST|JOB_CANCELLED)\]$/);
  });
});

describe('hlsim down', () => {
  it('names the variables that still point to the cluster, and no others', async () => {
    const environment = await up('--hosts', '1');
    const down = await processes.run(['down', '--state-dir', state], {
      ...environment,
      HLSIM_TOKEN: 'of another cluster',
    });
    expect(down.resultLines).toEqual([
      'The cluster is down: 2 of 2 processes were running.',
      'To forget it: unset HLSIM_COORDINATOR',
    ]);
  });

  it.each(['coordinator', 'host-0'])('ends the rest after kill -9 of %s', async (victim) => {
    await up('--hosts', '2');
    const row = (await processRows()).find(({ name }) => name === victim);
    process.kill(row?.pid ?? 0, 'SIGKILL');
    const down = await here('down');
    expect(down.code, down.stderr).toBe(0);
    expect(processes.list()).toEqual([]);
    expect(existsSync(state)).toBe(false);
  });

  it('ends a host that is stopped', async () => {
    await up('--hosts', '2');
    const row = (await processRows()).find(({ name }) => name === 'host-1');
    process.kill(row?.pid ?? 0, 'SIGSTOP');
    expect((await here('down')).code).toBe(0);
    expect(processes.list()).toEqual([]);
  });
});

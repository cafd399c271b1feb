/** Traces of real runs: of a job, and of a cluster that is busy already; over links and shared memory. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { operatingSystem } from '../../node/os/operating-system.ts';
import { overlaps, type ReadTrace, readTrace } from '../timing/export/read-trace.ts';
import { program, TestProcesses } from './command.ts';
import { StandingCluster } from './standing-cluster.ts';

interface TracedHost {
  readonly events: number;
  readonly clock: {
    readonly rendezvous: { readonly uncertaintyMs: number };
    readonly uncertaintyMs: number;
  };
}

const PROVIDERS = 'unavailable' in operatingSystem() ? ['ws'] : ['ws', 'p2p'];
let folder = '';
let processes: TestProcesses;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hlsim-trace-'));
  processes = new TestProcesses();
});
afterEach(async () => {
  await processes.expectNone();
  rmSync(folder, { recursive: true });
});

const traceIn = (path: string): ReadTrace => readTrace(readFileSync(path, 'utf8'));
const hostsOf = ({ metadata }: ReadTrace) => metadata['hosts'] as readonly TracedHost[];
const called = ({ events }: ReadTrace, cat: string) => events.filter((event) => event.cat === cat);

/** Every host was heard, its clock was measured, and nothing overlaps. */
function expectWhole(trace: ReadTrace, hosts: number): void {
  expect(trace.metadata['time']).toBe('wall clock of this machine');
  expect(trace.metadata['missing']).toEqual([]);
  expect(hostsOf(trace)).toHaveLength(hosts);
  for (const { events, clock } of hostsOf(trace)) {
    expect(events).toBeGreaterThan(0);
    expect(clock.uncertaintyMs).toBeGreaterThan(0);
    expect(clock.uncertaintyMs).toBeLessThan(1_000);
    expect(clock.rendezvous.uncertaintyMs).toBeGreaterThan(0);
  }
  expect(overlaps(trace)).toEqual([]);
}

describe.each(PROVIDERS)('a trace over %s', (provider) => {
  it('of a benchmark has every call of every rank, on one clock', async () => {
    const path = join(folder, 'trace.json');
    const sizes = ['-b', '1M', '-e', '1M', '-n', '2', '-w', '0', '-c', '0'];
    const { code, stderr } = await processes.run([
      ...['bench', 'all_reduce', '--hosts', '3', '--provider', provider, '--algorithm', 'ring'],
      ...[...sizes, '--trace', path],
    ]);
    expect(code, stderr).toBe(0);
    const trace = traceIn(path);
    expectWhole(trace, 3);
    expect(trace.metadata).toMatchObject({ eventsOmitted: 0, eventsUnpaired: 0 });
    const calls = called(trace, 'collective');
    const mib = calls.filter(({ name }) => name === 'ring allReduce of 1 MiB');
    const perRank = [0, 1, 2].map((rank) => mib.filter(({ pid }) => pid === rank));
    expect(perRank[0]?.length).toBeGreaterThanOrEqual(4);
    expect(new Set(perRank.map((own) => own.length)).size).toBe(1);
    // A rank cannot have ended a call before another had begun it: not by more than clocks are uncertain.
    const uncertainMicros =
      2_000 * Math.max(...hostsOf(trace).map(({ clock }) => clock.uncertaintyMs));
    for (const call of new Set(mib.map(({ args }) => args['call']))) {
      const same = mib.filter(({ args }) => args['call'] === call);
      const begun = Math.max(...same.map(({ ts }) => ts));
      const ended = Math.min(...same.map(({ ts, dur }) => ts + dur));
      expect(ended).toBeGreaterThan(begun - uncertainMicros);
    }
    // Each rank gives two thirds of the vector twice to the next: reduced once, copied once.
    const first = called(trace, 'link').filter(({ args, pid }) => args['call'] === 1 && pid === 0);
    const bytes = first.reduce((sum, { args }) => sum + Number(args['bytes']), 0);
    expect(Math.abs(bytes - (4 / 3) * 2 ** 20)).toBeLessThan(64);
    const tracks = new Set(first.map(({ pid, tid }) => trace.tracks.get(`${pid} ${tid}`)));
    for (const track of tracks) expect(track).toMatch(/^rank 0 \/ to rank 1( \(\d+\))?$/);
  });

  it('can be taken of a cluster that is busy, and leaves it as it was', async () => {
    const cluster = new StandingCluster();
    const environment = await cluster.up('--hosts', '2');
    const job = cluster.processes.hlsim(
      ['run', program('endless-all-reduce'), '--provider', provider, '--', '4096'],
      environment,
    );
    await job.printed(/reducing in/);
    const memoryOf = async () => (await cluster.here('smi')).stdout.match(/[\d.]+ [KM]iB \//g);
    const before = await memoryOf();
    const path = join(folder, 'trace.json');
    for (const more of [[], ['--trace-every', '5', '--trace-events-max', '40']]) {
      const args = ['--seconds', '300ms', '--output', path, ...more];
      const { code, stderr } = await cluster.here('trace', ...args);
      expect(code, stderr).toBe(0);
      const trace = traceIn(path);
      expectWhole(trace, 2);
      if (more.length === 0) {
        expect(called(trace, 'collective').length).toBeGreaterThan(2);
        continue;
      }
      expect(hostsOf(trace).reduce((sum, { events }) => sum + events, 0)).toBeLessThanOrEqual(40);
      for (const { args: about } of trace.events) expect((Number(about['call']) - 1) % 5).toBe(0);
    }
    expect(await memoryOf()).toEqual(before);
    expect(job.child.exitCode).toBeNull();
    job.child.kill('SIGINT');
    await job.ended;
    expect((await cluster.here('down')).code).toBe(0);
    await cluster.end();
  });
});

it('a trace of a job that fails is written all the same', async () => {
  const path = join(folder, 'trace.json');
  const { code, stderr } = await processes.run([
    ...['run', program('throws'), '--hosts', '2', '--trace', path],
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('written to');
  expect(hostsOf(traceIn(path))).toHaveLength(2);
});

/** Several simulated processes on one host: containers, descriptors that travel, signals, long computation. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEARTBEAT_INTERVAL_MS } from '../../coordinator/hlcp/messages.ts';
import { HLSIM, program, TestProcesses } from './command.ts';
import { TappedCoordinator } from './tapped-coordinator.ts';

/** How long the busy rank computes at least. */
const BUSY_MS = 3_000;
const ALL_REDUCES = 20;

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

describe('several processes on one host', () => {
  it('in two containers: one is killed, its descriptors close, what it has passed on lives', async () => {
    const { code, resultLines, stderr } = await processes.run([
      ...['run', program('containers'), '--hosts', '1'],
    ]);
    expect(resultLines, stderr).toEqual([
      '[0] holder has the device: open gives EBUSY',
      '[0] observer kills holder: EPERM',
      '[0] rank kills observer: EPERM',
      '[0] rank kills holder: {"signal":"SIGKILL"}',
      "[0] holder's socket: end",
      '[0] holder killed again: ESRCH',
      expect.stringMatching(/^\[0\] observer keeps the dma-buf: open gives (?:EBUSY|EAGAIN)$/),
      '[0] observer closes it: closed',
      '[0] open gives ok',
      '[0] observer ends: {"exitCode":0}',
      '[0] throws: {"exitCode":1}',
      '[0] exits: {"exitCode":7}',
      '[0] obeys: {"signal":"SIGTERM"}',
      '[0] refuses: {"exitCode":9}',
    ]);
    expect(stderr).toContain('a crash');
    expect(code).toBe(0);
  });
});

describe('a rank that is killed', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGKILL', 137],
  ])('by %s ends with %i, and the job says so', async (signal, exitCode) => {
    const run = ['run', program('kills-itself'), '--hosts', '1', '--', signal];
    const { code, resultLines, lastNote } = await processes.run(run);
    expect([code, resultLines]).toEqual([exitCode, []]);
    expect(lastNote).toMatch(
      new RegExp(`^hlsim: .*rank 0\\b.*ended by ${signal}.* \\[HLSIM_JOB_FAILED\\]$`, 'i'),
    );
  });
});

describe('a rank that computes for 3 s without a pause', () => {
  const folder = () => mkdtempSync(join(tmpdir(), 'hlsim-test-'));

  it('delays neither the heartbeats of its host nor the collectives of the others', async () => {
    const done = folder();
    const coordinator = await TappedCoordinator.start(2);
    try {
      const nodes = ['host-0', 'host-1'].map((name) => {
        const node = ['node', '--coordinator', coordinator.url, '--hostname', name];
        return processes.start(process.execPath, [
          ...[HLSIM, ...node, '--devices', '2', '--hbm', '64M', '--log-level', 'error'],
        ]);
      });
      const busy = [done, String(ALL_REDUCES)];
      const { exitCode, failure, output } = await coordinator.run(program('busy-rank'), busy);
      const said = nodes.map(({ stderr }) => stderr).join('');
      expect([exitCode, failure], said).toEqual([0, undefined]);
      const { from, to, finished } = JSON.parse(output);
      // They ended while it computed: it looks for what they leave behind without letting its thread go.
      expect(finished).toBe(3);
      expect(to - from).toBeGreaterThanOrEqual(BUSY_MS);
      for (const hostname of ['host-0', 'host-1']) {
        const all = coordinator.heartbeats.filter((one) => one.hostname === hostname);
        const sequences = all.map(({ sequence }) => sequence);
        expect(sequences, hostname).toEqual(sequences.map((_, at) => (sequences[0] ?? 0) + at));
        const during = all.filter(({ atMs }) => atMs >= from && atMs <= to);
        // A host whose main thread is held up sends none; one on a slow machine sends them late.
        expect(during.length, hostname).toBeGreaterThanOrEqual(
          Math.floor(BUSY_MS / HEARTBEAT_INTERVAL_MS / 2),
        );
      }
    } finally {
      await coordinator.close();
      await processes.allGone(15_000);
      rmSync(done, { recursive: true });
    }
  });
});

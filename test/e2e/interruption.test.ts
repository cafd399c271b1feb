/** Ctrl-C and its kin, at any moment: the exit code says so, and nothing stays behind. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { type Command, program, TestProcesses, timed, until } from './command.ts';

const END_MS = 15_000;
/** Spread over the start of a cluster and the first work on it, on a fast machine and on a slow one. */
const MOMENTS_MS = [0, 100, 200, 300, 400, 500, 600, 800, 1_000, 1_500];
const ARGUMENTS = ['run', program('endless-all-reduce'), '--hosts', '3'];

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

async function startReducing(): Promise<Command> {
  const command = processes.hlsim(ARGUMENTS);
  for (const rank of [0, 1, 2]) await command.printed(new RegExp(`\\[${rank}\\] reducing`));
  return command;
}

describe('a command with a cluster of its own', () => {
  it.each(MOMENTS_MS)('Ctrl-C %i ms after the start leaves no process', async (moment) => {
    const command = processes.hlsim(ARGUMENTS);
    await sleep(moment);
    command.child.kill('SIGINT');
    const { code, signal } = await command.ended;
    // Before the command listens for signals, the system ends it; then it has started nothing.
    expect([130, 'SIGINT']).toContain(code ?? signal);
    await processes.allGone(END_MS);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s while a job runs ends it with exit code %i', async (signal, exitCode) => {
    const command = await startReducing();
    command.child.kill(signal);
    expect(await command.ended).toEqual({ code: exitCode, signal: null });
    expect(command.lastNote).toBe(`hlsim: Interrupted by ${signal}`);
  });

  it('a second Ctrl-C does not wait for a host that does not answer', async () => {
    const command = await startReducing();
    const host = defined(processes.daemons('node')[0], 'a host');
    process.kill(host.pid, 'SIGSTOP');
    command.child.kill('SIGINT');
    await sleep(100);
    command.child.kill('SIGINT');
    expect(await timed(command.ended)).toBeLessThan(1_000);
    expect(await command.ended).toEqual({ code: 130, signal: null });
    await processes.allGone(END_MS);
  });

  it('a reader of the output that goes away ends it', async () => {
    const command = await startReducing();
    command.child.stdout?.destroy();
    process.kill(defined(processes.daemons('node')[0], 'a host').pid, 'SIGKILL');
    await command.ended;
    await processes.allGone(END_MS);
  });
});

describe('hlsim up', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it.each(MOMENTS_MS)(
    'Ctrl-C %i ms after the start leaves no process and no state',
    async (moment) => {
      const state = join(directory, 'state');
      const command = processes.hlsim(['up', '--hosts', '3', '--state-dir', state]);
      await sleep(moment);
      command.child.kill('SIGINT');
      const { code, signal } = await command.ended;
      if (code === 0) {
        // The cluster was up before the signal came: that is no interruption.
        await processes.run(['down', '--state-dir', state]);
      } else {
        expect([130, 'SIGINT']).toContain(code ?? signal);
      }
      await processes.allGone(END_MS);
      expect(existsSync(state)).toBe(false);
    },
  );

  it('kill -9 of it leaves a record with which hlsim down ends everything', async () => {
    const state = join(directory, 'state');
    const command = processes.hlsim(['up', '--hosts', '3', '--state-dir', state]);
    await until(END_MS, 'a host to start', () => processes.daemons('node').length > 0);
    command.child.kill('SIGKILL');
    await command.ended;
    const down = await processes.run(['down', '--state-dir', state]);
    expect(down.code, down.stderr).toBe(0);
    expect(existsSync(state)).toBe(false);
    expect(processes.list()).toEqual([]);
  });
});

/** Ctrl-C and its kin, at any moment: the exit code says so, and nothing stays behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { Command, HLSIM, program, TestProcesses, timed, until } from './command.ts';

const END_MS = 15_000;
/** Spread over the start of a cluster and the first work on it, on a fast machine and on a slow one. */
const MOMENTS_MS = [0, 100, 200, 300, 400, 500, 600, 800, 1_000, 1_500];
/** What a daemon has for an orderly end (cli/launcher-line.ts). */
const GRACE_MS = 1_500;
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

  it.each(MOMENTS_MS)('kill -9 of it %i ms after the start leaves no process', async (moment) => {
    const command = processes.hlsim(ARGUMENTS);
    await sleep(moment);
    command.child.kill('SIGKILL');
    await command.ended;
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

describe('a host that still looks for its coordinator', () => {
  it.each([
    ['--exit-with-parent', '', { code: 1, signal: null }],
    ['--await-go', 'go\n', { code: null, signal: 'SIGTERM' }],
  ])('with %s ends at once when its launcher goes', async (flag, words, how) => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const args = [HLSIM, 'node', '--coordinator', url, '--join-timeout', '60s', flag];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'ignore'] });
    const { ended } = new Command(child);
    try {
      child.stdin.write(words);
      await once(server, 'connection');
      child.stdin.end();
      expect(await timed(ended)).toBeLessThan(GRACE_MS);
      expect(await ended).toEqual(how);
    } finally {
      child.kill('SIGKILL');
      server.close();
    }
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

  /** By `kill -9`: then either every daemon ends by itself, or the cluster is whole and said to be up. */
  async function expectAllOrNone(command: Command, state: string): Promise<void> {
    command.child.kill('SIGKILL');
    await command.ended;
    const file = join(state, 'cluster.json');
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).state === 'up') {
      await until(END_MS, 'all daemons or none', () => [0, 4].includes(processes.list().length));
      expect((await processes.run(['down', '--state-dir', state])).code).toBe(0);
    }
    await processes.allGone(END_MS);
  }

  it.each([0, 1, 2, 3])(
    'kill -9 of it when %i of 3 hosts have joined leaves no daemon, or a whole cluster',
    async (joined) => {
      const state = join(directory, 'state');
      const command = processes.hlsim(['up', '--hosts', '3', '--state-dir', state]);
      const hasSaid = (name: string, event: string): boolean => {
        const log = join(state, `${name}.log`);
        return existsSync(log) && readFileSync(log, 'utf8').includes(`"event":"${event}"`);
      };
      await until(END_MS, `${joined} hosts to join`, () => {
        const hosts = ['host-0', 'host-1', 'host-2'].filter((name) => hasSaid(name, 'joined'));
        return hasSaid('coordinator', 'listening') && hosts.length >= joined;
      });
      await expectAllOrNone(command, state);
    },
  );

  it('its daemons stay after it has ended', async () => {
    const state = join(directory, 'state');
    const command = await processes.run(['up', '--hosts', '3', '--state-dir', state]);
    expect(command.code).toBe(0);
    // Longer than a daemon takes to end when its standard input does.
    await sleep(GRACE_MS + 500);
    expect(processes.list()).toHaveLength(4);
    await expectAllOrNone(command, state);
  });

  it.each(MOMENTS_MS)(
    'kill -9 of it %i ms after the start leaves no daemon, or a whole cluster',
    async (moment) => {
      const state = join(directory, 'state');
      const command = processes.hlsim(['up', '--hosts', '3', '--state-dir', state]);
      await sleep(moment);
      await expectAllOrNone(command, state);
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
    // One that was not recorded yet ends by itself.
    await processes.allGone(END_MS);
  });
});

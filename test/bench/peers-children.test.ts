import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { runChildren } from '../../bench/peers/children.ts';
import { familyOf, parseStat, processTable } from '../../bench/peers/process-table.ts';
import { wallScheduler } from '../../common/scheduler.ts';

/** Far more than any of these programs needs. */
const PATIENT_MS = 60_000;

const node = (program: string) => ({ program: process.execPath, args: ['-e', program] });

function run(programs: readonly string[], deadlineMs = PATIENT_MS, signal = neverAborted()) {
  return runChildren(programs.map(node), { scheduler: wallScheduler, deadlineMs, signal });
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}

/** Starts a program that would run for ever and says its pid. */
const STARTS_ANOTHER = `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  process.stdout.write(String(child.pid) + '\\n');`;

/** A process that has ended but that nobody has asked after (Z) does not run. */
function isRunning(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, 'utf8'));
}

describe('programs of others', () => {
  it('hand back what each printed, in the order of the commands', async () => {
    const { stdout, failure } = await run(['console.log(1)', 'console.log(2)']);
    expect(stdout).toEqual(['1\n', '2\n']);
    expect(failure).toBeUndefined();
  });

  it('the first that fails ends all, and its last words are kept', async () => {
    const { failure, stderr } = await run([
      'setInterval(() => {}, 1000)',
      'console.error("no luck"); process.exitCode = 3',
    ]);
    expect(failure).toBe('ended with exit code 3');
    expect(stderr).toContain('no luck');
  });

  it('one that is not installed did not start', async () => {
    const outcome = await runChildren([{ program: 'no-such-program-here', args: [] }], {
      ...{ scheduler: wallScheduler, deadlineMs: PATIENT_MS, signal: neverAborted() },
    });
    expect(outcome.failure).toContain('did not start');
  });

  it('one that does not end is ended at its deadline', async () => {
    const { failure } = await run(['setInterval(() => {}, 1000)'], 50);
    expect(failure).toBe('did not end within 0.05 s');
  });

  it('an interruption ends them and is thrown', async () => {
    const controller = new AbortController();
    const running = run(['setInterval(() => {}, 1000)'], PATIENT_MS, controller.signal);
    controller.abort(130);
    await expect(running).rejects.toBe(130);
  });

  it.runIf(existsSync('/proc/self/stat'))('what they started does not outlive them', async () => {
    const { stdout, failure } = await run([`${STARTS_ANOTHER} process.exit(0)`]);
    expect(failure).toBeUndefined();
    const pid = Number(stdout[0]);
    expect(pid).toBeGreaterThan(1);
    await expect.poll(() => isRunning(pid), { timeout: PATIENT_MS / 2 }).toBe(false);
  });
});

describe('process table', () => {
  it('reads a line whose command holds spaces and parentheses', () => {
    const rest = Array.from({ length: 18 }, (_, index) => index).join(' ');
    expect(parseStat(`42 (a (b) c) S 7 8 9 ${rest}`)).toEqual({
      ...{ pid: 42, parent: 7, session: 9, startTicks: 15 },
    });
    expect(parseStat('')).toBeUndefined();
  });

  it('a family is the sessions of its leaders and all who descend from them', () => {
    const entry = (pid: number, parent: number, session: number) => ({
      ...{ pid, parent, session, startTicks: 1 },
    });
    // Listed before its parent: a session of its own, but a grandchild.
    const table = [entry(13, 12, 13), entry(10, 1, 10), entry(12, 10, 10), entry(99, 1, 99)];
    const orphan = entry(14, 1, 10);
    const pids = familyOf([10], [...table, orphan]).map(({ pid }) => pid);
    expect(pids.sort()).toEqual([10, 12, 13, 14]);
  });

  it.runIf(existsSync('/proc/self/stat'))('this process is in it', () => {
    expect(processTable().map(({ pid }) => pid)).toContain(process.pid);
  });
});

/**
 * Programs of others, run to their end: together, with a deadline, and with nothing of them left behind.
 * Each leads a session of its own, so that a terminal's Ctrl-C reaches the benchmark alone, which then
 * ends them in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { environmentCopy } from '../../common/environment.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { familyOf, killAll, type ProcessEntry, processTable } from './process-table.ts';

export interface ChildCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ChildrenOutcome {
  /** What each printed, in the order of the commands. */
  readonly stdout: readonly string[];
  /** Last lines that they wrote to stderr. */
  readonly stderr: string;
  /** Why the run failed, for people; `undefined`: all ended with exit code 0. */
  readonly failure: string | undefined;
}

export interface ChildrenInit {
  readonly scheduler: Scheduler;
  readonly deadlineMs: number;
  /** Aborts when the whole benchmark is told to end. */
  readonly signal: AbortSignal;
}

/** After SIGTERM, until SIGKILL: hlsim takes its hosts down meanwhile, mpirun its ranks. */
const TERMINATE_GRACE_MS = 4_000;
/** After SIGKILL: only a process that the kernel cannot end takes longer. */
const KILL_GRACE_MS = 2_000;
const STDOUT_BYTES_MAX = 4 * 1024 * 1024;
const STDERR_CHARACTERS_KEPT = 2_000;

/** Runs the commands at the same time. The first that fails ends all. */
export async function runChildren(
  commands: readonly ChildCommand[],
  { scheduler, deadlineMs, signal }: ChildrenInit,
): Promise<ChildrenOutcome> {
  signal.throwIfAborted();
  const children = commands.map((command) => new Child(command));
  let stop: (why: string) => void = () => undefined;
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const cancelDeadline = scheduler.after(deadlineMs, () =>
    stop(`did not end within ${deadlineMs / 1000} s`),
  );
  const aborted = (): void => stop('was interrupted');
  signal.addEventListener('abort', aborted, { once: true });
  const failures = children.map((child) => child.exited);
  for (const ended of failures) ended.then((how) => how !== undefined && stop(how)).catch(stop);
  const failure = await Promise.race([stopped, Promise.all(failures).then(([how]) => how)]);
  cancelDeadline();
  signal.removeEventListener('abort', aborted);
  await endAll(children, scheduler);
  signal.throwIfAborted();
  const stderr = children
    .map((child) => child.stderr)
    .join('')
    .slice(-STDERR_CHARACTERS_KEPT);
  return { stdout: children.map((child) => child.stdout), stderr, failure };
}

class Child {
  /** Resolves to why it failed, or to `undefined` after exit code 0. Never rejects. */
  readonly exited: Promise<string | undefined>;
  /** Resolves when all that it, or what it started, printed has been read, too. */
  readonly closed: Promise<void>;
  readonly pid: number | undefined;
  stdout = '';
  stderr = '';
  readonly #process: ChildProcess;

  constructor({ program, args, environment }: ChildCommand) {
    this.#process = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...environmentCopy(), ...environment },
    });
    this.pid = this.#process.pid;
    const { stdout, stderr } = this.#process;
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      if (this.stdout.length > STDOUT_BYTES_MAX) this.kill('SIGKILL');
    });
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_CHARACTERS_KEPT);
    });
    this.exited = new Promise((resolve) => {
      this.#process.on('error', (reason) => resolve(`did not start: ${reason.message}`));
      this.#process.on('exit', (code, signal) => {
        resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`);
      });
    });
    this.closed = new Promise((resolve) => {
      this.#process.on('close', () => resolve());
    });
  }

  /** To the child's whole process group; harmless once that is empty. */
  kill(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // No process of the group is left.
    }
  }
}

/** Whether they ended already or not: what they started may have outlived them. */
async function endAll(children: readonly Child[], scheduler: Scheduler): Promise<void> {
  const leaders = children.map(({ pid }) => pid).filter((pid) => pid !== undefined);
  const family: readonly ProcessEntry[] = familyOf(leaders, processTable());
  for (const child of children) child.kill('SIGTERM');
  const ended = Promise.all(children.map((child) => child.closed));
  await within(scheduler, TERMINATE_GRACE_MS, ended);
  for (const child of children) child.kill('SIGKILL');
  killAll([...family, ...familyOf(leaders, processTable())]);
  await within(scheduler, KILL_GRACE_MS, ended);
}

async function within(scheduler: Scheduler, ms: number, done: Promise<unknown>): Promise<void> {
  let cancel: () => void = () => undefined;
  const late = new Promise<void>((resolve) => {
    cancel = scheduler.after(ms, resolve);
  });
  await Promise.race([done, late]);
  cancel();
}

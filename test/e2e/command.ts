/** The real command as a child process, and an account of every process that it leads to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nanoid } from 'nanoid';
import { expect } from 'vitest';

export const HLSIM = fileURLToPath(new URL('../../bin/hlsim.js', import.meta.url));
const POLL_MS = 10;
/** Names the test that a process belongs to; every process inherits it, whoever its parent is. */
const MARK = 'HLSIM_TEST_MARK';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface FoundProcess {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** A program of this folder's `programs/`. */
export function program(name: string): string {
  return fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));
}

export class Command {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('Expected the command to have started');
    return this.child.pid;
  }

  get resultLines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Waits until `pattern` has been printed on either stream. */
  async printed(pattern: RegExp, deadlineMs = 30_000): Promise<void> {
    await until(deadlineMs, `${pattern} printed`, () => {
      if (pattern.test(this.stdout) || pattern.test(this.stderr)) return true;
      if (this.child.exitCode === null && this.child.signalCode === null) return false;
      throw new Error(
        `Expected ${pattern} before the end but found:\n${this.stdout}${this.stderr}`,
      );
    });
  }

  /** The last line on stderr: the error, where there is one. */
  get lastNote(): string {
    return this.stderr.trimEnd().split('\n').at(-1) ?? '';
  }
}

/** One test's processes: starts them, finds them, and ends what is left of them. */
export class TestProcesses {
  readonly #mark = nanoid();

  /** Starts `hlsim` with these words. Variables for the command's flags are not inherited. */
  hlsim(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Command {
    return this.start(process.execPath, [HLSIM, ...args], environment);
  }

  start(
    file: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    cwd?: string,
  ): Command {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HLSIM_'));
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...environment, [MARK]: this.#mark },
      ...(cwd !== undefined && { cwd }),
    });
    return new Command(child);
  }

  /** Runs `hlsim` to its end. */
  async run(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Command & Ended> {
    const command = this.hlsim(args, environment);
    return Object.assign(command, await command.ended);
  }

  /** Every process of this test that runs now, zombies not counted. */
  list(): FoundProcess[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const environment = readFileSync(`/proc/${name}/environ`, 'utf8');
          if (!environment.split('\0').includes(`${MARK}=${this.#mark}`)) return [];
          const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').slice(0, -1);
          return argv.length === 0 ? [] : [{ pid: Number(name), argv }];
        } catch {
          // It ended while we looked.
          return [];
        }
      });
  }

  /** Those that run `hlsim <name>`. */
  daemons(name: 'coordinator' | 'node'): FoundProcess[] {
    return this.list().filter(({ argv }) => argv[1] === HLSIM && argv[2] === name);
  }

  /** Waits until none is left; a test of "nothing stays behind" passes by this alone. */
  async allGone(deadlineMs: number): Promise<void> {
    await until(
      deadlineMs,
      () => `no process but found ${JSON.stringify(this.list())}`,
      () => {
        return this.list().length === 0;
      },
    );
  }

  /** After a test: what is left is a failure, and is ended. */
  async expectNone(): Promise<void> {
    const left = this.list();
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    expect(left).toEqual([]);
  }
}

/** Polls; a test never sleeps for a guessed time. */
export async function until(
  deadlineMs: number,
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) {
      throw new Error(
        `Expected ${typeof what === 'string' ? what : what()} after ${deadlineMs} ms`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** How long `work` took, in milliseconds of this machine. */
export async function timed(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work;
  return performance.now() - start;
}

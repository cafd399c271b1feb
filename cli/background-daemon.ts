/**
 * A daemon that outlives the command which starts it: a session of its own, output in a file. Its
 * first line of standard output says that it is ready; the file is read until that line is there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { delay, type Scheduler } from '../common/scheduler.ts';
import { deathError, lateError, parseReadyLine } from './daemon-words.ts';
import { GO, STAY } from './launcher-line.ts';
import { hlsimScript } from './package-files.ts';
import { identityOf, type ProcessIdentity } from './process-identity.ts';

const POLL_MS = 25;

export interface BackgroundOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Takes the log, which goes to stderr, and the ready line. */
  readonly log: string;
}

export class BackgroundDaemon {
  readonly name: string;
  readonly log: string;
  readonly #child: ChildProcess;
  #ended: string | undefined;

  constructor(options: BackgroundOptions) {
    this.name = options.name;
    this.log = options.log;
    const file = openSync(options.log, 'w', 0o600);
    this.#child = spawn(process.execPath, [hlsimScript(), ...options.args], {
      stdio: ['pipe', file, file],
      detached: true,
      env: { ...options.environment },
    });
    closeSync(file);
    // The pipe breaks when the daemon dies; `ready` tells.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.on('error', (error) => {
      this.#ended = error.message;
    });
    this.#child.on('exit', (code, signal) => {
      this.#ended = signal ?? `exit code ${code}`;
    });
  }

  /** `undefined` if it has ended already. */
  identity(): ProcessIdentity | undefined {
    return this.#child.pid === undefined ? undefined : identityOf(this.#child.pid);
  }

  /**
   * Waits for the ready line.
   *
   * @throws HlsimError what the daemon itself said, if it died; `HLSIM_TIMEOUT`; the signal's reason
   */
  async ready(
    scheduler: Scheduler,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    const endMs = scheduler.clock.now() + deadlineMs;
    for (;;) {
      signal.throwIfAborted();
      const ended = this.#ended;
      const lines = this.#lines();
      const line = lines.find((candidate) => candidate.startsWith('{"event"'));
      if (line !== undefined) return parseReadyLine(this.name, line);
      if (ended !== undefined) throw deathError(this.name, ended, lines);
      if (scheduler.clock.now() >= endMs) throw lateError(this.name, deadlineMs, lines);
      await delay(scheduler, POLL_MS);
    }
  }

  /** Lets the daemon start (`--await-go`). It still ends if this process does. */
  go(): void {
    this.#child.stdin?.write(`${GO}\n`);
  }

  /** From now on neither keeps the other alive. Resolves when the daemon will be told, if it lives. */
  stay(): Promise<void> {
    this.#child.unref();
    const { stdin } = this.#child;
    if (stdin === null) return Promise.resolve();
    // Of a daemon that has just died the others, and `hlsim ps`, will know.
    return new Promise((resolve) => stdin.end(`${STAY}\n`, () => resolve()));
  }

  /** Whole lines only. */
  #lines(): string[] {
    return readFileSync(this.log, 'utf8').split('\n').slice(0, -1);
  }
}

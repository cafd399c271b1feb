/**
 * A daemon of a temporary cluster, as a child process. Its standard input is a pipe that nobody
 * writes to: it ends with this process, however this process ends, and with it the daemon
 * (`--exit-with-parent`). It leads a process group of its own, so that a terminal's Ctrl-C reaches
 * the launcher alone, which then takes things down in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { deferred, withDeadline } from '../common/deferred.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { deathError, lateError, parseReadyLine } from './daemon-words.ts';
import { LineSplitter } from './lines.ts';
import { hlsimScript } from './package-files.ts';

/** Lines of stderr kept for the error message of a daemon that dies. */
const STDERR_LINES_KEPT = 20;

export interface DaemonOptions {
  /** For people: `coordinator`, `host 2`. */
  readonly name: string;
  /** The `hlsim` command line, without `hlsim`. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Takes every line of the daemon's stderr. */
  readonly log?: ((line: string) => void) | undefined;
}

export class DaemonProcess {
  readonly name: string;
  /** Resolves to how it ended: `exit code 1`, `SIGKILL`. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #firstLine = deferred<string>();
  readonly #stderrLines: string[] = [];
  #state: 'running' | 'ended' = 'running';

  constructor(options: DaemonOptions) {
    this.name = options.name;
    this.#child = spawn(process.execPath, [hlsimScript(), ...options.args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...options.environment },
    });
    // The pipe breaks when the daemon dies; `ended` tells.
    this.#child.stdin?.on('error', () => undefined);
    this.#readLines(options.log);
    this.ended = this.#watchEnd();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get state(): 'running' | 'ended' {
    return this.#state;
  }

  /**
   * The daemon's first line of output, which is JSON and says that it is ready.
   *
   * @throws HlsimError what the daemon itself said, if it died; `HLSIM_TIMEOUT`
   */
  async ready(
    scheduler: Scheduler,
    deadlineMs: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    const died = this.ended.then((how) => {
      throw deathError(this.name, how, this.#stderrLines);
    });
    const either = Promise.race([this.#firstLine.promise, died]);
    const line = await withDeadline(scheduler, deadlineMs, either, () =>
      lateError(this.name, deadlineMs, this.#stderrLines),
    );
    return parseReadyLine(this.name, line);
  }

  /** Sends a signal to the daemon alone; harmless once it has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.#state === 'running') this.#child.kill(signal);
  }

  /** The last lines that the daemon logged. */
  get lastLines(): readonly string[] {
    return this.#stderrLines;
  }

  #readLines(log: ((line: string) => void) | undefined): void {
    const out = new LineSplitter((line) => this.#firstLine.resolve(line));
    const err = new LineSplitter((line) => {
      this.#stderrLines.push(line);
      if (this.#stderrLines.length > STDERR_LINES_KEPT) this.#stderrLines.shift();
      log?.(line);
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => out.push(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => err.push(text));
    this.#child.stderr?.on('end', () => err.flush());
  }

  #watchEnd(): Promise<string> {
    return new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.#state = 'ended';
        resolve(error.message);
      });
      this.#child.on('exit', () => {
        this.#state = 'ended';
        this.#killGroup();
      });
      // After `exit`, once its output has been read to the end.
      this.#child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  /** What the daemon's programs may have started ends with it. */
  #killGroup(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // ESRCH: the group is empty, as it should be.
    }
  }
}

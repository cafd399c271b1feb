/** Runs user programs in worker threads: compute there never delays the host's NIC or heartbeat. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import { withDeadline } from '../common/deferred.ts';
import { messageOf } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { SystemCallTable } from './process/system-call-table.ts';
import { servePort } from './process/worker-channel.ts';
import type {
  ProgramEnd,
  ProgramLauncher,
  ProgramStart,
  RunningProgram,
} from './program-launcher.ts';

/** hlsim's own programs, by the name that a job gives them. */
const BUILTIN_PROGRAMS: Readonly<Record<string, string>> = {
  'builtin:actor': '../scenarios/actor.js',
  'builtin:bench': '../bench/program.js',
  'builtin:scenario': '../scenarios/program.js',
  'builtin:train': '../training/program.js',
};
/** How long the rest of a program's output may take after its thread has ended, by itself or killed. */
const OUTPUT_DRAIN_MS = { ended: 60_000, killed: 1_000 } as const;
/** Exit code of Node.js for a top-level await that never settled. */
const UNSETTLED_EXIT_CODE = 13;

/** What the worker's entry (`user-main.ts`) is given. */
export interface UserWorkerData {
  readonly programUrl: string;
  readonly memory: SharedArrayBuffer;
  /** Of the host's devices; none if programs are not to touch them. */
  readonly deviceMemories: readonly WebAssembly.Memory[];
}

export interface WorkerHost {
  readonly table: SystemCallTable;
  readonly scheduler: Scheduler;
  readonly deviceMemories: readonly WebAssembly.Memory[];
}

export function workerLauncher(host: WorkerHost): ProgramLauncher {
  return (start) => new WorkerProgram(start, host);
}

class WorkerProgram implements RunningProgram {
  readonly exited: Promise<ProgramEnd>;
  readonly ended: Promise<ProgramEnd>;
  #worker: Worker | undefined;
  #state: 'running' | 'killed' | 'exited' = 'running';
  /** What it died of. */
  #message: string | undefined;

  constructor(start: ProgramStart, host: WorkerHost) {
    const { scheduler } = host;
    const programUrl = urlOf(start.program);
    const unreadable = whyUnreadable(programUrl);
    if (unreadable === undefined) {
      const worker = this.#start(start, programUrl, host);
      const output = outputOf(worker, start);
      this.exited = this.#exit(worker);
      this.ended = this.#end(start, scheduler, output);
    } else {
      const message = `Expected program ${start.program} to be readable on every host but found: ${unreadable}`;
      void start.output('stderr', `${message}\n`);
      this.exited = Promise.resolve({ exitCode: 1, message });
      this.ended = this.exited;
    }
  }

  kill(): void {
    if (this.#state !== 'running') return;
    this.#state = 'killed';
    void this.#worker?.terminate();
  }

  #start(start: ProgramStart, programUrl: URL, host: WorkerHost): Worker {
    const { process } = start;
    const { table, deviceMemories } = host;
    const { port1, port2 } = new MessageChannel();
    const data: UserWorkerData = {
      programUrl: programUrl.href,
      memory: process.memory,
      deviceMemories,
    };
    const worker = new Worker(new URL('./user-main.js', import.meta.url), {
      workerData: { ...data, port: port2 },
      transferList: [port2],
      argv: [...start.arguments],
      env: { ...start.environment },
      stdout: true,
      stderr: true,
    });
    this.#worker = worker;
    // The port closes when the thread ends; the process lives until its communicators have left.
    servePort(
      port1,
      table,
      process,
      (error) => this.#fatal(start, error.message),
      () => undefined,
    );
    worker.on('error', (reason) => this.#fatal(start, sentenceOf(reason), detailsOf(reason)));
    return worker;
  }

  async #exit(worker: Worker): Promise<ProgramEnd> {
    const exitCode = await new Promise<number>((resolve) => worker.once('exit', resolve));
    if (this.#state === 'running') this.#state = 'exited';
    if (exitCode === UNSETTLED_EXIT_CODE) {
      this.#message ??= 'a top-level await of it never settled';
    }
    return this.#programEnd(exitCode);
  }

  async #end(
    start: ProgramStart,
    scheduler: Scheduler,
    output: Promise<unknown>,
  ): Promise<ProgramEnd> {
    const { exitCode } = await this.exited;
    const drainMs = OUTPUT_DRAIN_MS[this.#state === 'killed' ? 'killed' : 'ended'];
    const late = () => new Error(`the streams did not end within ${drainMs} ms`);
    await withDeadline(scheduler, drainMs, output, late).catch((reason) => {
      this.#fatal(start, `Some output was lost: ${messageOf(reason)}`);
    });
    return this.#programEnd(exitCode);
  }

  #fatal(start: ProgramStart, sentence: string, details = sentence): void {
    this.#message ??= sentence;
    void start.output('stderr', `${details}\n`);
  }

  #programEnd(exitCode: number): ProgramEnd {
    return { exitCode, ...(this.#message !== undefined && { message: this.#message }) };
  }
}

/** Resolves when both streams have ended and everything on them has been taken. */
function outputOf(worker: Worker, { output }: ProgramStart): Promise<unknown> {
  return Promise.all([
    passOn(worker.stdout, (text) => output('stdout', text)),
    passOn(worker.stderr, (text) => output('stderr', text)),
  ]);
}

/** Resolves at the end of the stream. The stream waits while `take` does. */
async function passOn(
  stream: NodeJS.ReadableStream,
  take: (text: string) => Promise<void>,
): Promise<void> {
  stream.setEncoding('utf8');
  for await (const text of stream) await take(String(text));
}

/** What a program died of, in one line. */
function sentenceOf(reason: unknown): string {
  if (!(reason instanceof Error) || isOurs(reason)) return messageOf(reason);
  return `${reason.name}: ${reason.message}`;
}

/** Failures that hlsim reports itself need no stack; a program's own errors do. */
function detailsOf(reason: unknown): string {
  if (!(reason instanceof Error) || isOurs(reason)) return messageOf(reason);
  return reason.stack ?? reason.message;
}

/** By name: the error has come from another thread, without its class. */
function isOurs(reason: Error): boolean {
  return reason.name === 'SystemCallError' || reason.name === 'HlsimError';
}

function urlOf(program: string): URL {
  const builtin = BUILTIN_PROGRAMS[program];
  return builtin === undefined ? pathToFileURL(program) : new URL(builtin, import.meta.url);
}

function whyUnreadable(url: URL): string | undefined {
  try {
    readFileSync(url);
    return undefined;
  } catch (reason) {
    return messageOf(reason);
  }
}

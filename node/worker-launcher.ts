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
  'builtin:bench': '../bench/program.js',
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
}

export function workerLauncher(table: SystemCallTable, scheduler: Scheduler): ProgramLauncher {
  return (start) => new WorkerProgram(start, table, scheduler);
}

class WorkerProgram implements RunningProgram {
  readonly ended: Promise<ProgramEnd>;
  #worker: Worker | undefined;
  #end: 'ended' | 'killed' = 'ended';

  constructor(start: ProgramStart, table: SystemCallTable, scheduler: Scheduler) {
    const programUrl = urlOf(start.program);
    const unreadable = whyUnreadable(programUrl);
    if (unreadable === undefined) this.ended = this.#run(start, programUrl, table, scheduler);
    else {
      const message = `Expected program ${start.program} to be readable on every host but found: ${unreadable}`;
      void start.output('stderr', `${message}\n`);
      this.ended = Promise.resolve({ exitCode: 1, message });
    }
  }

  kill(): void {
    this.#end = 'killed';
    void this.#worker?.terminate();
  }

  async #run(
    start: ProgramStart,
    programUrl: URL,
    table: SystemCallTable,
    scheduler: Scheduler,
  ): Promise<ProgramEnd> {
    const { process, output } = start;
    const { port1, port2 } = new MessageChannel();
    let message: string | undefined;
    const fatal = (sentence: string, details = sentence) => {
      message ??= sentence;
      void output('stderr', `${details}\n`);
    };
    const data: UserWorkerData = { programUrl: programUrl.href, memory: process.memory };
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
      (error) => fatal(error.message),
      () => undefined,
    );
    const drained = Promise.all([
      passOn(worker.stdout, (text) => output('stdout', text)),
      passOn(worker.stderr, (text) => output('stderr', text)),
    ]);
    worker.on('error', (reason) => fatal(sentenceOf(reason), detailsOf(reason)));
    const exitCode = await new Promise<number>((resolve) => worker.once('exit', resolve));
    if (exitCode === UNSETTLED_EXIT_CODE) message ??= 'a top-level await of it never settled';
    const drainMs = OUTPUT_DRAIN_MS[this.#end];
    const late = () => new Error(`the streams did not end within ${drainMs} ms`);
    await withDeadline(scheduler, drainMs, drained, late).catch((reason) => {
      fatal(`Some output was lost: ${messageOf(reason)}`);
    });
    return { exitCode, ...(message !== undefined && { message }) };
  }
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

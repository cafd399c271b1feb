/** The process side of a host's kernel, as `startHost` puts it together, with programs that run inline. */
import { defined } from '../../../common/assert.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { type FileOperations, OpenFile } from '../../../node/process/file.ts';
import { registerFileCalls } from '../../../node/process/file-calls.ts';
import { type NewProcess, ProcessTable } from '../../../node/process/process-table.ts';
import type { SimProcess } from '../../../node/process/sim-process.ts';
import { registerSocketCalls } from '../../../node/process/socket-calls.ts';
import type { SystemCallChannel } from '../../../node/process/system-call.ts';
import { inlineChannel, SystemCallTable } from '../../../node/process/system-call-table.ts';
import { ProcessRunner } from '../../../node/process-runner.ts';
import type { ProgramStart, RunningProgram } from '../../../node/program-launcher.ts';

/** A process as its own program sees it. */
export interface Running extends ProgramStart {
  readonly channel: SystemCallChannel;
}

/** Resolves to the exit code; a rejection is a crash. */
export type InlineProgram = (running: Running) => Promise<number>;

export class ProcessWorld {
  readonly scheduler = new VirtualScheduler();
  readonly table = new SystemCallTable();
  readonly processes = new ProcessTable();
  readonly nodes = registerDescriptorCalls(this.table);
  readonly sockets = registerSocketCalls(this.table, this.scheduler);
  /** Programs by their path. */
  readonly programs = new Map<string, InlineProgram>();
  readonly runner: ProcessRunner;
  /** What files have had happen to them, in order. */
  readonly log: string[] = [];

  constructor() {
    registerFileCalls(this.table, this.scheduler);
    const { table, processes, scheduler } = this;
    this.runner = new ProcessRunner({
      table,
      processes,
      scheduler,
      launch: (start) => this.#launch(start),
    });
  }

  /** A process without a program of its own: the test acts for it through the channel. */
  process(init: Partial<NewProcess> = {}): { process: SimProcess; channel: SystemCallChannel } {
    const memory = new SharedArrayBuffer(64);
    const process = this.processes.create({ containerId: 'box', memory, ...init });
    return { process, channel: inlineChannel(this.table, process) };
  }

  /** A process that may spawn: the leader of a group. */
  leader(init: Partial<NewProcess> = {}, environment: Record<string, string> = {}) {
    const one = this.process(init);
    const printed: string[] = [];
    this.programs.set('/leader', () => new Promise(() => undefined));
    const running = this.runner.startLeader({
      process: one.process,
      program: '/leader',
      arguments: [],
      environment,
      output: async (_, text) => {
        printed.push(text);
      },
    });
    return { ...one, running, printed };
  }

  /** Gives `process` a descriptor of a file that writes down what happens to it. */
  install(process: SimProcess, name: string, more: Partial<FileOperations> = {}): number {
    const fd = process.fds.reserve();
    if (typeof fd !== 'number') throw new Error(fd);
    process.fds.install(fd, this.file(name, more));
    return fd;
  }

  file(name: string, more: Partial<FileOperations> = {}): OpenFile {
    return new OpenFile({
      kind: 'recorded',
      closed: () => this.log.push(`${name} closed`),
      release: () => this.log.push(`${name} released`),
      ...more,
    });
  }

  run<T>(until: Promise<T>): Promise<T> {
    return this.scheduler.run(until);
  }

  /** The code a call fails with; `no error` if it does not. */
  async codeOf(call: Promise<unknown>): Promise<string> {
    return this.run(
      call.then(
        () => 'no error',
        (reason: { code: string }) => reason.code,
      ),
    );
  }

  #launch(start: ProgramStart): RunningProgram {
    const program = defined(this.programs.get(start.program), `program ${start.program}`);
    const channel = inlineChannel(this.table, start.process);
    const ended = program({ ...start, channel }).then(
      (exitCode) => ({ exitCode }),
      (reason: Error) => ({ exitCode: 1, message: reason.message }),
    );
    let kill: () => void = () => undefined;
    const killed = new Promise<{ exitCode: number }>((resolve) => {
      kill = () => resolve({ exitCode: 1 });
    });
    return { ended: Promise.race([ended, killed]), kill: () => kill() };
  }
}

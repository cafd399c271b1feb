/**
 * Runs the ranks of a job that live on this host: one simulated process per device. A rank is over
 * when its own program is; whatever it has spawned ends with it.
 */
import { defined } from '../common/assert.ts';
import { modulo } from '../common/math.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { CoordinatorToHost, HostEntry } from '../coordinator/hlcp/messages.ts';
import type { ControlPlane } from './control-plane.ts';
import type { HcclLibrary } from './hccl/library-calls.ts';
import { exitCodeOf } from './process/signal.ts';
import type { SimProcess } from './process/sim-process.ts';
import type { ProcessRunner } from './process-runner.ts';
import type { ProgramEnd, RunningProgram } from './program-launcher.ts';
import { RankOutput } from './rank-output.ts';

export type JobStart = Extract<CoordinatorToHost, { type: 'HLCP_JOB_START' }>;

/** Longest account of a program's death that is told to others; its own output has all of it. */
const FAILURE_CHARACTERS_MAX = 4 * 1024;

export interface JobRunnerInit {
  readonly control: ControlPlane;
  readonly hccl: HcclLibrary;
  readonly runner: ProcessRunner;
  readonly scheduler: Scheduler;
  readonly devices: number;
  /** Host and port of the coordinator, for MASTER_ADDR and MASTER_PORT. */
  readonly master: { readonly host: string; readonly port: number };
  /** Variables that every program inherits. */
  readonly environment: Readonly<Record<string, string>>;
}

interface RunningRank {
  readonly jobId: string;
  readonly rank: number;
  readonly process: SimProcess;
  readonly program: RunningProgram;
  readonly output: RankOutput;
  state: 'running' | 'stopped';
}

export class JobRunner {
  readonly #init: JobRunnerInit;
  readonly #ranks = new Set<RunningRank>();

  constructor(init: JobRunnerInit) {
    this.#init = init;
  }

  start(job: JobStart, self: HostEntry, hosts: readonly HostEntry[]): void {
    for (let device = 0; device < this.#init.devices; device++) {
      const rank = self.index * this.#init.devices + device;
      this.#startRank(job, rank, self, hosts);
    }
  }

  /** Ends the job's programs on this host, now. */
  stop(jobId: string): void {
    for (const running of this.#ranks) if (running.jobId === jobId) this.#stopRank(running);
  }

  stopAll(): void {
    for (const running of this.#ranks) this.#stopRank(running);
  }

  #stopRank(running: RunningRank): void {
    running.state = 'stopped';
    running.process.exit({ signal: 'SIGTERM' });
    this.#init.runner.processes.killGroup(running.process.processGroup);
  }

  #startRank(job: JobStart, rank: number, self: HostEntry, hosts: readonly HostEntry[]): void {
    const { control, runner, scheduler } = this.#init;
    const { jobId, spec, nranks } = job;
    const process = runner.processes.create({
      containerId: `${jobId}-${rank}`,
      program: spec.program,
      privileged: spec.privileged ?? false,
    });
    const environment = this.#rankEnvironment(job, rank, self, hosts);
    control.addRank(process, { jobId, rank, nranks, environment: spec.environment });
    const output = new RankOutput(scheduler, (stream, text) => {
      control.send({ type: 'HLCP_JOB_OUTPUT', jobId, rank, stream, text });
    });
    const program = runner.startLeader({
      process,
      program: spec.program,
      arguments: spec.arguments,
      environment,
      output: (stream, text) => output.write(stream, text),
    });
    const running: RunningRank = { jobId, rank, process, program, output, state: 'running' };
    this.#ranks.add(running);
    void (program.exited ?? program.ended).then((end) => this.#programEnded(running, end));
  }

  /** The program of a rank has run to its end, or its process was killed. */
  async #programEnded(running: RunningRank, { exitCode }: ProgramEnd): Promise<void> {
    const { control, hccl, runner } = this.#init;
    const { process } = running;
    try {
      if (process.state === 'running') await hccl.finalize(process);
    } finally {
      // Eight bits, as wait(2) gives them: what is not 0 here is not 0 for whoever started the job.
      process.exit({ exitCode: exitCode & 0xff });
      control.removeRank(process);
      this.#ranks.delete(running);
    }
    await runner.endGroup(process.processGroup);
    await running.output.flushed();
    this.#report(running, await running.program.ended);
  }

  #report({ jobId, rank, process, state }: RunningRank, end: ProgramEnd): void {
    const status = defined(process.exitStatus, 'the status of a process that has ended');
    const exitCode = exitCodeOf(status);
    const killed = state === 'running' && 'signal' in status;
    const what = end.message ?? (killed ? `it was ended by ${status.signal}` : undefined);
    const message = what?.slice(0, FAILURE_CHARACTERS_MAX);
    const died = exitCode !== 0 && message !== undefined;
    const failure = died ? { failure: { code: 'HLSIM_JOB_FAILED', message } } : {};
    this.#init.control.send({ type: 'HLCP_RANK_EXIT', jobId, rank, exitCode, ...failure });
  }

  /** The variables that torchrun gives its workers, and the job's own. */
  #rankEnvironment(
    job: JobStart,
    rank: number,
    self: HostEntry,
    hosts: readonly HostEntry[],
  ): Record<string, string> {
    const { devices, master, environment } = this.#init;
    const numbers = {
      RANK: rank,
      WORLD_SIZE: job.nranks,
      LOCAL_RANK: modulo(rank, devices),
      LOCAL_WORLD_SIZE: devices,
      GROUP_RANK: self.index,
      GROUP_WORLD_SIZE: hosts.length,
      ROLE_RANK: rank,
      ROLE_WORLD_SIZE: job.nranks,
      MASTER_PORT: master.port,
      TORCHELASTIC_RESTART_COUNT: job.attempt,
      TORCHELASTIC_MAX_RESTARTS: 0,
    };
    const texts = Object.entries(numbers).map(([name, value]) => [name, String(value)]);
    return {
      ...environment,
      ...job.spec.environment,
      ...Object.fromEntries(texts),
      MASTER_ADDR: master.host,
      TORCHELASTIC_RUN_ID: job.jobId,
    };
  }
}

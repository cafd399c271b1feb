/**
 * Starts and ends the programs of a host's processes: a rank's, and those that it spawns. What a
 * process prints is its group's, so it reaches the rank that it descends from.
 */
import { assert } from '../common/assert.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { whenSettled } from './process/interruptible-wait.ts';
import { type ProgramRequest, registerProcessCalls } from './process/process-calls.ts';
import type { ProcessTable } from './process/process-table.ts';
import type { SimProcess } from './process/sim-process.ts';
import type { SystemCallTable } from './process/system-call-table.ts';
import type {
  ProgramEnd,
  ProgramLauncher,
  ProgramStart,
  RunningProgram,
} from './program-launcher.ts';

export interface ProcessRunnerInit {
  readonly table: SystemCallTable;
  readonly processes: ProcessTable;
  readonly scheduler: Scheduler;
  readonly launch: ProgramLauncher;
}

/** What a group leader is started with; its descendants inherit the environment and the output. */
export interface LeaderStart extends ProgramRequest {
  readonly process: SimProcess;
  readonly output: ProgramStart['output'];
}

/** The processes of a rank: the leader and what it has spawned. */
interface Group {
  readonly output: ProgramStart['output'];
  readonly members: Map<SimProcess, Member>;
}

interface Member {
  readonly environment: Readonly<Record<string, string>>;
  readonly program: RunningProgram;
}

export class ProcessRunner {
  readonly processes: ProcessTable;
  readonly #scheduler: Scheduler;
  readonly #launch: ProgramLauncher;
  readonly #groups = new Map<number, Group>();

  /** Serves the system calls about processes, `spawn` among them, from now on. */
  constructor({ table, processes, scheduler, launch }: ProcessRunnerInit) {
    this.processes = processes;
    this.#scheduler = scheduler;
    this.#launch = launch;
    const run = (parent: SimProcess, child: SimProcess, request: ProgramRequest) =>
      this.#spawned(parent, child, request);
    registerProcessCalls({ table, processes, scheduler, run });
  }

  /**
   * Runs the program of a group's leader. The program ends with its process; that the process ends
   * with its program is up to the caller, who may have something to do in between.
   */
  startLeader({ process, output, ...request }: LeaderStart): RunningProgram {
    const group: Group = { output, members: new Map() };
    this.#groups.set(process.processGroup, group);
    return this.#run(group, process, request);
  }

  /**
   * Ends what still runs of a group; resolves when all that it has printed is delivered and all that
   * the closing of its descriptors brought about is done.
   */
  async endGroup(processGroup: number): Promise<void> {
    const group = this.#groups.get(processGroup);
    if (group === undefined) return;
    this.processes.killGroup(processGroup);
    await Promise.all(
      [...group.members].map(async ([process, { program }]) => {
        await program.ended;
        if ((await whenSettled(process, this.#scheduler)) === 'done') return;
        await group.output('stderr', `Descriptors of process ${process.pid} are not closed yet\n`);
      }),
    );
    this.#groups.delete(processGroup);
  }

  /** A spawned program: its process ends with it, whatever it ended of. */
  #spawned(parent: SimProcess, child: SimProcess, request: ProgramRequest): void {
    const group = this.#groups.get(parent.processGroup);
    const inherited = group?.members.get(parent)?.environment;
    assert(group !== undefined, 'Expected a process that spawns to belong to a group that runs');
    const environment = { ...inherited, ...request.environment };
    const program = this.#run(group, child, { ...request, environment });
    const exited = program.exited ?? program.ended;
    void exited.then(({ exitCode }: ProgramEnd) => child.exit({ exitCode: exitCode & 0xff }));
    void program.ended.then(() => group.members.delete(child));
  }

  #run(group: Group, process: SimProcess, request: ProgramRequest): RunningProgram {
    const { program: path, arguments: args, environment } = request;
    const program = this.#launch({
      process,
      program: path,
      arguments: args,
      environment,
      output: group.output,
    });
    process.onExit(() => program.kill());
    group.members.set(process, { environment, program });
    return program;
  }
}

/**
 * All simulated processes of one host: one pid space, parents and children, containers, and who has
 * which file open. Pids are never used twice in a host's life, so a pid in a log names one process.
 */
import type { Errno } from '../../common/errno.ts';
import { filesReachedFrom, type OpenFile } from './file.ts';
import type { Signal } from './signal.ts';
import { SimProcess } from './sim-process.ts';

/** Pids start here, so that they are not taken for real ones. */
const FIRST_PID = 100;
/** Processes of a host, those not yet waited for included (`kernel.pid_max`). Bounds `spawn`. */
export const PROCESSES_MAX = 512;

export interface NewProcess {
  readonly containerId: string;
  /** What it runs, for people. */
  readonly program?: string;
  /** Who may wait for it. Without one it leaves no zombie. */
  readonly parentPid?: number;
  /** Leader of its process group; itself by default. */
  readonly processGroup?: number;
  readonly privileged?: boolean;
  readonly memory?: SharedArrayBuffer;
}

/** What keeps a file alive: one descriptor of one process, of the file or of a socket that it is in. */
export interface Descriptor {
  readonly pid: number;
  readonly containerId: string;
  readonly fd: number;
}

/** What people see of a process. Plain and serialisable. */
export interface ProcessDescription {
  readonly pid: number;
  readonly parentPid: number | null;
  readonly containerId: string;
  readonly program: string;
  readonly state: 'running' | 'zombie';
  readonly privileged: boolean;
  /** Descriptors by kind of file, as `accel`, `dmabuf`, `socket`. */
  readonly descriptors: Readonly<Record<string, readonly number[]>>;
}

export class ProcessTable {
  readonly #processes = new Map<number, SimProcess>();
  #nextPid = FIRST_PID;

  /** A new process: it runs from now on, though nothing has started a program for it yet. */
  create(init: NewProcess): SimProcess {
    const process = new SimProcess({
      ...init,
      pid: this.#nextPid++,
      exited: (ended) => this.#exited(ended),
    });
    this.#processes.set(process.pid, process);
    return process;
  }

  /** A running process, or one that its parent has not waited for yet. */
  get(pid: number): SimProcess | undefined {
    return this.#processes.get(pid);
  }

  /** In the order of their pids. */
  list(): SimProcess[] {
    return [...this.#processes.values()];
  }

  get count(): number {
    return this.#processes.size;
  }

  /** The kernel's own kill: asks for no permission. ESRCH if there is no such process. */
  kill(pid: number, signal: Signal): Errno | undefined {
    const process = this.#processes.get(pid);
    if (process === undefined) return 'ESRCH';
    process.signal(signal);
    return undefined;
  }

  /** Ends what still runs of a process group, the last one started first. */
  killGroup(processGroup: number): void {
    for (const process of this.list().reverse()) {
      if (process.processGroup === processGroup) process.signal('SIGKILL');
    }
  }

  /** Whether any process of the container runs. */
  hasContainer(containerId: string): boolean {
    return this.list().some((one) => one.state === 'running' && one.containerId === containerId);
  }

  /** Lets a process that has ended go: its parent has waited for it. */
  reap(pid: number): void {
    if (this.#processes.get(pid)?.state === 'exited') this.#processes.delete(pid);
  }

  /**
   * Which descriptors keep the file: those that name it, and those of sockets by which it is in flight.
   * A process that ends them all is rid of it.
   */
  descriptorsOf(file: OpenFile): Descriptor[] {
    return this.list().flatMap(({ pid, containerId, fds }) =>
      fds
        .entries()
        .filter(([, held]) => filesReachedFrom(held).has(file))
        .map(([fd]) => ({ pid, containerId, fd })),
    );
  }

  describe(): ProcessDescription[] {
    return this.list().map((process) => ({
      pid: process.pid,
      parentPid: process.parentPid ?? null,
      containerId: process.containerId,
      program: process.program,
      state: process.state === 'running' ? 'running' : 'zombie',
      privileged: process.privileged,
      descriptors: byKind(process),
    }));
  }

  /** Children stay, as nobody's; those that had ended go, for nobody can wait for them any more. */
  #exited(process: SimProcess): void {
    for (const child of this.list()) {
      if (child.parentPid !== process.pid) continue;
      child.orphan();
      this.reap(child.pid);
    }
    if (process.parentPid === undefined) this.reap(process.pid);
  }
}

function byKind(process: SimProcess): Record<string, number[]> {
  const kinds: Record<string, number[]> = {};
  for (const [fd, file] of process.fds.entries()) {
    const { kind } = file.operations;
    kinds[kind] = [...(kinds[kind] ?? []), fd];
  }
  return kinds;
}

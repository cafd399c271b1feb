/**
 * A simulated user process: pid, container id, descriptors, and memory that it shares with the
 * kernel. The program itself runs in a worker thread (or inline); this is the kernel's view of it.
 */
import { FdTable } from './file.ts';
import type { ExitStatus, Signal } from './signal.ts';

/** Bytes of user memory a process may hand to the kernel by address. Untouched pages cost nothing. */
export const USER_MEMORY_BYTES = 64 * 1024 * 1024;

export interface SimProcessInit {
  readonly pid: number;
  /** Processes of one container trust each other; on one host, a job's rank is a container. */
  readonly containerId: string;
  readonly memory?: SharedArrayBuffer;
  /** What it runs, for people. */
  readonly program?: string;
  /** Who may wait for it; `undefined` for one that a daemon of the host has started. */
  readonly parentPid?: number;
  /** Leader of its process group; itself by default. */
  readonly processGroup?: number;
  /** Acts on other containers too (CAP_SYS_ADMIN and CAP_KILL in one); no by default. */
  readonly privileged?: boolean;
  /** Told at the very end, when every descriptor is closed. */
  readonly exited?: (process: SimProcess) => void;
}

export class SimProcess {
  readonly pid: number;
  readonly containerId: string;
  readonly program: string;
  readonly processGroup: number;
  readonly privileged: boolean;
  /** User memory. A user address is an offset in it. */
  readonly memory: SharedArrayBuffer;
  readonly fds = new FdTable();
  /** What SIGTERM does: ends the process, or is handed to the program, which has a handler. */
  terminationAction: 'default' | 'handle' = 'default';
  #parentPid: number | undefined;
  readonly #exited: ((process: SimProcess) => void) | undefined;
  readonly #exitHooks = new Set<() => void>();
  readonly #signalListeners = new Set<(signal: Signal) => void>();
  #state: 'running' | 'exited' = 'running';
  #exitStatus: ExitStatus | undefined;
  #descriptorsSettled: Promise<unknown> = Promise.resolve();

  constructor(init: SimProcessInit) {
    this.pid = init.pid;
    this.containerId = init.containerId;
    this.program = init.program ?? '';
    this.processGroup = init.processGroup ?? init.pid;
    this.privileged = init.privileged ?? false;
    this.memory = init.memory ?? new SharedArrayBuffer(USER_MEMORY_BYTES);
    this.#parentPid = init.parentPid;
    this.#exited = init.exited;
  }

  get state(): 'running' | 'exited' {
    return this.#state;
  }

  get parentPid(): number | undefined {
    return this.#parentPid;
  }

  /** `undefined` while it runs. */
  get exitStatus(): ExitStatus | undefined {
    return this.#exitStatus;
  }

  /**
   * After the end: resolves when what the closing of its descriptors brought about is done, as a
   * parent's wait(2) returns only then. Never rejects.
   */
  get descriptorsSettled(): Promise<unknown> {
    return this.#descriptorsSettled;
  }

  /** Bytes of user memory at `address`; `undefined` (EFAULT) if any of them lies outside. */
  userBytes(address: number, length: number): Uint8Array | undefined {
    const inside =
      Number.isSafeInteger(address) && Number.isSafeInteger(length) && address >= 0 && length >= 0;
    if (!inside || address + length > this.memory.byteLength) return undefined;
    return new Uint8Array(this.memory, address, length);
  }

  /**
   * Runs `hook` when the process ends, before its descriptors are closed: for libraries that hold
   * state in its name. Returns a function that takes the hook back. A process that has ended runs no
   * more hooks.
   */
  onExit(hook: () => void): () => void {
    if (this.#state === 'running') this.#exitHooks.add(hook);
    return () => this.#exitHooks.delete(hook);
  }

  /** Calls `listener` with each signal that the program handles itself. */
  onSignal(listener: (signal: Signal) => void): void {
    this.#signalListeners.add(listener);
  }

  /**
   * Sends it a signal. SIGKILL, and SIGTERM without a handler, end it before this returns; a handler
   * runs in the program, soon. Nothing happens to a process that has ended.
   */
  signal(signal: Signal): void {
    if (this.#state === 'exited') return;
    if (signal === 'SIGKILL' || this.terminationAction === 'default') this.exit({ signal });
    else for (const listener of this.#signalListeners) listener(signal);
  }

  /** Its parent has ended: nobody waits for it any more. */
  orphan(): void {
    this.#parentPid = undefined;
  }

  /**
   * Ends the process: hooks, then every descriptor closes, exactly as a kernel would. Idempotent: the
   * first status holds. A hook that throws stops neither the other hooks nor the closing; its error is
   * thrown at the end.
   */
  exit(status: ExitStatus = { exitCode: 0 }): void {
    if (this.#state === 'exited') return;
    this.#state = 'exited';
    this.#exitStatus = status;
    const failures: unknown[] = [];
    for (const hook of [...this.#exitHooks]) {
      try {
        hook();
      } catch (failure) {
        failures.push(failure);
      }
    }
    this.#exitHooks.clear();
    this.#signalListeners.clear();
    this.#descriptorsSettled = this.fds.closeAll();
    this.#exited?.(this);
    if (failures.length > 0) throw failures[0];
  }
}

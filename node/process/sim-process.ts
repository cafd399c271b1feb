/**
 * A simulated user process: pid, container id, descriptors, and memory that it shares with the
 * kernel. The program itself runs in a worker thread (or inline); this is the kernel's view of it.
 */
import { FdTable } from './file.ts';

/** Bytes of user memory a process may hand to the kernel by address. Untouched pages cost nothing. */
export const USER_MEMORY_BYTES = 64 * 1024 * 1024;

export interface SimProcessInit {
  readonly pid: number;
  /** Processes of one container trust each other; on one host, a job's rank is a container. */
  readonly containerId: string;
  readonly memory?: SharedArrayBuffer;
}

export class SimProcess {
  readonly pid: number;
  readonly containerId: string;
  /** User memory. A user address is an offset in it. */
  readonly memory: SharedArrayBuffer;
  readonly fds = new FdTable();
  readonly #exitHooks = new Set<() => void>();
  #state: 'running' | 'exited' = 'running';

  constructor(init: SimProcessInit) {
    this.pid = init.pid;
    this.containerId = init.containerId;
    this.memory = init.memory ?? new SharedArrayBuffer(USER_MEMORY_BYTES);
  }

  get state(): 'running' | 'exited' {
    return this.#state;
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

  /**
   * Ends the process: hooks, then every descriptor closes, exactly as a kernel would. Idempotent. A
   * hook that throws stops neither the other hooks nor the closing; its error is thrown at the end.
   */
  exit(): void {
    if (this.#state === 'exited') return;
    this.#state = 'exited';
    const failures: unknown[] = [];
    for (const hook of [...this.#exitHooks]) {
      try {
        hook();
      } catch (failure) {
        failures.push(failure);
      }
    }
    this.#exitHooks.clear();
    this.fds.closeAll();
    if (failures.length > 0) throw failures[0];
  }
}

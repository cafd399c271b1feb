/** What the program's thread needs of the machine; given by the entry of the thread. */
import type { SharedWait } from './shared-wait.ts';

/** What the program's thread has of its host. */
export interface ProgramMachine {
  /** Of every device of the host. */
  readonly memories: readonly WebAssembly.Memory[];
  waitOn(memory: SharedArrayBuffer): SharedWait;
  /** Cores of the machine. */
  readonly cores: number;
  /** Runs a task soon, from the event loop, and keeps the thread alive until then. */
  soon(task: () => void): void;
}

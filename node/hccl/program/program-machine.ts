/** What the program's thread needs of the machine; given by the entry of the thread. */
import type { ProgramSockets } from '../wire/program-sockets.ts';
import type { ProgramWait } from './program-wait.ts';

/** What the program's thread has of its host. */
export interface ProgramMachine {
  /** Of every device of the host. */
  readonly memories: readonly WebAssembly.Memory[];
  waitOn(memory: SharedArrayBuffer): ProgramWait;
  /** Sockets that are read to the memory, and written from it. */
  socketsOn(memory: SharedArrayBuffer): ProgramSockets;
  /** Cores of the machine. */
  readonly cores: number;
  /** Runs a task soon, from the event loop, and keeps the thread alive until then. */
  soon(task: () => void): void;
}

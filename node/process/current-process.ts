/**
 * The user program's own view of its process: its channel and its memory. Set once by the worker's
 * entry before the program is loaded. Kept under a global symbol, so that a program which loads
 * another copy of the hlsim package still finds its one process.
 */
import { HlsimError } from '../../common/errors.ts';
import type { SystemCallChannel } from './system-call.ts';

export interface CurrentProcess {
  readonly channel: SystemCallChannel;
  /** The process's user memory; the kernel sees the same bytes. */
  readonly memory: SharedArrayBuffer;
}

const KEY = Symbol.for('hlsim.currentProcess');

interface ProcessHolder {
  [KEY]?: CurrentProcess;
}

export function setCurrentProcess(process: CurrentProcess): void {
  (globalThis as ProcessHolder)[KEY] = process;
}

/** Throws `HLSIM_CONFIG` outside a program that hlsim started. */
export function currentProcess(): CurrentProcess {
  const process = (globalThis as ProcessHolder)[KEY];
  if (process === undefined) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      'Expected to run as a rank of a job but found no simulated process: start the program with hlsim run PROGRAM.js --hosts N',
    );
  }
  return process;
}

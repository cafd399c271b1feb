/** How a host runs a user program: the seam between real threads and programs run inline by tests. */
import type { SimProcess } from './process/sim-process.ts';

export interface ProgramStart {
  readonly process: SimProcess;
  /** `builtin:NAME` or an absolute path. */
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Takes what the program prints; resolves when more may come. */
  output(stream: 'stdout' | 'stderr', text: string): Promise<void>;
}

/** How a program ended. `message` is what it died of, when it threw. */
export interface ProgramEnd {
  readonly exitCode: number;
  readonly message?: string;
}

export interface RunningProgram {
  /** When the program runs no more, though some of its output may be on its way; `ended` if absent. */
  readonly exited?: Promise<ProgramEnd>;
  /** When the program has ended and all its output has been delivered. Never rejects. */
  readonly ended: Promise<ProgramEnd>;
  /** Ends it now, whatever it does. Nothing happens to one that has ended. */
  kill(): void;
}

export type ProgramLauncher = (start: ProgramStart) => RunningProgram;

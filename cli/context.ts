/** What every command is handed: where to print, when to stop, whose time to use. */
import { wallClock } from '../common/clock.ts';
import { type Scheduler, wallScheduler } from '../common/scheduler.ts';
import { catchInterruptions, type Interruption } from './interruption.ts';
import { openTerminal, type Terminal } from './terminal.ts';

export interface CommandContext {
  readonly terminal: Terminal;
  readonly scheduler: Scheduler;
  /** Signals are caught from the first use on: the daemons, which never ask, keep their own way. */
  readonly interruption: Interruption;
  /** The words after `hlsim`, for results that record how they were made. */
  readonly argv: readonly string[];
  /** Set by the command's action: 0, or 1 for a failure that it has told already. */
  exitCode: number;
}

export function openContext(argv: readonly string[]): CommandContext {
  let interruption: Interruption | undefined;
  return {
    terminal: openTerminal(wallClock),
    scheduler: wallScheduler,
    argv,
    exitCode: 0,
    get interruption() {
      interruption ??= catchInterruptions();
      return interruption;
    },
  };
}

/** A command line run in this process: what it printed where, and its exit code. */
import type { CommandContext } from '../../cli/context.ts';
import { runCommandLine } from '../../cli/main.ts';
import { wallScheduler } from '../../common/scheduler.ts';

export interface Recorded {
  readonly exitCode: number;
  readonly results: string;
  readonly notes: string;
}

/** For command lines that start no process. */
export async function record(...argv: string[]): Promise<Recorded> {
  const results: string[] = [];
  const notes: string[] = [];
  const context: CommandContext = {
    argv,
    exitCode: 0,
    scheduler: wallScheduler,
    interruption: { signal: new AbortController().signal, onForce: () => () => undefined },
    terminal: {
      result: (line) => results.push(line),
      screen: (text) => results.push('', text),
      note: (line) => notes.push(line),
      progress: () => undefined,
      settle: () => undefined,
      alarm: (text) => text,
    },
  };
  const exitCode = await runCommandLine(context);
  return { exitCode, results: results.join('\n'), notes: notes.join('\n') };
}

/**
 * A daemon and its launcher, over the daemon's standard input. With `--exit-with-parent` its end means
 * that the launcher is gone. With `--await-go` the launcher writes two words, each a line: `go` once it
 * has recorded the daemon, which then starts, and `stay` once the whole cluster is up; from then on the
 * daemon is on its own. Other lines mean nothing.
 */
import process from 'node:process';
import type { Scheduler } from '../common/scheduler.ts';
import { LineSplitter } from './lines.ts';

/** For the daemon's own, orderly end. */
const GRACE_MS = 1_500;

export const GO = 'go';
export const STAY = 'stay';

export interface ParentFlags {
  readonly exitWithParent: boolean;
  readonly awaitGo: boolean;
}

/** Resolves when the daemon may start; ends the process if its launcher goes before it may be alone. */
export async function obeyParent(flags: ParentFlags, scheduler: Scheduler): Promise<void> {
  if (flags.awaitGo) await obeyWords(scheduler);
  if (flags.exitWithParent) exitAfterParent(scheduler);
}

/** Resolves at `go`, and listens on until `stay`. */
function obeyWords(scheduler: Scheduler): Promise<void> {
  const { stdin } = process;
  return new Promise((resolve) => {
    const gone = (): void => {
      // To itself, as to any daemon: it ends in order if it runs, and at once if it does not yet.
      process.kill(process.pid, 'SIGTERM');
      scheduler.after(GRACE_MS, () => process.exit(1));
    };
    const words = new LineSplitter((word) => {
      if (word === GO) resolve();
      if (word === STAY) stdin.off('end', gone).off('error', gone).destroy();
    });
    stdin.once('end', gone).once('error', gone);
    stdin.setEncoding('utf8').on('data', (text: string) => words.push(text));
  });
}

/**
 * The last resort of `--exit-with-parent`. A daemon that runs ends in order when its standard input
 * does; one that cannot end does not outlive its launcher either. One that still looks for its
 * coordinator, and so has not taken over the signals, has nothing to put in order.
 */
function exitAfterParent(scheduler: Scheduler): void {
  const parentGone = (): void => {
    if (process.listenerCount('SIGTERM') === 0) process.exit(1);
    scheduler.after(GRACE_MS, () => process.exit(1));
  };
  process.stdin.once('end', parentGone).once('error', parentGone).resume();
}

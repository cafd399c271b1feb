/**
 * A daemon and its launcher, over the daemon's standard input. With `--exit-with-parent` its end means
 * that the launcher is gone; with `--await-go` a line on it means that the launcher has recorded the
 * daemon, which from then on is on its own.
 */
import process from 'node:process';
import type { Scheduler } from '../common/scheduler.ts';

/** For the daemon's own, orderly end. */
const GRACE_MS = 1_500;

/** What a launcher writes; any line would do. */
export const GO = 'go\n';

export interface ParentFlags {
  readonly exitWithParent: boolean;
  readonly awaitGo: boolean;
}

/** Resolves when the daemon may start; ends the process if its launcher went before it said so. */
export async function obeyParent(flags: ParentFlags, scheduler: Scheduler): Promise<void> {
  if (flags.awaitGo) await waitForGo();
  if (flags.exitWithParent) exitAfterParent(scheduler);
}

function waitForGo(): Promise<void> {
  const { stdin } = process;
  return new Promise((resolve) => {
    const gone = (): never => process.exit(1);
    stdin.once('end', gone).once('error', gone);
    stdin.once('data', () => {
      stdin.off('end', gone).off('error', gone).destroy();
      resolve();
    });
  });
}

/**
 * The last resort of `--exit-with-parent`. A daemon that runs ends in order when its standard input
 * does; one that still looks for its coordinator, or cannot end, does not outlive its launcher either.
 */
function exitAfterParent(scheduler: Scheduler): void {
  const parentGone = (): void => {
    scheduler.after(GRACE_MS, () => process.exit(1));
  };
  process.stdin.once('end', parentGone).once('error', parentGone).resume();
}

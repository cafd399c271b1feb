/** How a system call sleeps: until it is woken, its time is up, or its caller ends. */
import type { Scheduler } from '../../common/scheduler.ts';
import type { SimProcess } from './sim-process.ts';

/** Longest time a call may be asked to wait: more does not fit a timer. */
export const WAIT_MS_MAX = 2 ** 31 - 1;

/** After a process's end, how long the closing of its descriptors may take until it is given up. */
const SETTLE_TIMEOUT_MS = 60_000;

export type WaitEnd = 'woken' | 'timedOut' | 'interrupted';

/**
 * Sleeps in the name of `caller` for at most `timeoutMs`. `subscribe` is given what wakes it, and
 * returns how to take that back; it is taken back on every path. Never rejects.
 */
export function interruptibleWait(
  caller: SimProcess,
  scheduler: Scheduler,
  timeoutMs: number,
  subscribe: (wake: () => void) => () => void,
): Promise<WaitEnd> {
  if (caller.state === 'exited') return Promise.resolve('interrupted');
  return new Promise((resolve) => {
    const end = (how: WaitEnd) => {
      unsubscribe();
      cancelTimer();
      forgetExit();
      resolve(how);
    };
    const unsubscribe = subscribe(() => end('woken'));
    const cancelTimer = scheduler.after(timeoutMs, () => end('timedOut'));
    const forgetExit = caller.onExit(() => end('interrupted'));
  });
}

/**
 * After the end of `process`: waits until what the closing of its descriptors brought about is done.
 * `late`: it is not, after a time that no driver takes. Never rejects.
 */
export function whenSettled(process: SimProcess, scheduler: Scheduler): Promise<'done' | 'late'> {
  return new Promise((resolve) => {
    const cancel = scheduler.after(SETTLE_TIMEOUT_MS, () => resolve('late'));
    void process.descriptorsSettled.then(() => {
      cancel();
      resolve('done');
    });
  });
}

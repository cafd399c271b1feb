import { withDeadline } from '../../../common/deferred.ts';
import { wallScheduler } from '../../../common/scheduler.ts';

/** Only a hang comes near this; no test's answer depends on it. */
const HANG_MS = 20_000;

/** The promise, or a failure when the test hangs. */
export function settleOnWallClock<T>(promise: Promise<T>): Promise<T> {
  return withDeadline(wallScheduler, HANG_MS, promise, () => new Error('Expected no hang'));
}

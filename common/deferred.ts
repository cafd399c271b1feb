/** A promise with its handles outside, and waiting with a deadline. */
import type { Scheduler } from './scheduler.ts';

export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: Error): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: Error) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** `promise`, or a rejection with `late()` once `deadlineMs` of the scheduler's time have passed. */
export function withDeadline<T>(
  scheduler: Scheduler,
  deadlineMs: number,
  promise: Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = scheduler.after(deadlineMs, () => reject(late()));
    promise.then(resolve, reject).finally(cancel);
  });
}

/** What several acts need: pauses, and errors by name. */
import { keepAliveTimer } from '../../common/scheduler.ts';

/** A pause that keeps the process alive. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    keepAliveTimer(milliseconds, resolve);
  });
}

/** `ok`, or the name of the error. */
export function nameOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (reason: Error & { readonly code?: string }) => String(reason.code ?? reason.message),
  );
}

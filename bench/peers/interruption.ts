/** Ctrl-C and its kin: everything that a benchmark started ends before it does. */
import process from 'node:process';

/** 128 + the signal's number (bash(1), EXIT STATUS). */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Caught = keyof typeof EXIT_CODES;

/**
 * Catches signals from now on, until the process ends. The returned signal aborts at the first one; its
 * reason is the exit code. Called once.
 */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of Object.keys(EXIT_CODES) as Caught[]) {
    process.on(name, () => controller.abort(EXIT_CODES[name]));
  }
  // `... | head`: whoever read our results has gone.
  process.stdout.on('error', () => controller.abort(EXIT_CODES.SIGTERM));
  return controller.signal;
}

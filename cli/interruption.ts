/**
 * Ctrl-C and its kin, for commands that own processes. The first signal asks everything to end in
 * order; a second one, or a reader of our output that has gone away, does not wait.
 */
import process from 'node:process';

/** Exit code of a process that a signal ended: 128 + its number (bash(1), EXIT STATUS). */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;
type CaughtSignal = keyof typeof EXIT_CODES;
const LISTENED = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** The command was told to stop. Not a failure of anything: it has an exit code, and no error code. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: CaughtSignal;
  readonly exitCode: number;

  constructor(signal: CaughtSignal) {
    super(`Interrupted by ${signal}`);
    this.signal = signal;
    this.exitCode = EXIT_CODES[signal];
  }
}

export interface Interruption {
  /** Aborts at the first signal, with an `InterruptedError`. */
  readonly signal: AbortSignal;
  /** Runs `kill` at the second signal, just before the process exits. Returns a function that takes it back. */
  onForce(kill: () => void): () => void;
}

/** Catches signals from now on, until the process ends. Called once. */
export function catchInterruptions(): Interruption {
  const controller = new AbortController();
  const kills = new Set<() => void>();
  const caught = (signal: CaughtSignal): void => {
    if (!controller.signal.aborted) {
      controller.abort(new InterruptedError(signal));
      return;
    }
    for (const kill of kills) kill();
    process.exit(EXIT_CODES[signal]);
  };
  for (const signal of LISTENED) process.on(signal, () => caught(signal));
  // `hlsim ... | head`: whoever read our results has gone, so end as SIGPIPE would have it.
  process.stdout.on('error', () => {
    if (!controller.signal.aborted) controller.abort(new InterruptedError('SIGPIPE'));
  });
  process.stderr.on('error', () => undefined);
  return {
    signal: controller.signal,
    onForce(kill) {
      kills.add(kill);
      return () => kills.delete(kill);
    },
  };
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. */
export function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

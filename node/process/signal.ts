/** Signals and how a process ends: the two ends of signal(7) that hlsim has, and the status of wait(2). */

/** Signals that can be sent. SIGKILL cannot be handled; SIGTERM can, see `onTermination`. */
export type Signal = 'SIGKILL' | 'SIGTERM';

/** Numbers of signal(7). */
const SIGNAL_NUMBER = { SIGKILL: 9, SIGTERM: 15 } as const satisfies Record<Signal, number>;
/** A shell shows an end by signal N as exit code 128 + N. */
const SIGNAL_EXIT_BASE = 128;

/** How a process ended: by itself (a crash too is an exit, with code 1), or by a signal. */
export type ExitStatus = { readonly exitCode: number } | { readonly signal: Signal };

export function isSignal(value: unknown): value is Signal {
  return typeof value === 'string' && Object.hasOwn(SIGNAL_NUMBER, value);
}

/** The status as one number, as a shell gives it: 143 for SIGTERM, 137 for SIGKILL. */
export function exitCodeOf(status: ExitStatus): number {
  if ('exitCode' in status) return status.exitCode;
  return SIGNAL_EXIT_BASE + SIGNAL_NUMBER[status.signal];
}

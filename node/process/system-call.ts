/**
 * The system-call channel: how a simulated user process reaches its host's kernel. Three forms behind
 * one interface: a `MessagePort` (the process is a worker thread), inline (simulation, and libraries
 * that run in the host's main thread on the process's behalf), later a unix socket.
 *
 * Messages are plain serialisable values. Bulk never travels here: a process shares its memory
 * (`SimProcess.memory`) with the kernel and passes addresses, as on a real machine.
 */
import { type Errno, errnoSentence } from '../../common/errno.ts';
import type { Signal } from './signal.ts';

export type SystemCallValue =
  | undefined
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly SystemCallValue[]
  | { readonly [key: string]: SystemCallValue };

export interface SystemCallRequest {
  readonly id: number;
  /** `open`, `close`, `dup`, `ioctl`, `hcclAllReduce`, ... : a name in the host's `SystemCallTable`. */
  readonly name: string;
  readonly argument: SystemCallValue;
}

/** Family `errno`: code is an `Errno`. `hccl`: an `hcclResult_t` name. `hlsim`: an `ErrorCode`. */
export interface SystemCallFailure {
  readonly family: 'errno' | 'hccl' | 'hlsim';
  readonly code: string;
  readonly message: string;
}

/** What the kernel sends unasked. */
export interface SignalMessage {
  readonly signal: Signal;
}

export type SystemCallReply =
  | { readonly id: number; readonly value: SystemCallValue }
  | { readonly id: number; readonly failure: SystemCallFailure };

/** A call that failed. User programs see this thrown; `code` is what they match on. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly family: SystemCallFailure['family'];
  readonly code: string;

  constructor(failure: SystemCallFailure) {
    super(failure.message);
    this.family = failure.family;
    this.code = failure.code;
  }
}

/** A failure of family `errno`: `EBUSY: Device or resource busy: open /dev/accel/accel0`. */
export function errnoFailure(errno: Errno, what: string): SystemCallError {
  const message = `${errnoSentence(errno)}: ${what}`;
  return new SystemCallError({ family: 'errno', code: errno, message });
}

/** The caller's end. Rejects with `SystemCallError`; all calls pending at process end reject. */
export interface SystemCallChannel {
  call(name: string, argument: SystemCallValue): Promise<SystemCallValue>;
  /** Calls `listener` with each signal that the process handles. Absent: it can handle none. */
  onSignal?(listener: (signal: Signal) => void): void;
}

/**
 * The parts of hl-thunk that have nothing behind them here, so that a program can probe for them: each
 * function fails with EOPNOTSUPP (the driver has such a request) or ENOTTY (it has not).
 */
import { errnoFailure } from '../process/system-call.ts';

export interface UnsupportedCall {
  readonly errno: 'EOPNOTSUPP' | 'ENOTTY';
  readonly reason: string;
}

const BUFFERS = 'jobs are submitted as values, so there is no buffer of packets';
const SYNC = 'a device has one queue, in order, so there are no sync objects to signal or wait for';
const PROFILER = 'there is no trace hardware';

export const HLTHUNK_UNSUPPORTED = {
  hlthunk_request_command_buffer: { errno: 'EOPNOTSUPP', reason: BUFFERS },
  hlthunk_request_mapped_command_buffer: { errno: 'EOPNOTSUPP', reason: BUFFERS },
  hlthunk_destroy_command_buffer: { errno: 'EOPNOTSUPP', reason: BUFFERS },
  hlthunk_signal_submission: { errno: 'EOPNOTSUPP', reason: SYNC },
  hlthunk_wait_for_signal: { errno: 'EOPNOTSUPP', reason: SYNC },
  hlthunk_wait_for_collective_signal: { errno: 'EOPNOTSUPP', reason: SYNC },
  hlthunk_reserve_encaps_signals: { errno: 'EOPNOTSUPP', reason: SYNC },
  hlthunk_unreserve_encaps_signals: { errno: 'EOPNOTSUPP', reason: SYNC },
  hlthunk_profiler_start: { errno: 'ENOTTY', reason: PROFILER },
  hlthunk_profiler_stop: { errno: 'ENOTTY', reason: PROFILER },
  hlthunk_profiler_get_trace: { errno: 'ENOTTY', reason: PROFILER },
} as const satisfies Record<string, UnsupportedCall>;

/** Throws what the call of this name fails with. */
export function hlthunkUnsupported(name: keyof typeof HLTHUNK_UNSUPPORTED): never {
  const { errno, reason } = HLTHUNK_UNSUPPORTED[name];
  throw errnoFailure(errno, `${name}: ${reason}`);
}

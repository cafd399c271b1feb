/**
 * For libraries that run on the host's main thread on a process's behalf: work so short that waiting
 * for its end would cost more than the work. The ioctl is that of the process and is checked as any
 * other; it only comes back with the outcome.
 */
import { assert } from '../../common/assert.ts';
import { ioctlNow } from '../process/descriptor-calls.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import type { CsStatus, Job } from './job.ts';
import type { CsArgument, WaitCsResult } from './uapi.ts';

/**
 * Runs jobs of at most `NOW_BYTES_MAX` in all inside the call. BUSY, and nothing has happened: the device
 * has other work of this process. Throws as hlthunk_command_submission rejects.
 */
export function hlthunk_run_now(process: SimProcess, fd: number, jobs: readonly Job[]): CsStatus {
  const argument: CsArgument = { jobs, now: true };
  const result = ioctlNow(process, fd, 'HL_IOCTL_CS', argument as unknown as SystemCallValue);
  assert(!(result instanceof Promise), 'Expected HL_IOCTL_CS to answer at once');
  return (result as unknown as WaitCsResult).status;
}

/** hl-thunk: submissions with a time limit, waiting for several, and debug mode. */
import type { SystemCallChannel } from '../process/system-call.ts';
import { numberOf, request } from './hlthunk-request.ts';
import type { Job } from './job.ts';
import type { DebugArgument, WaitMultiCsArgument, WaitMultiCsResult } from './uapi.ts';

/** As hlthunk_command_submission; the device counts as stuck if the jobs take longer than `timeoutSeconds`. */
export async function hlthunk_command_submission_timeout(
  channel: SystemCallChannel,
  fd: number,
  jobs: readonly Job[],
  timeoutSeconds: number,
): Promise<number> {
  return numberOf(await request(channel, fd, 'HL_IOCTL_CS', { jobs, timeoutSeconds }), 'sequence');
}

/**
 * Waits at most `timeoutUs` microseconds until any of 1 to 32 submissions has ended; the mask says which
 * have. Failures as of hlthunk_wait_for_cs.
 */
export async function hlthunk_wait_for_multi_cs(
  channel: SystemCallChannel,
  fd: number,
  sequences: readonly number[],
  timeoutUs: number,
): Promise<WaitMultiCsResult> {
  const argument: WaitMultiCsArgument = { sequences, timeoutUs };
  const result = await request(channel, fd, 'HL_IOCTL_WAIT_CS', argument);
  return result as unknown as WaitMultiCsResult;
}

/** Debug mode, which ends with the close at the latest. EFAULT: it is so already. */
export async function hlthunk_debug(
  channel: SystemCallChannel,
  fd: number,
  argument: DebugArgument,
): Promise<void> {
  await request(channel, fd, 'HL_IOCTL_DEBUG', argument);
}

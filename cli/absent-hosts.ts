/** What is missing from an account of all devices: hosts that did not answer, and places without a host. */
import { errorOf } from '../coordinator/hlcp/refusal.ts';
import type { CommandContext } from './context.ts';
import type { ClusterDevices } from './device-questions.ts';
import { reportFailure } from './failure.ts';
import { counted } from './wording.ts';

/** Says it on stderr; the exit code becomes 1 for a host that should have answered. */
export function reportAbsentHosts(
  { hosts, failures }: ClusterDevices,
  expectedHosts: number,
  context: CommandContext,
): void {
  const { terminal } = context;
  const present = hosts.length + failures.length;
  if (present < expectedHosts) {
    terminal.note(`hlsim: ${present} of ${counted(expectedHosts, 'host')} in the cluster`);
  }
  for (const { failure } of failures) {
    context.exitCode = reportFailure(terminal, errorOf(failure));
  }
}

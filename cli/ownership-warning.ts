/** Tells whoever starts a cluster without ownership of device memory what that means. */
import { OWNERSHIP, type OwnershipPolicy } from '../node/device/ownership.ts';
import type { Terminal } from './terminal.ts';

/** Said before the first host starts; nothing of a policy that protects. */
export function warnOfOwnership(ownership: OwnershipPolicy, terminal: Terminal): void {
  if (OWNERSHIP[ownership].closeWithExports !== 'forget') return;
  terminal.note(
    `${terminal.alarm('hlsim: warning:')} --ownership ${ownership} is ${OWNERSHIP[ownership].summary}`,
  );
}

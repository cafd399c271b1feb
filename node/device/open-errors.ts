/**
 * Who may not open the compute node, and what the answer is (habanalabs_drv.c, hl_device_open). The
 * first row that holds decides. The control node opens always, unless the device is gone.
 */
import type { Errno } from '../../common/errno.ts';
import type { ErrnoRow } from './errno-tables.ts';
import type { DeviceStatus } from './uapi.ts';

/** What an open looks at. */
export interface OpenConditions {
  readonly presence: 'present' | 'removed';
  readonly status: DeviceStatus;
  readonly scrub: 'idle' | 'running';
  /** The compute context: nobody's, its user's, or closed but not yet given up. */
  readonly context: 'none' | 'active' | 'releasing';
}

export interface OpenErrorRow extends ErrnoRow {
  readonly call: 'open';
  holds(conditions: OpenConditions): boolean;
}

export const OPEN_ERRORS: readonly OpenErrorRow[] = [
  {
    call: 'open',
    condition: 'no such device',
    errno: 'ENXIO',
    holds: ({ presence }) => presence === 'removed',
  },
  {
    call: 'open',
    condition: 'in reset, or in reset after the last user’s release',
    errno: 'EAGAIN',
    holds: ({ status }) => status === 'IN_RESET' || status === 'IN_RESET_AFTER_DEVICE_RELEASE',
  },
  {
    call: 'open',
    condition: 'not operational for another reason: disabled, needs a reset, being created',
    errno: 'EPERM',
    holds: ({ status }) => status !== 'OPERATIONAL',
  },
  {
    call: 'open',
    condition: 'its memory is being scrubbed',
    errno: 'EAGAIN',
    holds: ({ scrub }) => scrub === 'running',
  },
  {
    call: 'open',
    condition: 'the last user’s context is still being released',
    errno: 'EAGAIN',
    holds: ({ context }) => context === 'releasing',
  },
  {
    call: 'open',
    condition: 'another user has it open',
    errno: 'EBUSY',
    holds: ({ context }) => context === 'active',
  },
];

/** Why the compute node cannot be opened now; `undefined` if it can. */
export function openError(conditions: OpenConditions): Errno | undefined {
  return OPEN_ERRORS.find((row) => row.holds(conditions))?.errno;
}

/** What can go wrong in an operation that the program's thread runs, found by that thread. */
import type { Rank } from '../../../collectives/schedule.ts';

export type ProgramFaultReason =
  /** A peer has left the communicator in the middle of the operation, or before it. */
  | { readonly kind: 'departed'; readonly peer: Rank }
  /** A peer calls something else. */
  | { readonly kind: 'mismatch'; readonly peer: Rank; readonly theirs: string }
  /** A peer names memory that this rank does not have. */
  | { readonly kind: 'window'; readonly peer: Rank; readonly found: string }
  /** What comes by a wire is not what can come. */
  | { readonly kind: 'frame'; readonly peer: Rank; readonly found: string }
  /** A wire has ended, and nobody says why. */
  | { readonly kind: 'lost'; readonly peer: Rank }
  /** A peer has not come for too long. */
  | { readonly kind: 'stuck'; readonly peer: Rank }
  /** A rank cannot share the memory of this call: every rank gives it, and what follows, to its host. */
  | { readonly kind: 'declined' }
  /** The communicator was stopped by somebody else. */
  | { readonly kind: 'closed' };

export class ProgramFault extends Error {
  override readonly name = 'ProgramFault';
  readonly reason: ProgramFaultReason;

  constructor(reason: ProgramFaultReason) {
    super(reason.kind);
    this.reason = reason;
  }
}

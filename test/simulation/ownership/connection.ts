/** Two connected queue pairs and what has been posted on them, as the random program knows it. */
import type { IbvCq } from '../../../node/verbs/cq.ts';
import type { IbvQp } from '../../../node/verbs/qp.ts';
import type { InvariantId } from './invariants.ts';
import type { Variant } from './operations/transfers.ts';
import type { ShadowRegion, Slot } from './shadow-buffer.ts';
import type { SimulatedUser } from './simulated-user.ts';

export type WorkKind = 'write' | 'read' | 'send' | 'compareSwap' | 'fetchAdd';

export interface Work {
  readonly number: number;
  readonly kind: WorkKind;
  readonly variant: Variant;
  readonly from: End;
  readonly signaled: boolean;
  /** Why it must fail, if it must, and what would be broken if it did not. */
  readonly mustFail: { readonly reason: string; readonly invariant: InvariantId } | undefined;
  readonly local: ShadowRegion;
  readonly remote: ShadowRegion;
  readonly source: Slot;
  /** Where the bytes go; for a send the receive says where. */
  readonly target: Slot | undefined;
  readonly length: number;
  /** What must be at the target once it has succeeded. */
  readonly expected: Uint8Array;
  outcome: 'pending' | 'succeeded' | 'failed' | 'vanished';
}

export interface Receive {
  readonly number: number;
  readonly end: End;
  readonly region: ShadowRegion;
  readonly target: Slot;
  outcome: 'pending' | 'succeeded' | 'failed' | 'vanished';
}

export interface End {
  readonly user: SimulatedUser;
  readonly cq: IbvCq;
  readonly qp: IbvQp;
  readonly connection: () => Connection;
  /** Posted requests without an outcome, oldest first. */
  readonly sends: Work[];
  readonly receives: Receive[];
  /** Successful sends of the peer that have not arrived here as receives yet, oldest first. */
  readonly incoming: Work[];
  /** Status of the first error that was polled. */
  failed: string | undefined;
  state: 'open' | 'destroyed';
}

export interface Connection {
  readonly number: number;
  readonly ends: readonly [End, End];
  /** Everything ever posted. */
  readonly works: Work[];
  readonly receiveRegions: ShadowRegion[];
  /** Why requests may fail though their memory is in order. */
  disturbed: string | undefined;
  /** An error was seen. */
  failed: boolean;
}

export function peerOf(end: End): End {
  const [first, second] = end.connection().ends;
  return first === end ? second : first;
}

/**
 * How long slices are: as long as there is room for, since each costs both hosts CPU time. Shorter ones were slower
 * (docs/performance.md).
 */
import { BLOCKS, type CollectiveName } from '../../collectives/collective.ts';
import { MiB } from '../../common/bytes.ts';
import {
  KEPT_LANES,
  LANES_MAX,
  powerOfTwoUpTo,
  SLICE_BYTES_MAX,
  SLOTS_PER_LANE,
  slotBytes,
} from './lanes.ts';

/** A call, as far as its slices are concerned: the same on all ranks. */
export interface SlicedCall {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly channels: number;
  readonly nranks: number;
}

/** Whose ranks take messages of one peer alone, so that there is room for long slots. */
const OF_ONE_PEER = 'ring';
/** Memory for slots and staged messages of an operation whose slots are not the pool's. */
const OPERATION_BYTES_MAX = 8 * MiB;

/** The longest slice whose slots and staged messages have room. */
export function longestSlice({ collective, algorithm, channels, nranks }: SlicedCall): number {
  const pooled = slotBytes(nranks);
  if (algorithm !== OF_ONE_PEER || channels + KEPT_LANES > LANES_MAX) return pooled;
  // What is passed on, or overwritten by what comes back, is staged for two windows: as much as in the slots.
  const entries = 2 * SLOTS_PER_LANE;
  const share = BLOCKS[collective].reduces
    ? OPERATION_BYTES_MAX / (entries * channels)
    : SLICE_BYTES_MAX;
  const longest = Math.min(SLICE_BYTES_MAX, powerOfTwoUpTo(share));
  // The pool's slots are there anyhow, but lanes beyond its own have theirs in the operation's memory.
  return channels > KEPT_LANES ? longest : Math.max(pooled, longest);
}

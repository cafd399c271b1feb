/**
 * Receive slots and their credits. A lane is one direction of one connection (source rank,
 * destination rank, lane number). Its receiver owns slots of device memory that the sender fills in
 * turn; a slot may be filled again once its receiver has released it. That bounds what a fast sender
 * can pour into a slow receiver.
 *
 * The first `KEPT_LANES` between two ranks live as long as their communicator and have slots in its
 * pool. Further ones live for one operation; their slots lie in its scratch memory, and the receiver's
 * header tells where (`lane-layout.ts`). Slices that are longer than the pool's slots take further lanes alone.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import { KiB, MiB } from '../../common/bytes.ts';

/** Slices of a chunk that go out before the next step's: links stay busy while each goes its way. */
export const WINDOW_SLICES = 4;
/** Messages per connection with which a plan's program is proved to end, unless its request says more. */
export const PROVED_DEPTH = 2;
/** Messages per connection that a program from elsewhere may need to end. */
export const DEPTH_MAX = 256;
/** Slots of one lane: how many reduce operands may be under way. One window arrives, one is used. */
export const SLOTS_PER_LANE = 2 * WINDOW_SLICES;
/** Lanes between two ranks that have slots in the communicator's pool. */
export const KEPT_LANES = 2;
/** Lanes between two ranks that a program may use. */
export const LANES_MAX = 32;
/** Channels that a rank's program may have. */
export const PROGRAM_CHANNELS_MAX = 64;
/** Chunks of a block that a program may ask for. */
export const CHUNKS_MAX = 65_536;
/** Slices of one operation on one rank: what its plan costs the host is bounded, however short they are. */
export const SLICES_MAX = 2 ** 21;
/** Device memory that one rank spends on the slots of one communicator, at most. */
export const SLOT_POOL_BYTES_MAX = 8 * MiB;
/** Longest slot of the pool. */
export const SLOT_BYTES_MAX = 512 * KiB;
/** Shortest slot, however many peers share the pool. */
export const SLOT_BYTES_MIN = 4 * KiB;
/** Longest slice. */
export const SLICE_BYTES_MAX = 1 * MiB;

/** Bytes of one slot of the pool in a communicator of `nranks`: the same on all ranks. */
export function slotBytes(nranks: number): number {
  const lanes = Math.max(1, nranks - 1) * KEPT_LANES;
  const share = powerOfTwoUpTo(SLOT_POOL_BYTES_MAX / (lanes * SLOTS_PER_LANE));
  return Math.min(SLOT_BYTES_MAX, Math.max(SLOT_BYTES_MIN, share));
}

/** The largest power of two that is at most `bytes`; 1 for less. */
export function powerOfTwoUpTo(bytes: number): number {
  return 2 ** (31 - Math.clz32(Math.max(1, bytes)));
}

/** The first lane of an operation in slices of `sliceBytes`: those that do not fit the pool's slots have their own. */
export function firstLane(nranks: number, sliceBytes: number): number {
  return sliceBytes <= slotBytes(nranks) ? 0 : KEPT_LANES;
}

/** Bytes of the slot pool of one rank. */
export function slotPoolBytes(nranks: number): number {
  return (nranks - 1) * KEPT_LANES * SLOTS_PER_LANE * slotBytes(nranks);
}

/** Where in `owner`'s pool the `index`-th slot of kept lane `lane` (source -> owner) starts. */
export function slotOffset(
  nranks: number,
  owner: Rank,
  source: Rank,
  lane: number,
  index: number,
): number {
  assert(source !== owner, 'Expected a lane between two ranks');
  const place = source < owner ? source : source - 1;
  const first = place * KEPT_LANES + lane;
  return (first * SLOTS_PER_LANE + (index % SLOTS_PER_LANE)) * slotBytes(nranks);
}

/** The receiver's end: which slot messages have come, which are used up. */
export class InboundLane {
  readonly slots: number;
  /** Slot messages that have landed. */
  arrived = 0;
  /** Slot messages up to which all are used up: what the sender is told. */
  released = 0;
  /** The value of `released` that the sender has been told. */
  announcedReleased = 0;
  /** Places of the operation under way that the sender has been told it may write. */
  announcedGranted = 0;
  /** Released, but not all before them. */
  readonly #releasedEarly = new Set<number>();

  constructor(slots = SLOTS_PER_LANE) {
    this.slots = slots;
  }

  /**
   * Whether a credit message is worth its cost: a place is new, or half the slots are. Until then the
   * sender still sees a free slot.
   */
  worthAnnouncing(granted: number): boolean {
    return (
      granted > this.announcedGranted || 2 * (this.released - this.announcedReleased) >= this.slots
    );
  }

  /** The sender is told the lane's state as of now. */
  announce(granted: number): void {
    this.announcedReleased = this.released;
    this.announcedGranted = granted;
  }

  /** Message number `index` of the lane is used up; its slot may be filled again. */
  release(index: number): void {
    assert(
      index >= this.released && index < this.arrived,
      'Expected a slot message to be held that is released',
    );
    if (index > this.released) {
      this.#releasedEarly.add(index);
      return;
    }
    this.released++;
    while (this.#releasedEarly.size > 0 && this.#releasedEarly.delete(this.released))
      this.released++;
  }
}

/** The sender's end: how many slots it has filled and may fill. */
export class OutboundLane {
  readonly slots: number;
  /** Slot messages posted. */
  filled = 0;
  /** Slot messages that the receiver has used up. */
  released = 0;

  constructor(slots = SLOTS_PER_LANE) {
    this.slots = slots;
  }

  get hasSlot(): boolean {
    return this.filled - this.released < this.slots;
  }

  /** Takes a credit; `false` if the peer claims what cannot be. */
  credit(released: number): boolean {
    if (released > this.filled) return false;
    this.released = Math.max(this.released, released);
    return true;
  }
}

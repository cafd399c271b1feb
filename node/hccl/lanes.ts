/**
 * Receive slots and their credits. A lane is one direction of one connection (source rank,
 * destination rank, channel) for the whole life of a communicator. Its receiver owns
 * `SLOTS_PER_LANE` slots of device memory that the sender fills in turn; a slot may be filled again
 * once its receiver has released it. That bounds what a fast sender can pour into a slow receiver.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import { KiB, MiB } from '../../common/bytes.ts';
import { WINDOW_SLICES } from './plan.ts';

/**
 * Slots of one lane: how many reduce operands may be under way. Twice a window of slices: one that
 * waits to be sent on, one that arrives.
 */
export const SLOTS_PER_LANE = 2 * WINDOW_SLICES;
/** Channels that a program may have. */
export const CHANNELS_MAX = 2;
/** Device memory that one rank spends on the slots of one communicator, at most. */
export const SLOT_POOL_BYTES_MAX = 16 * MiB;
/** Longest slice; also the longest slot. */
export const SLICE_BYTES_MAX = 512 * KiB;
/** Shortest slot, however many peers share the pool. */
export const SLICE_BYTES_MIN = 4 * KiB;

/** Bytes of one slot, and so the longest slice, in a communicator of `nranks`: same on all ranks. */
export function slotBytes(nranks: number): number {
  const lanes = Math.max(1, nranks - 1) * CHANNELS_MAX;
  const share = SLOT_POOL_BYTES_MAX / (lanes * SLOTS_PER_LANE);
  const rounded = 2 ** Math.floor(Math.log2(Math.max(1, share)));
  return Math.min(SLICE_BYTES_MAX, Math.max(SLICE_BYTES_MIN, rounded));
}

/** Bytes of the slot pool of one rank. */
export function slotPoolBytes(nranks: number): number {
  return (nranks - 1) * CHANNELS_MAX * SLOTS_PER_LANE * slotBytes(nranks);
}

/** Where in `owner`'s pool the `index`-th slot of lane (source -> owner, channel) starts. */
export function slotOffset(
  nranks: number,
  owner: Rank,
  source: Rank,
  channel: number,
  index: number,
): number {
  assert(source !== owner, 'Expected a lane between two ranks');
  const place = source < owner ? source : source - 1;
  const lane = place * CHANNELS_MAX + channel;
  return (lane * SLOTS_PER_LANE + (index % SLOTS_PER_LANE)) * slotBytes(nranks);
}

/** The receiver's end: which slot messages have come, which are used up. */
export class InboundLane {
  /** Slot messages that have landed, since the communicator began. */
  arrived = 0;
  /** Slot messages up to which all are used up: what the sender is told. */
  released = 0;
  /** The value of `released` that the sender has been told. */
  announcedReleased = 0;
  /** Places of the operation under way that the sender has been told it may write. */
  announcedGranted = 0;
  readonly #releasedEarly = new Set<number>();

  /**
   * Whether a credit message is worth its cost: a place is new, or half the slots are. Until then the
   * sender still sees a free slot: of twice a window of slots, a window at most is held and less than
   * a window is not announced, so the sender that is furthest behind can always post.
   */
  worthAnnouncing(granted: number): boolean {
    const slots = this.released - this.announcedReleased;
    return granted > this.announcedGranted || slots >= SLOTS_PER_LANE / 2;
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
      `Expected slot message ${index} to be held`,
    );
    this.#releasedEarly.add(index);
    while (this.#releasedEarly.delete(this.released)) this.released++;
  }
}

/** The sender's end: how many slots it has filled and may fill. */
export class OutboundLane {
  /** Slot messages posted, since the communicator began. */
  filled = 0;
  /** Slot messages that the receiver has used up. */
  released = 0;

  get hasSlot(): boolean {
    return this.filled - this.released < SLOTS_PER_LANE;
  }

  /** Takes a credit; `false` if the peer claims what cannot be. */
  credit(released: number): boolean {
    if (released > this.filled) return false;
    this.released = Math.max(this.released, released);
    return true;
  }
}

/**
 * Where the slots of further lanes and the staged messages of a plan lie in its scratch memory, and how
 * many there are. Both ends of a lane come to the same slots, because both see the same messages.
 */
import { roundUp } from '../../common/math.ts';
import { SLOTS_PER_LANE } from './lanes.ts';
import type { Entries } from './plan.ts';

/** Every entry starts at a multiple of this, and so suits every element. */
const ALIGNMENT_BYTES = 64;

/** A message, as far as its room is concerned. */
export interface SizedMessage {
  readonly step: { readonly index: number };
  readonly window: number;
  readonly bytes: number;
}

/** Memory that is given out from its start on. */
export class Layout {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = roundUp(bytes, ALIGNMENT_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The start of the next `bytes`. */
  take(bytes: number): number {
    const offset = this.#bytes;
    this.#bytes += roundUp(bytes, ALIGNMENT_BYTES);
    return offset;
  }

  /** Entries for `count` messages at a time of those given; `undefined` if there are none. */
  add(messages: readonly SizedMessage[], count: number): Entries | undefined {
    if (messages.length === 0) return undefined;
    const longest = messages.reduce((most, { bytes }) => Math.max(most, bytes), 0);
    const stride = roundUp(longest, ALIGNMENT_BYTES);
    return { offset: this.take(count * stride), count, stride };
  }
}

/** Slots of a lane that lives for one operation, for these messages to slots. */
export function slotCount(messages: readonly SizedMessage[]): number {
  return Math.min(messages.length, SLOTS_PER_LANE);
}

/** How many of the messages that may be staged must fit: those of `depth` steps of one window. */
export function stagedCount(messages: readonly SizedMessage[], depth: number): number {
  let largest = 0;
  let current = 0;
  messages.forEach(({ step, window }, index) => {
    const before = messages[index - 1];
    const isSame = before?.step.index === step.index && before.window === window;
    current = isSame ? current + 1 : 1;
    largest = Math.max(largest, current);
  });
  return Math.min(messages.length, depth * largest);
}

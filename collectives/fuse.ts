/**
 * Fuses steps, so that data passes through a rank without a detour.
 *
 * 1. A receive and the send of what it stored become `recvCopySend` or `recvReduceCopySend`. The
 *    data is then taken when it arrives instead of when the send's turn comes, so nothing between
 *    the two may touch the place, nor send anything else to the same peer on the same channel.
 * 2. A `recvReduceCopySend` whose store nobody reads before it is overwritten becomes
 *    `recvReduceSend`. What is left in `output` at the end is the result, and counts as read.
 *
 * Both use in-place memory, where more places coincide, and so hold out of place too. Both go over the
 * steps backwards and remember, for every location, what the steps after the present one do with it.
 */
import { assert } from '../common/assert.ts';
import type { MemoryMap } from './memory.ts';
import type { Step } from './program.ts';
import { type ChannelStep, samePlace } from './round-steps.ts';
import type { Place } from './schedule.ts';

/** In place of a step's index: there is none. */
const NEVER = 0x7fffffff;

/** `steps` are all of one rank's, in one order over all channels; so is the result. */
export function fuse(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  return withoutDeadStores(withForwards(steps, memory), memory);
}

function withForwards(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  const forwards = forwardingSends(steps, memory);
  const isForwarded = new Uint8Array(steps.length);
  for (const send of forwards) if (send !== NEVER) isForwarded[send] = 1;
  const fused: ChannelStep[] = [];
  for (let index = 0; index < steps.length; index++) {
    if (isForwarded[index] === 1) continue;
    const current = steps[index] as ChannelStep;
    const send = forwards[index] as number;
    fused.push(send === NEVER ? current : merge(current, (steps[send] as ChannelStep).step));
  }
  return fused;
}

/** By index of a receive: that of the send that may be fused with it, or `NEVER`. */
function forwardingSends(steps: readonly ChannelStep[], memory: MemoryMap): Int32Array {
  const isFirstToPeer = sendsAfter(steps);
  const forwards = new Int32Array(steps.length).fill(NEVER);
  const nextTouch = new Int32Array(memory.size).fill(NEVER);
  for (let index = steps.length - 1; index >= 0; index--) {
    const receive = steps[index] as ChannelStep;
    const { kind, dst, count, src } = receive.step;
    if ((kind === 'recv' || kind === 'recvReduceCopy') && dst !== undefined) {
      const next = earliest(nextTouch, memory.locate(dst), count);
      const isForward = next !== NEVER && isSendOf(steps[next] as ChannelStep, receive, dst);
      if (isForward && isFirstToPeer(next, index)) forwards[index] = next;
    }
    if (src !== undefined) mark(nextTouch, index, memory.locate(src), count);
    if (dst !== undefined) mark(nextTouch, index, memory.locate(dst), count);
  }
  return forwards;
}

function isSendOf({ channel, step }: ChannelStep, receive: ChannelStep, stored: Place): boolean {
  return (
    step.kind === 'send' &&
    channel === receive.channel &&
    step.count === receive.step.count &&
    step.src !== undefined &&
    samePlace(step.src, stored)
  );
}

/** Tells whether the send at `index` is the first to its peer in its channel after another step. */
function sendsAfter(steps: readonly ChannelStep[]): (index: number, after: number) => boolean {
  const latest: Map<number, number>[] = [];
  const previous = new Int32Array(steps.length).fill(-1);
  for (let index = 0; index < steps.length; index++) {
    const { channel, step } = steps[index] as ChannelStep;
    if (step.sendTo === undefined) continue;
    latest[channel] ??= new Map();
    const sentTo = latest[channel];
    previous[index] = sentTo.get(step.sendTo) ?? -1;
    sentTo.set(step.sendTo, index);
  }
  return (index, after) => (previous[index] as number) <= after;
}

function merge({ channel, step: receive }: ChannelStep, { sendTo, landing }: Step): ChannelStep {
  const { count, recvFrom, src, dst, depends } = receive;
  assert(
    recvFrom !== undefined && dst !== undefined && sendTo !== undefined && landing !== undefined,
    'Expected a receive to name peer and place, and a send to name peer and landing',
  );
  // Written out in full: copies by `...` are what lowering would spend most of its time with.
  const step: Step =
    src === undefined
      ? { kind: 'recvCopySend', count, recvFrom, sendTo, landing, dst, depends }
      : { kind: 'recvReduceCopySend', count, recvFrom, sendTo, landing, src, dst, depends };
  return { channel, step };
}

function withoutDeadStores(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  const result: ChannelStep[] = [...steps];
  const later = new LaterUses(steps, memory);
  for (let index = steps.length - 1; index >= 0; index--) {
    const { channel, step } = steps[index] as ChannelStep;
    if (step.kind === 'recvReduceCopySend' && step.dst !== undefined) {
      const { dst, ...rest } = step;
      const isDead = !later.reads(dst, step.count);
      if (isDead) result[index] = { channel, step: { ...rest, kind: 'recvReduceSend' } };
    }
    later.add(index);
  }
  return result;
}

/** What the steps that were added, from the last one backwards, do with each location. */
class LaterUses {
  readonly #steps: readonly ChannelStep[];
  readonly #memory: MemoryMap;
  readonly #nextRead: Int32Array;
  /** The next write of each location, and after a write of a location the next one there. */
  readonly #nextWrite: (Write | undefined)[];

  constructor(steps: readonly ChannelStep[], memory: MemoryMap) {
    this.#steps = steps;
    this.#memory = memory;
    this.#nextRead = new Int32Array(memory.size).fill(NEVER);
    this.#nextWrite = Array.from({ length: memory.size });
  }

  add(index: number): void {
    const { step } = this.#steps[index] as ChannelStep;
    const { kind, count, src, dst } = step;
    if (src !== undefined) mark(this.#nextRead, index, this.#memory.locate(src), count);
    if (dst === undefined) return;
    const start = this.#memory.locate(dst);
    if (kind === 'reduce') mark(this.#nextRead, index, start, count);
    for (let location = start; location < start + count; location++) {
      this.#nextWrite[location] = { index, next: this.#nextWrite[location] };
    }
  }

  /** Whether any of the chunks is read before all of them are overwritten at once. */
  reads(place: Place, count: number): boolean {
    const start = this.#memory.locate(place);
    const read = earliest(this.#nextRead, start, count);
    let write = this.#nextWrite[start];
    while (write !== undefined && write.index < read) {
      const { step } = this.#steps[write.index] as ChannelStep;
      if (step.dst !== undefined && covers(step.dst, step.count, place, count)) return false;
      write = write.next;
    }
    return read !== NEVER || place.buffer !== 'scratch';
  }
}

interface Write {
  readonly index: number;
  readonly next: Write | undefined;
}

function mark(indexes: Int32Array, index: number, start: number, count: number): void {
  for (let location = start; location < start + count; location++) indexes[location] = index;
}

function earliest(indexes: Int32Array, start: number, count: number): number {
  let first = NEVER;
  for (let location = start; location < start + count; location++) {
    const index = indexes[location] as number;
    if (index < first) first = index;
  }
  return first;
}

function covers(outer: Place, outerCount: number, inner: Place, innerCount: number): boolean {
  return (
    outer.buffer === inner.buffer &&
    outer.chunk <= inner.chunk &&
    inner.chunk + innerCount <= outer.chunk + outerCount
  );
}

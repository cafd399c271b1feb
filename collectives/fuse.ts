/**
 * Fuses steps, so that data passes through a rank without a detour.
 *
 * 1. A receive and the send of what it stored become `recvCopySend` or `recvReduceCopySend`. The
 *    data is then taken when it arrives instead of when the send's turn comes, so nothing between
 *    the two may touch the place, nor send anything else to the same peer on the same channel.
 * 2. A `recvReduceCopySend` whose store nobody reads before it is overwritten becomes
 *    `recvReduceSend`. What is left in `output` at the end is the result, and counts as read.
 *
 * Both use in-place memory, where more places coincide, and so hold out of place too.
 */
import { assert } from '../common/assert.ts';
import { type MemoryMap, overlaps } from './memory.ts';
import { readsOf, type Step } from './program.ts';
import { type ChannelStep, samePlace } from './round-steps.ts';
import type { Place } from './schedule.ts';

/** `steps` are all of one rank's, in one order over all channels; so is the result. */
export function fuse(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  return withoutDeadStores(withForwards(steps, memory), memory);
}

function withForwards(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  const fused: ChannelStep[] = [];
  const forwarded = new Set<number>();
  for (const [index, current] of steps.entries()) {
    if (forwarded.has(index)) continue;
    const sendIndex = forwardingSend(steps, index, memory);
    const send = steps[sendIndex ?? -1];
    if (sendIndex !== undefined) forwarded.add(sendIndex);
    fused.push(send === undefined ? current : merge(current, send.step));
  }
  return fused;
}

/** Index of the send that may be fused with the receive at `index`. */
function forwardingSend(
  steps: readonly ChannelStep[],
  index: number,
  memory: MemoryMap,
): number | undefined {
  const receive = steps[index] as ChannelStep;
  const { kind, dst, count } = receive.step;
  if ((kind !== 'recv' && kind !== 'recvReduceCopy') || dst === undefined) return undefined;
  const peersSentTo = new Set<number>();
  for (let later = index + 1; later < steps.length; later++) {
    const { channel, step } = steps[later] as ChannelStep;
    if (touches(step, dst, count, memory)) {
      const isForward =
        step.kind === 'send' &&
        channel === receive.channel &&
        step.count === count &&
        step.src !== undefined &&
        samePlace(step.src, dst) &&
        !peersSentTo.has(step.sendTo ?? -1);
      return isForward ? later : undefined;
    }
    if (channel === receive.channel && step.sendTo !== undefined) peersSentTo.add(step.sendTo);
  }
  return undefined;
}

function merge({ channel, step: receive }: ChannelStep, { sendTo, landing }: Step): ChannelStep {
  assert(sendTo !== undefined && landing !== undefined, 'Expected a send to name peer and landing');
  const kind = receive.kind === 'recv' ? 'recvCopySend' : 'recvReduceCopySend';
  return { channel, step: { ...receive, kind, sendTo, landing } };
}

function withoutDeadStores(steps: readonly ChannelStep[], memory: MemoryMap): ChannelStep[] {
  return steps.map((current, index) => {
    const { dst, ...step } = current.step;
    if (step.kind !== 'recvReduceCopySend' || dst === undefined) return current;
    if (isReadLater(steps.slice(index + 1), dst, step.count, memory)) return current;
    return { channel: current.channel, step: { ...step, kind: 'recvReduceSend' } };
  });
}

function isReadLater(
  later: readonly ChannelStep[],
  place: Place,
  count: number,
  memory: MemoryMap,
): boolean {
  for (const { step } of later) {
    const reads = readsOf(step);
    if (reads.some((read) => overlaps(memory, read, step.count, place, count))) return true;
    if (step.dst !== undefined && covers(step.dst, step.count, place, count)) return false;
  }
  return place.buffer !== 'scratch';
}

function touches(step: Step, place: Place, count: number, memory: MemoryMap): boolean {
  const places = step.dst === undefined ? readsOf(step) : [...readsOf(step), step.dst];
  return places.some((other) => overlaps(memory, other, step.count, place, count));
}

function covers(outer: Place, outerCount: number, inner: Place, innerCount: number): boolean {
  return (
    outer.buffer === inner.buffer &&
    outer.chunk <= inner.chunk &&
    inner.chunk + innerCount <= outer.chunk + outerCount
  );
}

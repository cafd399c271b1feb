/**
 * Deals a rank's steps to their channels, and orders those of different channels that touch a common
 * place, one of them writing, by `depends`.
 */
import { type MemoryMap, overlaps } from './memory.ts';
import { type Channel, readsOf, type Step, type StepRef } from './program.ts';
import type { ChannelStep } from './round-steps.ts';

/** `steps` in one order over all channels; `memory` in place, where more places coincide. */
export function dealToChannels(
  steps: readonly ChannelStep[],
  nchannels: number,
  memory: MemoryMap,
): Channel[] {
  const dealt: Step[][] = Array.from({ length: nchannels }, () => []);
  for (const { channel, step } of steps) {
    const depends: StepRef[] = [];
    for (const [other, otherSteps] of dealt.entries()) {
      const last = other === channel ? -1 : lastConflict(otherSteps, step, memory);
      if (last >= 0) depends.push({ channel: other, step: last });
    }
    dealt[channel]?.push({ ...step, depends });
  }
  return dealt.map((channelSteps, id) => ({ id, steps: channelSteps }));
}

/** Index of the last of `earlier` that must not overlap `step` in time; earlier ones follow from it. */
function lastConflict(earlier: readonly Step[], step: Step, memory: MemoryMap): number {
  return earlier.findLastIndex((other) => conflict(other, step, memory));
}

function conflict(a: Step, b: Step, memory: MemoryMap): boolean {
  return writesInto(a, b, memory) || writesInto(b, a, memory);
}

/** Whether `writer` writes what `other` reads or writes. */
function writesInto(writer: Step, other: Step, memory: MemoryMap): boolean {
  const { dst } = writer;
  if (dst === undefined) return false;
  const touched = other.dst === undefined ? readsOf(other) : [...readsOf(other), other.dst];
  return touched.some((place) => overlaps(memory, place, other.count, dst, writer.count));
}

/**
 * Lays programs of one channel out as MSCCL does: every thread block has at most one peer it sends to
 * and one it receives from. Here that is a channel, and all have the same lane.
 */
import { dealToChannels } from '../../collectives/depends.ts';
import { memoryMap } from '../../collectives/memory.ts';
import type { Program, Step } from '../../collectives/program.ts';
import type { Prng } from '../../common/prng.ts';
import { stepsOf } from './support.ts';

/** `prng` says where local steps go. */
export function asThreadBlocks(programs: readonly Program[], prng: Prng): Program[] {
  return programs.map((program) => {
    const steps = stepsOf(program);
    const groups = new PeerGroups();
    for (const { recvFrom, sendTo } of steps) groups.add(recvFrom, sendTo);
    const numbers = new Map<number, number>();
    const dealt = steps.map((step) => ({ channel: channelOf(step, groups, numbers, prng), step }));
    const memory = memoryMap(program, program.rank, true);
    const channels = dealToChannels(dealt, Math.max(1, numbers.size), memory);
    return { ...program, channels: channels.map((channel) => ({ ...channel, lane: 0 })) };
  });
}

function channelOf(
  { recvFrom, sendTo }: Step,
  groups: PeerGroups,
  numbers: Map<number, number>,
  prng: Prng,
): number {
  const group = groups.of(recvFrom, sendTo);
  if (group === undefined) {
    if (numbers.size === 0) numbers.set(-1, 0);
    return prng.below(numbers.size);
  }
  const known = numbers.get(group);
  if (known !== undefined) return known;
  const number = numbers.size;
  numbers.set(group, number);
  return number;
}

/** Ends of connections that must be of one channel, because some step has to do with both. */
class PeerGroups {
  /** By end: an end of the same group, itself if it stands for the group. */
  readonly #parents = new Map<number, number>();

  add(recvFrom: number | undefined, sendTo: number | undefined): void {
    const ends = endsOf(recvFrom, sendTo);
    for (const end of ends) if (!this.#parents.has(end)) this.#parents.set(end, end);
    const [first, second] = ends;
    if (first !== undefined && second !== undefined) {
      this.#parents.set(this.#root(first), this.#root(second));
    }
  }

  of(recvFrom: number | undefined, sendTo: number | undefined): number | undefined {
    const [end] = endsOf(recvFrom, sendTo);
    return end === undefined ? undefined : this.#root(end);
  }

  #root(end: number): number {
    const parent = this.#parents.get(end) ?? end;
    return parent === end ? end : this.#root(parent);
  }
}

/** Receiving ends are even, sending ends odd. */
function endsOf(recvFrom: number | undefined, sendTo: number | undefined): number[] {
  return [
    ...(recvFrom === undefined ? [] : [2 * recvFrom]),
    ...(sendTo === undefined ? [] : [2 * sendTo + 1]),
  ];
}

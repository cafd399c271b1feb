/**
 * Deals a rank's steps to their channels, and orders those of different channels that touch a common
 * place, one of them writing, by `depends`.
 */
import type { MemoryMap } from './memory.ts';
import { type Channel, readsOf, type Step, type StepRef } from './program.ts';
import type { ChannelStep } from './round-steps.ts';

const NOTHING: readonly StepRef[] = [];

/** `steps` in one order over all channels; `memory` in place, where more places coincide. */
export function dealToChannels(
  steps: readonly ChannelStep[],
  nchannels: number,
  memory: MemoryMap,
): Channel[] {
  const dealt: Step[][] = Array.from({ length: nchannels }, () => []);
  const uses = new Uses(nchannels, memory);
  for (const { channel, step } of steps) {
    const own = dealt[channel];
    if (own === undefined) continue;
    const depends = nchannels === 1 ? NOTHING : uses.add({ channel, step: own.length }, step);
    own.push(depends.length === 0 ? step : { ...step, depends });
  }
  return dealt.map((channelSteps, id) => ({ id, lane: id, steps: channelSteps }));
}

/** The last steps of a channel that read and that wrote a location. */
interface Use {
  readonly channel: number;
  lastRead: number;
  lastWrite: number;
}

const NEVER = -1;

/** Who has used each location. */
class Uses {
  readonly #memory: MemoryMap;
  readonly #byLocation: (Use[] | undefined)[];
  /** By channel: its last step so far that must not overlap the present one in time. */
  readonly #conflicts: Int32Array;

  constructor(nchannels: number, memory: MemoryMap) {
    this.#memory = memory;
    this.#byLocation = Array.from({ length: memory.size });
    this.#conflicts = new Int32Array(nchannels).fill(NEVER);
  }

  /**
   * The next step of its channel. Returns, of every other channel, the last step that touches what it
   * writes or writes what it touches: the earlier ones there follow from it.
   */
  add(at: StepRef, step: Step): StepRef[] {
    for (const place of readsOf(step)) {
      const start = this.#memory.locate(place);
      for (let offset = 0; offset < step.count; offset++) this.#read(at, start + offset);
    }
    if (step.dst !== undefined) {
      const start = this.#memory.locate(step.dst);
      for (let offset = 0; offset < step.count; offset++) this.#write(at, start + offset);
    }
    const depends: StepRef[] = [];
    for (let channel = 0; channel < this.#conflicts.length; channel++) {
      const last = this.#conflicts[channel] as number;
      if (last !== NEVER && channel !== at.channel) depends.push({ channel, step: last });
    }
    this.#conflicts.fill(NEVER);
    return depends;
  }

  #read(at: StepRef, location: number): void {
    const uses = this.#usesOf(location);
    for (const { channel, lastWrite } of uses) this.#conflict(channel, lastWrite);
    useOf(at.channel, uses).lastRead = at.step;
  }

  #write(at: StepRef, location: number): void {
    const uses = this.#usesOf(location);
    for (const { channel, lastRead, lastWrite } of uses) {
      this.#conflict(channel, Math.max(lastRead, lastWrite));
    }
    useOf(at.channel, uses).lastWrite = at.step;
  }

  #conflict(channel: number, step: number): void {
    this.#conflicts[channel] = Math.max(step, this.#conflicts[channel] as number);
  }

  #usesOf(location: number): Use[] {
    let uses = this.#byLocation[location];
    if (uses === undefined) {
      uses = [];
      this.#byLocation[location] = uses;
    }
    return uses;
  }
}

function useOf(channel: number, uses: Use[]): Use {
  for (const use of uses) if (use.channel === channel) return use;
  const use = { channel, lastRead: NEVER, lastWrite: NEVER };
  uses.push(use);
  return use;
}

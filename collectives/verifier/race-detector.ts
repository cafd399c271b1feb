/**
 * Finds data races within a rank: two steps of different channels that touch a location, one of them
 * writing, with nothing that orders them. Two reductions into one location are two writes.
 *
 * A location remembers its last writer and who has read it since: who is ordered after the last writer
 * is so after those before. (Flanagan and Freund, "FastTrack: efficient and precise dynamic race
 * detection", 2009.)
 */
import type { StepAddress } from '../interpret.ts';
import { isOntoItself, type MemoryMap } from '../memory.ts';
import type { Step, StepRef } from '../program.ts';
import type { Place } from '../schedule.ts';
import { NONE } from '../wiring.ts';

/** Whether `earlier` has finished for sure when the step at `at` begins. */
export type IsOrdered = (earlier: StepRef, at: StepAddress) => boolean;

/** A step that has touched a place, and the place. */
export interface Rival extends StepRef {
  readonly place: Place;
}

const NOBODY: readonly Rival[] = [];

export class RaceDetector {
  readonly #memory: MemoryMap;
  readonly #isOrdered: IsOrdered;
  /** By location: channel and step that wrote it last, and one that has read it since. */
  readonly #writer: Int32Array;
  readonly #writeStep: Int32Array;
  readonly #reader: Int32Array;
  readonly #readStep: Int32Array;
  /** By location: the last reading step of each further channel. */
  readonly #readers = new Map<number, Map<number, number>>();

  constructor(memory: MemoryMap, isOrdered: IsOrdered) {
    this.#memory = memory;
    this.#isOrdered = isOrdered;
    this.#writer = new Int32Array(memory.size).fill(NONE);
    this.#writeStep = new Int32Array(memory.size);
    this.#reader = new Int32Array(memory.size).fill(NONE);
    this.#readStep = new Int32Array(memory.size);
  }

  /**
   * A step runs. Steps come in an order in which those that it is ordered after came before. Returns
   * the steps that it races with; of a pair of steps, one place is enough.
   */
  run(at: StepAddress, step: Step): readonly Rival[] {
    const { kind, src, dst } = step;
    if (isOntoItself(this.#memory, step)) return NOBODY;
    let rivals = NOBODY;
    const touch = (place: Place, writes: boolean): void => {
      const start = this.#memory.locate(place);
      for (let offset = 0; offset < step.count; offset++) {
        const found = writes ? this.#write(at, start + offset) : this.#read(at, start + offset);
        if (found === undefined) continue;
        if (rivals.some((known) => known.channel === found.channel && known.step === found.step))
          continue;
        const { buffer, chunk } = place;
        rivals = [...rivals, { ...found, place: { buffer, chunk: chunk + offset } }];
      }
    };
    if (src !== undefined) touch(src, false);
    if (kind === 'reduce' && dst !== undefined) touch(dst, false);
    if (dst !== undefined) touch(dst, true);
    return rivals;
  }

  #read(at: StepAddress, location: number): StepRef | undefined {
    const rival = this.#unordered(at, this.#writer, this.#writeStep, location);
    const reader = this.#reader[location] as number;
    if (reader === NONE || reader === at.channel) {
      this.#reader[location] = at.channel;
      this.#readStep[location] = at.step;
      return rival;
    }
    const readers = this.#readers.get(location) ?? new Map<number, number>();
    readers.set(at.channel, at.step);
    this.#readers.set(location, readers);
    return rival;
  }

  #write(at: StepAddress, location: number): StepRef | undefined {
    let rival = this.#unordered(at, this.#writer, this.#writeStep, location);
    rival ??= this.#unordered(at, this.#reader, this.#readStep, location);
    if (this.#readers.size > 0) {
      for (const [channel, step] of this.#readers.get(location) ?? []) {
        if (channel === at.channel || this.#isOrdered({ channel, step }, at)) continue;
        rival ??= { channel, step };
      }
      this.#readers.delete(location);
    }
    this.#reader[location] = NONE;
    this.#writer[location] = at.channel;
    this.#writeStep[location] = at.step;
    return rival;
  }

  #unordered(
    at: StepAddress,
    channels: Int32Array,
    steps: Int32Array,
    location: number,
  ): StepRef | undefined {
    const channel = channels[location] as number;
    if (channel === NONE || channel === at.channel) return undefined;
    const earlier = { channel, step: steps[location] as number };
    return this.#isOrdered(earlier, at) ? undefined : earlier;
  }
}

/**
 * Finds data races within a rank: two steps of different channels that touch a location, one of them
 * writing, with no way from one to the other along channels and `depends`.
 *
 * Each channel carries a vector clock: for every channel, how many of its steps have finished for
 * sure. Order that only comes about through other ranks' messages is not counted: no executor need
 * keep it. (Flanagan and Freund, "FastTrack: efficient and precise dynamic race detection", 2009.)
 */
import type { StepRef } from '../program.ts';

/** By channel, how many steps have finished. */
type VectorClock = Int32Array;

const NEVER = -1;

export class RaceDetector {
  readonly #nchannels: number;
  /** Per channel: the clock of its latest step, and the clocks after each step. */
  readonly #clocks: VectorClock[];
  readonly #after: VectorClock[][];
  /** Index of the last step of channel c that read or wrote a location, at `location * n + c`. */
  readonly #lastRead: Int32Array;
  readonly #lastWrite: Int32Array;

  constructor(nchannels: number, locations: number) {
    this.#nchannels = nchannels;
    const clock = (): VectorClock => new Int32Array(nchannels);
    this.#clocks = Array.from({ length: nchannels }, clock);
    this.#after = Array.from({ length: nchannels }, () => []);
    this.#lastRead = new Int32Array(locations * nchannels).fill(NEVER);
    this.#lastWrite = new Int32Array(locations * nchannels).fill(NEVER);
  }

  /** A step begins. Steps come in an order in which those it depends on came before. */
  begin({ channel }: StepRef, depends: readonly StepRef[]): void {
    const clock = this.#clocks[channel] as VectorClock;
    for (const ref of depends) {
      const finished = this.#after[ref.channel]?.[ref.step];
      if (finished === undefined) continue;
      for (let other = 0; other < this.#nchannels; other++) {
        clock[other] = Math.max(clock[other] as number, finished[other] as number);
      }
    }
  }

  /** The step reads `location`; returns a step that it races with, if there is one. */
  read(at: StepRef, location: number): StepRef | undefined {
    const rival = this.#unordered(at.channel, location, this.#lastWrite);
    this.#lastRead[location * this.#nchannels + at.channel] = at.step;
    return rival;
  }

  /** The step writes `location`; returns a step that it races with, if there is one. */
  write(at: StepRef, location: number): StepRef | undefined {
    const rival =
      this.#unordered(at.channel, location, this.#lastWrite) ??
      this.#unordered(at.channel, location, this.#lastRead);
    this.#lastWrite[location * this.#nchannels + at.channel] = at.step;
    return rival;
  }

  /** The step ends. */
  end({ channel, step }: StepRef): void {
    const clock = this.#clocks[channel] as VectorClock;
    clock[channel] = step + 1;
    this.#after[channel]?.push(clock.slice());
  }

  #unordered(channel: number, location: number, last: Int32Array): StepRef | undefined {
    const clock = this.#clocks[channel] as VectorClock;
    for (let other = 0; other < this.#nchannels; other++) {
      const step = last[location * this.#nchannels + other] as number;
      if (other !== channel && step >= (clock[other] as number)) return { channel: other, step };
    }
    return undefined;
  }
}

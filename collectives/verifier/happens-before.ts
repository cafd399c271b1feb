/**
 * Which steps have finished for sure when another begins: those before it in its channel, those it
 * depends on, and so on from these; with `messages`, also the steps that send what is received.
 *
 * Instead of a clock with every step, each channel that is asked about keeps one: how many steps of
 * every other channel are known to have finished. It is brought forward when a later step asks, so
 * that all steps are gone over once per channel that asks, and only if some place is shared.
 * (Chain clocks: Agarwal and Garg, "Efficient dependency tracking for relevant events", 2005.)
 */
import { HlsimError } from '../../common/errors.ts';
import type { StepAddress } from '../interpret.ts';
import type { Step, StepRef } from '../program.ts';
import { NONE, type Process, processAt, type Wiring } from '../wiring.ts';

/** What a channel knows of the others, up to one of its steps. */
interface Clock {
  /** By process, from `HappensBefore.#base` on: how many of its steps have finished. */
  readonly finished: Int32Array;
  /** Number of its processes' first. */
  readonly base: number;
  /** Steps of its own whose predecessors it has taken in. */
  known: number;
}

const ALL_STEPS = 0x7fffffff;

/** What all clocks may take. With very many channels the oldest make room, and are made anew if asked. */
const CLOCK_BYTES_MAX = 2 ** 27;
/** Steps gone through, and channels set up, for all clocks: some ten seconds of work. */
const WORK_MAX = 2 ** 31;

/**
 * Whether `earlier` has finished when the step at `at` of the same rank begins. Steps of a channel ask
 * in order. What `depends` says is looked at first: it costs less, and is mostly all there is.
 */
export function orderOf(
  wiring: Wiring,
  { messages }: { readonly messages: boolean },
): (earlier: StepRef, at: StepAddress) => boolean {
  const explicit = new HappensBefore(wiring, { messages: false });
  const implied = messages ? new HappensBefore(wiring, { messages: true }) : undefined;
  return (earlier, { rank, channel, step }) => {
    const other = processAt(wiring, rank, earlier.channel);
    const process = processAt(wiring, rank, channel);
    if (explicit.isBefore(other, earlier.step, process, step)) return true;
    return implied?.isBefore(other, earlier.step, process, step) ?? false;
  };
}

export class HappensBefore {
  readonly #wiring: Wiring;
  /** By number of a step that receives: number of the step that sends; `undefined`: not counted. */
  readonly #senders: Int32Array | undefined;
  /** By process, oldest first. */
  readonly #clocks = new Map<number, Clock>();
  #clockBytes = 0;
  #work = 0;
  /** By number of a step: steps that it was ordered after since. */
  readonly #added = new Map<number, StepRef[]>();
  readonly #pending: number[] = [];

  constructor(wiring: Wiring, { messages }: { readonly messages: boolean }) {
    this.#wiring = wiring;
    this.#senders = messages ? sendersOf(wiring) : undefined;
  }

  /**
   * Whether step `earlier` of process `other` has finished when step `step` of `process` begins. Both
   * are of one rank, and whoever asks goes through the steps of `process` in order.
   */
  isBefore(other: number, earlier: number, process: number, step: number): boolean {
    const clock = this.#clockAt(process, step);
    return (clock.finished[other - clock.base] as number) > earlier;
  }

  /** From now on, step `earlier` of process `other` comes before this step, which asked last. */
  addOrder(other: number, earlier: number, process: number, step: number): void {
    const { firstStep } = this.#processAt(process);
    const { channel } = this.#processAt(other);
    const added = this.#added.get(firstStep + step) ?? [];
    added.push({ channel, step: earlier });
    this.#added.set(firstStep + step, added);
    const clock = this.#clockAt(process, step);
    this.#pending.push(other, earlier);
    this.#takeInPending(clock);
  }

  #clockAt(process: number, step: number): Clock {
    let clock = this.#clocks.get(process);
    if (clock === undefined) {
      clock = this.#newClock(process);
      this.#clocks.set(process, clock);
      this.#clockBytes += clock.finished.byteLength;
      this.#makeRoom();
    }
    while (clock.known <= step) {
      this.#pushPredecessors(clock, process, clock.known++);
      this.#takeInPending(clock);
    }
    return clock;
  }

  #makeRoom(): void {
    for (const [process, { finished }] of this.#clocks) {
      if (this.#clockBytes <= CLOCK_BYTES_MAX || this.#clocks.size === 1) return;
      this.#clocks.delete(process);
      this.#clockBytes -= finished.byteLength;
    }
  }

  #newClock(process: number): Clock {
    const { processes, firstProcess } = this.#wiring;
    const { rank } = this.#processAt(process);
    const isLocal = this.#senders === undefined;
    const base = isLocal ? (firstProcess[rank] as number) : 0;
    const end = isLocal ? (firstProcess[rank + 1] ?? processes.length) : processes.length;
    const finished = new Int32Array(end - base);
    this.#addWork(finished.length);
    finished[process - base] = ALL_STEPS;
    return { finished, base, known: 0 };
  }

  /** Takes in the pending steps, and all that came before them. */
  #takeInPending(clock: Clock): void {
    const { finished, base } = clock;
    const pending = this.#pending;
    while (pending.length > 0) {
      const last = pending.pop() as number;
      const process = pending.pop() as number;
      const first = finished[process - base] as number;
      if (first > last) continue;
      finished[process - base] = last + 1;
      this.#addWork(last + 1 - first);
      for (let step = first; step <= last; step++) this.#pushPredecessors(clock, process, step);
    }
  }

  #addWork(steps: number): void {
    this.#work += steps;
    if (this.#work <= WORK_MAX) return;
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      'Expected a schedule whose steps that share places are ordered by few others, but to look for what ' +
        `orders them takes more than ${WORK_MAX} steps: such a schedule is too large to be proved`,
    );
  }

  /** What orders the step directly, but for its channel, as far as it is news to the clock. */
  #pushPredecessors(clock: Clock, process: number, step: number): void {
    const { rank, steps, firstStep } = this.#processAt(process);
    const number = firstStep + step;
    const first = this.#wiring.firstProcess[rank] as number;
    for (const ref of (steps[step] as Step).depends) {
      this.#push(clock, first + ref.channel, ref.step);
    }
    if (this.#added.size > 0) {
      for (const ref of this.#added.get(number) ?? []) {
        this.#push(clock, first + ref.channel, ref.step);
      }
    }
    const sender = this.#senders?.[number] ?? NONE;
    if (sender === NONE) return;
    const other = this.#wiring.processOf[sender] as number;
    this.#push(clock, other, sender - this.#processAt(other).firstStep);
  }

  #push({ finished, base }: Clock, process: number, step: number): void {
    if ((finished[process - base] as number) <= step) this.#pending.push(process, step);
  }

  #processAt(number: number): Process {
    return this.#wiring.processes[number] as Process;
  }
}

/** By number of a step that receives, the number of the step that sends its message, else `NONE`. */
function sendersOf({ connections, takes }: Wiring): Int32Array {
  const senders = new Int32Array(takes.length).fill(NONE);
  for (const { sends, receives } of connections) {
    for (const [index, receive] of receives.entries()) senders[receive] = sends[index] ?? NONE;
  }
  return senders;
}

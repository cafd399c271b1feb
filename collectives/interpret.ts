/**
 * Runs all ranks' programs in one order that their meaning allows: first-in first-out connections,
 * steps of a channel in turn, `depends` honoured. What a message is, and what a step does, is the
 * caller's: the verifier passes symbols, the cost model times, the reference executor numbers.
 *
 * Which of the allowed orders it is does not matter to a program without races, nor whether it ends
 * in a deadlock (Kahn, "The semantics of a simple language for parallel programming", 1974). Who
 * wants to see that for himself lets `choose` pick one.
 */
import { assert } from '../common/assert.ts';
import { Fifo } from './fifo.ts';
import type { Program, Step, StepRef } from './program.ts';
import type { Rank } from './schedule.ts';
import { NONE, type Process, processAt, processAtEnd, type Wiring, wire } from './wiring.ts';

/** Where a step is. */
export interface StepAddress {
  readonly rank: Rank;
  readonly channel: number;
  readonly step: number;
}

/** Carries out a step. `message` is there if it receives; the result is sent if it sends. */
export type Visit<M> = (at: StepAddress, step: Step, message: M | undefined) => M | undefined;

/** A step that can never run, and the one step that it waits for. */
export interface BlockedStep extends StepAddress {
  /** `undefined` if no channel has the other end of its connection, or the step is none. */
  readonly waitsFor: StepAddress | undefined;
  readonly reason: 'message' | 'room' | 'depends';
}

export interface InterpretOptions {
  /**
   * Messages that a connection holds at most; unbounded if absent. A step that receives and sends
   * takes its message only when there is room for the one it sends.
   */
  readonly depth?: number;
  /**
   * Picks one of the `count` channels that may be able to go on, for one step: a number below `count`.
   * With random numbers every allowed order can come up. Absent: an order that is quick to follow.
   */
  readonly choose?: (count: number) => number;
}

/**
 * Returns the first unfinished step of every channel that cannot go on; empty if all ended. One
 * channel alone sends the messages of a connection, and one alone receives them.
 */
export function interpret<M>(
  programs: readonly Program[],
  visit: Visit<M>,
  options: InterpretOptions = {},
): BlockedStep[] {
  return interpretWired(wire(programs), visit, options);
}

/** As `interpret`, for who has the wiring already. */
export function interpretWired<M>(
  wiring: Wiring,
  visit: Visit<M>,
  { depth = Number.POSITIVE_INFINITY, choose }: InterpretOptions = {},
): BlockedStep[] {
  assert(depth >= 1, `Expected a depth of at least 1 but found ${depth}`);
  return new Interpreter(wiring, visit, depth).run(choose);
}

class Interpreter<M> {
  readonly #wiring: Wiring;
  readonly #visit: Visit<M>;
  readonly #depth: number;
  readonly #ready: ReadyProcesses;
  readonly #fifos: readonly Fifo<M>[];
  /** By process: index of its next step; those before it have finished. */
  readonly #next: Int32Array;
  /** By process: those whose next step depends on a step of it that it has not finished. */
  readonly #waiters: (number[] | undefined)[];
  /** By process: how many steps it must have finished for the first of its waiters to go on. */
  readonly #awaited: Int32Array;
  /** By process: the one among whose waiters it is, or `NONE`. */
  readonly #waitsAt: Int32Array;
  /** By process: how many dependencies of its next step are met. */
  readonly #met: Int32Array;

  constructor(wiring: Wiring, visit: Visit<M>, depth: number) {
    const { processes, connections } = wiring;
    this.#wiring = wiring;
    this.#visit = visit;
    this.#depth = depth;
    this.#ready = new ReadyProcesses(processes.length);
    this.#next = new Int32Array(processes.length);
    this.#waiters = Array.from({ length: processes.length });
    this.#awaited = new Int32Array(processes.length);
    this.#waitsAt = new Int32Array(processes.length).fill(NONE);
    this.#met = new Int32Array(processes.length);
    this.#fifos = connections.map(
      (connection) =>
        new Fifo(
          processAtEnd(wiring, connection, 'sends'),
          processAtEnd(wiring, connection, 'receives'),
        ),
    );
  }

  run(choose?: (count: number) => number): BlockedStep[] {
    const { processes } = this.#wiring;
    for (let index = 0; index < processes.length; index++) this.#ready.add(index);
    while (this.#ready.count > 0) {
      const process = this.#ready.take(choose === undefined ? 0 : choose(this.#ready.count));
      if (choose === undefined) while (this.#runNext(process)) {}
      else if (this.#runNext(process)) this.#ready.add(process);
    }
    return processes.flatMap((_, process) => this.#obstacle(process) ?? []);
  }

  #runNext(number: number): boolean {
    const { processes, takes, puts } = this.#wiring;
    const { rank, channel, steps, firstStep } = processes[number] as Process;
    const index = this.#next[number] as number;
    const step = steps[index];
    if (step === undefined) return false;
    if (step.depends.length > 0 && !this.#dependsAreMet(number, rank, step)) return false;
    const incoming = this.#fifo(takes, firstStep + index);
    const outgoing = this.#fifo(puts, firstStep + index);
    if (incoming !== undefined && incoming.size === 0) return false;
    if (outgoing !== undefined && outgoing.size >= this.#depth) return false;
    let message: M | undefined;
    if (incoming !== undefined) {
      message = incoming.take();
      this.#ready.add(incoming.sender);
    }
    const sent = this.#visit({ rank, channel, step: index }, step, message);
    this.#next[number] = index + 1;
    this.#met[number] = 0;
    if (outgoing !== undefined) {
      if (sent === undefined) throw new TypeError(`Expected the message of ${step.kind}`);
      outgoing.put(sent);
      this.#ready.add(outgoing.receiver);
    }
    this.#wakeWaiters(number);
    return true;
  }

  #fifo(connections: Int32Array, step: number): Fifo<M> | undefined {
    const connection = connections[step] as number;
    return connection === NONE ? undefined : this.#fifos[connection];
  }

  #dependsAreMet(number: number, rank: Rank, { depends }: Step): boolean {
    for (let index = this.#met[number] as number; index < depends.length; index++) {
      const ref = depends[index] as StepRef;
      const other = processAt(this.#wiring, rank, ref.channel);
      if ((this.#next[other] ?? 0) > ref.step) continue;
      this.#met[number] = index;
      if (other !== NONE) this.#waitFor(other, ref.step + 1, number);
      return false;
    }
    this.#met[number] = depends.length;
    return true;
  }

  #waitFor(other: number, steps: number, waiter: number): void {
    if (this.#waitsAt[waiter] === other) return;
    this.#waitsAt[waiter] = other;
    const waiters = this.#waiters[other];
    if (waiters !== undefined) waiters.push(waiter);
    else this.#waiters[other] = [waiter];
    const isFirst = waiters === undefined || steps < (this.#awaited[other] as number);
    if (isFirst) this.#awaited[other] = steps;
  }

  #wakeWaiters(number: number): void {
    const waiters = this.#waiters[number];
    if (waiters === undefined) return;
    if ((this.#next[number] as number) < (this.#awaited[number] as number)) return;
    this.#waiters[number] = undefined;
    for (const waiter of waiters) {
      this.#waitsAt[waiter] = NONE;
      this.#ready.add(waiter);
    }
  }

  /** Why the process cannot run its next step now. */
  #obstacle(number: number): BlockedStep | undefined {
    const { processes, takes, puts } = this.#wiring;
    const { rank, channel, steps, firstStep } = processes[number] as Process;
    const index = this.#next[number] as number;
    const step = steps[index];
    if (step === undefined) return undefined;
    const blocked = (reason: BlockedStep['reason'], waitsFor?: StepAddress): BlockedStep => {
      return { rank, channel, step: index, reason, waitsFor };
    };
    const isUnmet = (ref: { channel: number; step: number }): boolean =>
      (this.#next[processAt(this.#wiring, rank, ref.channel)] ?? 0) <= ref.step;
    const unmet = step.depends.find(isUnmet);
    if (unmet !== undefined) return blocked('depends', { rank, ...unmet });
    const incoming = this.#fifo(takes, firstStep + index);
    if (incoming?.size === 0) return blocked('message', this.#nextOf(incoming.sender));
    const outgoing = this.#fifo(puts, firstStep + index);
    const isFull = outgoing !== undefined && outgoing.size >= this.#depth;
    return isFull ? blocked('room', this.#nextOf(outgoing.receiver)) : undefined;
  }

  #nextOf(number: number): StepAddress | undefined {
    const process = this.#wiring.processes[number];
    const step = this.#next[number];
    if (process === undefined || step === undefined) return undefined;
    return { rank: process.rank, channel: process.channel, step };
  }
}

/** Processes that may be able to go on: each is in it at most once. */
class ReadyProcesses {
  readonly #queue: Int32Array;
  readonly #isQueued: Uint8Array;
  #head = 0;
  count = 0;

  constructor(processes: number) {
    this.#queue = new Int32Array(processes);
    this.#isQueued = new Uint8Array(processes);
  }

  add(process: number): void {
    if (process === NONE || this.#isQueued[process] === 1) return;
    this.#isQueued[process] = 1;
    this.#queue[(this.#head + this.count++) % this.#queue.length] = process;
  }

  /** Takes the one at `position`; the first one goes to its place. */
  take(position: number): number {
    const queue = this.#queue;
    const at = (this.#head + position) % queue.length;
    const process = queue[at] as number;
    queue[at] = queue[this.#head] as number;
    this.#head = (this.#head + 1) % queue.length;
    this.count--;
    this.#isQueued[process] = 0;
    return process;
  }
}

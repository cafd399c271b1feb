/**
 * Runs all ranks' programs in one order that their meaning allows: first-in first-out connections,
 * steps of a channel in turn, `depends` honoured. What a message is, and what a step does, is the
 * caller's: the verifier passes symbols, the cost model times, the reference executor numbers.
 *
 * Which of the allowed orders it is does not matter to a program without races, nor whether it ends
 * in a deadlock (Kahn, "The semantics of a simple language for parallel programming", 1974).
 */
import { assert, defined } from '../common/assert.ts';
import { type Program, receives, type Step, sends } from './program.ts';
import type { Rank } from './schedule.ts';

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
  readonly waitsFor: StepAddress;
  readonly reason: 'message' | 'room' | 'depends';
}

export interface InterpretOptions {
  /**
   * Messages that a connection holds at most; unbounded if absent. A step that receives and sends
   * takes its message only when there is room for the one it sends.
   */
  readonly depth?: number;
}

interface Process {
  readonly rank: Rank;
  readonly channel: number;
  readonly steps: readonly Step[];
  /** Index of the step to run next; those before it have finished. */
  next: number;
  isQueued: boolean;
}

/** Returns the first unfinished step of every channel that cannot go on; empty if all ended. */
export function interpret<M>(
  programs: readonly Program[],
  visit: Visit<M>,
  { depth = Number.POSITIVE_INFINITY }: InterpretOptions = {},
): BlockedStep[] {
  assert(depth >= 1, `Expected a depth of at least 1 but found ${depth}`);
  return new Interpreter(programs, visit, depth).run();
}

class Interpreter<M> {
  readonly #processes: readonly (readonly Process[])[];
  readonly #connections = new Map<string, Fifo<M>>();
  readonly #visit: Visit<M>;
  readonly #depth: number;
  readonly #ready: Process[] = [];

  constructor(programs: readonly Program[], visit: Visit<M>, depth: number) {
    this.#visit = visit;
    this.#depth = depth;
    this.#processes = programs.map(({ rank, channels }) =>
      channels.map(({ id, steps }) => ({ rank, channel: id, steps, next: 0, isQueued: false })),
    );
  }

  run(): BlockedStep[] {
    const all = this.#processes.flat();
    for (const process of all) this.#wake(process);
    for (let index = 0; index < this.#ready.length; index++) {
      const process = this.#ready[index] as Process;
      process.isQueued = false;
      while (this.#runNext(process)) {}
    }
    return all.flatMap((process) => this.#obstacle(process) ?? []);
  }

  #runNext(process: Process): boolean {
    const step = process.steps[process.next];
    if (step === undefined || this.#obstacle(process) !== undefined) return false;
    const { rank, channel } = process;
    const message = receives(step.kind) ? this.#take(process, step) : undefined;
    const sent = this.#visit({ rank, channel, step: process.next }, step, message);
    process.next++;
    if (sends(step.kind)) this.#put(process, step, defined(sent, `the message of ${step.kind}`));
    for (const sibling of this.#processes[rank] ?? []) {
      if ((sibling.steps[sibling.next]?.depends.length ?? 0) > 0) this.#wake(sibling);
    }
    return true;
  }

  /** Why the process cannot run its next step now. */
  #obstacle({ rank, channel, steps, next }: Process): BlockedStep | undefined {
    const step = steps[next];
    if (step === undefined) return undefined;
    const blocked = (reason: BlockedStep['reason'], waitsFor: StepAddress): BlockedStep => {
      return { rank, channel, step: next, reason, waitsFor };
    };
    const unmet = step.depends.find((ref) => this.#nextOf(rank, ref.channel) <= ref.step);
    if (unmet !== undefined) return blocked('depends', { rank, ...unmet });
    const awaits = (peer: Rank): StepAddress => {
      return { rank: peer, channel, step: this.#nextOf(peer, channel) };
    };
    if (receives(step.kind)) {
      const peer = defined(step.recvFrom, 'recvFrom of a receiving step');
      if (this.#connection(peer, rank, channel).size === 0) return blocked('message', awaits(peer));
    }
    if (sends(step.kind)) {
      const peer = defined(step.sendTo, 'sendTo of a sending step');
      const isFull = this.#connection(rank, peer, channel).size >= this.#depth;
      if (isFull) return blocked('room', awaits(peer));
    }
    return undefined;
  }

  #take({ rank, channel }: Process, step: Step): M {
    const peer = defined(step.recvFrom, 'recvFrom of a receiving step');
    const message = this.#connection(peer, rank, channel).take();
    this.#wake(this.#processes[peer]?.[channel]);
    return message;
  }

  #put({ rank, channel }: Process, step: Step, message: M): void {
    const peer = defined(step.sendTo, 'sendTo of a sending step');
    this.#connection(rank, peer, channel).put(message);
    this.#wake(this.#processes[peer]?.[channel]);
  }

  #nextOf(rank: Rank, channel: number): number {
    return this.#processes[rank]?.[channel]?.next ?? 0;
  }

  #connection(src: Rank, dst: Rank, channel: number): Fifo<M> {
    const key = `${src} ${dst} ${channel}`;
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      connection = new Fifo();
      this.#connections.set(key, connection);
    }
    return connection;
  }

  #wake(process: Process | undefined): void {
    if (process === undefined || process.isQueued) return;
    process.isQueued = true;
    this.#ready.push(process);
  }
}

class Fifo<M> {
  readonly #messages: M[] = [];
  #taken = 0;

  get size(): number {
    return this.#messages.length - this.#taken;
  }

  put(message: M): void {
    this.#messages.push(message);
  }

  take(): M {
    assert(this.size > 0, 'Expected a message to take');
    return this.#messages[this.#taken++] as M;
  }
}

/**
 * Cards whose work is that of one thread on cores that they share (`CardHost`). A thread does one thing at a time:
 * of the tasks that are ready the first in the order of the program, and of that the issue, then the reduction or
 * copy. A task that finds its thread idle begins a turn of the thread's event loop, which takes work of its own;
 * what becomes ready while the thread is busy is done in the same turn.
 */
import type { DelayFactor } from './jitter.ts';
import type { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';
import { SharedCores } from './shared-cores.ts';
import { COPIES, NONE, REDUCES } from './templates.ts';
import { COPY, ISSUE, REDUCTION, type Trail, WAITING } from './trail.ts';
import { WaitingLists } from './waiting-lists.ts';

/** Kind of the event that a task is ready for its thread; the detail is the task. */
export const THREAD_ASK = 3;

/** What a thread is doing. */
const IDLE = 0;
const ISSUING = 1;
const WORKING = 2;

export interface HostThreadsInit {
  readonly plan: Plan;
  readonly queue: MomentQueue;
  readonly trail: Trail | undefined;
  readonly delay: DelayFactor | undefined;
  /** The task's work is done, at `time`. */
  readonly finish: (instance: number, task: number, time: number, cause: number) => void;
}

/** By instance, if it has a host. */
export class HostThreads {
  readonly #init: HostThreadsInit;
  readonly #cores: readonly SharedCores[];
  readonly #waiting: WaitingLists;
  readonly #state: Uint8Array;
  readonly #task: Int32Array;
  readonly #begin: Float64Array;
  readonly #cause: Int32Array;
  /** Its last piece of work. */
  readonly #freedBy: Int32Array;
  readonly #concerned: number[] = [];

  constructor(init: HostThreadsInit) {
    this.#init = init;
    const { instances, cores, simulated } = init.plan;
    const weight = simulated.size;
    this.#cores = cores.map(
      (count, number) => new SharedCores({ number, count, weight, queue: init.queue }),
    );
    this.#waiting = new WaitingLists(instances.count);
    this.#state = new Uint8Array(instances.count);
    this.#task = new Int32Array(instances.count);
    this.#begin = new Float64Array(instances.count);
    this.#cause = new Int32Array(instances.count).fill(NONE);
    this.#freedBy = new Int32Array(instances.count).fill(NONE);
  }

  /** Whether the instance's work is done by one of these threads. */
  has(instance: number): boolean {
    return this.#init.plan.instances.cores[instance] !== NONE;
  }

  /** The task is ready, at `time`, which may lie ahead. */
  ask(instance: number, task: number, time: number, cause: number): void {
    this.#init.queue.add(time, THREAD_ASK, instance, task, cause);
  }

  /** A task that has asked is ready now. */
  asked(instance: number, task: number, now: number, cause: number): void {
    this.#waiting.add(instance, task, now, cause);
    this.#concerned.push(instance);
  }

  /** Threads of these cores are done with what they were doing. */
  ended(cores: number, version: number, now: number): void {
    for (const instance of this.#cores[cores]?.take(version, now) ?? []) this.#end(instance, now);
  }

  /** Gives idle threads the next of their tasks that are ready. */
  serve(now: number): void {
    for (const instance of this.#concerned) {
      while (this.#state[instance] === IDLE && !this.#waiting.isEmpty(instance)) {
        this.#next(instance, now);
      }
    }
    this.#concerned.length = 0;
  }

  settle(now: number): void {
    for (const cores of this.#cores) cores.settle(now);
  }

  #next(instance: number, now: number): void {
    const { trail } = this.#init;
    const waiting = this.#waiting;
    waiting.take(instance);
    const { task, time } = waiting;
    this.#task[instance] = task;
    let by = waiting.cause;
    if (time < now) {
      trail?.add({ activity: WAITING, instance, task, begin: time, end: now }, by);
      by = this.#freedBy[instance] as number;
    }
    const seconds = this.#issueSeconds(instance, task, time < now);
    if (seconds > 0) this.#give(instance, ISSUING, seconds, now, by);
    else this.#issued(instance, now, by);
  }

  /** With what a turn takes, if one begins. */
  #issueSeconds(instance: number, task: number, hasWaited: boolean): number {
    const { plan, delay } = this.#init;
    const { issueSeconds, turnSeconds, rank } = plan.instances;
    const turn = hasWaited ? 0 : (turnSeconds[instance] as number);
    const seconds = (issueSeconds[instance] as number) + turn;
    if (delay === undefined) return seconds;
    return seconds * delay(~(rank[instance] as number), plan.templates.stepOf[task] as number);
  }

  /** The issue is done: what remains of the task is a reduction, a copy or nothing. */
  #issued(instance: number, now: number, cause: number): void {
    const { templates, instances } = this.#init.plan;
    const task = this.#task[instance] as number;
    const kind = templates.kind[templates.stepOf[task] as number] as number;
    const bytes = templates.bytes[task] as number;
    if ((kind & (REDUCES | COPIES)) === 0 || bytes === 0) {
      this.#free(instance, cause);
      this.#init.finish(instance, task, now, cause);
      return;
    }
    const rates =
      (kind & COPIES) === 0 ? instances.reduceBytesPerSecond : instances.copyBytesPerSecond;
    this.#give(instance, WORKING, bytes / (rates[instance] as number), now, cause);
  }

  #give(instance: number, state: number, seconds: number, now: number, cause: number): void {
    this.#state[instance] = state;
    this.#begin[instance] = now;
    this.#cause[instance] = cause;
    const cores = this.#init.plan.instances.cores[instance] as number;
    this.#cores[cores]?.add(instance, seconds, now);
  }

  /** The thread has done what it was given. */
  #end(instance: number, now: number): void {
    const { trail } = this.#init;
    const [state, task] = [this.#state[instance] as number, this.#task[instance] as number];
    const begin = this.#begin[instance] as number;
    let by = this.#cause[instance] as number;
    if (trail !== undefined) {
      const activity = state === WORKING ? this.#workOf(task) : ISSUE;
      by = trail.add({ activity, instance, task, begin, end: now }, by);
    }
    this.#concerned.push(instance);
    if (state === ISSUING) {
      this.#issued(instance, now, by);
      return;
    }
    this.#free(instance, by);
    this.#init.finish(instance, task, now, by);
  }

  #workOf(task: number): number {
    const { kind, stepOf } = this.#init.plan.templates;
    return ((kind[stepOf[task] as number] as number) & COPIES) === 0 ? REDUCTION : COPY;
  }

  #free(instance: number, cause: number): void {
    this.#state[instance] = IDLE;
    this.#freedBy[instance] = cause;
  }
}

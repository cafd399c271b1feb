/** What every link model does for the tasks, and the tasks for it. */
import type { DelayFactor } from './jitter.ts';
import type { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';
import type { Trail } from './trail.ts';

/** How messages get from rank to rank. Times are known when they are told, and may lie ahead. */
export interface Wires {
  /** The task has made its message, at `time`. */
  send(instance: number, task: number, time: number, cause: number): void;
  /** Message number `message` of a connection has been taken, at `time`. */
  taken(connection: number, message: number, time: number, cause: number): void;
  /** An event that the model has put into the queue is there. */
  happen(kind: number, subject: number, detail: number, now: number, cause: number): void;
  /** All events of this moment have been told. */
  settle(now: number): void;
  /** In words, messages that wait, at most so many. */
  waiting(most: number): string[];
}

export interface Receivers {
  /** The next message of a connection is there, at `time`. */
  arrived(connection: number, time: number, cause: number): void;
  /** What the task sends has left its card, at `time`. */
  left(instance: number, task: number, time: number, cause: number): void;
}

export interface WireOptions {
  readonly plan: Plan;
  readonly queue: MomentQueue;
  readonly slotsPerConnection: number;
  readonly receivers: Receivers;
  readonly trail?: Trail | undefined;
  readonly delay?: DelayFactor | undefined;
}

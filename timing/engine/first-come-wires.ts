/**
 * Models in which a message has what carries it to itself, first come first served: `storeAndForward`, link after
 * link, and `loggp`, the sender's interface alone. What comes at one moment is served in the order of
 * connections and of the program, so all ranks are simulated: no renumbering leaves that order as it is.
 */

import type { Plan } from './plan.ts';
import { NONE } from './templates.ts';
import { LATENCY, LINK, type Trail } from './trail.ts';
import { Turns } from './turns.ts';
import type { Receivers, WireOptions, Wires } from './wires.ts';

/** Kind of the event that a message asks for what carries it; the detail is its task. */
const REQUEST = 1;

/** What carries messages. */
export interface Carriers {
  readonly count: number;
  /** Number of the first one on the way of a connection's messages, and of the one after the last. */
  firstOf(connection: number): number;
  endOf(connection: number): number;
  /** Which of them it is: one may be on the way of several connections. */
  unitOf(place: number): number;
  /** Time that a message keeps it busy. */
  busy(place: number, bytes: number): number;
  /** Time from when it begins until the message is where the next one begins, or at its end. */
  through(place: number, bytes: number): number;
  /** Hop and link, for the trail. */
  hopOf(place: number): number;
  linkOf(place: number): number;
}

export class FirstComeWires implements Wires {
  readonly #plan: Plan;
  readonly #options: WireOptions;
  readonly #receivers: Receivers;
  readonly #trail: Trail | undefined;
  readonly #carriers: Carriers;
  readonly #turns: Turns;
  readonly #freeAt: Float64Array;
  readonly #freedBy: Int32Array;
  /** Connection, place, task and cause of those who have asked at this moment. */
  readonly #requests: number[][] = [];
  /** By place: the connection that it is on the way of. */
  readonly #connectionOf: Int32Array;

  constructor(options: WireOptions, carriers: Carriers) {
    const { plan, queue, slotsPerConnection, receivers, trail } = options;
    this.#plan = plan;
    this.#options = options;
    this.#receivers = receivers;
    this.#trail = trail;
    this.#carriers = carriers;
    this.#turns = new Turns(plan, slotsPerConnection, (connection, task, time, cause) =>
      queue.add(time, REQUEST, carriers.firstOf(connection), task, cause),
    );
    this.#freeAt = new Float64Array(carriers.count);
    this.#freedBy = new Int32Array(carriers.count).fill(NONE);
    const { count } = plan.connections;
    this.#connectionOf = new Int32Array(count === 0 ? 0 : carriers.endOf(count - 1));
    for (let connection = 0; connection < count; connection++) {
      const [first, end] = [carriers.firstOf(connection), carriers.endOf(connection)];
      this.#connectionOf.fill(connection, first, end);
    }
  }

  send(instance: number, task: number, time: number, cause: number): void {
    this.#turns.offer(instance, task, time, cause);
  }

  taken(connection: number, message: number, time: number, cause: number): void {
    const by = this.#trail?.freed(connection, cause) ?? NONE;
    this.#turns.taken(connection, message, time, by);
  }

  happen(_kind: number, place: number, task: number, _now: number, cause: number): void {
    this.#requests.push([place, task, cause]);
  }

  settle(now: number): void {
    const requests = this.#requests.splice(0);
    requests.sort(([a = 0, taskA = 0], [b = 0, taskB = 0]) => a - b || taskA - taskB);
    for (const [place = 0, task = 0, cause = NONE] of requests) {
      this.#serve(place, task, now, cause);
    }
  }

  waiting(most: number): string[] {
    return this.#turns.stuck(most);
  }

  #serve(place: number, task: number, now: number, cause: number): void {
    const carriers = this.#carriers;
    const { queue, delay } = this.#options;
    const unit = carriers.unitOf(place);
    const free = this.#freeAt[unit] as number;
    const begin = Math.max(now, free);
    const bytes = this.#plan.templates.bytes[task] as number;
    const left = begin + carriers.busy(place, bytes);
    const through = carriers.through(place, bytes);
    const there = begin + (delay === undefined ? through : through * delay(place, task));
    const connection = this.#connectionOf[place] as number;
    const instance = this.#plan.connections.source[connection] as number;
    const by = free > now ? (this.#freedBy[unit] as number) : cause;
    const after = this.#trace(place, task, instance, { begin, left, there }, by);
    this.#freeAt[unit] = left;
    this.#freedBy[unit] = after.left;
    if (place === carriers.firstOf(connection)) {
      this.#receivers.left(instance, task, left, after.left);
    }
    if (place + 1 < carriers.endOf(connection)) {
      queue.add(there, REQUEST, place + 1, task, after.there);
    } else this.#receivers.arrived(connection, there, after.there);
  }

  #trace(
    place: number,
    task: number,
    instance: number,
    { begin, left, there }: { begin: number; left: number; there: number },
    cause: number,
  ): { left: number; there: number } {
    const trail = this.#trail;
    if (trail === undefined) return { left: NONE, there: NONE };
    const [hop, link] = [this.#carriers.hopOf(place), this.#carriers.linkOf(place)];
    const piece = { instance, task, hop, link };
    const leaves =
      left > begin ? trail.add({ ...piece, activity: LINK, begin, end: left }, cause) : cause;
    if (there < left) return { left: leaves, there: leaves };
    const arrives =
      there > left
        ? trail.add({ ...piece, activity: LATENCY, begin: left, end: there }, leaves)
        : leaves;
    return { left: leaves, there: arrives };
  }
}

/**
 * The `flow` model: messages of a connection go one after the other over each hop of its route. On a hop whose
 * links nobody else uses a message has the whole rate, and is worked out at once; on others it shares.
 */
import { FairShares } from './fair-shares.ts';
import type { DelayFactor } from './jitter.ts';
import type { MomentQueue } from './moment-queue.ts';
import type { Plan } from './plan.ts';
import { NONE } from './templates.ts';
import { LATENCY, LINK, type Trail, WAITING } from './trail.ts';
import { Turns } from './turns.ts';
import { WaitingLists } from './waiting-lists.ts';
import type { Receivers, WireOptions, Wires } from './wires.ts';

/** Kind of the event that a message sets out on a hop that it has to share; the detail is its task. */
const FLOW_START = 1;

export class FlowWires implements Wires {
  readonly #plan: Plan;
  readonly #queue: MomentQueue;
  readonly #receivers: Receivers;
  readonly #trail: Trail | undefined;
  readonly #delay: DelayFactor | undefined;
  readonly #turns: Turns;
  readonly #shares: FairShares;
  /** By hop: when the last message left it, and the piece of work that this was. */
  readonly #freeAt: Float64Array;
  readonly #freedBy: Int32Array;
  /** By hop that is shared: the task whose message is on it or about to be, or `NONE`. */
  readonly #task: Int32Array;
  readonly #begin: Float64Array;
  readonly #cause: Int32Array;
  /** By hop: messages that wait for their turn on it. */
  readonly #waiting: WaitingLists;
  /** With delays only, by connection: when the latest message arrived. None overtakes another. */
  readonly #latest: Float64Array;

  constructor({ plan, queue, slotsPerConnection, receivers, trail, delay }: WireOptions) {
    const { hops, connections } = plan;
    const { firstHop } = connections;
    this.#plan = plan;
    this.#queue = queue;
    this.#receivers = receivers;
    this.#trail = trail;
    this.#delay = delay;
    this.#turns = new Turns(plan, slotsPerConnection, (connection, task, time, cause) =>
      this.#reach(firstHop[connection] as number, task, time, cause),
    );
    this.#shares = new FairShares(plan, queue);
    this.#freeAt = new Float64Array(hops.count);
    this.#freedBy = new Int32Array(trail === undefined ? 0 : hops.count).fill(NONE);
    this.#task = new Int32Array(hops.count).fill(NONE);
    this.#begin = new Float64Array(hops.count);
    this.#cause = new Int32Array(hops.count);
    this.#waiting = new WaitingLists(hops.count);
    this.#latest = new Float64Array(delay === undefined ? 0 : connections.count);
  }
  send(instance: number, task: number, time: number, cause: number): void {
    this.#turns.offer(instance, task, time, cause);
  }

  taken(connection: number, message: number, time: number, cause: number): void {
    const by = this.#trail?.freed(connection, cause) ?? NONE;
    this.#turns.taken(connection, message, time, by);
  }

  happen(kind: number, hop: number, detail: number, now: number, cause: number): void {
    if (kind === FLOW_START) {
      const bytes = this.#plan.templates.bytes[detail] as number;
      this.#task[hop] = detail;
      this.#begin[hop] = now;
      this.#cause[hop] = cause;
      if (bytes > 0) this.#shares.start(hop, bytes, now);
      else this.#finish(hop, now, this.#plan.hops.slowest[hop] as number);
    } else if (this.#shares.isEnd(hop, detail)) {
      this.#finish(hop, now, this.#shares.end(hop));
    }
  }

  settle(now: number): void {
    this.#shares.settle(now);
  }

  waiting(most: number): string[] {
    return this.#turns.stuck(most);
  }

  /** The message is where the hop begins, at `time`. */
  #reach(hop: number, task: number, time: number, cause: number): void {
    const { isPrivate, bytesPerSecond, slowest } = this.#plan.hops;
    if (isPrivate[hop] === 0) {
      if (this.#task[hop] === NONE) this.#request(hop, task, time, cause);
      else this.#waiting.add(hop, task, time, cause);
      return;
    }
    const free = this.#freeAt[hop] as number;
    let [begin, by] = [time, cause];
    if (free > time) {
      this.#traceWaiting(hop, task, time, free, cause);
      begin = free;
      if (this.#trail !== undefined) by = this.#freedBy[hop] as number;
    }
    const bytes = this.#plan.templates.bytes[task] as number;
    const end = begin + bytes / (bytesPerSecond[hop] as number);
    this.#leave(hop, task, begin, end, by, slowest[hop] as number);
  }

  /** Asks to set out on a hop that is shared, and on which no message of the connection is. */
  #request(hop: number, task: number, time: number, cause: number): void {
    const free = this.#freeAt[hop] as number;
    this.#task[hop] = task;
    if (free > time) {
      this.#traceWaiting(hop, task, time, free, cause);
      const by = this.#trail === undefined ? NONE : (this.#freedBy[hop] as number);
      this.#queue.add(free, FLOW_START, hop, task, by);
    } else this.#queue.add(time, FLOW_START, hop, task, cause);
  }

  /** The message on a shared hop has left it, now. */
  #finish(hop: number, now: number, link: number): void {
    const task = this.#task[hop] as number;
    this.#task[hop] = NONE;
    this.#leave(hop, task, this.#begin[hop] as number, now, this.#cause[hop] as number, link);
    const waiting = this.#waiting;
    if (waiting.isEmpty(hop)) return;
    waiting.take(hop);
    this.#request(hop, waiting.task, waiting.time, waiting.cause);
  }

  #leave(hop: number, task: number, begin: number, end: number, cause: number, link: number): void {
    const { latencySeconds, connection: connectionOf } = this.#plan.hops;
    const connection = connectionOf[hop] as number;
    const { source, firstHop } = this.#plan.connections;
    const instance = source[connection] as number;
    const trail = this.#trail;
    let by = cause;
    if (trail !== undefined && end > begin) {
      by = trail.add({ activity: LINK, instance, task, begin, end, hop, link }, cause);
    }
    this.#freeAt[hop] = end;
    if (trail !== undefined) this.#freedBy[hop] = by;
    if (hop === firstHop[connection]) this.#receivers.left(instance, task, end, by);
    let there = end + (latencySeconds[hop] as number);
    if (this.#delay !== undefined) there = this.#delayed(this.#delay, hop, task, end);
    if (trail !== undefined && there > end) {
      by = trail.add({ activity: LATENCY, instance, task, begin: end, end: there, hop, link }, by);
    }
    if (hop + 1 < (firstHop[connection + 1] as number)) this.#reach(hop + 1, task, there, by);
    else this.#receivers.arrived(connection, there, by);
  }

  #delayed(delay: DelayFactor, hop: number, task: number, end: number): number {
    const { latencySeconds, connection } = this.#plan.hops;
    const of = connection[hop] as number;
    const drawn = end + (latencySeconds[hop] as number) * delay(hop, task);
    if (hop + 1 < (this.#plan.connections.firstHop[of + 1] as number)) return drawn;
    const there = Math.max(drawn, this.#latest[of] as number);
    this.#latest[of] = there;
    return there;
  }

  #traceWaiting(hop: number, task: number, begin: number, end: number, cause: number): void {
    if (this.#trail === undefined) return;
    const instance = this.#plan.connections.source[
      this.#plan.hops.connection[hop] as number
    ] as number;
    this.#trail.add({ activity: WAITING, instance, task, begin, end }, cause);
  }
}

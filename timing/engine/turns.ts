/**
 * The turn on each connection: its messages leave one after the other in the order of the program, each when a
 * slot is free. Slots are used in turn too, so message q waits until message q - slots has been taken.
 */
import type { Plan } from './plan.ts';
import { NONE, type TemplateConnection } from './templates.ts';
import { WaitingLists } from './waiting-lists.ts';

/** Told of each message, in turn: it may leave at `time`. */
type Departure = (connection: number, task: number, time: number, cause: number) => void;

/** Time of a slot whose message has not been taken. */
const NOT_TAKEN = Number.NaN;

export class Turns {
  readonly #plan: Plan;
  readonly #depart: Departure;
  /** By instance: what its connections' numbers are ahead of its template's outgoing ones. */
  readonly #shift: Int32Array;
  /** By connection: the number of the next message. */
  readonly #next: Int32Array;
  /** By connection: where its slots begin; one more than connections. None if it has as many slots as messages. */
  readonly #firstSlot: Float64Array;
  readonly #freeAt: Float64Array;
  readonly #freedBy: Int32Array;
  readonly #waiting: WaitingLists;

  constructor(plan: Plan, slotsPerConnection: number, depart: Departure) {
    const { connections, instances, templates } = plan;
    this.#plan = plan;
    this.#depart = depart;
    this.#shift = Int32Array.from({ length: instances.count }, (_, instance) => {
      const template = templates.templates[instances.template[instance] as number];
      return (instances.firstConnection[instance] as number) - (template?.firstOutgoing ?? 0);
    });
    this.#next = new Int32Array(connections.count);
    this.#firstSlot = new Float64Array(connections.count + 1);
    for (let connection = 0; connection < connections.count; connection++) {
      const { messages } = templates.outgoing[
        connections.outgoing[connection] as number
      ] as TemplateConnection;
      const slots = messages <= slotsPerConnection ? 0 : slotsPerConnection;
      this.#firstSlot[connection + 1] = (this.#firstSlot[connection] as number) + slots;
    }
    const slots = this.#firstSlot[connections.count] as number;
    this.#freeAt = new Float64Array(slots);
    this.#freedBy = new Int32Array(slots).fill(NONE);
    this.#waiting = new WaitingLists(connections.count);
  }

  /** The task has made its message, at `time`. */
  offer(instance: number, task: number, time: number, cause: number): void {
    const { puts, stepOf } = this.#plan.templates;
    const connection = (this.#shift[instance] as number) + (puts[stepOf[task] as number] as number);
    this.#waiting.add(connection, task, time, cause);
    this.#advance(connection);
  }

  taken(connection: number, message: number, time: number, cause: number): void {
    const slots = this.#slotsOf(connection);
    if (slots === 0) return;
    const slot = (this.#firstSlot[connection] as number) + (message % slots);
    this.#freeAt[slot] = time;
    this.#freedBy[slot] = cause;
    this.#advance(connection);
  }

  #advance(connection: number): void {
    const waiting = this.#waiting;
    while (!waiting.isEmpty(connection)) {
      const number = this.#messageOf(waiting.firstTask(connection));
      if (number !== this.#next[connection]) return;
      const slots = this.#slotsOf(connection);
      const slot = (this.#firstSlot[connection] as number) + (slots === 0 ? 0 : number % slots);
      const free = slots === 0 ? 0 : (this.#freeAt[slot] as number);
      if (Number.isNaN(free)) return;
      waiting.take(connection);
      let { time, cause } = waiting;
      if (free > time) {
        time = free;
        cause = this.#freedBy[slot] as number;
      }
      if (slots !== 0) this.#freeAt[slot] = NOT_TAKEN;
      this.#next[connection] = number + 1;
      this.#depart(connection, waiting.task, time, cause);
    }
  }

  /** In words, connections whose next message is made and waits for a slot; at most so many. */
  stuck(most: number): string[] {
    const { connections, templates, instances } = this.#plan;
    const words: string[] = [];
    for (let connection = 0; connection < connections.count && words.length < most; connection++) {
      if (this.#waiting.isEmpty(connection)) continue;
      const task = this.#waiting.firstTask(connection);
      const message = this.#messageOf(task);
      if (message !== this.#next[connection]) continue;
      const step = templates.stepOf[task] as number;
      const rank = instances.rank[connections.source[connection] as number];
      const slots = this.#slotsOf(connection);
      words.push(
        `Rank ${rank}, channel ${templates.channel[step]}, step ${templates.index[step]}: ` +
          `waits for one of ${slots} slots of the connection to rank ` +
          `${connections.destinationRank[connection]}, ` +
          `until message ${message - slots} of it has been taken`,
      );
    }
    return words;
  }

  #slotsOf(connection: number): number {
    return (this.#firstSlot[connection + 1] as number) - (this.#firstSlot[connection] as number);
  }

  /** Number of a task's message on its connection. */
  #messageOf(task: number): number {
    const { stepOf, firstTask, putsBefore } = this.#plan.templates;
    const step = stepOf[task] as number;
    return (putsBefore[step] as number) + task - (firstTask[step] as number);
  }
}

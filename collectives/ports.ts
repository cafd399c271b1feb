/**
 * How messages get from rank to rank in the alpha-beta-gamma model. A rank has one port that sends and
 * one that receives, at work at the same time and shared by its channels.
 */
import { defined } from '../common/assert.ts';
import {
  type AlphaBetaGamma,
  type Cause,
  latest,
  momentAfter,
  START,
  secondsOf,
} from './critical-path.ts';
import type { StepAddress } from './interpret.ts';
import type { Rank } from './schedule.ts';
import type { TimeQueue } from './time-queue.ts';

interface Message {
  /** Connection, and number on it. */
  readonly name: string;
  /** The step that sends it. */
  readonly at: StepAddress;
  readonly dst: Rank;
  readonly bytes: number;
}

/** A step that is there to take a message. */
interface Receiver {
  /** Of the message. */
  readonly name: string;
  readonly ready: Cause;
}

/** Told when the message has arrived, or that it will. */
type Taker = (arrival: Cause) => void;

export interface Wires {
  /** `ready` is now. */
  send(message: Message, ready: Cause): void;
  /** The receiver's `ready` is now. */
  take(receiver: Receiver, taker: Taker): void;
}

/** What both kinds need. */
export interface WireOptions {
  readonly nranks: number;
  readonly model: AlphaBetaGamma;
  readonly queue: TimeQueue<() => void>;
}

/** When a rank's ports are free again. */
interface PortsOfRank {
  send: Cause;
  receive: Cause;
}

function portsOf({ nranks }: WireOptions): PortsOfRank[] {
  return Array.from({ length: nranks }, () => ({ send: START, receive: START }));
}

interface Transfer {
  readonly message: Message;
  /** When it had been sent, and a step was there to take it. */
  readonly eligible: Cause;
  readonly taker: Taker;
}

/**
 * One message at a time leaves a rank, and one reaches it. It sets out when it has been sent, a step is
 * there to take it, and both ports are free, and keeps them busy for α + bytes·β: the rounds of the
 * papers, in which both partners take part.
 */
export class SinglePorts implements Wires {
  readonly #options: WireOptions;
  readonly #ports: readonly PortsOfRank[];
  /** One end of messages whose other end is not there yet, by name. */
  readonly #sent = new Map<string, { readonly message: Message; readonly ready: Cause }>();
  readonly #receivers = new Map<string, { readonly ready: Cause; readonly taker: Taker }>();
  /** What waits for a port: by source and by destination, in the order in which it became eligible. */
  readonly #leaving: readonly Transfer[][];
  readonly #reaching: readonly Transfer[][];

  constructor(options: WireOptions) {
    this.#options = options;
    this.#ports = portsOf(options);
    this.#leaving = this.#ports.map(() => []);
    this.#reaching = this.#ports.map(() => []);
  }

  send(message: Message, ready: Cause): void {
    const receiver = this.#receivers.get(message.name);
    this.#receivers.delete(message.name);
    if (receiver === undefined) this.#sent.set(message.name, { message, ready });
    else this.#offer({ message, eligible: latest(ready, receiver.ready), taker: receiver.taker });
  }

  take({ name, ready }: Receiver, taker: Taker): void {
    const sent = this.#sent.get(name);
    this.#sent.delete(name);
    const receiver: Cause = { ...ready, why: 'receiver' };
    if (sent === undefined) this.#receivers.set(name, { ready: receiver, taker });
    else this.#offer({ message: sent.message, eligible: latest(sent.ready, receiver), taker });
  }

  /** Both ends are there, now. */
  #offer(transfer: Transfer): void {
    const { message, eligible } = transfer;
    if (this.#isFree(transfer, secondsOf(eligible))) {
      this.#setOut(transfer);
      return;
    }
    this.#leaving[message.at.rank]?.push(transfer);
    this.#reaching[message.dst]?.push(transfer);
  }

  #isFree({ message }: Transfer, now: number): boolean {
    const { send } = this.#of(message.at.rank);
    const { receive } = this.#of(message.dst);
    return secondsOf(send) <= now && secondsOf(receive) <= now;
  }

  #setOut({ message, eligible, taker }: Transfer): void {
    const { at, dst, bytes } = message;
    const [from, to] = [this.#of(at.rank), this.#of(dst)];
    const begin = latest(eligible, from.send, to.receive);
    const arrival = momentAfter(begin, at, { alphas: 1, bytes }, this.#options.model);
    from.send = { why: 'sendPort', moment: arrival };
    to.receive = { why: 'receivePort', moment: arrival };
    this.#options.queue.add(arrival.seconds, () => {
      this.#next(this.#leaving[at.rank] ?? [], arrival.seconds);
      this.#next(this.#reaching[dst] ?? [], arrival.seconds);
    });
    taker({ why: 'message', moment: arrival });
  }

  /** A port is free: whoever waits longest, and finds the other port free too, sets out. */
  #next(waiting: readonly Transfer[], now: number): void {
    const transfer = waiting.find((candidate) => this.#isFree(candidate, now));
    if (transfer === undefined) return;
    remove(this.#leaving[transfer.message.at.rank], transfer);
    remove(this.#reaching[transfer.message.dst], transfer);
    this.#setOut(transfer);
  }

  #of(rank: Rank): PortsOfRank {
    return defined(this.#ports[rank], `rank ${rank}`);
  }
}

/**
 * Start-up times overlap: a message keeps a port busy for bytes·β alone, and arrives α later. Senders do
 * not wait for receivers.
 */
export class FullPorts implements Wires {
  readonly #options: WireOptions;
  readonly #ports: readonly PortsOfRank[];
  readonly #arrivals = new Map<string, Cause>();
  readonly #takers = new Map<string, Taker>();

  constructor(options: WireOptions) {
    this.#options = options;
    this.#ports = portsOf(options);
  }

  send(message: Message, ready: Cause): void {
    const { model, queue } = this.#options;
    const { at, bytes } = message;
    const port = defined(this.#ports[at.rank], `rank ${at.rank}`);
    const begin = latest(ready, port.send);
    port.send = { why: 'sendPort', moment: momentAfter(begin, at, { bytes }, model) };
    const reached = momentAfter(begin, at, { alphas: 1 }, model);
    queue.add(reached.seconds, () => this.#arrive(message, { why: 'message', moment: reached }));
  }

  take({ name }: Receiver, taker: Taker): void {
    const arrival = this.#arrivals.get(name);
    this.#arrivals.delete(name);
    if (arrival === undefined) this.#takers.set(name, taker);
    else taker(arrival);
  }

  #arrive({ at, dst, bytes, name }: Message, reached: Cause): void {
    const port = defined(this.#ports[dst], `rank ${dst}`);
    const begin = latest(reached, port.receive);
    const arrival = momentAfter(begin, at, { bytes }, this.#options.model);
    port.receive = { why: 'receivePort', moment: arrival };
    const taken: Cause = { why: 'message', moment: arrival };
    const taker = this.#takers.get(name);
    this.#takers.delete(name);
    if (taker === undefined) this.#arrivals.set(name, taken);
    else taker(taken);
  }
}

function remove<T>(items: T[] | undefined, item: T): void {
  const index = items?.indexOf(item) ?? -1;
  if (index >= 0) items?.splice(index, 1);
}

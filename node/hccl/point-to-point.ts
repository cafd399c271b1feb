/**
 * hcclSend and hcclRecv of one communicator: tagged messages straight from and into the callers' device
 * memory. They have nothing to do with collectives and their numbers: only two ranks take part.
 *
 * Both ranks count the messages from one to the other in the order of their calls, and so know which
 * belong together. The receiver posts its receive, then says so (READY, with count and type). The
 * sender compares, and only then sends: a message never waits in memory that is not its own, and what
 * does not fit is found before a byte is written. The sender is done when the bytes are delivered.
 *
 *     receiver                                   sender
 *     fi_trecv, tag of the number
 *     READY: number, count, type    ------->     compares with its own call
 *     completion                    <-------     fi_tsendmsg, same tag, FI_DELIVERY_COMPLETE
 */
import type { Rank } from '../../collectives/schedule.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiCompletion, FiCompletionError, FiErrno } from '../fabric/fabric.ts';
import { EAGER_BYTES } from '../fabric/message-header.ts';
import { fabricFailure, type HcclFailure } from './failure.ts';
import { GROUP_CALLS_MAX } from './group.ts';
import {
  elementsOf,
  type Message,
  type MessageCall,
  MessageContext,
  type NumberedCall,
} from './message.ts';
import { type MessageWire, ReadyContext } from './message-wire.ts';
import type { LocalBuffer } from './operation.ts';
import type { Ready } from './ready-message.ts';
import { HCCL_STREAMS_MAX } from './stream.ts';

/** READYs of one peer that may wait for the calls that they are for: what it can have under way. */
const EARLY_READY_MAX = GROUP_CALLS_MAX * HCCL_STREAMS_MAX;

export interface PointToPointInit {
  readonly rank: Rank;
  readonly scheduler: Scheduler;
  /** How long a call may take before it is declared stuck. */
  readonly timeoutMs: number;
  readonly wire: MessageWire;
  rankOf(source: number): Rank | undefined;
  /** Copies on this rank's device: a message to itself. */
  copy(from: LocalBuffer, to: LocalBuffer, done: () => void): void;
  /** Runs `use` once everything that has completed by now is in device memory. */
  landed(use: () => void): void;
  /** The communicator is broken. */
  fail(failure: HcclFailure): void;
}

type ByNumber<T> = Map<Rank, Map<number, T>>;

/** Bytes of messages that went as (tagged) messages of the fabric, not as reads. */
interface EagerBytes {
  readonly sent: number;
  readonly received: number;
}

export class PointToPoint {
  readonly #init: PointToPointInit;
  /** Those under way; no map of them is empty. */
  readonly #calls: Readonly<Record<MessageCall['kind'], ByNumber<Message>>> = {
    send: new Map(),
    recv: new Map(),
  };
  readonly #early: ByNumber<Ready> = new Map();
  readonly #eager = { sent: 0, received: 0 };

  constructor(init: PointToPointInit) {
    this.#init = init;
  }

  get eagerBytes(): EagerBytes {
    return this.#eager;
  }

  get turnedAway(): number {
    return this.#init.wire.turnedAway;
  }

  get isIdle(): boolean {
    return this.#calls.recv.size === 0 && this.#calls.send.size === 0;
  }

  /**
   * Runs calls together: receives first, so that whoever sends finds them posted. Rejects with what
   * went wrong, after which no buffer is touched any more.
   */
  async run(messages: readonly Message[]): Promise<void> {
    const { scheduler, timeoutMs } = this.#init;
    const stopTimer = scheduler.after(timeoutMs, () => this.#stuck(messages));
    try {
      for (const message of messages) if (message.call.kind === 'recv') this.#receive(message);
      for (const message of messages) if (message.call.kind === 'send') this.#send(message);
      await Promise.all(messages.map(({ ended }) => ended));
    } finally {
      stopTimer();
    }
  }

  /** Takes a completion of the endpoint; `false`: it is not one of a message. */
  completion({ kind, context, source, length }: FiCompletion): boolean {
    if (context instanceof ReadyContext) {
      if (context.kind === 'recv') this.#readyArrived(context, source, length);
    } else if (context instanceof MessageContext) {
      this.#moved(context.message, kind === 'recv' ? length : undefined);
    } else {
      return false;
    }
    // A receive that is used up makes room for one that was turned away, of which nobody else tells.
    this.#init.wire.resume();
    return true;
  }

  /** Takes an error of the endpoint; `false`: it is not one of a message. */
  completionError({ context, err, prov_errno }: FiCompletionError): boolean {
    if (context instanceof MessageContext)
      this.#failed(context.message.describe(), err, prov_errno);
    else if (context instanceof ReadyContext) this.#failed('A control message', err, prov_errno);
    else return false;
    return true;
  }

  /** Tries again what was turned away. */
  resume(): void {
    this.#init.wire.resume();
  }

  /** `present` are the peers that have not left: nothing that waits for another one will end. */
  checkPresent(present: readonly Rank[]): void {
    const { rank } = this.#init;
    const waiting = [...this.#calls.recv, ...this.#calls.send]
      .filter(([peer]) => peer !== rank && !present.includes(peer))
      .flatMap(([, calls]) => [...calls.values()])
      .find(({ state }) => state !== 'landed');
    if (waiting === undefined) return;
    const message = `Rank ${waiting.call.peer} left the communicator but rank ${rank} called ${waiting.describe()}`;
    this.#init.fail({ result: 'hcclInvalidUsage', message });
  }

  /** Nothing is posted or taken any more. */
  close(): void {
    this.#init.wire.close();
  }

  /** Ends every call that is under way. */
  rejectAll(error: Error): void {
    for (const message of this.#pending) message.fail(error);
    this.#calls.send.clear();
    this.#calls.recv.clear();
  }

  #receive(message: Message): void {
    const { peer } = message.call;
    this.#keep(message);
    if (peer === this.#init.rank) this.#meetSelf(message);
    else this.#init.wire.receive(message);
  }

  #send(message: Message): void {
    const { peer, number } = message.call;
    this.#keep(message);
    if (peer === this.#init.rank) {
      this.#meetSelf(message);
      return;
    }
    const ready = this.#early.get(peer)?.get(number);
    if (ready === undefined) return;
    this.#early.get(peer)?.delete(number);
    this.#meet(message, ready);
  }

  #readyArrived(context: ReadyContext, source: number, length: number): void {
    const { rank, wire, rankOf } = this.#init;
    const peer = rankOf(source);
    const ready = wire.received(context, length);
    if (peer === undefined || ready === undefined || !this.#take(peer, ready)) {
      const from = peer === undefined ? 'a stranger' : `rank ${peer}`;
      const message = `Expected the protocol to be kept but rank ${rank} got a READY that cannot be from ${from}`;
      this.#init.fail({ result: 'hcclInternalError', message });
    }
  }

  /** `false`: a peer that keeps the protocol does not send it. */
  #take(peer: Rank, ready: Ready): boolean {
    const message = this.#calls.send.get(peer)?.get(ready.number);
    if (message !== undefined) {
      if (message.state !== 'waiting') return false;
      this.#meet(message, ready);
      return true;
    }
    const early = ofPeer(this.#early, peer);
    if (early.has(ready.number) || early.size >= EARLY_READY_MAX) return false;
    early.set(ready.number, ready);
    return true;
  }

  /** Both ranks have called: the bytes go if they mean the same. */
  #meet(message: Message, ready: Ready): void {
    const { bytes } = message.call;
    if (!this.#agree(message, ready)) return;
    message.state = 'moving';
    if (bytes <= EAGER_BYTES) this.#eager.sent += bytes;
    this.#init.wire.send(message);
  }

  #meetSelf(message: Message): void {
    const { kind, peer, number } = message.call;
    const other = this.#calls[kind === 'send' ? 'recv' : 'send'].get(peer)?.get(number);
    if (other === undefined) return;
    const [send, recv] = kind === 'send' ? [message, other] : [other, message];
    if (!this.#agree(send, recv.call)) return;
    for (const one of [send, recv]) one.state = 'moving';
    this.#init.copy(send.buffer, recv.buffer, () => {
      this.#end(send);
      this.#end(recv);
    });
  }

  /** Whether the receiver means what the sender does; if not, every rank will hear of it. */
  #agree(send: Message, recv: Pick<NumberedCall, 'count' | 'dataType'>): boolean {
    const { count, dataType, peer, number } = send.call;
    if (count === recv.count && dataType === recv.dataType) return true;
    const { rank } = this.#init;
    const message =
      `Expected both ends of message ${number} from rank ${rank} to rank ${peer} to be the same but ` +
      `rank ${rank} called hcclSend (${elementsOf(send.call)}) and rank ${peer} called hcclRecv (${elementsOf(recv)})`;
    this.#init.fail({ result: 'hcclInvalidUsage', message });
    return false;
  }

  /** The bytes of a message have been delivered there, or have come here. */
  #moved(message: Message, received: number | undefined): void {
    const { bytes, peer } = message.call;
    if (received === undefined) {
      this.#end(message);
      return;
    }
    this.#init.wire.receiveEnded(peer);
    if (received !== bytes) {
      const what = `Expected ${bytes} bytes for ${message.describe()} but rank ${this.#init.rank} got ${received}`;
      this.#init.fail({ result: 'hcclInternalError', message: what });
      return;
    }
    if (bytes <= EAGER_BYTES) this.#eager.received += bytes;
    message.state = 'landed';
    this.#init.landed(() => this.#end(message));
  }

  get #pending(): readonly Message[] {
    const all = [...this.#calls.recv.values(), ...this.#calls.send.values()];
    return all.flatMap((ofPeer) => [...ofPeer.values()]);
  }

  #stuck(messages: readonly Message[]): void {
    const waiting = messages.find((message) => this.#pending.includes(message));
    if (waiting === undefined) return;
    const { kind, peer } = waiting.call;
    const other = kind === 'send' ? 'hcclRecv' : 'hcclSend';
    const why =
      waiting.state === 'waiting'
        ? `rank ${peer} has not called ${other} for it`
        : 'it does not advance';
    const { rank, timeoutMs } = this.#init;
    const message = `Expected ${waiting.describe()}, of rank ${rank}, to end within ${timeoutMs} ms but ${why}`;
    this.#init.fail({ result: 'hcclInternalError', message });
  }

  #failed(what: string, error: FiErrno, detail: string): void {
    this.#init.fail(fabricFailure(`${what} of rank ${this.#init.rank}`, error, detail));
  }

  #keep(message: Message): void {
    const { kind, peer, number } = message.call;
    ofPeer(this.#calls[kind], peer).set(number, message);
  }

  #end(message: Message): void {
    const { kind, peer, number } = message.call;
    const calls = this.#calls[kind].get(peer);
    calls?.delete(number);
    if (calls?.size === 0) this.#calls[kind].delete(peer);
    message.end();
  }
}

function ofPeer<T>(map: ByNumber<T>, peer: Rank): Map<number, T> {
  const found = map.get(peer) ?? new Map<number, T>();
  map.set(peer, found);
  return found;
}

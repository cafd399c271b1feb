/**
 * The traffic of a connected communicator: posts data and control messages of the operation under
 * way, and takes what arrives. Everything that goes wrong goes to `fail`; it decides nothing itself.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { FiAddr, FiCompletion, FiCompletionError, FiErrno } from '../fabric/fabric.ts';
import { ControlChannel, ControlContext } from './control-channel.ts';
import {
  type ControlMessage,
  type Credit,
  laneOfImmediate,
  sequenceOfImmediate,
} from './control-message.ts';
import { DataPosting } from './data-posting.ts';
import { EarlyArrivals, type EarlyData } from './early-arrivals.ts';
import { Engine } from './engine.ts';
import type { ExchangeInit } from './exchange-init.ts';
import { Faults } from './faults.ts';
import { Flush, FlushContext } from './flush.ts';
import { InlineMessagesOfOperations } from './inline-messages.ts';
import { LaneBook } from './lane-book.ts';
import { InboundLane, KEPT_LANES, LANES_MAX, OutboundLane } from './lanes.ts';
import { DataContext, type Operation } from './operation.ts';
import type { Header } from './operation-header.ts';
import { connectionOf, headerFor } from './operation-peers.ts';
import type { PlanConnection } from './plan.ts';
import { keptHeader, takeHeader } from './take-header.ts';

export class Exchange {
  readonly control: ControlChannel;
  readonly #init: ExchangeInit;
  readonly #rankOfAddress = new Map<FiAddr, Rank>();
  readonly #lanes: LaneBook;
  readonly #early = new EarlyArrivals();
  readonly faults: Faults;
  readonly #data: DataPosting;
  readonly inline: InlineMessagesOfOperations;
  readonly #flush: Flush | undefined;
  readonly #silent: Set<Rank>;
  /** Peers that have left, with the last operation they finished. */
  readonly #departed = new Map<Rank, number>();
  /** Kept lanes, and new ones for the operation. */
  readonly #engineLanes = {
    inbound: ({ peer, lane, slots }: PlanConnection) =>
      lane < KEPT_LANES ? this.#lanes.inbound(peer, lane) : new InboundLane(slots?.count),
    outbound: ({ peer, lane, slots }: PlanConnection) =>
      lane < KEPT_LANES ? this.#lanes.outbound(peer, lane) : new OutboundLane(slots?.count),
  };
  #current: Operation | undefined;
  #sequence = 0;
  #state: 'open' | 'closed' = 'open';

  constructor(init: ExchangeInit) {
    this.#init = init;
    for (const [rank, address] of init.addresses) this.#rankOfAddress.set(address, rank);
    this.faults = new Faults(init.rank, init.fail);
    this.#data = new DataPosting(init, this.faults);
    this.inline = new InlineMessagesOfOperations(init, this.faults);
    this.#silent = new Set(init.addresses.keys());
    this.#lanes = new LaneBook(init.scheduler, () => this.#announce());
    this.control = new ControlChannel({
      endpoint: init.endpoint,
      addresses: init.addresses,
      failed: (peer, error) => this.faults.fabric('A control message', peer, error, ''),
    });
    const failed = (error: FiErrno) => this.faults.fabric('A flush', init.rank, error, '');
    this.#flush = init.flush && new Flush({ endpoint: init.endpoint, ...init.flush, failed });
  }

  get postsTurnedAway(): number {
    return this.#data.turnedAway + this.control.turnedAway;
  }

  get flushes(): number {
    return this.#flush?.count ?? 0;
  }

  /** Posts receives and says hello. */
  start(): void {
    this.control.open();
    for (const peer of this.#init.addresses.keys()) this.#greet(peer);
    if (this.#silent.size === 0) this.#init.connected();
  }

  #greet(peer: Rank): void {
    this.control.send(peer, { kind: 'HELLO', paths: this.#init.program.able });
  }

  /** Peers that have not said hello. */
  get silentPeers(): readonly Rank[] {
    return [...this.#silent];
  }

  get presentPeers(): readonly Rank[] {
    return [...this.#init.addresses.keys()].filter((peer) => !this.#departed.has(peer));
  }

  /** Says goodbye, with what this rank has finished over links and in shared memory. */
  leave(lastSequence: number, progress: number): void {
    for (const peer of this.presentPeers)
      this.control.send(peer, { kind: 'BYE', lastSequence, progress });
  }

  /** Nothing is posted or taken any more. */
  close(): void {
    this.#state = 'closed';
    this.#current?.abort();
    this.#current = undefined;
  }

  /** Starts an operation: plan, headers, then data. The operation tells how it ends. */
  open(operation: Operation): void {
    this.#current = operation;
    this.#sequence = operation.sequence;
    const { plan } = operation;
    for (const [peer, last] of this.#departed) this.#checkDeparted(peer, last);
    if (this.#current === undefined) return;
    operation.engine = new Engine(plan, this.#engineLanes, {
      post: (message) =>
        this.#state === 'closed' ? 'blocked' : this.#data.post(operation, message),
      compute: (work, slice) => this.#data.compute(operation, work, slice),
      announce: (inbound) => {
        const { peer, lane } = defined(plan.inbound[inbound], 'the connection');
        this.#lanes.markDirty(peer, lane);
        if (this.inline.isWaiting) this.#placeSoon(operation);
      },
      finished: () => operation.engineFinished(),
    });
    operation.engine.start();
    for (const peer of plan.peers) {
      const inline = this.inline.take(operation, peer);
      this.control.send(peer.rank, headerFor(operation, peer, inline));
    }
    if (this.#state === 'closed') return;
    operation.state = 'running';
    operation.engine.resume();
    this.#replayEarly(operation);
    operation.settleIfComplete();
  }

  /** The operation has ended; what still comes for it is ignored or early. */
  ended(operation: Operation): void {
    if (this.#current !== operation) return;
    this.#current = undefined;
    this.inline.clear();
  }

  /** The endpoint's queues have moved: tries again what was refused. */
  progress(): void {
    if (this.#state === 'closed') return;
    this.control.resume();
    this.#flush?.resume();
    this.#announce();
    if (this.#current?.state === 'running') this.#current.engine.resume();
  }

  completion(completion: FiCompletion): void {
    if (this.#state === 'closed') return;
    const { context } = completion;
    if (completion.kind === 'remoteWriteData') {
      const peer = this.#rankOfAddress.get(completion.source);
      const lane = laneOfImmediate(completion.data);
      const sequence = sequenceOfImmediate(completion.data);
      if (peer === undefined || lane >= LANES_MAX) this.faults.nonsense(peer, 'data of no lane');
      else this.#dataCompleted({ peer, lane, sequence });
    } else if (context instanceof FlushContext) {
      this.#flush?.completed();
    } else if (context instanceof DataContext) {
      if (context.operation.state !== 'running') return;
      this.#init.observer.slice(context.operation, 'sendEnd', context.slice, context.peer);
      context.operation.engine.sent(context.slice);
    } else if (context instanceof ControlContext) {
      this.#controlCompletion(completion, context);
    }
  }

  completionError(error: FiCompletionError): void {
    if (this.#state === 'closed') return;
    const { context } = error;
    if (context instanceof ControlContext && context.kind === 'send') this.control.sent(context);
    const peer = this.#rankOfAddress.get(error.peer);
    if (peer !== undefined && this.#departed.has(peer)) {
      this.#undelivered(peer, context);
      return;
    }
    const what =
      context instanceof DataContext ? context.operation.describe() : 'A control message';
    this.faults.fabric(what, peer, error.err, error.prov_errno);
  }

  /** A rank that has left cannot take part in the operation under way here. */
  #checkDeparted(peer: Rank, last: number): void {
    const current = this.#current;
    if (current === undefined || current.sequence <= last) return;
    if (current.plan.peerOf.has(peer)) this.faults.departed(current, peer, last);
  }

  /**
   * Something could not be delivered to a rank that has said goodbye. A control message is of no use
   * to it any more. Data of an operation that it has finished did arrive: only the word of it is lost.
   */
  #undelivered(peer: Rank, context: unknown): void {
    if (!(context instanceof DataContext) || context.operation.state !== 'running') return;
    const { operation, slice } = context;
    if (operation.sequence <= (this.#departed.get(peer) ?? 0)) operation.engine.sent(slice);
  }

  #replayEarly(operation: Operation): void {
    for (const { peer, message } of this.#early.takeHeaders(operation.sequence))
      takeHeader(operation, peer, message, this);
    for (const { peer, message } of this.#early.takeCredits(operation.sequence))
      this.#grant(operation, peer, message);
    for (const data of this.#early.takeData()) this.#dataArrived(data);
  }

  /** Runs `use` once everything that has completed by now is in device memory, unless closed by then. */
  whenLanded(use: () => void): void {
    if (this.#flush === undefined) use();
    else
      this.#flush.before(() => {
        if (this.#state === 'open') use();
      });
  }

  // -- outgoing -----------------------------------------------------------------------------------

  /** Sends the newest credit of every lane that has changed; what is refused stays for `progress`. */
  #announce(): void {
    if (this.#state === 'closed' || this.#current?.state === 'opening') return;
    this.#lanes.announceDirty(this.#announceLane);
  }

  readonly #announceLane = (peer: Rank, lane: number): boolean => {
    const current = this.#current;
    const inbound = current === undefined ? -1 : connectionOf(current, 'inbound', peer, lane);
    const granted = inbound < 0 ? 0 : (current?.engine.granted(inbound) ?? 0);
    const end = inbound < 0 ? this.#keptInbound(peer, lane) : current?.engine.inboundLane(inbound);
    if (end === undefined || this.#departed.has(peer) || !end.worthAnnouncing(granted)) return true;
    const slotsReleased = end.released;
    const sequence = this.#sequence;
    const credit = { kind: 'CREDIT', sequence, lane, granted, slotsReleased } as const;
    if (!this.control.trySend(peer, credit)) return false;
    end.announce(granted);
    return true;
  };

  /** A lane of an operation that has ended is none. */
  #keptInbound(peer: Rank, lane: number): InboundLane | undefined {
    return lane < KEPT_LANES ? this.#lanes.inbound(peer, lane) : undefined;
  }

  // -- incoming -----------------------------------------------------------------------------------

  #controlCompletion(completion: FiCompletion, context: ControlContext): void {
    if (context.kind === 'send') {
      this.control.sent(context);
      return;
    }
    const peer = this.#rankOfAddress.get(completion.source);
    const message = this.control.read(context, completion.length);
    if (peer === undefined || message === undefined)
      this.faults.nonsense(peer, 'a malformed message');
    else this.#controlMessage(peer, message);
    // Its bytes have been used by now.
    if (this.#isOpen()) this.control.expect(context);
  }

  /** A method, because a message may have brought about the end. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #controlMessage(peer: Rank, message: ControlMessage): void {
    switch (message.kind) {
      case 'HELLO':
        this.#init.program.hello(peer, message.paths);
        if (this.#silent.delete(peer) && this.#silent.size === 0) this.#init.connected();
        return;
      case 'HEADER':
        this.#headerArrived(peer, message);
        return;
      case 'CREDIT':
        this.#creditArrived(peer, message);
        return;
      case 'BYE':
        this.#departed.set(peer, message.lastSequence);
        this.control.forget(peer);
        this.#init.program.departed(peer, message.progress);
        this.#checkDeparted(peer, message.lastSequence);
        return;
      default:
        this.#init.program.heard(peer, message);
    }
  }

  #headerArrived(peer: Rank, header: Header): void {
    const current = this.#current;
    if (current?.state === 'running' && header.sequence === current.sequence) {
      takeHeader(current, peer, header, this);
    } else if (header.sequence <= this.#sequence && current?.state !== 'opening') {
      this.faults.nonsense(peer, `a second header of operation ${header.sequence}`);
    } else if (!this.#early.keepHeader(peer, keptHeader(header))) {
      this.faults.nonsense(peer, `the header of operation ${header.sequence} too early`);
    }
  }

  /** Places have become free: not from inside the engine. */
  #placeSoon(operation: Operation): void {
    this.#init.scheduler.soon(() => {
      if (operation.state === 'running' && this.#state === 'open') this.inline.resume(operation);
    });
  }

  #creditArrived(peer: Rank, credit: Credit): void {
    const current = this.#current?.state === 'running' ? this.#current : undefined;
    const { lane, slotsReleased } = credit;
    if (lane >= LANES_MAX || !this.#takeSlots(current, peer, credit)) {
      this.faults.nonsense(peer, `a credit of ${slotsReleased} slots on lane ${lane}`);
      return;
    }
    if (credit.sequence > this.#sequence) this.#early.keepCredit(peer, credit);
    if (current !== undefined) this.#grant(current, peer, credit);
  }

  /** `false`: the peer claims what cannot be. */
  #takeSlots(current: Operation | undefined, peer: Rank, credit: Credit): boolean {
    const { lane, sequence, slotsReleased } = credit;
    if (lane < KEPT_LANES) return this.#lanes.outbound(peer, lane).credit(slotsReleased);
    // Of an operation that has ended, or of one for whose slots nothing was sent yet.
    if (current === undefined || sequence !== current.sequence) return true;
    const index = connectionOf(current, 'outbound', peer, lane);
    return index < 0 || current.engine.outboundLane(index).credit(slotsReleased);
  }

  #grant(operation: Operation, peer: Rank, credit: Credit): void {
    const index = connectionOf(operation, 'outbound', peer, credit.lane);
    if (index < 0) return;
    const isKnown = operation.regions(operation.plan.peerOf.get(peer) ?? -1) !== undefined;
    if (credit.sequence === operation.sequence && isKnown)
      operation.engine.grant(index, credit.granted);
    else operation.engine.resume();
  }

  /** A completion has announced data, which may still be on its way through the device's bus. */
  #dataCompleted(data: EarlyData): void {
    this.whenLanded(() => this.#dataArrived(data));
  }

  #dataArrived(data: EarlyData): void {
    const { peer, lane, sequence } = data;
    const current = this.#current;
    if (current?.state !== 'running' || sequence !== sequenceOfImmediate(current.sequence)) {
      const isKept = lane < KEPT_LANES && this.#early.keepData(data);
      if (!isKept) this.faults.nonsense(peer, 'more data than it has slots');
      return;
    }
    const index = connectionOf(current, 'inbound', peer, lane);
    if (this.inline.holdsBack(current, index)) return;
    const slice = index < 0 ? undefined : current.engine.arrive(index);
    if (slice === undefined) this.faults.nonsense(peer, `data beyond ${current.describe()}`);
    else this.#init.observer.slice(current, 'arrived', slice, peer);
  }
}

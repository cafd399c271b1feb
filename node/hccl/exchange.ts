/**
 * The traffic of a connected communicator: posts data and control messages of the operation under
 * way, and takes what arrives. Everything that goes wrong goes to `fail`; it decides nothing itself.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import type { FiAddr, FiCompletion, FiCompletionError, FiErrno } from '../fabric/fabric.ts';
import { ControlChannel, ControlContext } from './control-channel.ts';
import { type ControlMessage, readImmediate, sameCall } from './control-message.ts';
import { DataPosting } from './data-posting.ts';
import type { DeviceSession } from './device-session.ts';
import { type Credit, EarlyArrivals, type EarlyData, type Header } from './early-arrivals.ts';
import { Engine } from './engine.ts';
import type { HcclFailure } from './failure.ts';
import { Faults } from './faults.ts';
import { Flush, FlushContext, type FlushInit } from './flush.ts';
import { LaneBook, type LaneId } from './lane-book.ts';
import { CHANNELS_MAX, type InboundLane } from './lanes.ts';
import type { SlotPool } from './memory-map.ts';
import type { OperationObserver } from './observer.ts';
import { DataContext, type Operation } from './operation.ts';

/** A peer's receive slots, as this rank writes them. */
export interface PeerSlots {
  readonly address: number;
  readonly key: bigint;
}

/** What a flush works with; see `flush.ts`. */
export type FlushPlace = Pick<FlushInit, 'self' | 'memory'>;

export interface ExchangeInit {
  readonly rank: Rank;
  readonly nranks: number;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly observer: OperationObserver;
  readonly endpoint: FiEndpoint;
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  readonly slots: SlotPool | undefined;
  readonly peerSlots: ReadonlyMap<Rank, PeerSlots>;
  /** Absent: completions alone say that bytes are there. */
  readonly flush: FlushPlace | undefined;
  /** Every peer has said hello. */
  connected(): void;
  /** The communicator is broken. */
  fail(failure: HcclFailure): void;
}

export class Exchange {
  readonly control: ControlChannel;
  readonly #init: ExchangeInit;
  readonly #rankOfAddress = new Map<FiAddr, Rank>();
  readonly #lanes: LaneBook;
  readonly #early = new EarlyArrivals();
  readonly #faults: Faults;
  readonly #data: DataPosting;
  readonly #flush: Flush | undefined;
  readonly #silent: Set<Rank>;
  /** Peers that have left, with the last operation they finished. */
  readonly #departed = new Map<Rank, number>();
  #current: Operation | undefined;
  #sequence = 0;
  #state: 'open' | 'closed' = 'open';

  constructor(init: ExchangeInit) {
    this.#init = init;
    for (const [rank, address] of init.addresses) this.#rankOfAddress.set(address, rank);
    this.#faults = new Faults(init.rank, init.fail);
    this.#data = new DataPosting(init, this.#faults);
    this.#silent = new Set(init.addresses.keys());
    this.#lanes = new LaneBook(init.scheduler, () => this.#announce());
    this.control = new ControlChannel({
      endpoint: init.endpoint,
      addresses: init.addresses,
      failed: (peer, error) => this.#faults.fabric('A control message', peer, error, ''),
    });
    const failed = (error: FiErrno) => this.#faults.fabric('A flush', init.rank, error, '');
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
    for (const peer of this.#init.addresses.keys()) this.control.send(peer, { kind: 'HELLO' });
    if (this.#silent.size === 0) this.#init.connected();
  }

  /** Peers that have not said hello. */
  get silentPeers(): readonly Rank[] {
    return [...this.#silent];
  }

  get presentPeers(): readonly Rank[] {
    return [...this.#init.addresses.keys()].filter((peer) => !this.#departed.has(peer));
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
    const lanes = {
      inbound: (id: LaneId) => this.#lanes.inbound(id),
      outbound: (id: LaneId) => this.#lanes.outbound(id),
    };
    operation.engine = new Engine(plan, lanes, {
      post: (message) =>
        this.#state === 'closed' ? 'blocked' : this.#data.post(operation, message),
      compute: (work, slice, done) => this.#data.compute(operation, work, slice, done),
      announce: (inbound) =>
        this.#lanes.markDirty(defined(plan.inbound[inbound], 'the connection')),
      finished: () => operation.engineFinished(),
    });
    operation.engine.start();
    for (const peer of plan.peers) this.#sendHeader(operation, peer);
    if (this.#state === 'closed') return;
    operation.state = 'running';
    operation.engine.resume();
    this.#replayEarly(operation);
    operation.settleIfComplete();
  }

  /** The operation has ended; what still comes for it is ignored or early. */
  ended(operation: Operation): void {
    if (this.#current === operation) this.#current = undefined;
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
      const { channel, sequence } = readImmediate(completion.data);
      if (peer === undefined || channel >= CHANNELS_MAX)
        this.#faults.nonsense(peer, 'data of no lane');
      else this.#dataCompleted({ peer, channel, sequence });
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
    if (context instanceof ControlContext && context.kind === 'send') this.control.sent();
    const peer = this.#rankOfAddress.get(error.peer);
    if (peer !== undefined && this.#departed.has(peer)) {
      this.#undelivered(peer, context);
      return;
    }
    const what =
      context instanceof DataContext ? context.operation.describe() : 'A control message';
    this.#faults.fabric(what, peer, error.err, error.prov_errno);
  }

  /** A rank that has left cannot take part in the operation under way here. */
  #checkDeparted(peer: Rank, last: number): void {
    const current = this.#current;
    if (current === undefined || current.sequence <= last) return;
    if (current.plan.peers.includes(peer)) this.#faults.departed(current, peer, last);
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

  #sendHeader(operation: Operation, peer: Rank): void {
    const { plan, output } = operation;
    const granted = plan.program.channels.map(({ id }) => {
      const index = plan.inbound.findIndex((one) => one.peer === peer && one.channel === id);
      const places = index < 0 ? 0 : operation.engine.granted(index);
      this.#lanes.inbound({ peer, channel: id }).announcedGranted = places;
      return places;
    });
    this.control.send(peer, {
      kind: 'HEADER',
      sequence: operation.sequence,
      call: operation.call,
      output: { address: output.address, key: output.mr?.key ?? 0n, length: output.bytes },
      granted,
    });
  }

  #replayEarly(operation: Operation): void {
    for (const peer of operation.plan.peers) {
      const header = this.#early.takeHeader(peer, operation.sequence);
      if (header !== undefined) this.#header(operation, peer, header);
    }
    for (const { peer, credit } of this.#early.takeCredits(operation.sequence)) {
      this.#grant(operation, peer, credit);
    }
    for (const data of this.#early.takeData()) this.#dataArrived(data);
  }

  // -- outgoing -----------------------------------------------------------------------------------

  /** Sends the newest credit of every lane that has changed; what is refused stays for `progress`. */
  #announce(): void {
    if (this.#state === 'closed' || this.#current?.state === 'opening') return;
    this.#lanes.announceDirty((id, lane) => this.#announceLane(id, lane));
  }

  #announceLane({ peer, channel }: LaneId, lane: InboundLane): boolean {
    const current = this.#current;
    const index =
      current?.plan.inbound.findIndex((one) => one.peer === peer && one.channel === channel) ?? -1;
    const granted = index < 0 ? 0 : (current?.engine.granted(index) ?? 0);
    if (this.#departed.has(peer) || !lane.worthAnnouncing(granted)) return true;
    const slotsReleased = lane.released;
    const sequence = this.#sequence;
    const credit = { kind: 'CREDIT', sequence, channel, granted, slotsReleased } as const;
    if (!this.control.trySend(peer, credit)) return false;
    lane.announce(granted);
    return true;
  }

  // -- incoming -----------------------------------------------------------------------------------

  #controlCompletion(completion: FiCompletion, context: ControlContext): void {
    if (context.kind === 'send') {
      this.control.sent();
      return;
    }
    const peer = this.#rankOfAddress.get(completion.source);
    const message = this.control.received(context, completion.length);
    if (peer === undefined || message === undefined)
      this.#faults.nonsense(peer, 'a malformed message');
    else this.#controlMessage(peer, message);
  }

  #controlMessage(peer: Rank, message: ControlMessage): void {
    switch (message.kind) {
      case 'HELLO':
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
        this.#checkDeparted(peer, message.lastSequence);
    }
  }

  #headerArrived(peer: Rank, header: Header): void {
    const current = this.#current;
    if (current?.state === 'running' && header.sequence === current.sequence) {
      this.#header(current, peer, header);
    } else if (header.sequence <= this.#sequence && current?.state !== 'opening') {
      this.#faults.nonsense(peer, `a second header of operation ${header.sequence}`);
    } else if (!this.#early.keepHeader(peer, header)) {
      this.#faults.nonsense(peer, `the header of operation ${header.sequence} too early`);
    }
  }

  #header(operation: Operation, peer: Rank, header: Header): void {
    if (!sameCall(operation.call, header.call)) {
      this.#faults.mismatch(operation, peer, header.call);
      return;
    }
    operation.remoteOutputs.set(peer, header.output);
    operation.awaited.delete(peer);
    operation.plan.outbound.forEach((connection, index) => {
      if (connection.peer !== peer) return;
      operation.engine.grant(index, header.granted[connection.channel] ?? 0);
    });
    operation.settleIfComplete();
  }

  #creditArrived(peer: Rank, credit: Credit): void {
    const known = credit.channel < CHANNELS_MAX;
    const lane = this.#lanes.outbound({ peer, channel: known ? credit.channel : 0 });
    if (!known || !lane.credit(credit.slotsReleased)) {
      this.#faults.nonsense(
        peer,
        `a credit of ${credit.slotsReleased} slots on channel ${credit.channel}`,
      );
      return;
    }
    const current = this.#current;
    if (credit.sequence > this.#sequence) this.#early.keepCredit(peer, credit);
    if (current?.state === 'running') this.#grant(current, peer, credit);
  }

  #grant(operation: Operation, peer: Rank, credit: Credit): void {
    const { outbound } = operation.plan;
    const index = outbound.findIndex((one) => one.peer === peer && one.channel === credit.channel);
    if (index < 0) return;
    const places = credit.sequence === operation.sequence && operation.remoteOutputs.has(peer);
    if (places) operation.engine.grant(index, credit.granted);
    else operation.engine.resume();
  }

  /** A completion has announced data, which may still be on its way through the device's bus. */
  #dataCompleted(data: EarlyData): void {
    if (this.#flush === undefined) this.#dataArrived(data);
    else
      this.#flush.before(() => {
        if (this.#state === 'open') this.#dataArrived(data);
      });
  }

  #dataArrived(data: EarlyData): void {
    const { peer, channel, sequence } = data;
    const current = this.#current;
    if (current?.state !== 'running' || sequence !== (current.sequence & 0xffffff)) {
      if (!this.#early.keepData(data)) this.#faults.nonsense(peer, 'more data than it has slots');
      return;
    }
    const { inbound } = current.plan;
    const index = inbound.findIndex((one) => one.peer === peer && one.channel === channel);
    const slice = index < 0 ? undefined : current.engine.arrive(index);
    if (slice === undefined) this.#faults.nonsense(peer, `data beyond ${current.describe()}`);
    else this.#init.observer.slice(current, 'arrived', slice, peer);
  }
}

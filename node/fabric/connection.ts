/**
 * What one endpoint has for one peer: the half it posts to, the half the peer posts to, messages that
 * wait for the peer's word, and what this side owes the peer. What the endpoint itself has to post
 * (the read of a long message, an acknowledgement) waits here for as long as it gets FI_EAGAIN.
 */
import type { CmPeer } from '../verbs/cm.ts';
import { psnAdd } from '../verbs/psn.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { Direction } from './completion-port.ts';
import { DirectRma } from './direct-rma.ts';
import type { FiDomain } from './domain.ts';
import type { FiAddr, FiEndpointCounters, FiErrno } from './fabric.ts';
import type { HostRegions } from './host-region.ts';
import { Inbound } from './inbound.ts';
import type { AckOutcome } from './message-header.ts';
import type { IncomingMessage } from './message-stream.ts';
import { Outbound } from './outbound.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import {
  ANSWER,
  AWAITED_MAX,
  type ControlMessage,
  type OutgoingMessage,
  OutgoingMessages,
} from './outgoing-messages.ts';
import type { PeerService } from './peer-service.ts';
import { QUESTIONS_MAX } from './peer-windows.ts';
import type { SendOperation } from './send-operation.ts';
import { SoonOnce } from './soon-once.ts';
import { sumOfTraffic } from './traffic.ts';
import { WindowGrants } from './window-grants.ts';
import { writeWindowGrant } from './window-message.ts';

/** Answers that may wait for a credit; a peer that has started anew may ask again before the last is gone. */
export const ANSWERS_MAX = 4 * QUESTIONS_MAX;

/** What a connection needs of its endpoint. */
export interface ConnectionOwner {
  readonly domain: FiDomain;
  readonly regions: HostRegions;
  /** Where requests of this side start, and where those of peers arrive. */
  readonly services: { readonly outbound: PeerService; readonly inbound: PeerService };
  /** See `OutboundInit`. */
  readonly isManaged: boolean;
  /** Completions that the queue may be brought now. */
  room(direction: Direction): number;
  remoteWriteData(data: number, length: number, peer: FiAddr): void;
  /** False: no receive waits for it and there is no room to keep it. */
  arrived(message: IncomingMessage, peer: FiAddr): boolean;
  /** The peer is lost. */
  failed(peer: FiAddr, outcome: NonNullable<Outcome>): void;
  /** Whoever was turned away may try again. */
  wake(): void;
}

export interface ConnectionInit {
  readonly owner: ConnectionOwner;
  readonly address: FiAddr;
  readonly peer: CmPeer;
  /** Number of the first message, behind those of an earlier connection to the same peer. */
  readonly firstSequence: number;
}

export class Connection {
  readonly address: FiAddr;
  readonly peer: CmPeer;
  readonly #owner: ConnectionOwner;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #messages: OutgoingMessages;
  readonly #fetches: SendOperation[] = [];
  readonly #acks: { readonly sequence: number; readonly outcome: AckOutcome }[] = [];
  /** What the peer has asked for. */
  readonly #answers: ControlMessage[] = [];
  /** Both if this side shares memory with the machine, and the peer is another host. */
  readonly #direct: DirectRma | undefined;
  readonly #grants: WindowGrants | undefined;
  #state: 'open' | 'failed' | 'closed' = 'open';
  readonly #progressSoon: SoonOnce;

  constructor({ owner, address, peer, firstSequence }: ConnectionInit) {
    const { domain, services } = owner;
    this.address = address;
    this.peer = peer;
    this.#owner = owner;
    this.#progressSoon = new SoonOnce(domain.nic.scheduler, () => this.progress());
    const events = {
      onCompletion: () => this.progress(),
      onChange: () => this.#progressSoon.request(),
    };
    this.#outbound = new Outbound({
      domain,
      service: services.outbound,
      peer,
      isManaged: owner.isManaged,
      room: () => owner.room('transmit'),
      isAwaiting: () => !this.#messages.isIdle,
      onPeerRestart: () => {
        this.#messages.fail(outcomeOf('IBV_WC_WR_FLUSH_ERR'));
        this.#direct?.peerRestarted();
        this.#grants?.restart();
      },
      wake: () => owner.wake(),
      ...events,
    });
    this.#messages = new OutgoingMessages(domain, owner.regions, this.#outbound, firstSequence);
    this.#inbound = new Inbound({
      domain,
      service: services.inbound,
      peer: { ...peer, serviceId: outboundServiceOf(peer.serviceId) },
      room: () => owner.room('receive'),
      arrived: (message) => owner.arrived(message, address),
      remoteWriteData: (data, length) => owner.remoteWriteData(data, length, address),
      acknowledged: (sequence, outcome) => this.#messages.acknowledged(sequence, outcome),
      mayHaveWritten: (length) => this.#grants?.mayHaveWritten(length) === true,
      windowWanted: (key) => this.#windowWanted(key),
      windowAnswered: (key, grant) => this.#direct?.answered(key, grant),
      violated: () => this.#violated(),
      failed: () => this.#outbound.fail('IBV_WC_RETRY_EXC_ERR', 'FI_EHOSTUNREACH'),
      ...events,
    });
    const { machine, nic } = domain;
    if (machine === undefined || peer.nodeId === nic.transport.nodeId) return;
    const { nodeId } = peer;
    this.#grants = new WindowGrants(domain, machine, nodeId);
    this.#direct = new DirectRma({
      domain,
      machine,
      nodeId,
      outbound: this.#outbound,
      messages: this.#messages,
      room: () => owner.room('transmit'),
      onChange: events.onChange,
    });
  }

  /** Of every queue pair that it has had, and what it has copied itself. */
  get traffic(): FiEndpointCounters {
    const queuePairs = [...this.#outbound.counters, ...this.#inbound.counters];
    return sumOfTraffic(queuePairs, this.#direct === undefined ? [] : [this.#direct.traffic]);
  }

  /** Both directions work. */
  get isConnected(): boolean {
    return this.#outbound.isOpen && this.#inbound.isOpen;
  }

  /** Why the peer is lost, if it is: posting is of no use any more. */
  get error(): FiErrno | undefined {
    return this.#outbound.failure?.error;
  }

  /** The peer is lost, and everything that came from it before has been passed on. */
  get isLost(): boolean {
    return this.#state === 'failed';
  }

  /** A message waits for room among the unexpected ones. */
  get isHeldUp(): boolean {
    return this.#inbound.isHeldUp;
  }

  /** Number of the next message to the peer. */
  get sequence(): number {
    return this.#messages.sequence;
  }

  /** The requests that need no link, if there can be any. */
  get direct(): DirectRma | undefined {
    return this.#direct;
  }

  /** FI_EAGAIN: not connected, no credit, too much under way, or it has to wait for its fence. */
  postMessage(message: OutgoingMessage, isFenced: boolean): FiErrno | undefined {
    return this.#turn(isFenced) ?? this.#messages.post(message);
  }

  /** Posts an RMA operation or an atomic; FI_EAGAIN as for messages. */
  post(operation: SendOperation, isFenced: boolean): FiErrno | undefined {
    const refusal = this.#turn(isFenced);
    if (refusal !== undefined) return refusal;
    const answer = this.#direct === undefined ? 'link' : this.#direct.post(operation);
    return answer === 'link' ? this.#outbound.post(operation) : answer;
  }

  /** Posts the read of a long message, as soon as that is possible. */
  fetch(operation: SendOperation): void {
    this.#fetches.push(operation);
    this.#postOwed();
  }

  /** Tells the peer how its message ended here, as soon as that is possible. */
  acknowledge(sequence: number, outcome: AckOutcome): void {
    if (this.#acks.length === AWAITED_MAX) this.#violated();
    else this.#acks.push({ sequence, outcome });
    this.#postOwed();
  }

  /** Passes on what has completed, as far as there is room, and posts what is owed. */
  progress(): void {
    if (this.#state === 'closed') return;
    // Its requests were posted when nothing was under way: they end first.
    this.#direct?.progress();
    this.#outbound.progress();
    this.#inbound.progress();
    this.#postOwed();
    this.#settleFailure();
  }

  /** Ends every operation with FI_ECANCELED, then closes. */
  cancel(): void {
    this.#direct?.fail('IBV_WC_WR_FLUSH_ERR');
    this.#outbound.cancel();
    this.#messages.fail(outcomeOf('IBV_WC_WR_FLUSH_ERR'));
    this.#endFetches('IBV_WC_WR_FLUSH_ERR');
    this.close();
  }

  /** Operations vanish; no buffer is touched and no frame accepted from here on. */
  close(): void {
    this.#state = 'closed';
    this.#direct?.close();
    this.#grants?.close();
    this.#outbound.close();
    this.#inbound.close();
    this.#messages.close();
    this.#fetches.length = 0;
    this.#acks.length = 0;
    this.#answers.length = 0;
  }

  /**
   * FI_EAGAIN while something before it, to this peer, is being copied or, if it is fenced, has not
   * completed.
   */
  #turn(isFenced: boolean): FiErrno | undefined {
    if (this.error !== undefined) return undefined;
    if (this.#direct?.isBusy === true) return this.#outbound.turnAway();
    if (!isFenced) return undefined;
    const isIdle = this.#outbound.isIdle && this.#messages.isIdle;
    return isIdle && this.#direct?.isIdle !== false ? undefined : this.#outbound.turnAway();
  }

  #windowWanted(key: number): void {
    if (this.#answers.length >= ANSWERS_MAX) {
      this.#violated();
      return;
    }
    const grant = this.#grants?.grant(key);
    const answer = { kind: 'WINDOW', data: key } as const;
    if (grant === undefined) this.#answers.push({ ...answer, outcome: 'FAILED' });
    else this.#answers.push({ ...answer, body: writeWindowGrant(grant) });
    this.#progressSoon.request();
  }

  #postOwed(): void {
    for (let next = this.#fetches[0]; next !== undefined; next = this.#fetches[0]) {
      const error = this.#outbound.post(next);
      if (error === 'FI_EAGAIN') break;
      this.#fetches.shift();
      if (error !== undefined) next.ended(this.#outbound.failure?.status ?? 'IBV_WC_LOC_QP_OP_ERR');
    }
    for (let next = this.#acks[0]; next !== undefined; next = this.#acks[0]) {
      if (this.#messages.acknowledge(next.sequence, next.outcome) === 'FI_EAGAIN') return;
      this.#acks.shift();
    }
    for (let next = this.#answers[0]; next !== undefined; next = this.#answers[0]) {
      if (this.#messages.control(next, ANSWER) === 'FI_EAGAIN') return;
      this.#answers.shift();
    }
  }

  /** The peer is lost, and everything that came before has been passed on. */
  #settleFailure(): void {
    const { failure } = this.#outbound;
    if (this.#state !== 'open' || failure === undefined || !this.#inbound.isEmpty) return;
    this.#state = 'failed';
    const outcome = { err: failure.error, prov_errno: failure.status };
    this.#direct?.fail(failure.status);
    this.#direct?.close();
    this.#grants?.close();
    this.#messages.fail(outcome);
    this.#endFetches(failure.status);
    this.#owner.failed(this.address, outcome);
    this.#owner.wake();
  }

  /** The peer does not keep to the protocol. */
  #violated(): void {
    this.#outbound.fail('IBV_WC_REM_INV_REQ_ERR', 'FI_ECONNABORTED');
    this.#progressSoon.request();
  }

  #endFetches(status: IbvWcStatus): void {
    for (const fetch of this.#fetches.splice(0)) fetch.ended(status);
  }
}

/** An endpoint's name has the service that peers post to; the one it posts from is the next. */
export function outboundServiceOf(inboundService: number): number {
  return psnAdd(inboundService, 1);
}

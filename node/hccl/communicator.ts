/**
 * A communicator of one rank: its operations in order, and its end.
 *
 * States: `connecting` until every peer has said hello; `operational`; `failing` while it waits for
 * the coordinator's word; then `failed` (it can only be freed) or `closed`. Operations run one after
 * the other in the order of their calls; each has the same number on every rank.
 *
 * Failure. Whoever finds the communicator broken stops it first: the endpoint is closed, so that no
 * byte of a caller's buffer is written any more. Only then is the error reported. A fault found here
 * is told to the coordinator, and the coordinator's word, which all ranks get, is what they report.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { delay, type Scheduler } from '../../common/scheduler.ts';
import type { FiAv } from '../fabric/av.ts';
import { fi_close } from '../fabric/close.ts';
import { type FiCq, fi_cq_read, fi_cq_readerr } from '../fabric/cq.ts';
import { type FiEndpoint, fi_ep_counters } from '../fabric/endpoint.ts';
import type { FiAddr, FiErrno } from '../fabric/fabric.ts';
import type { OperationCall } from './control-message.ts';
import type { DeviceSession } from './device-session.ts';
import type { EngineObserver } from './events.ts';
import { Exchange, type FlushPlace, type PeerSlots } from './exchange.ts';
import { fabricFailure, type HcclFailure, hcclError } from './failure.ts';
import { FLUSH_READ_BYTES } from './flush.ts';
import type { HcclAsyncError, HcclCommCounters } from './hccl.ts';
import type { CommKey, JobServices, LostHost } from './job-services.ts';
import type { SlotPool } from './memory-map.ts';
import { OperationObserver } from './observer.ts';
import { type LocalBuffer, Operation } from './operation.ts';
import type { Plan } from './plan.ts';

/** How long a rank waits for all peers' hello after the rendezvous. */
export const HELLO_TIMEOUT_MS = 10_000;
/** How long one collective may take before it is declared stuck (HCL's operation timeout). */
export const COLLECTIVE_TIMEOUT_MS = 120_000;
/** How long a fault found here waits for the coordinator's word on who is to blame. */
export const VERDICT_MS = 1_000;
/** How long a leaving rank waits until its peers have its goodbye. */
export const GOODBYE_MS = 500;
/** Completions read at once (HCL's burst). */
const CQ_BURST = 256;

export interface CommunicatorInit {
  readonly key: CommKey;
  readonly rank: Rank;
  readonly nranks: number;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly services: JobServices;
  readonly observe: EngineObserver | undefined;
}

/** A communicator's own libfabric objects, which close with it. */
export interface CommunicatorPort {
  readonly endpoint: FiEndpoint;
  readonly cq: FiCq;
  readonly av: FiAv;
}

/** What a rank has once the rendezvous is done. */
export interface CommunicatorWiring {
  readonly slots: SlotPool | undefined;
  readonly flush: FlushPlace | undefined;
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  readonly peerSlots: ReadonlyMap<Rank, PeerSlots>;
  /** Host of every rank, for the coordinator's verdicts. */
  readonly nodeIds: ReadonlyMap<Rank, string>;
}

/** A call that is ready to run. */
export interface OperationRequest {
  readonly call: OperationCall;
  readonly plan: Plan;
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
}

export class Communicator {
  readonly init: CommunicatorInit;
  #state: 'connecting' | 'operational' | 'failing' | 'failed' | 'closed' = 'connecting';
  #port: CommunicatorPort | undefined;
  #nodeIds: CommunicatorWiring['nodeIds'] | undefined;
  #exchange: Exchange | undefined;
  readonly #observer: OperationObserver;
  readonly #connected: Deferred<void> = deferred();
  readonly #verdict: Deferred<HcclFailure> = deferred();
  readonly #unwatch: () => void;
  #sequence = 0;
  #completed = 0;
  #current: Operation | undefined;
  #failure: HcclFailure | undefined;

  constructor(init: CommunicatorInit) {
    this.init = init;
    this.#connected.promise.catch(() => undefined);
    this.#observer = new OperationObserver({
      clock: init.scheduler.clock,
      rank: init.rank,
      uniqueId: init.key.uniqueId,
      observe: init.observe,
    });
    this.#unwatch = init.services.watchCommunicator(init.key, {
      failed: (failure) => this.#judged(failure),
      hostLost: (host) => this.#hostLost(host),
    });
  }

  get asyncError(): HcclAsyncError {
    return this.#failure ?? { result: 'hcclSuccess', message: 'No error' };
  }

  counters(): HcclCommCounters {
    const traffic = this.#port && fi_ep_counters(this.#port.endpoint);
    const { flushes = 0, postsTurnedAway = 0 } = this.#exchange ?? {};
    const flushed = flushes * FLUSH_READ_BYTES;
    return {
      payloadBytesSent: (traffic?.rmaBytesSent ?? 0) - flushed,
      payloadBytesReceived: (traffic?.rmaBytesReceived ?? 0) - flushed,
      controlBytesSent: traffic?.messageBytesSent ?? 0,
      collectives: this.#completed,
      postsTurnedAway,
      flushes,
    };
  }

  /** Takes its endpoint, queue and address vector: from here on they close with it. */
  attach(port: CommunicatorPort): void {
    assert(this.#port === undefined, 'Expected to be given one endpoint');
    this.#port = port;
    if (this.#state !== 'connecting') this.#closePort();
  }

  /** Says hello to every peer; resolves when all have answered. */
  async connect(wiring: CommunicatorWiring): Promise<void> {
    const port = this.#port;
    assert(port !== undefined, 'Expected an endpoint to connect');
    if (this.#state !== 'connecting') return this.#connected.promise;
    this.#nodeIds = wiring.nodeIds;
    const { rank, nranks, session, scheduler } = this.init;
    const exchange = new Exchange({
      rank,
      nranks,
      session,
      scheduler,
      observer: this.#observer,
      ...port,
      ...wiring,
      connected: () => this.#connected.resolve(),
      fail: (failure) => this.#fail(failure, 'local'),
    });
    this.#exchange = exchange;
    const stopTimer = scheduler.after(HELLO_TIMEOUT_MS, () => {
      const message = `Expected every rank to connect within ${HELLO_TIMEOUT_MS} ms but rank ${rank} has not heard from ${namesOf(exchange.silentPeers)}`;
      // Ranks that have heard from everybody must not wait for this one.
      this.#fail({ result: 'hcclPortDown', message }, 'local');
    });
    exchange.start();
    await this.#connected.promise.finally(stopTimer);
    this.throwIfFailed();
    if (this.#state === 'connecting') this.#state = 'operational';
  }

  /** Runs one collective. Rejects with what went wrong, after which no buffer is written any more. */
  async run(request: OperationRequest): Promise<void> {
    this.throwIfFailed();
    const exchange = this.#exchange;
    assert(exchange !== undefined, 'Expected a connected communicator');
    const operation = new Operation({ sequence: ++this.#sequence, ...request });
    this.#current = operation;
    const stopTimer = this.init.scheduler.after(COLLECTIVE_TIMEOUT_MS, () =>
      this.#stuck(operation),
    );
    this.#observer.begin(operation);
    try {
      if (this.#state === 'operational') exchange.open(operation);
      await operation.outcome;
      this.#completed = operation.sequence;
    } finally {
      stopTimer();
      exchange.ended(operation);
      this.#current = undefined;
      this.#observer.end(operation, this.#failure?.result ?? 'hcclSuccess');
    }
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw hcclError(this.#failure);
  }

  /** This rank cannot take part in an operation: every rank must hear of it. Nothing if it failed already. */
  giveUp(failure: HcclFailure): void {
    this.#fail(failure, 'local');
  }

  /** The endpoint's queues have moved. */
  progress(): void {
    this.#exchange?.progress();
  }

  /** Reads the completion queue until it is empty. */
  drain(): void {
    const { cq } = this.#port ?? {};
    const exchange = this.#exchange;
    if (cq === undefined || exchange === undefined) return;
    while (this.#state === 'connecting' || this.#state === 'operational') {
      const read = fi_cq_read(cq, CQ_BURST);
      if (read === 'FI_EAGAIN') return;
      if (typeof read === 'string') this.#readError(exchange, cq, read);
      else for (const completion of read) exchange.completion(completion);
    }
  }

  #readError(exchange: Exchange, cq: FiCq, found: FiErrno): void {
    const error = found === 'FI_EAVAIL' ? fi_cq_readerr(cq) : found;
    if (typeof error !== 'string') exchange.completionError(error);
    else {
      const what = `Reading the completion queue of rank ${this.init.rank}`;
      this.#fail(fabricFailure(what, error), 'local');
    }
  }

  /** Says goodbye and ends; what is under way here is given up. Resolves when all is closed. */
  async leave(): Promise<void> {
    const exchange = this.#exchange;
    if (this.#state === 'operational' && exchange !== undefined) {
      this.#current?.abort();
      for (const peer of exchange.presentPeers) {
        exchange.control.send(peer, { kind: 'BYE', lastSequence: this.#completed });
      }
      const { scheduler } = this.init;
      const deadline = scheduler.clock.now() + GOODBYE_MS;
      while (this.#mustWait(exchange) && scheduler.clock.now() < deadline)
        await delay(scheduler, 1);
    }
    this.abort({ result: 'hcclInvalidUsage', message: 'The communicator was destroyed' });
  }

  /**
   * Ends at once. `told`: the coordinator hears of it, and with it the other ranks, which would wait for
   * this one in vain; `silent`: they know, or will hear it from somebody else.
   */
  abort(failure: HcclFailure, word: 'told' | 'silent' = 'silent'): void {
    if (this.#state === 'closed') return;
    const isAlive = this.#state === 'connecting' || this.#state === 'operational';
    if (word === 'told' && isAlive) {
      const { services, key, rank } = this.init;
      const message = `Rank ${rank} aborted its communicator`;
      services.reportCommunicatorFailure(key, rank, { ...failure, message });
    }
    const reason = this.#failure ?? failure;
    this.#failure = reason;
    this.#stop();
    this.#state = 'closed';
    this.#unwatch();
    // As in `#failed`.
    void this.init.session.idle().then(() => this.#rejectAll(reason));
  }

  #mustWait(exchange: Exchange): boolean {
    return this.#state === 'operational' && !exchange.control.idle;
  }

  #stuck(operation: Operation): void {
    const waiting = [...operation.awaited];
    const why =
      waiting.length > 0
        ? `${namesOf(waiting)} never started it`
        : 'every rank has started it but it does not advance';
    const message = `Expected ${operation.describe()} to end within ${COLLECTIVE_TIMEOUT_MS} ms but ${why}`;
    this.#fail({ result: 'hcclInternalError', message }, 'local');
  }

  #hostLost(host: LostHost): void {
    // Before it is complete the coordinator alone knows whether it needs that host: `failed` tells.
    const nodeIds = this.#nodeIds ?? new Map<Rank, string>();
    const dead = [...nodeIds.keys()].filter((rank) => nodeIds.get(rank) === host.nodeId);
    if (dead.length === 0) return;
    const message = `${capitalised(namesOf(dead))} died with host ${host.hostname} (${host.reason})`;
    this.#judged({ result: 'hcclPortDown', message });
  }

  /** The coordinator's word: final, and the same on every rank. */
  #judged(failure: HcclFailure): void {
    this.#verdict.resolve(failure);
    this.#fail(failure, 'verdict');
  }

  #fail(failure: HcclFailure, source: 'local' | 'verdict'): void {
    if (this.#state !== 'operational' && this.#state !== 'connecting') return;
    this.#state = 'failing';
    const during = this.#current?.describe();
    this.#stop();
    if (source === 'verdict') {
      this.#failed(failure, during);
      return;
    }
    const { scheduler, services, key, rank } = this.init;
    services.reportCommunicatorFailure(key, rank, failure);
    const silence = delay(scheduler, VERDICT_MS).then(() => failure);
    void Promise.race([this.#verdict.promise, silence]).then((word) => this.#failed(word, during));
  }

  #failed({ result, message }: HcclFailure, during: string | undefined): void {
    if (this.#state !== 'failing') return;
    const { rank } = this.init;
    const known = during === undefined || message.includes(' operation ');
    const full = known ? message : `${message} during ${during} on rank ${rank}`;
    const failed = { result, message: full };
    // Kernels that are under way may still write; nobody hears of the failure before they are done.
    void this.init.session.idle().then(() => {
      if (this.#state !== 'failing') return;
      this.#state = 'failed';
      this.#failure = failed;
      this.#rejectAll(failed);
    });
  }

  #rejectAll(failure: HcclFailure): void {
    const error = hcclError(failure);
    this.#connected.reject(error);
    this.#current?.fail(error);
  }

  /** From here on nothing reaches or leaves the callers' buffers. */
  #stop(): void {
    this.#exchange?.close();
    this.#current?.abort();
    this.#closePort();
  }

  #closePort(): void {
    if (this.#port === undefined) return;
    fi_close(this.#port.endpoint);
    fi_close(this.#port.cq);
    fi_close(this.#port.av);
  }
}

/** `rank 2`, `ranks 2, 3`. */
function namesOf(ranks: readonly Rank[]): string {
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

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
import { assert, defined } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { delay } from '../../common/scheduler.ts';
import { fi_close } from '../fabric/close.ts';
import { type FiCq, fi_cq_read, fi_cq_readerr } from '../fabric/cq.ts';
import { fi_ep_counters } from '../fabric/endpoint.ts';
import type { FiCompletion, FiErrno } from '../fabric/fabric.ts';
import { countersOf, linksOf } from './communicator-counters.ts';
import type {
  CommunicatorInit,
  CommunicatorPort,
  CommunicatorWiring,
  OperationRequest,
} from './communicator-init.ts';
import { type EventLoopPolling, pollingOf } from './event-loop-polling.ts';
import { Exchange } from './exchange.ts';
import { fabricFailure, type HcclFailure, hcclError } from './failure.ts';
import type { HcclAsyncError, HcclCommCounters } from './hccl.ts';
import type { LostHost } from './job-services.ts';
import type { Message } from './message.ts';
import { OperationObserver } from './observer.ts';
import { openPointToPoint } from './open-point-to-point.ts';
import { Operation } from './operation.ts';
import { apiName } from './operation-call.ts';
import type { PointToPoint } from './point-to-point.ts';
import { ProgramPath } from './program/program-path.ts';
import { atStart, ranksText } from './rank-text.ts';
import { COLLECTIVE_TIMEOUT_MS, GOODBYE_MS } from './timeouts.ts';

/** How long a rank waits for all peers' hello after the rendezvous. */
export const HELLO_TIMEOUT_MS = 10_000;
/** How long a fault found here waits for the coordinator's word on who is to blame. */
export const VERDICT_MS = 1_000;
/** What calls are answered until it is connected (NCCL's ncclInProgress). */
const STILL_CONNECTING: HcclFailure = {
  result: 'hcclTryAgain',
  message: 'The communicator is still being put together',
};
/** Completions read at once (HCL's burst). */
const CQ_BURST = 256;

export class Communicator {
  readonly init: CommunicatorInit;
  #state: 'connecting' | 'operational' | 'failing' | 'failed' | 'closed' = 'connecting';
  #port: CommunicatorPort | undefined;
  #nodeIds: CommunicatorWiring['nodeIds'] | undefined;
  #exchange: Exchange | undefined;
  #messages: PointToPoint | undefined;
  readonly #observer: OperationObserver;
  readonly #connected: Deferred<void> = deferred();
  readonly #verdict: Deferred<HcclFailure> = deferred();
  readonly #broken: Deferred<HcclFailure> = deferred();
  readonly #unwatch: () => void;
  /** How the program's thread moves bytes itself. */
  readonly program: ProgramPath;
  readonly #polling: EventLoopPolling | undefined;
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
    this.#polling = pollingOf(init);
    this.program = new ProgramPath({
      ...init,
      nodeIdOf: (rank) => defined(this.#nodeIds?.get(rank), 'the host of a rank'),
      send: (peer, message) => {
        // A peer that has left unmaps everything by itself.
        if (this.#exchange?.presentPeers.includes(peer)) this.#exchange.control.send(peer, message);
      },
      fail: (failure) => this.#fail(failure, 'local'),
    });
    this.#unwatch = init.services.watchCommunicator(init.key, {
      failed: (failure) => this.#judged(failure),
      hostLost: (host) => this.#hostLost(host),
    });
  }

  /** hcclTryAgain while it is being put together. */
  get asyncError(): HcclAsyncError {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#state === 'connecting') return STILL_CONNECTING;
    return { result: 'hcclSuccess', message: 'No error' };
  }

  /** Resolves when it has failed or ended. */
  get broken(): Promise<HcclFailure> {
    return this.#broken.promise;
  }

  /** By rank, what carries bytes between this rank and it; `null` for itself. */
  readonly links = () => linksOf(this.init, this.program.path, this.#nodeIds);

  counters(): HcclCommCounters {
    return countersOf({
      traffic: this.#port && fi_ep_counters(this.#port.endpoint),
      exchange: this.#exchange,
      messages: this.#messages,
      program: this.program.traffic,
      path: this.program.path,
      collectives: this.#completed,
    });
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
      program: this.program,
      connected: () => this.#connected.resolve(),
      fail: (failure) => this.#fail(failure, 'local'),
    });
    this.#exchange = exchange;
    this.#messages = openPointToPoint({
      rank,
      session,
      scheduler,
      timeoutMs: COLLECTIVE_TIMEOUT_MS,
      endpoint: port.endpoint,
      addresses: wiring.addresses,
      landed: (use) => exchange.whenLanded(use),
      fail: (failure) => this.#fail(failure, 'local'),
    });
    const stopTimer = scheduler.after(HELLO_TIMEOUT_MS, () => {
      const message = `Expected every rank to connect within ${HELLO_TIMEOUT_MS} ms but rank ${rank} has not heard from ${ranksText(exchange.silentPeers)}`;
      // Ranks that have heard from everybody must not wait for this one.
      this.#fail({ result: 'hcclPortDown', message }, 'local');
    });
    exchange.start();
    await this.#connected.promise.then(() => this.program.agree()).finally(stopTimer);
    this.throwIfFailed();
    if (this.#state === 'connecting') this.#state = 'operational';
  }

  /** Runs one collective. Rejects with what went wrong, after which no buffer is written any more. */
  async run({ call, plan, input, output, scratch }: OperationRequest): Promise<void> {
    this.throwIfFailed(apiName(call.collective));
    const exchange = this.#exchange;
    assert(exchange !== undefined, 'Expected a connected communicator');
    const sequence = ++this.#sequence;
    const operation = new Operation({ sequence, call, plan, input, output, scratch });
    this.#current = operation;
    const stopTimer = this.init.scheduler.after(COLLECTIVE_TIMEOUT_MS, () =>
      this.#stuck(operation),
    );
    this.#observer.begin(operation);
    this.#polling?.begin();
    try {
      if (this.#state === 'operational') exchange.open(operation);
      await operation.outcome;
      this.#completed = operation.sequence;
    } finally {
      stopTimer();
      this.#polling?.end();
      exchange.ended(operation);
      this.#current = undefined;
      this.#observer.end(operation, this.#failure?.result ?? 'hcclSuccess');
    }
  }

  /** Runs hcclSend and hcclRecv calls together. Rejects as `run` does. */
  async runMessages(messages: readonly Message[]): Promise<void> {
    this.throwIfFailed();
    const [traffic, exchange] = [this.#messages, this.#exchange];
    assert(traffic !== undefined && exchange !== undefined, 'Expected a connected communicator');
    const ended = traffic.run(messages);
    if (this.#state === 'operational') traffic.checkPresent(exchange.presentPeers);
    await ended;
  }

  /** `call`: what is not begun because of it, if no operation was under way. */
  throwIfFailed(call?: string): void {
    if (this.#failure === undefined) return;
    const { result, message } = this.#failure;
    const isNamed = call === undefined || message.includes(' operation ');
    throw hcclError({ result, message: isNamed ? message : `${message} before ${call} began` });
  }

  /** Throws what it has failed with, also if that is still to be judged: nothing new may be begun then. */
  async throwIfFailing(): Promise<void> {
    if (this.#state === 'failing') await this.#broken.promise;
    this.throwIfFailed();
  }

  /** Throws hcclTryAgain while it is being put together, and what it has failed with. */
  expectConnected(call?: string): void {
    this.throwIfFailed(call);
    if (this.#state === 'connecting') throw hcclError(STILL_CONNECTING);
  }

  /** This rank cannot take part in an operation: every rank must hear of it. Nothing if it failed already. */
  giveUp(failure: HcclFailure): void {
    this.#fail(failure, 'local');
  }

  /** The endpoint's queues have moved. */
  progress(): void {
    this.#exchange?.progress();
    this.#messages?.resume();
  }

  /** Reads the completion queue until it is empty. */
  drain(): void {
    const { cq } = this.#port ?? {};
    const [exchange, messages] = [this.#exchange, this.#messages];
    if (cq === undefined || exchange === undefined || messages === undefined) return;
    while (this.#state === 'connecting' || this.#state === 'operational') {
      const read = fi_cq_read(cq, CQ_BURST);
      if (read === 'FI_EAGAIN') break;
      if (typeof read === 'string') this.#readError(exchange, messages, cq, read);
      else this.#take(exchange, messages, read);
    }
    if (this.#state === 'operational' && !messages.isIdle) {
      messages.checkPresent(exchange.presentPeers);
    }
  }

  #take(exchange: Exchange, messages: PointToPoint, completions: readonly FiCompletion[]): void {
    for (const completion of completions) {
      if (this.#state !== 'connecting' && this.#state !== 'operational') return;
      if (!messages.completion(completion)) exchange.completion(completion);
    }
  }

  #readError(exchange: Exchange, messages: PointToPoint, cq: FiCq, found: FiErrno): void {
    const error = found === 'FI_EAVAIL' ? fi_cq_readerr(cq) : found;
    if (typeof error !== 'string') {
      if (!messages.completionError(error)) exchange.completionError(error);
    } else {
      const what = `Reading the completion queue of rank ${this.init.rank}`;
      this.#fail(fabricFailure(what, error), 'local');
    }
  }

  /** Says goodbye and ends; what is under way here is given up. Resolves when all is closed. */
  async leave(why = 'The communicator was destroyed'): Promise<void> {
    const exchange = this.#exchange;
    if (this.#state === 'operational' && exchange !== undefined) {
      this.#current?.abort();
      // As long as a peer may take for the operations that this rank has been through.
      await this.#waitWhile(() => !this.program.isRead, COLLECTIVE_TIMEOUT_MS);
      exchange.leave(this.#completed, this.program.progress);
      await this.#waitWhile(() => !exchange.control.idle, GOODBYE_MS);
    }
    this.abort({ result: 'hcclInvalidUsage', message: why });
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
    void this.#idle().then(() => this.#rejectAll(reason));
  }

  async #waitWhile(holds: () => boolean, timeoutMs: number): Promise<void> {
    const { scheduler } = this.init;
    const deadline = scheduler.clock.now() + timeoutMs;
    while (this.#state === 'operational' && holds() && scheduler.clock.now() < deadline)
      await delay(scheduler, 1);
  }

  #stuck(operation: Operation): void {
    const waiting = [...operation.awaited];
    const why =
      waiting.length > 0
        ? `${ranksText(waiting)} never started it`
        : 'every rank has started it but it does not advance';
    const message = `Expected ${operation.describe()} to end within ${COLLECTIVE_TIMEOUT_MS} ms but ${why}`;
    this.#fail({ result: 'hcclInternalError', message }, 'local');
  }

  #hostLost(host: LostHost): void {
    // Before it is complete the coordinator alone knows whether it needs that host: `failed` tells.
    const nodeIds = this.#nodeIds ?? new Map<Rank, string>();
    const dead = [...nodeIds.keys()].filter((rank) => nodeIds.get(rank) === host.nodeId);
    if (dead.length === 0) return;
    const message = `${atStart(ranksText(dead))} died with host ${host.hostname} (${host.reason})`;
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
    void this.#idle().then(() => {
      if (this.#state !== 'failing') return;
      this.#state = 'failed';
      this.#failure = failed;
      this.#rejectAll(failed);
    });
  }

  /** No kernel of ours runs any more, on whatever thread. */
  #idle(): Promise<void> {
    const kernels = this.init.session.idle();
    return this.program.isBusy ? kernels.then(() => this.program.idle()) : kernels;
  }

  #rejectAll(failure: HcclFailure): void {
    const error = hcclError(failure);
    this.#connected.reject(error);
    this.#current?.fail(error);
    this.#messages?.rejectAll(error);
    this.#broken.resolve(failure);
  }

  /** From here on nothing reaches or leaves the callers' buffers. */
  #stop(): void {
    this.#exchange?.close();
    this.#messages?.close();
    this.program.stop();
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

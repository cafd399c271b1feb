/**
 * A host's end of the control protocol: joins, keeps the heartbeat, hears the coordinator, and serves
 * HCCL and the ranks of the job with what goes through it.
 */
import { type Deferred, deferred, withDeadline } from '../common/deferred.ts';
import { HlsimError, isErrorCode } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { ControlConnection } from '../coordinator/hlcp/control-connection.ts';
import type { Evict } from '../coordinator/hlcp/device-messages.ts';
import { Heartbeat, silentCoordinatorError } from '../coordinator/hlcp/heartbeat.ts';
import type {
  CommMember,
  CoordinatorToHost,
  Failure,
  HostEntry,
  HostToCoordinator,
} from '../coordinator/hlcp/messages.ts';
import type { TraceStart } from '../coordinator/hlcp/trace-messages.ts';
import { type HcclFailure, hcclError } from './hccl/failure.ts';
import { type HcclResult, isHcclResult } from './hccl/hccl.ts';
import type { CommKey, CommListener, JobRank, JobServices } from './hccl/job-services.ts';
import type { SimProcess } from './process/sim-process.ts';

/** How long a rank waits for the others in a barrier. */
export const BARRIER_TIMEOUT_MS = 120_000;
/** How long a rank waits for a key of the store. */
export const STORE_TIMEOUT_MS = 60_000;
/** The coordinator ends a rendezvous in 30 s; a host that hears nothing gives up a little later. */
export const RENDEZVOUS_TIMEOUT_MS = 35_000;

export type HostConnection = ControlConnection<HostToCoordinator, CoordinatorToHost>;
type JobStart = Extract<CoordinatorToHost, { type: 'HLCP_JOB_START' }>;
type HostLost = Extract<CoordinatorToHost, { type: 'HLCP_HOST_LOST' }>;

/** What the host does when the coordinator says so. */
export interface ControlPlaneEvents {
  accepted(): void;
  world(hosts: readonly HostEntry[]): void;
  startJob(job: JobStart): void;
  stopJob(jobId: string, reason: string): void;
  hostLost(host: HostLost): void;
  /** Somebody asks how the devices are. */
  deviceStatus(requestId: number): void;
  /** Somebody wants a device freed. */
  evict(request: Evict): void;
  /** Somebody wants to know what the ranks do, from here on; and no more. */
  startTrace(request: TraceStart): void;
  stopTrace(requestId: number): void;
  /** What time it is, in answer to a question of this number. */
  clockAnswered(sequence: number, atMs: number): void;
  /** The host must end: told to (`undefined`), refused, or the coordinator is gone. */
  ended(reason: HlsimError | undefined): void;
}

export class ControlPlane implements JobServices {
  readonly #connection: HostConnection;
  readonly #scheduler: Scheduler;
  readonly #events: ControlPlaneEvents;
  readonly #jobRanks = new Map<SimProcess, JobRank>();
  readonly #rendezvous = new Map<string, Deferred<readonly CommMember[]>[]>();
  readonly #watchers = new Map<string, Set<CommListener>>();
  readonly #barriers = new Map<string, Deferred<void>[]>();
  /** Barriers that each rank of a job has entered. */
  readonly #barrierCount = new Map<string, number>();
  readonly #storeRequests = new Map<number, Deferred<string>>();
  #requestId = 0;
  readonly #heartbeat: Heartbeat;
  #state: 'open' | 'ended' = 'open';
  /** Why nothing comes from the coordinator any more. */
  #gone: HlsimError | undefined;

  constructor(connection: HostConnection, scheduler: Scheduler, events: ControlPlaneEvents) {
    this.#connection = connection;
    this.#scheduler = scheduler;
    this.#events = events;
    this.#heartbeat = new Heartbeat({
      scheduler,
      send: (sequence) => connection.send({ type: 'HLCP_HEARTBEAT', sequence }),
      silent: (silentMs) => this.#end(silentCoordinatorError('the coordinator', silentMs)),
    });
  }

  /** Asks to join and listens from now on. */
  join(who: Omit<Extract<HostToCoordinator, { type: 'HLCP_RANK_DATA' }>, 'type'>): void {
    this.#connection.listen({
      message: (message) => this.#message(message),
      closed: (reason) => this.#end(reason ?? undefined),
    });
    this.#connection.send({ type: 'HLCP_RANK_DATA', ...who });
    if (this.#state === 'open') this.#heartbeat.start();
  }

  /** Ends the connection. Everything that waits for the coordinator fails. */
  close(): void {
    this.#end(undefined);
  }

  send(message: HostToCoordinator): void {
    this.#connection.send(message);
  }

  addRank(process: SimProcess, rank: JobRank): void {
    this.#jobRanks.set(process, rank);
  }

  removeRank(process: SimProcess): void {
    const rank = this.#jobRanks.get(process);
    if (rank !== undefined) this.#barrierCount.delete(`${rank.jobId} ${rank.rank}`);
    this.#jobRanks.delete(process);
  }

  jobRankOf(process: SimProcess): JobRank | undefined {
    return this.#jobRanks.get(process);
  }

  joinCommunicator(
    key: CommKey,
    nranks: number,
    member: CommMember,
  ): Promise<readonly CommMember[]> {
    const waiting = deferred<readonly CommMember[]>();
    const name = nameOf(key);
    this.#rendezvous.set(name, [...(this.#rendezvous.get(name) ?? []), waiting]);
    this.#connection.send({ type: 'HLCP_COMM_DATA', ...key, nranks, member });
    return this.#bounded(waiting, RENDEZVOUS_TIMEOUT_MS, 'the coordinator to end the rendezvous');
  }

  watchCommunicator(key: CommKey, listener: CommListener): () => void {
    const name = nameOf(key);
    const listeners = this.#watchers.get(name) ?? new Set();
    listeners.add(listener);
    this.#watchers.set(name, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#watchers.delete(name);
    };
  }

  reportCommunicatorFailure(key: CommKey, rank: number, failure: HcclFailure): void {
    const { result: code, message } = failure;
    this.#connection.send({ type: 'HLCP_COMM_ERROR', ...key, rank, failure: { code, message } });
  }

  barrier(job: JobRank): Promise<void> {
    const { jobId, rank } = job;
    const sequence = (this.#barrierCount.get(`${jobId} ${rank}`) ?? 0) + 1;
    this.#barrierCount.set(`${jobId} ${rank}`, sequence);
    const name = `${jobId} ${sequence}`;
    const waiting = deferred<void>();
    this.#barriers.set(name, [...(this.#barriers.get(name) ?? []), waiting]);
    this.#connection.send({ type: 'HLCP_SYNC', jobId, sequence, rank });
    return this.#bounded(
      waiting,
      BARRIER_TIMEOUT_MS,
      `every rank of the job to enter barrier ${sequence}`,
    );
  }

  storeSet({ jobId }: JobRank, key: string, value: string): void {
    this.#connection.send({ type: 'HLCP_STORE_SET', jobId, key, value });
  }

  storeGet({ jobId }: JobRank, key: string): Promise<string> {
    const requestId = ++this.#requestId;
    const waiting = deferred<string>();
    this.#storeRequests.set(requestId, waiting);
    this.#connection.send({ type: 'HLCP_STORE_GET', jobId, key, requestId });
    return this.#bounded(
      waiting,
      STORE_TIMEOUT_MS,
      `a rank to set key ${key} of the store`,
    ).finally(() => this.#storeRequests.delete(requestId));
  }

  report({ jobId, rank }: JobRank, json: string): void {
    this.#connection.send({ type: 'HLCP_JOB_REPORT', jobId, rank, json });
  }

  #bounded<T>(waiting: Deferred<T>, deadlineMs: number, what: string): Promise<T> {
    if (this.#gone !== undefined) waiting.reject(this.#gone);
    return withDeadline(
      this.#scheduler,
      deadlineMs,
      waiting.promise,
      () => new HlsimError('HLSIM_TIMEOUT', `Expected ${what} within ${deadlineMs} ms`),
    );
  }

  #message(message: CoordinatorToHost): void {
    this.#heartbeat.heard();
    switch (message.type) {
      case 'HLCP_ACCEPTED':
        this.#events.accepted();
        return;
      case 'HLCP_WORLD':
        this.#events.world(message.hosts);
        return;
      case 'HLCP_JOB_START':
        this.#events.startJob(message);
        return;
      case 'HLCP_JOB_STOP':
        this.#events.stopJob(message.jobId, message.reason);
        return;
      case 'HLCP_HOST_LOST':
        this.#hostLost(message);
        return;
      case 'HLCP_DEVICE_STATUS':
        this.#events.deviceStatus(message.requestId);
        return;
      case 'HLCP_EVICT':
        this.#events.evict(message);
        return;
      case 'HLCP_TRACE_START':
        this.#events.startTrace(message);
        return;
      case 'HLCP_TRACE_STOP':
        this.#events.stopTrace(message.requestId);
        return;
      case 'HLCP_CLOCK_ANSWER':
        this.#events.clockAnswered(message.sequence, message.atMs);
        return;
      case 'HLCP_SHUTDOWN':
        this.#end(undefined);
        return;
      case 'HLCP_REFUSED':
        this.#end(errorOf(message.failure));
        return;
      default:
        this.#answer(message);
    }
  }

  /** Messages that answer something a rank waits for. */
  #answer(message: CoordinatorToHost): void {
    switch (message.type) {
      case 'HLCP_COMM_READY':
        for (const one of this.#take(this.#rendezvous, nameOf(message)))
          one.resolve(message.members);
        return;
      case 'HLCP_COMM_FAILED':
        this.#communicatorFailed(message);
        return;
      case 'HLCP_SYNC_DONE':
        for (const one of this.#take(this.#barriers, `${message.jobId} ${message.sequence}`)) {
          one.resolve();
        }
        return;
      case 'HLCP_STORE_VALUE':
        this.#storeRequests.get(message.requestId)?.resolve(message.value);
    }
  }

  #communicatorFailed(message: Extract<CoordinatorToHost, { type: 'HLCP_COMM_FAILED' }>): void {
    const { code, message: sentence } = message.failure;
    const failure: HcclFailure = { result: resultOf(code), message: sentence };
    const name = nameOf(message);
    for (const one of this.#take(this.#rendezvous, name)) one.reject(hcclError(failure));
    for (const listener of [...(this.#watchers.get(name) ?? [])]) listener.failed(failure);
  }

  #hostLost(message: HostLost): void {
    this.#events.hostLost(message);
    for (const listeners of [...this.#watchers.values()]) {
      for (const listener of [...listeners]) listener.hostLost(message);
    }
  }

  #take<T>(map: Map<string, Deferred<T>[]>, name: string): Deferred<T>[] {
    const waiting = map.get(name) ?? [];
    map.delete(name);
    return waiting;
  }

  #end(reason: HlsimError | undefined): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#heartbeat.stop();
    this.#connection.close();
    const gone = reason ?? new HlsimError('HLSIM_COORDINATOR_LOST', 'The host is being taken down');
    this.#gone = gone;
    for (const list of this.#rendezvous.values()) for (const one of list) one.reject(gone);
    for (const list of this.#barriers.values()) for (const one of list) one.reject(gone);
    for (const one of this.#storeRequests.values()) one.reject(gone);
    this.#events.ended(reason);
  }
}

function nameOf({ jobId, uniqueId, epoch }: CommKey): string {
  return `${jobId} ${uniqueId} ${epoch}`;
}

/** A member's own result comes back as it was; the coordinator's words are its own. */
function resultOf(code: string): HcclResult {
  if (isHcclResult(code)) return code;
  return code === 'HLSIM_HOST_LOST' ? 'hcclPortDown' : 'hcclInvalidUsage';
}

function errorOf({ code, message }: Failure): HlsimError {
  return new HlsimError(isErrorCode(code) ? code : 'HLSIM_PROTOCOL_ERROR', message);
}

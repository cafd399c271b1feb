/**
 * The client's side of the control protocol: join a coordinator, run one job at a time, hear what its
 * ranks print and report, ask about devices, and take the cluster down.
 */
import { type Deferred, deferred, withDeadline } from '../common/deferred.ts';
import { HlsimError, messageOf } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { type ClientControl, connectClientControl } from '../coordinator/hlcp/client.ts';
import type { EvictStep } from '../coordinator/hlcp/device-messages.ts';
import { Heartbeat, silentCoordinatorError } from '../coordinator/hlcp/heartbeat.ts';
import {
  type CoordinatorToClient,
  type Failure,
  HLCP_VERSION,
  type HostEntry,
  type JobSpec,
} from '../coordinator/hlcp/messages.ts';
import {
  type ClusterDevices,
  DeviceQuestions,
  type EvictionEnd,
  type EvictRequest,
} from './device-questions.ts';
import { unlessAborted } from './interruption.ts';
import { type ClusterTrace, TraceQuestions, type TraceWindow } from './trace-questions.ts';

/** How long a coordinator that answered may take to say welcome. */
const WELCOME_DEADLINE_MS = 5_000;
/** Beyond the join timeout, which the coordinator itself watches: for its answer to arrive. */
const ANSWER_GRACE_MS = 5_000;
/** How long a cancelled job may take to end on every rank before the client leaves it behind. */
const CANCEL_DEADLINE_MS = 2_000;

export interface JobRequest {
  readonly spec: JobSpec;
  /** Hosts that the cluster must have; absent: as many as it has. */
  readonly hosts?: number | undefined;
  readonly joinTimeoutMs: number;
}

/** What a job tells while it runs. Calls come in the order in which the coordinator sent them. */
export interface JobListener {
  accepted?(hosts: readonly HostEntry[]): void;
  /** Text as the program printed it: not necessarily whole lines. */
  output?(rank: number, stream: 'stdout' | 'stderr', text: string): void;
  report?(rank: number, report: unknown): void;
  hostLost?(sentence: string): void;
}

export interface JobOutcome {
  readonly exitCode: number;
  /** Why, when `exitCode` is not 0. */
  readonly failure?: Failure | undefined;
}

interface RunningJob {
  readonly listener: JobListener;
  readonly accepted: Deferred<string>;
  readonly done: Deferred<JobOutcome>;
}

export interface ClientOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly deadlineMs: number;
  readonly scheduler: Scheduler;
}

export class ClusterClient {
  readonly #control: ClientControl;
  readonly #scheduler: Scheduler;
  readonly #welcome = deferred<number>();
  /** Rejects when the connection ends. */
  readonly #ended = deferred<never>();
  readonly #heartbeat: Heartbeat;
  /** Hosts of the client's jobs, by node id, and those of them that the coordinator has called lost. */
  readonly #pids = new Map<string, number>();
  readonly #lostPids = new Set<number>();
  #coordinatorState: 'heard' | 'silent' = 'heard';
  #expectedHosts = 0;
  #job: RunningJob | undefined;
  readonly #devices: DeviceQuestions;
  readonly #traces: TraceQuestions;

  private constructor(control: ClientControl, options: ClientOptions) {
    this.#control = control;
    this.#scheduler = options.scheduler;
    this.#devices = new DeviceQuestions((message) => control.send(message), options.scheduler);
    this.#traces = new TraceQuestions((message) => control.send(message), options.scheduler);
    this.#ended.promise.catch(() => undefined);
    this.#heartbeat = new Heartbeat({
      scheduler: options.scheduler,
      send: (sequence) => control.send({ type: 'HLCP_HEARTBEAT', sequence }),
      silent: (silentMs) => this.#coordinatorSilent(options.url, silentMs),
    });
    control.listen({
      message: (message) => this.#receive(message),
      closed: (reason) => {
        this.#heartbeat.stop();
        this.#ended.reject(
          reason ?? new HlsimError('HLSIM_COORDINATOR_LOST', 'Expected an open control connection'),
        );
      },
    });
  }

  /**
   * Finds the coordinator and is welcomed by it.
   *
   * @throws HlsimError `HLSIM_COORDINATOR_UNREACHABLE`, `HLSIM_TOKEN_REFUSED`, `HLSIM_PROTOCOL_VERSION`
   */
  static async connect(options: ClientOptions): Promise<ClusterClient> {
    const client = new ClusterClient(await connectClientControl(options), options);
    client.#control.send({ type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION });
    client.#heartbeat.start();
    try {
      const welcome = client.#welcome.promise;
      client.#expectedHosts = await client.#withinOrEnded(
        WELCOME_DEADLINE_MS,
        welcome,
        'a welcome',
      );
    } catch (reason) {
      client.close();
      throw reason;
    }
    return client;
  }

  /**
   * Runs a job to its end. If `signal` aborts, the job is cancelled and the signal's reason thrown.
   *
   * @throws HlsimError why the coordinator did not take the job; `HLSIM_COORDINATOR_LOST`
   */
  async runJob(
    request: JobRequest,
    listener: JobListener,
    signal: AbortSignal,
  ): Promise<JobOutcome> {
    signal.throwIfAborted();
    const job: RunningJob = { listener, accepted: deferred(), done: deferred() };
    job.accepted.promise.catch(() => undefined);
    job.done.promise.catch(() => undefined);
    this.#job = job;
    const { spec, hosts, joinTimeoutMs } = request;
    this.#control.send({
      type: 'HLCP_JOB_SUBMIT',
      spec,
      joinTimeoutMs,
      ...(hosts === undefined ? {} : { hosts }),
    });
    try {
      return await unlessAborted(signal, this.#outcome(job, joinTimeoutMs));
    } catch (reason) {
      if (signal.aborted) await this.#cancel(job);
      throw reason;
    } finally {
      this.#job = undefined;
    }
  }

  /**
   * How the devices of all hosts are, now.
   *
   * @throws HlsimError `HLSIM_TIMEOUT`, `HLSIM_COORDINATOR_LOST`
   */
  deviceStatus(): Promise<ClusterDevices> {
    return Promise.race([this.#devices.status(), this.#ended.promise]);
  }

  /**
   * Has a host free a device; `listener` hears its steps in order. A client that leaves meanwhile does
   * not stop the host.
   *
   * @throws HlsimError `HLSIM_TIMEOUT`, `HLSIM_COORDINATOR_LOST`
   */
  evict(request: EvictRequest, listener: (step: EvictStep) => void): Promise<EvictionEnd> {
    return Promise.race([this.#devices.evict(request, listener), this.#ended.promise]);
  }

  /**
   * Has every host note down what its ranks do, from here on until `stopTrace`.
   *
   * @throws HlsimError why one does not; `HLSIM_TIMEOUT`, `HLSIM_COORDINATOR_LOST`
   */
  startTrace(window: TraceWindow): Promise<void> {
    return Promise.race([this.#traces.start(window), this.#ended.promise]);
  }

  /**
   * Ends that, and has what was noted down.
   *
   * @throws HlsimError `HLSIM_TIMEOUT`, `HLSIM_COORDINATOR_LOST`, `HLSIM_PROTOCOL_ERROR`
   */
  stopTrace(): Promise<ClusterTrace> {
    return Promise.race([this.#traces.stop(), this.#ended.promise]);
  }

  /** Asks the coordinator to take the whole cluster down. */
  shutdownCluster(): void {
    this.#control.send({ type: 'HLCP_CLUSTER_SHUTDOWN' });
  }

  /** Hosts of the cluster when it is complete. */
  get expectedHosts(): number {
    return this.#expectedHosts;
  }

  /** `silent`: it was lost because it did not answer, so its process may still be there, hung. */
  get coordinatorState(): 'heard' | 'silent' {
    return this.#coordinatorState;
  }

  /** Process ids, on their own machines, of the hosts that the coordinator has called lost. */
  get lostPids(): ReadonlySet<number> {
    return this.#lostPids;
  }

  close(): void {
    this.#heartbeat.stop();
    this.#control.close();
  }

  /** A job may end without having been accepted: one that cannot run. */
  async #outcome(job: RunningJob, joinTimeoutMs: number): Promise<JobOutcome> {
    const settled = Promise.race([job.accepted.promise, job.done.promise]);
    await this.#withinOrEnded(joinTimeoutMs + ANSWER_GRACE_MS, settled, 'an answer about the job');
    return Promise.race([job.done.promise, this.#ended.promise]);
  }

  async #cancel(job: RunningJob): Promise<void> {
    const accepted = await Promise.race([job.accepted.promise, undefined]);
    if (accepted === undefined) return;
    this.#control.send({ type: 'HLCP_JOB_CANCEL', jobId: accepted });
    // The job's own end is no longer of interest: the caller reports the interruption.
    await this.#withinOrEnded(CANCEL_DEADLINE_MS, job.done.promise, 'the end of the job').catch(
      () => undefined,
    );
  }

  #withinOrEnded<T>(deadlineMs: number, promise: Promise<T>, what: string): Promise<T> {
    const either = Promise.race([promise, this.#ended.promise]);
    return withDeadline(this.#scheduler, deadlineMs, either, () => {
      return new HlsimError(
        'HLSIM_TIMEOUT',
        `Expected ${what} from the coordinator but found none after ${deadlineMs} ms`,
      );
    });
  }

  #coordinatorSilent(url: string, silentMs: number): void {
    this.#coordinatorState = 'silent';
    this.#ended.reject(silentCoordinatorError(`the coordinator at ${url}`, silentMs));
    this.#control.close();
  }

  #receive(message: CoordinatorToClient): void {
    this.#heartbeat.heard();
    this.#noteHosts(message);
    if (message.type === 'HLCP_CLIENT_WELCOME') {
      this.#welcome.resolve(message.expectedHosts);
    } else if (message.type === 'HLCP_SHUTDOWN') {
      this.#ended.reject(
        new HlsimError(
          'HLSIM_COORDINATOR_LOST',
          `The cluster is being taken down: ${message.reason}`,
        ),
      );
    } else {
      this.#devices.receive(message);
      this.#traces.receive(message);
      if (this.#job !== undefined) receiveForJob(this.#job, message);
    }
  }

  #noteHosts(message: CoordinatorToClient): void {
    if (message.type === 'HLCP_JOB_ACCEPTED') {
      for (const { nodeId, pid } of message.hosts) this.#pids.set(nodeId, pid);
    } else if (message.type === 'HLCP_HOST_LOST') {
      const pid = this.#pids.get(message.nodeId);
      if (pid !== undefined) this.#lostPids.add(pid);
    }
  }
}

function receiveForJob(job: RunningJob, message: CoordinatorToClient): void {
  const { listener } = job;
  switch (message.type) {
    case 'HLCP_JOB_ACCEPTED':
      job.accepted.resolve(message.jobId);
      listener.accepted?.(message.hosts);
      break;
    case 'HLCP_JOB_OUTPUT':
      listener.output?.(message.rank, message.stream, message.text);
      break;
    case 'HLCP_JOB_REPORT':
      receiveReport(job, message.rank, message.json);
      break;
    case 'HLCP_JOB_DONE':
      job.done.resolve({ exitCode: message.exitCode, failure: message.failure });
      break;
    case 'HLCP_HOST_LOST':
      listener.hostLost?.(
        `Host ${message.hostname} (rank ${message.ranks.join(', ')}) is lost: ${message.reason}`,
      );
      break;
    default:
      // HLCP_HEARTBEAT_ACK has been heard, that is all. HLCP_REFUSED is followed by the end of the
      // connection, whose reason it becomes.
      break;
  }
}

/** A report that cannot be used ends the job's wait: results would be missing silently otherwise. */
function receiveReport(job: RunningJob, rank: number, json: string): void {
  try {
    job.listener.report?.(rank, JSON.parse(json));
  } catch (cause) {
    job.done.reject(
      cause instanceof HlsimError
        ? cause
        : new HlsimError(
            'HLSIM_PROTOCOL_ERROR',
            `Expected a usable report of rank ${rank} but found: ${messageOf(cause)}`,
            { cause },
          ),
    );
  }
}

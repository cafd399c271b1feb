/** Where clients are heard: who has said hello, what each may ask, and who is shown out. */
import { HlsimError } from '../common/errors.ts';
import type { DeviceControl } from './device-control.ts';
import { logEffect, type OutwardEffect, type PeerId } from './effect.ts';
import { versionError } from './hlcp/codec.ts';
import { type ClientToCoordinator, HLCP_VERSION } from './hlcp/messages.ts';
import { failureOf, refusedMessage } from './hlcp/refusal.ts';
import type { JobControl } from './job-control.ts';
import type { Membership } from './membership.ts';
import type { TraceControl } from './trace-control.ts';

type JobSubmit = Extract<ClientToCoordinator, { type: 'HLCP_JOB_SUBMIT' }>;

/** The cluster, as clients see it. */
export interface ClientDeskInit {
  readonly jobs: JobControl;
  readonly devices: DeviceControl;
  readonly traces: TraceControl;
  /** Makes the id of each job. */
  readonly newJobId: () => string;
  readonly membership: () => Membership;
  readonly isUp: () => boolean;
  readonly emit: (effect: OutwardEffect) => void;
  readonly shutDown: (reason: string) => void;
}

export class ClientDesk {
  readonly #init: ClientDeskInit;
  /** Those that have said hello. */
  readonly #clients = new Set<PeerId>();

  constructor(init: ClientDeskInit) {
    this.#init = init;
  }

  get clients(): ReadonlySet<PeerId> {
    return this.#clients;
  }

  message(peer: PeerId, message: ClientToCoordinator, now: number): void {
    const error = this.#refusalOf(peer, message);
    if (error === undefined) this.#serve(peer, message, now);
    else this.#refuse(peer, error);
  }

  gone(peer: PeerId, now: number): void {
    const { jobs, devices, traces } = this.#init;
    this.#clients.delete(peer);
    traces.clientGone(peer, now);
    devices.step({ type: 'clientGone', client: peer }, now);
    jobs.step({ type: 'clientGone', client: peer }, now);
  }

  #serve(peer: PeerId, message: ClientToCoordinator, now: number): void {
    const { emit, jobs, devices, traces, membership, shutDown } = this.#init;
    switch (message.type) {
      case 'HLCP_CLIENT_HELLO':
        this.#welcome(peer);
        break;
      case 'HLCP_HEARTBEAT':
        // Answered, not judged: a client has gone when its connection has.
        emit({ type: 'toClient', peer, message: { ...message, type: 'HLCP_HEARTBEAT_ACK' } });
        break;
      case 'HLCP_JOB_SUBMIT':
        this.#submit(peer, message, now);
        break;
      case 'HLCP_JOB_CANCEL':
        if (jobs.dispatched?.jobId !== message.jobId) break;
        jobs.step({ type: 'cancel', reason: 'The job was cancelled by a client' }, now);
        break;
      case 'HLCP_DEVICE_STATUS':
      case 'HLCP_EVICT':
        devices.ask(peer, message, membership(), now);
        break;
      case 'HLCP_TRACE_START':
      case 'HLCP_TRACE_STOP':
        traces.ask(peer, message, membership(), now);
        break;
      case 'HLCP_CLUSTER_SHUTDOWN':
        shutDown('A client took the cluster down');
        break;
    }
  }

  #welcome(peer: PeerId): void {
    const { emit, membership } = this.#init;
    this.#clients.add(peer);
    const { expectedHosts } = membership();
    emit({ type: 'toClient', peer, message: { type: 'HLCP_CLIENT_WELCOME', expectedHosts } });
  }

  #submit(client: PeerId, { spec, hosts, joinTimeoutMs }: JobSubmit, now: number): void {
    const jobId = this.#init.newJobId();
    const membership = this.#init.membership();
    this.#init.jobs.step(
      { type: 'submit', client, jobId, spec, hosts, joinTimeoutMs, membership },
      now,
    );
  }

  #refusalOf(peer: PeerId, message: ClientToCoordinator): HlsimError | undefined {
    const isHello = message.type === 'HLCP_CLIENT_HELLO';
    if (isHello === this.#clients.has(peer)) {
      return new HlsimError(
        'HLSIM_PROTOCOL_ERROR',
        `Expected HLCP_CLIENT_HELLO once and first but found ${message.type}`,
      );
    }
    if (isHello && message.version !== HLCP_VERSION) {
      return versionError('a client', message.version);
    }
    if (this.#init.isUp()) return undefined;
    return shutdownRefusalOf(message);
  }

  #refuse(peer: PeerId, error: HlsimError): void {
    const { emit } = this.#init;
    emit({ type: 'toClient', peer, message: refusedMessage(error) });
    emit(logEffect('warn', 'client refused', { peer, failure: failureOf(error) }));
    emit({ type: 'close', peer });
  }
}

/** Why a cluster that is shutting down does not take `message`. */
function shutdownRefusalOf({ type }: ClientToCoordinator): HlsimError | undefined {
  switch (type) {
    case 'HLCP_JOB_SUBMIT':
      return new HlsimError(
        'HLSIM_JOB_REFUSED',
        'Expected a cluster to run the job but it is shutting down',
      );
    case 'HLCP_DEVICE_STATUS':
    case 'HLCP_EVICT':
      return new HlsimError(
        'HLSIM_JOB_REFUSED',
        'Expected a cluster with devices to ask about but it is shutting down',
      );
    case 'HLCP_TRACE_START':
      return new HlsimError(
        'HLSIM_JOB_REFUSED',
        'Expected a cluster to take a trace of but it is shutting down',
      );
    default:
      return undefined;
  }
}

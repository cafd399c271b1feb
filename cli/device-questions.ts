/** The client's side of what HLCP says of devices: questions under numbers of its own, each with an end. */
import { type Deferred, deferred } from '../common/deferred.ts';
import { HlsimError } from '../common/errors.ts';
import type { CancelTimer, Scheduler } from '../common/scheduler.ts';
import { DEVICE_STATUS_TIMEOUT_MS } from '../coordinator/device-inquiries.ts';
import { EVICT_SILENCE_MS } from '../coordinator/evictions.ts';
import type { EvictOutcome, EvictStep, HostFailure } from '../coordinator/hlcp/device-messages.ts';
import type {
  ClientToCoordinator,
  CoordinatorToClient,
  Failure,
} from '../coordinator/hlcp/messages.ts';

/** Beyond the bounds that the coordinator itself watches: for its answer to arrive. */
const ANSWER_GRACE_MS = 5_000;

export type HostDevices = Extract<CoordinatorToClient, { type: 'HLCP_DEVICE_REPORT' }>;

export interface ClusterDevices {
  /** Hosts that have answered, by index. */
  readonly hosts: readonly HostDevices[];
  /** Those that have not, and why. */
  readonly failures: readonly HostFailure[];
}

export interface EvictRequest {
  readonly host: number;
  readonly device: number;
  readonly graceMs: number;
  readonly retries: number;
}

export interface EvictionEnd {
  readonly outcome: EvictOutcome;
  /** Why the device is not free. */
  readonly failure?: Failure | undefined;
}

interface Inquiry {
  readonly hosts: HostDevices[];
  readonly done: Deferred<ClusterDevices>;
}

interface Eviction {
  readonly listener: (step: EvictStep) => void;
  readonly done: Deferred<EvictionEnd>;
  /** Starts to wait anew. */
  heard(): void;
}

export class DeviceQuestions {
  readonly #send: (message: ClientToCoordinator) => void;
  readonly #scheduler: Scheduler;
  readonly #inquiries = new Map<number, Inquiry>();
  readonly #evictions = new Map<number, Eviction>();
  #lastId = 0;

  constructor(send: (message: ClientToCoordinator) => void, scheduler: Scheduler) {
    this.#send = send;
    this.#scheduler = scheduler;
  }

  /**
   * How the devices of all hosts are, now.
   *
   * @throws HlsimError `HLSIM_TIMEOUT` if the coordinator does not say that it is done
   */
  async status(): Promise<ClusterDevices> {
    const requestId = ++this.#lastId;
    const done = deferred<ClusterDevices>();
    const waitMs = DEVICE_STATUS_TIMEOUT_MS + ANSWER_GRACE_MS;
    const cancel = this.#scheduler.after(waitMs, () => done.reject(silentError(waitMs)));
    this.#inquiries.set(requestId, { hosts: [], done });
    this.#send({ type: 'HLCP_DEVICE_STATUS', requestId });
    try {
      return await done.promise;
    } finally {
      cancel();
      this.#inquiries.delete(requestId);
    }
  }

  /**
   * Has a host free a device; `listener` hears its steps in order.
   *
   * @throws HlsimError `HLSIM_TIMEOUT` if nothing is heard for too long
   */
  async evict(request: EvictRequest, listener: (step: EvictStep) => void): Promise<EvictionEnd> {
    const requestId = ++this.#lastId;
    const done = deferred<EvictionEnd>();
    const waitMs = request.graceMs + EVICT_SILENCE_MS + ANSWER_GRACE_MS;
    const arm = (): CancelTimer =>
      this.#scheduler.after(waitMs, () => done.reject(silentError(waitMs)));
    let cancel = arm();
    const heard = (): void => {
      cancel();
      cancel = arm();
    };
    this.#evictions.set(requestId, { listener, done, heard });
    this.#send({ type: 'HLCP_EVICT', requestId, ...request });
    try {
      return await done.promise;
    } finally {
      cancel();
      this.#evictions.delete(requestId);
    }
  }

  /** Takes what is an answer; anything else is not for it. */
  receive(message: CoordinatorToClient): void {
    switch (message.type) {
      case 'HLCP_DEVICE_REPORT':
        this.#inquiries.get(message.requestId)?.hosts.push(message);
        break;
      case 'HLCP_DEVICE_STATUS_DONE':
        this.#statusDone(message.requestId, message.failures);
        break;
      case 'HLCP_EVICT_STEP': {
        const eviction = this.#evictions.get(message.requestId);
        eviction?.heard();
        eviction?.listener(message.step);
        break;
      }
      case 'HLCP_EVICT_DONE': {
        const { requestId, outcome, failure } = message;
        this.#evictions.get(requestId)?.done.resolve({ outcome, failure });
        break;
      }
    }
  }

  #statusDone(requestId: number, failures: readonly HostFailure[]): void {
    const inquiry = this.#inquiries.get(requestId);
    const hosts = inquiry?.hosts.toSorted((a, b) => a.host.index - b.host.index) ?? [];
    inquiry?.done.resolve({ hosts, failures });
  }
}

function silentError(waitMs: number): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected an answer about devices from the coordinator but found none after ${waitMs} ms`,
  );
}

/** The client's side of what HLCP says of traces: start one, stop it, and have what the hosts noted down. */
import { type Deferred, deferred } from '../common/deferred.ts';
import { HlsimError } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { ClientToCoordinator, CoordinatorToClient } from '../coordinator/hlcp/messages.ts';
import { errorOf } from '../coordinator/hlcp/refusal.ts';
import type { TraceFailure, TraceStart } from '../coordinator/hlcp/trace-messages.ts';
import { TRACE_SILENCE_MS, TRACE_START_TIMEOUT_MS } from '../coordinator/traces.ts';
import { type ReadEvent, readEvents } from '../node/hccl/traced-events.ts';

/** Beyond the bounds that the coordinator itself watches: for its answer to arrive. */
const ANSWER_GRACE_MS = 5_000;

/** Which events are wanted. */
export type TraceWindow = Pick<TraceStart, 'eventsMax' | 'firstCall' | 'lastCall' | 'every'>;

type TraceEnd = Extract<CoordinatorToClient, { type: 'HLCP_TRACE_END' }>;

/** What one host noted down. */
export interface HostPart {
  readonly host: TraceEnd['host'];
  readonly clock: TraceEnd['clock'];
  readonly dropped: number;
  readonly remarks: readonly string[];
  readonly events: readonly ReadEvent[];
}

export interface ClusterTrace {
  /** Hosts that have sent all they had, by index. */
  readonly hosts: readonly HostPart[];
  /** Those that have not, and why. */
  readonly failures: readonly TraceFailure[];
}

interface RunningTrace {
  readonly requestId: number;
  readonly started: Deferred<readonly TraceFailure[]>;
  readonly done: Deferred<ClusterTrace>;
  /** By index of the host. */
  readonly events: Map<number, ReadEvent[]>;
  readonly parts: HostPart[];
  /** Starts to wait anew. */
  heard: () => void;
}

export class TraceQuestions {
  readonly #send: (message: ClientToCoordinator) => void;
  readonly #scheduler: Scheduler;
  #lastId = 0;
  #trace: RunningTrace | undefined;

  constructor(send: (message: ClientToCoordinator) => void, scheduler: Scheduler) {
    this.#send = send;
    this.#scheduler = scheduler;
  }

  /**
   * Resolves when every host notes down.
   *
   * @throws HlsimError why one does not, or `HLSIM_TIMEOUT` if the coordinator does not answer
   */
  async start(window: TraceWindow): Promise<void> {
    const trace: RunningTrace = {
      ...{ requestId: ++this.#lastId, started: deferred(), done: deferred() },
      ...{ events: new Map(), parts: [], heard: () => undefined },
    };
    trace.done.promise.catch(() => undefined);
    this.#trace = trace;
    this.#send({ type: 'HLCP_TRACE_START', requestId: trace.requestId, ...window });
    const waitMs = TRACE_START_TIMEOUT_MS + ANSWER_GRACE_MS;
    const [failure] = await this.#heardWithin(trace, waitMs, trace.started);
    if (failure === undefined) return;
    this.#send({ type: 'HLCP_TRACE_STOP', requestId: trace.requestId });
    this.#trace = undefined;
    throw errorOf(failure.failure);
  }

  /**
   * Ends the trace that was started; what the hosts have noted down.
   *
   * @throws HlsimError `HLSIM_TIMEOUT` if nothing is heard for too long, `HLSIM_PROTOCOL_ERROR`
   */
  async stop(): Promise<ClusterTrace> {
    const trace = this.#trace;
    if (trace === undefined) throw new Error('Expected a trace to stop');
    this.#send({ type: 'HLCP_TRACE_STOP', requestId: trace.requestId });
    try {
      return await this.#heardWithin(trace, TRACE_SILENCE_MS + ANSWER_GRACE_MS, trace.done);
    } finally {
      this.#trace = undefined;
    }
  }

  /** Takes what is about the trace; anything else is not for it. */
  receive(message: CoordinatorToClient): void {
    const trace = this.#trace;
    if (trace === undefined || !('requestId' in message)) return;
    if (message.requestId !== trace.requestId) return;
    switch (message.type) {
      case 'HLCP_TRACE_STARTED':
        trace.started.resolve(message.failures);
        break;
      case 'HLCP_TRACE_CHUNK':
        trace.heard();
        takeEvents(trace, message.host.index, message.events);
        break;
      case 'HLCP_TRACE_END': {
        trace.heard();
        const { host, clock, dropped, remarks } = message;
        const events = trace.events.get(host.index) ?? [];
        trace.parts.push({ host, clock, dropped, remarks, events });
        break;
      }
      case 'HLCP_TRACE_DONE': {
        const hosts = trace.parts.toSorted((a, b) => a.host.index - b.host.index);
        trace.done.resolve({ hosts, failures: message.failures });
      }
    }
  }

  async #heardWithin<T>(trace: RunningTrace, waitMs: number, answer: Deferred<T>): Promise<T> {
    const arm = () => this.#scheduler.after(waitMs, () => answer.reject(silentError(waitMs)));
    let cancel = arm();
    trace.heard = () => {
      cancel();
      cancel = arm();
    };
    try {
      return await answer.promise;
    } finally {
      cancel();
    }
  }
}

function takeEvents(trace: RunningTrace, host: number, text: string): void {
  try {
    const events = trace.events.get(host) ?? [];
    trace.events.set(host, events);
    for (const event of readEvents(text)) events.push(event);
  } catch (reason) {
    trace.done.reject(reason as Error);
  }
}

function silentError(waitMs: number): HlsimError {
  return new HlsimError(
    'HLSIM_TIMEOUT',
    `Expected an answer about the trace from the coordinator but found none after ${waitMs} ms`,
  );
}

/** A host's part in a trace: notes down when the coordinator says so, and sends what it has. */
import { HlsimError, messageOf } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { HostToCoordinator } from '../coordinator/hlcp/messages.ts';
import {
  type ClockReading,
  TRACE_CHUNK_EVENTS_MAX,
  TRACE_REMARKS_MAX,
  type TraceStart,
} from '../coordinator/hlcp/trace-messages.ts';
import { ClockAlignment } from './clock-alignment.ts';
import type { HostTrace, HostTracing } from './hccl/host-tracing.ts';
import { writeEvents } from './hccl/traced-events.ts';

export interface TraceServiceInit {
  readonly tracing: HostTracing;
  readonly scheduler: Scheduler;
  send(message: HostToCoordinator): void;
  /** For what goes wrong while nobody waits for an answer. */
  readonly log: { warn(fields: object, message: string): void };
}

interface Running {
  readonly requestId: number;
  readonly begin: ClockReading;
}

export class TraceService {
  readonly #init: TraceServiceInit;
  readonly #clock: ClockAlignment;
  #rendezvous: ClockReading | undefined;
  #running: Running | undefined;
  /** One after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(init: TraceServiceInit) {
    this.#init = init;
    this.#clock = new ClockAlignment(init.scheduler, (sequence) =>
      init.send({ type: 'HLCP_CLOCK_ASK', sequence }),
    );
  }

  /** The hosts have met: measures how this one's clock stands. */
  met(): void {
    this.#inTurn(async () => {
      this.#rendezvous = await this.#clock.measure();
    });
  }

  clockAnswered(sequence: number, atMs: number): void {
    this.#clock.answered(sequence, atMs);
  }

  start(message: TraceStart): void {
    this.#inTurn(() => this.#start(message));
  }

  stop(requestId: number): void {
    this.#inTurn(() => this.#stop(requestId));
  }

  #inTurn(task: () => Promise<void>): void {
    this.#turn = this.#turn.then(task).catch((reason: unknown) => {
      this.#init.log.warn({ reason: messageOf(reason) }, 'trace failed');
    });
  }

  async #start({ requestId, eventsMax, firstCall, lastCall, every }: TraceStart): Promise<void> {
    const { tracing, send } = this.#init;
    // Whoever wanted the last one has gone without a word.
    if (this.#running !== undefined) await this.#abandon();
    try {
      const begin = await this.#clock.measure();
      await tracing.begin({ eventsMax, firstCall, lastCall, every });
      this.#running = { requestId, begin };
      send({ type: 'HLCP_TRACE_STARTED', requestId });
    } catch (reason) {
      const code = reason instanceof HlsimError ? reason.code : 'HLSIM_INTERNAL';
      const failure = { code, message: messageOf(reason) };
      send({ type: 'HLCP_TRACE_STARTED', requestId, failure });
    }
  }

  async #stop(requestId: number): Promise<void> {
    const running = this.#running;
    if (running?.requestId !== requestId) return;
    this.#running = undefined;
    const trace = await this.#init.tracing.end();
    const end = await this.#clock.measure().catch(() => running.begin);
    this.#sendAll(requestId, trace);
    this.#init.send({
      type: 'HLCP_TRACE_END',
      requestId,
      clock: {
        ...(this.#rendezvous && { rendezvous: this.#rendezvous }),
        begin: running.begin,
        end,
      },
      dropped: trace.dropped,
      remarks: trace.remarks.slice(0, TRACE_REMARKS_MAX),
    });
  }

  async #abandon(): Promise<void> {
    this.#running = undefined;
    await this.#init.tracing.end();
  }

  #sendAll(requestId: number, { events }: HostTrace): void {
    for (let from = 0; from < events.length; from += TRACE_CHUNK_EVENTS_MAX) {
      const text = writeEvents(events.slice(from, from + TRACE_CHUNK_EVENTS_MAX));
      this.#init.send({ type: 'HLCP_TRACE_CHUNK', requestId, events: text });
    }
  }
}

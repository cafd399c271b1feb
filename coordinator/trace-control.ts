/** The trace of a cluster, if one is taken: what clients want of it, and what hosts send. */
import type { OutwardEffect, PeerId } from './effect.ts';
import type { Failure, HostToCoordinator } from './hlcp/messages.ts';
import type { Membership } from './membership.ts';
import {
  NO_TRACES,
  stepTraces,
  type TraceAnswer,
  type TraceEvent,
  type TraceQuestion,
  traceDeadlineMs,
} from './traces.ts';

export function isTraceAnswer(message: HostToCoordinator): message is TraceAnswer {
  switch (message.type) {
    case 'HLCP_TRACE_STARTED':
    case 'HLCP_TRACE_CHUNK':
    case 'HLCP_TRACE_END':
      return true;
    default:
      return false;
  }
}

export class TraceControl {
  readonly #emit: (effect: OutwardEffect) => void;
  #traces = NO_TRACES;

  /** `emit` takes the effects, in order. */
  constructor(emit: (effect: OutwardEffect) => void) {
    this.#emit = emit;
  }

  /** When a `tick` is due. */
  deadlineMs(): number | undefined {
    return traceDeadlineMs(this.#traces);
  }

  ask(client: PeerId, message: TraceQuestion, { members }: Membership, now: number): void {
    this.#step({ type: 'asked', client, message, members }, now);
  }

  answer(peer: PeerId, message: TraceAnswer, now: number): void {
    this.#step({ type: 'answered', peer, message }, now);
  }

  hostLost(peer: PeerId, failure: Failure, now: number): void {
    this.#step({ type: 'hostLost', peer, failure }, now);
  }

  clientGone(client: PeerId, now: number): void {
    this.#step({ type: 'clientGone', client }, now);
  }

  tick(now: number): void {
    this.#step({ type: 'tick' }, now);
  }

  #step(event: TraceEvent, now: number): void {
    const { state, effects } = stepTraces(this.#traces, event, now);
    this.#traces = state;
    for (const effect of effects) this.#emit(effect);
  }
}

/**
 * The engine: runs one rank's plan of one operation. It knows slices, dependencies, arrivals and
 * credits, and no algorithm; what it does to the world goes through `EnginePorts`.
 *
 * It is a data-flow machine. A slice is *ready* when its dependencies are met. If it receives, its
 * message must have *arrived*; if it computes, it is launched on the device and is then *stored*; if
 * it sends, it waits for its turn and its credit on its connection, is posted, and *done* once the
 * peer has acknowledged it. There is no barrier: a slice waits for its own inputs and nothing else.
 *
 * Where a message lands. Operands of reductions go to slots (`lanes.ts`). Everything else goes
 * straight to its final place: a receiver grants a place as soon as the slice that will own it is
 * ready, which is when nobody needs the bytes there any more.
 */

import { reduces } from '../../collectives/program.ts';
import { assert, defined } from '../../common/assert.ts';
import type {
  Computation,
  EngineLanes,
  EnginePorts,
  Operand,
  Outgoing,
  SliceId,
} from './engine-ports.ts';
import type { InboundLane, OutboundLane } from './lanes.ts';
import {
  type Plan,
  type PlanConnection,
  type PlanMessage,
  type PlanStep,
  sliceRange,
} from './plan.ts';

/** One slice of one step at run time. */
interface SliceState {
  readonly step: PlanStep;
  readonly slice: number;
  /** Dependencies not met yet. */
  waiting: number;
  progress: 'waiting' | 'ready' | 'computing' | 'stored' | 'done';
  arrived: boolean;
  /** Number in its inbound lane of the slot message it consumes. */
  slotMessage: number;
}

interface InboundState {
  readonly plan: PlanConnection;
  readonly lane: InboundLane;
  /** Messages of this operation that have landed. */
  arrived: number;
  /** Messages to places that the sender may write. */
  granted: number;
  /** Next message to be looked at for granting. */
  grantCursor: number;
}

interface OutboundState {
  readonly plan: PlanConnection;
  readonly lane: OutboundLane;
  /** Next message to post. */
  cursor: number;
  /** Messages to places that the peer lets us write; 0 until its header came. */
  granted: number;
  /** Messages to places posted so far. */
  placed: number;
}

export class Engine {
  readonly #plan: Plan;
  readonly #ports: EnginePorts;
  readonly #slices: SliceState[] = [];
  readonly #inbound: readonly InboundState[];
  readonly #outbound: readonly OutboundState[];
  /** For each step: whom its slices wake, by slice or when the whole step has come so far. */
  readonly #dependents: { step: PlanStep; until: 'stored' | 'done'; bySlice: boolean }[][];
  /** Slices of each step that are stored, and done. */
  readonly #counts: { stored: number; done: number }[];
  #remaining: number;
  #state: 'running' | 'finished' | 'aborted' = 'running';

  constructor(plan: Plan, lanes: EngineLanes, ports: EnginePorts) {
    this.#plan = plan;
    this.#ports = ports;
    this.#remaining = plan.slices;
    this.#counts = plan.steps.map(() => ({ stored: 0, done: 0 }));
    this.#dependents = plan.steps.map(() => []);
    this.#inbound = plan.inbound.map((connection) => ({
      plan: connection,
      lane: lanes.inbound(connection),
      arrived: 0,
      granted: 0,
      grantCursor: 0,
    }));
    this.#outbound = plan.outbound.map((connection) => ({
      plan: connection,
      lane: lanes.outbound(connection),
      cursor: 0,
      granted: 0,
      placed: 0,
    }));
    for (const step of plan.steps) this.#addSlices(step);
  }

  /** Makes every slice without dependencies ready. Grants made here belong in the header. */
  start(): void {
    if (this.#remaining === 0) this.#finish();
    for (const state of this.#slices) {
      if (state.waiting === 0 && state.progress === 'waiting') this.#ready(state);
    }
  }

  /** Places that the sender of `inbound` may write now. */
  granted(inbound: number): number {
    return defined(this.#inbound[inbound], 'the connection').granted;
  }

  /** The next message of a connection has landed. `undefined`: there is none, the peer is broken. */
  arrive(inbound: number): SliceId | undefined {
    const connection = defined(this.#inbound[inbound], 'the connection');
    const message = connection.plan.messages[connection.arrived];
    if (message === undefined) return undefined;
    connection.arrived++;
    const state = this.#sliceOf(message);
    if (message.landing === 'slot') state.slotMessage = connection.lane.arrived++;
    state.arrived = true;
    this.#advance(state);
    return this.#idOf(state);
  }

  /** The peer at the other end of `outbound` lets us write `granted` places. */
  grant(outbound: number, granted: number): void {
    const connection = defined(this.#outbound[outbound], 'the connection');
    connection.granted = Math.max(connection.granted, granted);
    this.#pump(outbound);
  }

  /** Tries everything that was blocked. */
  resume(): void {
    for (let index = 0; index < this.#outbound.length; index++) this.#pump(index);
  }

  /** A posted message was acknowledged. */
  sent(id: SliceId): void {
    const state = this.#sliceAt(id.step, id.slice);
    if (state.step.kind === 'recvReduceSend') this.#releaseSlot(state);
    this.#done(state);
  }

  /** Nothing more happens; late completions and arrivals are ignored. */
  abort(): void {
    this.#state = 'aborted';
  }

  /** The first slice that is not done: where the operation stands, for messages. */
  position(): { readonly channel: number; readonly step: number } | undefined {
    const state = this.#slices.find((slice) => slice.progress !== 'done');
    return state && { channel: state.step.channel, step: state.step.step };
  }

  #addSlices(step: PlanStep): void {
    let waiting = 0;
    for (const dependency of step.dependsOn) {
      const { until, bySlice } = dependency;
      defined(this.#dependents[dependency.step], 'the step').push({ step, until, bySlice });
      waiting++;
    }
    for (let slice = 0; slice < step.slices; slice++) {
      this.#slices.push({
        step,
        slice,
        waiting,
        progress: 'waiting',
        arrived: step.inbound === undefined || step.bytes === 0,
        slotMessage: -1,
      });
    }
  }

  #ready(state: SliceState): void {
    assert(state.progress === 'waiting', 'Expected a waiting slice');
    state.progress = 'ready';
    if (state.step.inbound !== undefined) this.#advanceGrants(state.step.inbound);
    this.#advance(state);
  }

  /** Grants places in order, as far as the slices that will own them are ready. */
  #advanceGrants(inbound: number): void {
    const connection = defined(this.#inbound[inbound], 'the connection');
    const before = connection.granted;
    for (;;) {
      const message = connection.plan.messages[connection.grantCursor];
      if (message === undefined) break;
      if (message.landing === 'place') {
        if (this.#sliceOf(message).progress === 'waiting') break;
        connection.granted++;
      }
      connection.grantCursor++;
    }
    if (connection.granted > before) this.#ports.announce(inbound);
  }

  /** Does what a ready slice, whose message is here, has to do. */
  #advance(state: SliceState): void {
    if (this.#state !== 'running' || state.progress !== 'ready' || !state.arrived) return;
    const work = state.step.bytes === 0 ? undefined : this.#computation(state);
    if (work === undefined) {
      this.#stored(state);
      return;
    }
    state.progress = 'computing';
    this.#ports.compute(work, this.#idOf(state), () => {
      if (this.#state === 'running') this.#stored(state);
    });
  }

  #computation(state: SliceState): Computation | undefined {
    const { step } = state;
    const bytes = this.#bytesOf(state);
    if (reduces(step.kind)) {
      const b = this.#operand(state, step.src ?? defined(step.dst, 'a destination'));
      const slot = this.#slotOperand(state);
      const a =
        step.kind === 'reduce' ? this.#operand(state, defined(step.dst, 'a destination')) : slot;
      const dst = step.dst === undefined ? slot : this.#operand(state, step.dst);
      return { kind: 'reduce', dst, a, b, bytes };
    }
    if (step.kind !== 'copy') return undefined;
    const src = defined(step.src, 'a source');
    const dst = defined(step.dst, 'a destination');
    if (src.buffer === dst.buffer && src.offset === dst.offset) return undefined;
    return { kind: 'copy', dst: this.#operand(state, dst), src: this.#operand(state, src), bytes };
  }

  #stored(state: SliceState): void {
    state.progress = 'stored';
    const { step } = state;
    if (step.kind === 'recvReduceCopy' || step.kind === 'recvReduceCopySend')
      this.#releaseSlot(state);
    this.#wake(state, 'stored');
    if (step.outbound === undefined || step.bytes === 0) this.#done(state);
    else this.#pump(step.outbound);
  }

  #done(state: SliceState): void {
    if (this.#state !== 'running') return;
    assert(state.progress === 'stored', 'Expected a stored slice');
    state.progress = 'done';
    this.#remaining--;
    this.#wake(state, 'done');
    if (this.#remaining === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state !== 'running') return;
    this.#state = 'finished';
    this.#ports.finished();
  }

  #wake(state: SliceState, reached: 'stored' | 'done'): void {
    const counts = defined(this.#counts[state.step.index], 'the step');
    counts[reached]++;
    const whole = counts[reached] === state.step.slices;
    for (const { step, until, bySlice } of defined(
      this.#dependents[state.step.index],
      'the step',
    )) {
      if (until !== reached) continue;
      if (bySlice) this.#meet(this.#sliceAt(step, state.slice));
      else if (whole) {
        for (let slice = 0; slice < step.slices; slice++) this.#meet(this.#sliceAt(step, slice));
      }
    }
  }

  #meet(state: SliceState): void {
    state.waiting--;
    assert(state.waiting >= 0, 'Expected an unmet dependency');
    if (state.waiting === 0) this.#ready(state);
  }

  /** Posts messages of one connection in their order, as long as slices and credits allow. */
  #pump(outbound: number): void {
    const connection = defined(this.#outbound[outbound], 'the connection');
    while (this.#state === 'running') {
      const message = connection.plan.messages[connection.cursor];
      if (message === undefined) return;
      const state = this.#sliceOf(message);
      if (state.progress !== 'stored' || !this.#mayPost(connection, message)) return;
      if (this.#ports.post(this.#outgoing(outbound, connection, message, state)) === 'blocked')
        return;
      connection.cursor++;
      if (message.landing === 'slot') connection.lane.filled++;
      else connection.placed++;
    }
  }

  #mayPost(connection: OutboundState, message: PlanMessage): boolean {
    if (message.landing === 'slot') return connection.lane.hasSlot;
    return connection.placed < connection.granted;
  }

  #outgoing(
    outbound: number,
    connection: OutboundState,
    message: PlanMessage,
    state: SliceState,
  ): Outgoing {
    const { step, slice } = state;
    const source =
      step.kind === 'recvReduceSend'
        ? this.#slotOperand(state)
        : this.#operand(state, defined(step.kind === 'send' ? step.src : step.dst, 'a source'));
    const { offset } = sliceRange(step, slice, this.#plan.sliceBytes);
    const { landing } = step;
    const target =
      message.landing === 'slot' || landing === 'slot' || landing === undefined
        ? ({ kind: 'slot', message: connection.lane.filled } as const)
        : ({ kind: 'place', offset: landing.offset + offset } as const);
    return { outbound, source, bytes: this.#bytesOf(state), target, slice: this.#idOf(state) };
  }

  #operand(
    state: SliceState,
    range: { buffer: 'input' | 'output' | 'scratch'; offset: number },
  ): Operand {
    const { offset } = sliceRange(state.step, state.slice, this.#plan.sliceBytes);
    return { kind: 'buffer', buffer: range.buffer, offset: range.offset + offset };
  }

  #slotOperand(state: SliceState): Operand {
    const inbound = state.step.inbound ?? -1;
    return { kind: 'slot', inbound, message: state.slotMessage };
  }

  #releaseSlot(state: SliceState): void {
    if (state.slotMessage < 0 || state.step.inbound === undefined) return;
    defined(this.#inbound[state.step.inbound], 'the connection').lane.release(state.slotMessage);
    this.#ports.announce(state.step.inbound);
  }

  #sliceOf(message: PlanMessage): SliceState {
    return this.#sliceAt(defined(this.#plan.steps[message.step], 'the step'), message.slice);
  }

  #sliceAt(step: PlanStep, slice: number): SliceState {
    return defined(this.#slices[step.firstSlice + slice], 'the slice');
  }

  #bytesOf(state: SliceState): number {
    return sliceRange(state.step, state.slice, this.#plan.sliceBytes).length;
  }

  #idOf(state: SliceState): SliceId {
    return { step: state.step, slice: state.slice, bytes: this.#bytesOf(state) };
  }
}

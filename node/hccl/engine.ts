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
 *
 * Where a message is staged (`plan.ts` says why). What recvReduceSend computes, always: it has no other
 * place, and its slot is free again at once. Any other message only if all else has come to rest:
 * others wait for its source, and neither slot nor grant is there.
 */

import { reduces } from '../../collectives/program.ts';
import { assert, defined } from '../../common/assert.ts';
import type {
  Computation,
  EngineLanes,
  EnginePorts,
  Landing,
  Operand,
  Outgoing,
} from './engine-ports.ts';
import {
  copyOf,
  type InboundState,
  inboundStates,
  landingOf,
  mayPost,
  type OutboundState,
  operandOf,
  outboundStates,
  type SliceState,
  sliceStates,
  stagedAfter,
  stagedBefore,
  stagingOf,
} from './engine-state.ts';
import { Gates } from './gates.ts';
import type { InboundLane, OutboundLane } from './lanes.ts';
import type { Plan, PlanSlice } from './plan.ts';

export class Engine {
  readonly #plan: Plan;
  readonly #ports: EnginePorts;
  readonly #slices: readonly SliceState[];
  readonly #inbound: readonly InboundState[];
  readonly #outbound: readonly OutboundState[];
  readonly #gates: Gates | undefined;
  #remaining: number;
  /** Device work and messages under way. */
  #underWay = 0;
  #state: 'running' | 'finished' | 'aborted' = 'running';

  constructor(plan: Plan, lanes: EngineLanes, ports: EnginePorts) {
    this.#plan = plan;
    this.#ports = ports;
    this.#remaining = plan.slices.length;
    this.#slices = sliceStates(plan);
    this.#inbound = inboundStates(plan, lanes);
    this.#outbound = outboundStates(plan, lanes);
    this.#gates = plan.isGated
      ? new Gates(plan, (slice) => this.#meet(this.#stateOf(slice)))
      : undefined;
  }

  /** Makes every slice without dependencies ready. Grants made here belong in the header. */
  start(): void {
    if (this.#remaining === 0) this.#finish();
    for (const state of this.#slices) {
      if (state.waiting === 0 && state.progress === 'waiting') this.#ready(state);
    }
    this.#gates?.start();
  }

  /** Places that the sender of `inbound` may write now. */
  granted(inbound: number): number {
    return defined(this.#inbound[inbound], 'the connection').granted;
  }

  /** The receiving end of a connection's lane. */
  inboundLane(inbound: number): InboundLane {
    return defined(this.#inbound[inbound], 'the connection').lane;
  }

  /** The sending end of a connection's lane. */
  outboundLane(outbound: number): OutboundLane {
    return defined(this.#outbound[outbound], 'the connection').lane;
  }

  /** The next message of a connection has landed. `undefined`: there is none, the peer is broken. */
  arrive(inbound: number): PlanSlice | undefined {
    const connection = defined(this.#inbound[inbound], 'the connection');
    const message = connection.plan.messages[connection.arrived];
    if (message === undefined) return undefined;
    connection.arrived++;
    const state = this.#stateOf(message);
    if (reduces(message.step.kind)) state.slotMessage = connection.lane.arrived++;
    state.arrived = true;
    this.#advance(state);
    this.#settle();
    return message;
  }

  /**
   * Where the next message of a connection is to land. `later`: its place is not free yet, which is
   * announced. `undefined`: there is no message, or no slot that it could have; the peer is broken.
   */
  landing(inbound: number): Landing | 'later' | undefined {
    const connection = defined(this.#inbound[inbound], 'the connection');
    const message = connection.plan.messages[connection.arrived];
    return message && landingOf(connection, this.#stateOf(message));
  }

  /** The next message of a connection, if all that it waits for is there; `took` when it goes. */
  next(outbound: number): Outgoing | undefined {
    const connection = defined(this.#outbound[outbound], 'the connection');
    const message = connection.plan.messages[connection.cursor];
    if (message === undefined || this.#state !== 'running') return undefined;
    const state = this.#stateOf(message);
    const isPossible = message.step.landing !== 'slot' || connection.lane.hasSlot;
    if (state.progress !== 'stored' || !isPossible) return undefined;
    return this.#outgoing(connection, state);
  }

  /** The `next` message of a connection has left, and needs no word of its arrival. Places need no grant. */
  took(outbound: number): void {
    const connection = defined(this.#outbound[outbound], 'the connection');
    const message = defined(connection.plan.messages[connection.cursor], 'the next message');
    this.#goes(connection, message);
    this.#done(this.#stateOf(message));
    this.#settle();
  }

  /** The peer at the other end of `outbound` lets us write `granted` places, or has given slots back. */
  grant(outbound: number, granted: number): void {
    const connection = defined(this.#outbound[outbound], 'the connection');
    connection.granted = Math.max(connection.granted, granted);
    if (connection.peer === 'unknown') connection.peer = 'known';
    this.#pump(connection);
    this.#settle();
  }

  /** Tries everything that was blocked. */
  resume(): void {
    for (const connection of this.#outbound) this.#pump(connection);
    this.#settle();
  }

  /** A posted message was acknowledged. */
  sent(slice: PlanSlice): void {
    if (this.#state !== 'running') return;
    this.#underWay--;
    this.#done(this.#stateOf(slice));
    this.#settle();
  }

  /** Device work of a slice has ended. */
  computed(slice: PlanSlice): void {
    if (this.#state !== 'running') return;
    this.#underWay--;
    const state = this.#stateOf(slice);
    if (state.progress === 'staging') this.#staged(state);
    else this.#stored(state);
    this.#settle();
  }

  /** Nothing more happens; late completions and arrivals are ignored. */
  abort(): void {
    this.#state = 'aborted';
  }

  /** The first slice that is not done: where the operation stands, for messages. */
  position(): { readonly channel: number; readonly step: number } | undefined {
    const state = this.#slices.find((slice) => slice.progress !== 'done');
    return state && { channel: state.plan.step.channel, step: state.plan.step.step };
  }

  #ready(state: SliceState): void {
    assert(state.progress === 'waiting', 'Expected a waiting slice');
    state.progress = 'ready';
    const { inbound } = state.plan.step;
    if (inbound !== undefined && !reduces(state.plan.step.kind)) this.#advanceGrants(inbound);
    this.#advance(state);
  }

  /** Grants places in order, as far as the slices that will own them are ready. */
  #advanceGrants(inbound: number): void {
    const connection = defined(this.#inbound[inbound], 'the connection');
    const before = connection.granted;
    for (;;) {
      const message = connection.plan.messages[connection.grantCursor];
      if (message === undefined) break;
      if (!reduces(message.step.kind)) {
        if (this.#stateOf(message).progress === 'waiting') break;
        connection.granted++;
      }
      connection.grantCursor++;
    }
    if (connection.granted > before) this.#ports.announce(inbound);
  }

  /** Does what a ready slice, whose message is here, has to do. */
  #advance(state: SliceState): void {
    if (this.#state !== 'running' || state.progress !== 'ready' || !state.arrived) return;
    const { step } = state.plan;
    if (step.kind === 'recvReduceSend' && !this.#hasStaging(state)) return;
    const work = reduces(step.kind) ? this.#reduction(state) : copyOf(state);
    if (work === undefined) {
      this.#stored(state);
      return;
    }
    state.progress = 'computing';
    this.#compute(work, state);
  }

  #compute(work: Computation, { plan }: SliceState): void {
    this.#underWay++;
    this.#ports.compute(work, plan);
  }

  #reduction(state: SliceState): Computation {
    const { step, bytes } = state.plan;
    const dst = step.dst && operandOf(state.plan, step.dst);
    const a = step.kind === 'reduce' ? dst : this.#slot(state);
    return {
      kind: 'reduce',
      dst: dst ?? stagingOf(this.#outboundOf(state), state.plan),
      a: defined(a, 'a first operand'),
      b: operandOf(state.plan, defined(step.src, 'a second operand')),
      bytes,
    };
  }

  #stored(state: SliceState): void {
    const { step, onStored } = state.plan;
    state.progress = 'stored';
    if (state.slotMessage >= 0) this.#releaseSlot(state);
    for (const id of onStored) this.#meet(defined(this.#slices[id], 'the slice'));
    if (step.outbound === undefined) {
      this.#done(state);
      return;
    }
    if (step.kind === 'recvReduceSend') {
      state.isStaged = true;
      this.#free(state);
    }
    this.#pump(defined(this.#outbound[step.outbound], 'the connection'));
  }

  /** Nobody has to wait for its source: what it sends has left, or lies in the staging memory. */
  #free(state: SliceState): void {
    if (state.isFree) return;
    state.isFree = true;
    for (const id of state.plan.onFree) this.#meet(defined(this.#slices[id], 'the slice'));
    this.#gates?.through(state.plan);
  }

  #done(state: SliceState): void {
    state.progress = 'done';
    this.#remaining--;
    this.#free(state);
    if (state.plan.staged >= 0) this.#leaveStaging(state);
    if (this.#remaining === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state !== 'running') return;
    this.#state = 'finished';
    this.#ports.finished();
  }

  #meet(state: SliceState): void {
    state.waiting--;
    assert(state.waiting >= 0, 'Expected an unmet dependency');
    if (state.waiting === 0) this.#ready(state);
  }

  // -- messages -----------------------------------------------------------------------------------

  /** Posts messages of one connection in their order, as long as slices and credits allow. */
  #pump(connection: OutboundState): void {
    while (this.#state === 'running') {
      const message = connection.plan.messages[connection.cursor];
      if (message === undefined) return;
      const state = this.#stateOf(message);
      if (state.progress !== 'stored' || !mayPost(connection, message)) return;
      if (this.#ports.post(this.#outgoing(connection, state)) === 'blocked') {
        connection.peer = 'refused';
        return;
      }
      this.#underWay++;
      connection.peer = 'known';
      state.progress = 'posted';
      this.#goes(connection, message);
    }
  }

  #goes(connection: OutboundState, { step }: PlanSlice): void {
    connection.cursor++;
    if (step.landing === 'slot') connection.lane.filled++;
    else connection.placed++;
  }

  #outgoing({ plan, lane }: OutboundState, state: SliceState): Outgoing {
    const slotMessage = state.plan.step.landing === 'slot' ? lane.filled : -1;
    return { connection: plan, source: this.#source(state), slice: state.plan, slotMessage };
  }

  #source(state: SliceState): Operand {
    if (state.isStaged) return stagingOf(this.#outboundOf(state), state.plan);
    const { kind, src, dst } = state.plan.step;
    return operandOf(state.plan, defined(kind === 'send' ? src : dst, 'a source'));
  }

  #releaseSlot(state: SliceState): void {
    const inbound = defined(state.plan.step.inbound, 'the connection');
    const { lane, granted } = defined(this.#inbound[inbound], 'the connection');
    lane.release(state.slotMessage);
    if (lane.worthAnnouncing(granted)) this.#ports.announce(inbound);
  }

  #slot(state: SliceState): Operand {
    const inbound = defined(state.plan.step.inbound, 'the connection');
    const { plan } = defined(this.#inbound[inbound], 'the connection');
    return { kind: 'slot', connection: plan, message: state.slotMessage };
  }

  // -- staging ------------------------------------------------------------------------------------

  /** Entries are used in turn: the message that had it before must have gone. */
  #hasStaging(state: SliceState): boolean {
    const before = stagedBefore(this.#outboundOf(state), state.plan);
    return before === undefined || this.#stateOf(before).progress === 'done';
  }

  /** The entry may be used again. */
  #leaveStaging(state: SliceState): void {
    const next = stagedAfter(this.#outboundOf(state), state.plan);
    if (next?.step.kind === 'recvReduceSend') this.#advance(this.#stateOf(next));
  }

  /** Once nothing is under way, messages that others wait for are staged. */
  #settle(): void {
    if (!this.#plan.mayStage || this.#underWay > 0 || this.#state !== 'running') return;
    for (const connection of this.#outbound) {
      if (connection.peer === 'known') this.#stageFrom(connection);
    }
  }

  /** Stages what is awaited of the messages that are stored and next to be posted. */
  #stageFrom(connection: OutboundState): void {
    const { messages } = connection.plan;
    connection.stageCursor = Math.max(connection.stageCursor, connection.cursor);
    for (; connection.stageCursor < messages.length; connection.stageCursor++) {
      const message = defined(messages[connection.stageCursor], 'a message');
      const state = this.#stateOf(message);
      if (state.progress !== 'stored') return;
      if (message.staged < 0 || state.isStaged) continue;
      if (!this.#hasStaging(state)) return;
      const src = this.#source(state);
      state.progress = 'staging';
      this.#compute(
        {
          kind: 'copy',
          dst: stagingOf(this.#outboundOf(state), state.plan),
          src,
          bytes: message.bytes,
        },
        state,
      );
    }
  }

  #staged(state: SliceState): void {
    state.progress = 'stored';
    state.isStaged = true;
    this.#free(state);
    this.#pump(this.#outboundOf(state));
  }

  #outboundOf({ plan }: SliceState): OutboundState {
    return defined(this.#outbound[plan.step.outbound ?? -1], 'the connection');
  }

  #stateOf({ id }: PlanSlice): SliceState {
    return defined(this.#slices[id], 'the slice');
  }
}

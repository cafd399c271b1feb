/** What the engine keeps of slices and connections while it runs, and what follows from that alone. */
import { reduces } from '../../collectives/program.ts';
import { defined } from '../../common/assert.ts';
import type { Computation, EngineLanes, Landing, Operand } from './engine-ports.ts';
import type { InboundLane, OutboundLane } from './lanes.ts';
import type { ByteRange, Plan, PlanConnection, PlanSlice } from './plan.ts';

/** One slice of one step at run time. */
export interface SliceState {
  readonly plan: PlanSlice;
  /** Dependencies not met yet. */
  waiting: number;
  progress: 'waiting' | 'ready' | 'computing' | 'stored' | 'staging' | 'posted' | 'done';
  arrived: boolean;
  /** Nobody has to wait for its source any more. */
  isFree: boolean;
  /** Its message lies in the staging memory. */
  isStaged: boolean;
  /** Number in its inbound lane of the slot message it consumes. */
  slotMessage: number;
}

export interface InboundState {
  readonly plan: PlanConnection;
  readonly lane: InboundLane;
  /** Messages of this operation that have landed. */
  arrived: number;
  /** Messages to places that the sender may write. */
  granted: number;
  /** Next message to be looked at for granting. */
  grantCursor: number;
}

export interface OutboundState {
  readonly plan: PlanConnection;
  readonly lane: OutboundLane;
  /** Next message to post. */
  cursor: number;
  /** Messages to places that the peer lets us write. */
  granted: number;
  /** Messages to places posted so far. */
  placed: number;
  /** Messages before it are posted, staged, or nobody waits for their source. */
  stageCursor: number;
  /** `unknown` until the peer's first grant; `refused`: the network took nothing, and will tell. */
  peer: 'unknown' | 'known' | 'refused';
}

export function sliceStates({ slices }: Plan): SliceState[] {
  return slices.map((plan) => ({
    plan,
    waiting: plan.needs,
    progress: 'waiting',
    arrived: plan.step.inbound === undefined,
    isFree: false,
    isStaged: false,
    slotMessage: -1,
  }));
}

export function inboundStates({ inbound }: Plan, lanes: EngineLanes): InboundState[] {
  return inbound.map((plan) => ({
    plan,
    lane: lanes.inbound(plan),
    arrived: 0,
    granted: 0,
    grantCursor: 0,
  }));
}

export function outboundStates({ outbound }: Plan, lanes: EngineLanes): OutboundState[] {
  return outbound.map((plan) => ({
    plan,
    lane: lanes.outbound(plan),
    cursor: 0,
    granted: 0,
    placed: 0,
    stageCursor: 0,
    peer: 'unknown',
  }));
}

/** A slice's part of a range of its step. */
export function operandOf({ offset }: PlanSlice, range: ByteRange): Operand {
  return { kind: 'buffer', buffer: range.buffer, offset: range.offset + offset };
}

/** Where a slice's message is staged. */
export function stagingOf({ plan }: OutboundState, { staged }: PlanSlice): Operand {
  return { kind: 'staging', connection: plan, message: staged };
}

/** Whether slots or grants allow the next message of the connection. */
export function mayPost({ lane, placed, granted }: OutboundState, { step }: PlanSlice): boolean {
  return step.landing === 'slot' ? lane.hasSlot : placed < granted;
}

/** The message that has had a slice's staging entry before it. */
export function stagedBefore(
  { plan }: OutboundState,
  { staged }: PlanSlice,
): PlanSlice | undefined {
  return plan.stagedMessages[staged - defined(plan.staging, 'staging').count];
}

/** The message that has a slice's staging entry after it. */
export function stagedAfter({ plan }: OutboundState, { staged }: PlanSlice): PlanSlice | undefined {
  return plan.stagedMessages[staged + defined(plan.staging, 'staging').count];
}

/** What a slice has to copy; `undefined`: nothing. */
export function copyOf({ plan }: SliceState): Computation | undefined {
  const { step, bytes } = plan;
  if (step.kind !== 'copy' || step.isOntoItself) return undefined;
  const src = operandOf(plan, defined(step.src, 'a source'));
  return { kind: 'copy', dst: operandOf(plan, defined(step.dst, 'a destination')), src, bytes };
}

/**
 * Where the next message of a connection is to land. `later`: its place is not free yet. `undefined`:
 * there is no slot that it could have.
 */
export function landingOf(
  { plan: connection, lane }: InboundState,
  { plan, progress }: SliceState,
): Landing | 'later' | undefined {
  const { kind, dst } = plan.step;
  if (!reduces(kind)) {
    if (progress === 'waiting') return 'later';
    return { slice: plan, operand: operandOf(plan, defined(dst, 'a place')) };
  }
  if (lane.arrived - lane.released >= lane.slots) return undefined;
  return { slice: plan, operand: { kind: 'slot', connection, message: lane.arrived } };
}

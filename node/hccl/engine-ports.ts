/** What the engine is connected to: the network and the device, in the engine's own words. */
import type { InboundLane, OutboundLane } from './lanes.ts';
import type { PlanConnection, PlanStep } from './plan.ts';

/** Where bytes lie on this device: an operand or result of a kernel, the source of a send. */
export type Operand =
  | {
      readonly kind: 'buffer';
      readonly buffer: 'input' | 'output' | 'scratch';
      readonly offset: number;
    }
  | { readonly kind: 'slot'; readonly inbound: number; readonly message: number };

/** What a slice has the device do. */
export type Computation =
  | { readonly kind: 'copy'; readonly dst: Operand; readonly src: Operand; readonly bytes: number }
  | {
      readonly kind: 'reduce';
      readonly dst: Operand;
      readonly a: Operand;
      readonly b: Operand;
      readonly bytes: number;
    };

/** A message to post. */
export interface Outgoing {
  readonly outbound: number;
  readonly source: Operand;
  readonly bytes: number;
  /** Its slot number, or where in the peer's output it goes. */
  readonly target:
    | { readonly kind: 'slot'; readonly message: number }
    | { readonly kind: 'place'; readonly offset: number };
  readonly slice: SliceId;
}

/** Names a slice for events and completions. */
export interface SliceId {
  readonly step: PlanStep;
  readonly slice: number;
  readonly bytes: number;
}

export interface EnginePorts {
  /** Posts an RDMA write; `blocked` means: nothing happened, `resume()` when it makes sense again. */
  post(message: Outgoing): 'posted' | 'blocked';
  /** Launches device work and calls back when it is done. */
  compute(work: Computation, slice: SliceId, done: () => void): void;
  /** A connection has something new to announce: granted places or released slots. */
  announce(inbound: number): void;
  /** Every slice is done. Called once. */
  finished(): void;
}

export interface EngineLanes {
  inbound(connection: PlanConnection): InboundLane;
  outbound(connection: PlanConnection): OutboundLane;
}

/** What the engine is connected to: the network and the device, in the engine's own words. */
import type { BufferName } from '../../collectives/schedule.ts';
import type { InboundLane, OutboundLane } from './lanes.ts';
import type { PlanConnection, PlanSlice } from './plan.ts';

/** Where bytes lie on this device: an operand or result of a kernel, the source of a send. */
export type Operand =
  | { readonly kind: 'buffer'; readonly buffer: BufferName; readonly offset: number }
  /** A slot of an inbound connection; `message` counts its lane's slot messages. */
  | { readonly kind: 'slot'; readonly connection: PlanConnection; readonly message: number }
  /** Where an outbound connection's message number `message` of those that may be is staged. */
  | { readonly kind: 'staging'; readonly connection: PlanConnection; readonly message: number };

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
  readonly connection: PlanConnection;
  readonly source: Operand;
  readonly slice: PlanSlice;
  /** Number of the slot message in its lane; -1: it goes to its place. */
  readonly slotMessage: number;
}

/** Where a message that has come another way than by an RDMA write is to be put. */
export interface Landing {
  readonly slice: PlanSlice;
  readonly operand: Operand;
}

export interface EnginePorts {
  /** Posts an RDMA write; `blocked` means: nothing happened, `resume()` when it makes sense again. */
  post(message: Outgoing): 'posted' | 'blocked';
  /** Launches device work; the engine is told by `computed()`. */
  compute(work: Computation, slice: PlanSlice): void;
  /** A connection has something worth announcing: granted places or released slots. */
  announce(inbound: number): void;
  /** Every slice is done. Called once. */
  finished(): void;
}

/** Lanes of an operation's connections. */
export interface EngineLanes {
  inbound(connection: PlanConnection): InboundLane;
  outbound(connection: PlanConnection): OutboundLane;
}

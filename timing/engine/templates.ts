/**
 * Programs as the engine takes them: their steps, slices and what waits for what in typed arrays, built once for
 * all ranks that are alike. Steps of all templates are numbered in one row, and so are their slices, called tasks.
 */
import type { Rank } from '../../collectives/schedule.ts';

/** What a step does, as bits. */
export const RECEIVES = 1;
export const SENDS = 2;
export const REDUCES = 4;
export const COPIES = 8;
/** Not a step: what others wait for. Takes no time. */
export const GATE = 16;

/** In place of a number: there is none. */
export const NONE = -1;

/** By step, unless it says otherwise. */
export interface Templates {
  readonly kind: Uint8Array;
  /** Channel and index there; of a gate 0. */
  readonly channel: Int32Array;
  readonly index: Int32Array;
  /** First of its tasks; they are numbered in a row. One more than steps. */
  readonly firstTask: Int32Array;
  /** Number among the outgoing connections of all templates, or `NONE`; and messages there before it. */
  readonly puts: Int32Array;
  readonly putsBefore: Int32Array;
  /** Likewise of the incoming ones. */
  readonly takes: Int32Array;
  readonly takesBefore: Int32Array;
  /** Who waits for it: `waiters[i]` for `firstWaiter[step]` <= i < `firstWaiter[step + 1]`. */
  readonly firstWaiter: Int32Array;
  /** From here on its waiters wait until what it sends has left. */
  readonly firstLeftWaiter: Int32Array;
  readonly waiters: Int32Array;
  /** By waiter: 1 if slice by slice, 0 if for the last slice. */
  readonly isSliced: Uint8Array;
  /** Things that each of its slices waits for. */
  readonly needs: Int32Array;
  /** Where the state of its tasks begins among those of its template, or `NONE`: it waits for one thing at most. */
  readonly joins: Int32Array;
  /** By task: its step, and its bytes. */
  readonly stepOf: Int32Array;
  readonly bytes: Float64Array;
  /** By template. */
  readonly templates: readonly Template[];
  /** By outgoing and by incoming connection. */
  readonly outgoing: readonly TemplateConnection[];
  readonly incoming: readonly TemplateConnection[];
}

export interface Template {
  /** Whose program it is: the others' are this one renumbered. */
  readonly rank: Rank;
  readonly firstStep: number;
  readonly endStep: number;
  /** Numbers of its connections, in a row each. */
  readonly firstOutgoing: number;
  readonly endOutgoing: number;
  readonly firstIncoming: number;
  readonly endIncoming: number;
  /** Entries of state that its tasks need together. */
  readonly joins: number;
  /** Slices of its steps. */
  readonly tasks: number;
  /** All that it reduces comes in one order, whatever the times: its unit is never asked out of turn. */
  readonly reducesInOrder: boolean;
}

/** Messages to or from one peer on one lane. */
export interface TemplateConnection {
  readonly peer: Rank;
  readonly lane: number;
  /** Its steps, in order. */
  readonly steps: readonly number[];
  readonly messages: number;
  readonly bytes: number;
}

/** What is asked of the time model, and what it answers. `engine/predict.ts` does the work. */
import type { ElementCounts } from '../collectives/chunks.ts';
import type { Program } from '../collectives/program.ts';
import type { Rank, Schedule } from '../collectives/schedule.ts';
import type { LinkNumber, Network } from './network.ts';

/**
 * How messages share links.
 * - `flow`: the messages under way share every link max-min fairly; time is never rounded.
 * - `alphaBeta`: the alpha-beta-gamma model of the papers, one message at a time in and out of a rank.
 * - `storeAndForward`: link after link, first come first served, in whole nanoseconds: a link is busy for
 *   floor(S/B), and the message is at its end after floor(latency + S/B), with GB = 2^30.
 * - `loggp`: a send costs o; a message of s bytes is there L + (s-1)G + o later; the next send g later.
 */
export const LINK_MODELS = ['flow', 'alphaBeta', 'storeAndForward', 'loggp'] as const;
export type LinkModel = (typeof LINK_MODELS)[number];

/** How the program is carried out, whatever the network. */
export interface Execution {
  /** A step is moved in slices of at most so many bytes; more than 0. */
  readonly sliceBytes: number;
  /** Slices of one connection that are on their way, or not yet taken; at least 1. */
  readonly slotsPerConnection: number;
}

/** Random delays: every message's latency, and every step's issue, times 1 + fraction * x, x exponential with mean 1. */
export interface Jitter {
  readonly seed: number;
  readonly fraction: number;
}

export interface PredictionRequest {
  /** A schedule, or the programs of all ranks, by rank. Either must be proved (`collectives/verify.ts`). */
  readonly work: Schedule | readonly Program[];
  readonly counts: ElementCounts;
  readonly bytesPerElement: number;
  /** Has as many ranks as `work`. */
  readonly network: Network;
  readonly model: LinkModel;
  readonly execution: Execution;
  /** `alike`: of ranks that are alike only one is simulated, where schedule and network allow it. */
  readonly ranks: 'alike' | 'exact';
  readonly jitter?: Jitter;
  /** Records what led to the end (`Predicted.path`). */
  readonly explain?: boolean;
  /** Told of every piece of work of the simulated ranks, in no particular order. */
  readonly record?: (span: Span) => void;
  /** Told now and then: what part of the slices is done, from 0 to 1. May throw, to stop it all. */
  readonly progress?: (done: number) => void;
}

/** What a rank or a message was doing. */
export type Activity =
  | 'issue'
  /** On a link, at whatever rate; `linkKind` says which class held it up. */
  | 'link'
  | 'latency'
  | 'reduction'
  | 'copy'
  /** For a slot of the connection, for its turn on it, or for the rank's other work. */
  | 'waiting';

/** Work of one slice of one step. */
export interface Span {
  readonly activity: Activity;
  readonly rank: Rank;
  readonly channel: number;
  readonly step: number;
  readonly slice: number;
  readonly bytes: number;
  readonly beginSeconds: number;
  readonly endSeconds: number;
  /** Where it goes, of `link` and `latency`. */
  readonly peer?: Rank;
  /** Class of the link that decided the rate, and the link; of `link` and `latency`. */
  readonly linkKind?: string;
  readonly link?: LinkNumber;
}

/** What went over one link, or over each of those that are alike. */
export interface LinkUse {
  readonly link: LinkNumber;
  /** Links that this one stands for, itself included. */
  readonly alike: number;
  readonly bytes: number;
  /** Bytes by rate, by the whole time: 0 to 1. */
  readonly utilisation: number;
}

export interface Predicted {
  readonly kind: 'predicted';
  /** When the last rank is done, if all begin at 0. */
  readonly seconds: number;
  readonly simulatedRanks: number;
  /** Messages that were simulated, slice by slice. */
  readonly messages: number;
  /** The busiest first; at most `LINK_USES_MAX`. */
  readonly linkUses: readonly LinkUse[];
  /** With `explain`: pieces of work without gap from 0 to `seconds`, first one first. */
  readonly path?: readonly Span[];
}

/** Nothing can go on: with so many slots the program deadlocks. */
export interface Stuck {
  readonly kind: 'stuck';
  readonly atSeconds: number;
  /** Steps that wait, and for what, in words; at most `STUCK_STEPS_MAX`. */
  readonly waiting: readonly string[];
  readonly doneSlices: number;
  readonly allSlices: number;
}

export type Prediction = Predicted | Stuck;

export const LINK_USES_MAX = 16;
export const STUCK_STEPS_MAX = 8;

/**
 * A schedule is a collective algorithm written down as data: which rank sends which chunks to which
 * rank, in which round, and whether the receiver copies or reduces them.
 *
 * Schedules are made by pure functions (`algorithms/`). They lower to one `Program` per rank
 * (`lower.ts`), which four independent readers take: the verifier (`verify.ts`), the cost model
 * (`cost.ts`), the time model (`timing/`) and the engine that moves bytes (`node/hccl/engine.ts`).
 * None of the four knows any algorithm.
 */
import type { CollectiveShape } from './collective.ts';
import type { Topology } from './topology.ts';

export type Rank = number;

/** `input` is not written out of place; in place one of it and `output` lies in the other (`collective.ts`). */
export type BufferName = 'input' | 'output' | 'scratch';

/** First chunk of a run of consecutive chunks in one of a rank's buffers. */
export interface Place {
  readonly buffer: BufferName;
  readonly chunk: number;
}

/**
 * One message of one round; `src === dst` is a local copy or reduction. Every transfer of a round
 * reads the state the round began with.
 *
 * `copy`:   dst's `to` = src's `from`
 * `reduce`: dst's `to` = src's `from` (+) dst's `operand`
 */
export interface Transfer {
  readonly src: Rank;
  readonly dst: Rank;
  readonly from: Place;
  readonly to: Place;
  /** Number of consecutive chunks at both ends. */
  readonly count: number;
  readonly effect: 'copy' | 'reduce';
  /** What the receiver reduces with; absent means `to` itself. Only with `reduce`. */
  readonly operand?: Place;
  /** Parallel lane that carries the transfer; 0 if absent. Lanes share no order but `depends`. */
  readonly channel?: number;
}

export type Round = readonly Transfer[];

/** How boxes, or the ranks of a box, are renumbered: all by adding one number, or by exclusive or with it. */
export type Turning = 'rotation' | 'exchange' | 'none';

/**
 * Renumberings of the ranks that turn a schedule into itself: the program of a rank, with its peers renumbered,
 * is that of the rank that it is renumbered to, step by step. Its places may differ; of sizes nothing is said.
 * A box is any run of so many ranks here, and a card an index in it; both are renumbered independently.
 */
export interface Alikeness {
  /** Divides the number of ranks. */
  readonly ranksPerBox: number;
  /** `exchange` is for powers of two. */
  readonly boxes: Turning;
  readonly cards: Turning;
}

export interface Schedule extends CollectiveShape {
  /** Name in `table.ts`. */
  readonly algorithm: string;
  /** Absent if no renumbering is known. */
  readonly alike?: Alikeness | undefined;
  /**
   * The rounds, made anew on every call so that large schedules need not be stored. Rounds are
   * meaning, not barriers: nobody waits for all ranks between them.
   * With `rank`, transfers that do not have it at one end may be left out.
   */
  rounds(rank?: Rank): Iterable<Round>;
}

/** What every builder of `algorithms/` takes. */
export interface ScheduleOptions {
  readonly nranks: number;
  /** Root of a rooted collective; 0 if absent, and ignored by the others. */
  readonly root?: Rank;
  /** Chunks of one block (see `CollectiveShape`); each builder has its default. */
  readonly chunks?: number;
  /**
   * Where the buffers of the call lie; `outOfPlace` if absent. Only collectives that put different data
   * where their input is (`allToAll`, `sendRecv`) need to know; other schedules hold for both.
   */
  readonly placement?: 'inPlace' | 'outOfPlace';
  /** Who sits in which box; every rank in its own if absent. Its ranks are `nranks`. */
  readonly topology?: Topology;
  /** Algorithm inside the boxes, for the two-level ones. */
  readonly inside?: string;
  /** Algorithm across the boxes, for the two-level ones. */
  readonly across?: string;
}

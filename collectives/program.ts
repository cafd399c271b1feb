/**
 * A program is what one rank does: channels of steps. It is lowered from a `Schedule` or read from
 * MSCCL XML, whose step types it mirrors (RCCL `msccl_struct.h`, `msccl_kernel_impl.h`) and whose
 * thread blocks are its channels.
 *
 * Meaning
 * - The steps of one channel take effect as if in order. An executor may overlap steps that touch no
 *   common place. Steps of different channels are ordered only by `depends`; what a step depends on
 *   comes before the later steps of its channel too, so whoever overlaps steps keeps that.
 * - To depend on a step is to wait for it and for all steps before it in its channel.
 * - Messages of one connection (source rank, destination rank, lane) are first in, first out. At each
 *   end, one channel alone has to do with a connection.
 * - A step of `count` chunks works on `count` consecutive chunks at every place it names. It may be
 *   cut into slices; slice s of a step works on the s-th part of its elements at every place.
 */
import { defined } from '../common/assert.ts';
import type { CollectiveShape } from './collective.ts';
import type { Place, Rank } from './schedule.ts';

/** Step kinds with, in brackets, MSCCL's name. `m` is the message received, (+) the reduction. */
export type StepKind =
  /** [s] Sends src. */
  | 'send'
  /** [r] dst = m. */
  | 'recv'
  /** [cpy] dst = src. */
  | 'copy'
  /** [re] dst = dst (+) src. */
  | 'reduce'
  /** [rcs] dst = m, and sends m. */
  | 'recvCopySend'
  /** [rrc] dst = m (+) src. */
  | 'recvReduceCopy'
  /** [rrs] Sends m (+) src and stores nothing. */
  | 'recvReduceSend'
  /** [rrcs] dst = m (+) src, and sends it. */
  | 'recvReduceCopySend';

/** A step of another channel of the same rank: it, and those before it there, must have finished. */
export interface StepRef {
  readonly channel: number;
  readonly step: number;
}

/**
 * How the receiver takes a message. `place`: it is stored unchanged at `place` of the receiver, so it
 * may be written there directly. `slot`: it is an operand, and goes to one of the connection's slots.
 */
export type Landing = { readonly kind: 'slot' } | { readonly kind: 'place'; readonly place: Place };

/**
 * Which fields are there follows from `kind`: `recvFrom` if it receives; `sendTo` and `landing` if it
 * sends; `src` for send, copy, reduce and the recvReduce* kinds; `dst` if it stores.
 */
export interface Step {
  readonly kind: StepKind;
  /** Number of consecutive chunks. */
  readonly count: number;
  readonly recvFrom?: Rank;
  readonly sendTo?: Rank;
  readonly landing?: Landing;
  readonly src?: Place;
  readonly dst?: Place;
  /** Steps of other channels of this rank that must have finished first. */
  readonly depends: readonly StepRef[];
}

export interface Channel {
  readonly id: number;
  /**
   * Which of the connections between two ranks its messages use [chan]: those of channel 3 of one rank
   * meet channel 5 of another if both have the same lane. A lowered program's lanes are its channels.
   */
  readonly lane: number;
  readonly steps: readonly Step[];
}

export interface Program extends CollectiveShape {
  readonly algorithm: string;
  readonly rank: Rank;
  /** Out of place, its input serves as scratch. Only programs from elsewhere (MSCCL XML) may do so. */
  readonly overwritesInput?: true;
  /** `channels[i].id === i`. */
  readonly channels: readonly Channel[];
}

const RECEIVES: ReadonlySet<StepKind> = new Set([
  'recv',
  'recvCopySend',
  'recvReduceCopy',
  'recvReduceSend',
  'recvReduceCopySend',
]);
const SENDS: ReadonlySet<StepKind> = new Set([
  'send',
  'recvCopySend',
  'recvReduceSend',
  'recvReduceCopySend',
]);
const REDUCES: ReadonlySet<StepKind> = new Set([
  'reduce',
  'recvReduceCopy',
  'recvReduceSend',
  'recvReduceCopySend',
]);

export const receives = (kind: StepKind): boolean => RECEIVES.has(kind);
export const sends = (kind: StepKind): boolean => SENDS.has(kind);
export const reduces = (kind: StepKind): boolean => REDUCES.has(kind);

/** Places of this rank whose content the step takes. A message it receives is not one of them. */
export function readsOf(step: Step): readonly Place[] {
  const places: Place[] = [];
  if (step.src !== undefined) places.push(step.src);
  if (step.kind === 'reduce' && step.dst !== undefined) places.push(step.dst);
  return places;
}

/** A place of this rank that has the size of what the step works on: all that it names have it. */
export function placeOf(step: Step): Place {
  return defined(step.dst ?? step.src, `a place of ${step.kind}`);
}

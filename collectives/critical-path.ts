/**
 * Moments of a run in the cost model, each with the moment that it waited for. Going back from the last
 * one gives the critical path: the chain of steps that decides when everything is done.
 */
import type { StepAddress } from './interpret.ts';

export interface AlphaBetaGamma {
  readonly alphaSeconds: number;
  readonly betaSecondsPerByte: number;
  readonly gammaSecondsPerByte: number;
}

/** What decided when something began. */
export type WaitedFor =
  /** Nothing: it is the first of its channel. */
  | 'start'
  /** The step before it in its channel. */
  | 'step'
  /** A step of another channel of its rank. */
  | 'depends'
  /** The message that it takes. */
  | 'message'
  /** The step that takes its message. */
  | 'receiver'
  /** A message that was leaving the same rank. */
  | 'sendPort'
  /** A message that was arriving at the same rank. */
  | 'receivePort'
  /** A reduction of another channel of its rank. */
  | 'reduction';

/** Start-ups, bytes sent and bytes reduced, one after the other. */
export interface Work {
  readonly alphas: number;
  readonly bytes: number;
  readonly reducedBytes: number;
}

/** The end of a piece of work of a step. */
export interface Moment {
  readonly at: StepAddress;
  readonly seconds: number;
  /** All work on the way here: `seconds` is its price. */
  readonly work: Work;
  /** What it waited for last, and when that was. */
  readonly cause: Cause;
}

export interface Cause {
  readonly why: WaitedFor;
  /** Absent: the beginning of the run. */
  readonly moment?: Moment;
}

/** One step of the critical path. */
export interface CriticalStep extends StepAddress {
  readonly waitedFor: WaitedFor;
  readonly beginSeconds: number;
  readonly endSeconds: number;
}

export const START: Cause = { why: 'start' };
const NO_WORK: Work = { alphas: 0, bytes: 0, reducedBytes: 0 };

export function secondsOf({ moment }: Cause): number {
  return moment?.seconds ?? 0;
}

export function workOf({ moment }: Cause): Work {
  return moment?.work ?? NO_WORK;
}

/** The cause that came last; of several at one time the first given. */
export function latest(first: Cause, ...others: readonly (Cause | undefined)[]): Cause {
  let last = first;
  for (const cause of others) {
    if (cause !== undefined && secondsOf(cause) > secondsOf(last)) last = cause;
  }
  return last;
}

/** When `at` has done `work`, if it began at `cause`. */
export function momentAfter(
  cause: Cause,
  at: StepAddress,
  work: Partial<Work>,
  model: AlphaBetaGamma,
): Moment {
  const { alphas = 0, bytes = 0, reducedBytes = 0 } = work;
  const before = workOf(cause);
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = model;
  const seconds =
    alphas * alphaSeconds + bytes * betaSecondsPerByte + reducedBytes * gammaSecondsPerByte;
  return {
    at,
    cause,
    seconds: secondsOf(cause) + seconds,
    work: {
      alphas: before.alphas + alphas,
      bytes: before.bytes + bytes,
      reducedBytes: before.reducedBytes + reducedBytes,
    },
  };
}

/** The steps that lead to `last`, first one first. */
export function criticalSteps(last: Cause): CriticalStep[] {
  const path: CriticalStep[] = [];
  let moment = last.moment;
  while (moment !== undefined) {
    const { at } = moment;
    const endSeconds = moment.seconds;
    while (moment.cause.moment?.at === at) moment = moment.cause.moment;
    const { cause }: Moment = moment;
    path.push({ ...at, waitedFor: cause.why, beginSeconds: secondsOf(cause), endSeconds });
    moment = cause.moment;
  }
  return path.reverse();
}

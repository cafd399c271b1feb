/**
 * The job's barriers. Barrier number `sequence` is done when every rank of the job has entered it.
 * A rank enters its barriers in rising order, and may enter the next before the last is done.
 */
import { type Effect, type PeerId, type Step, toHosts } from './effect.ts';
import { rankWords } from './membership.ts';

/** How far ranks may run ahead of each other, counted in barriers. */
export const BARRIERS_PENDING_MAX = 64;

export interface Barriers {
  readonly jobId: string;
  readonly nranks: number;
  /** Ranks that have entered, for each barrier that is not done. */
  readonly pending: ReadonlyMap<number, ReadonlySet<number>>;
  /** The last barrier each rank has entered. */
  readonly lastEntered: ReadonlyMap<number, number>;
  readonly exited: ReadonlySet<number>;
}

export type BarrierEvent =
  | {
      readonly type: 'enter';
      readonly rank: number;
      readonly sequence: number;
      /** Every live host of the job. */
      readonly hosts: readonly PeerId[];
    }
  /** The rank's program has ended: it will enter nothing more. */
  | { readonly type: 'exit'; readonly rank: number };

export function startBarriers(jobId: string, nranks: number): Barriers {
  return {
    jobId,
    nranks,
    pending: new Map(),
    lastEntered: new Map(),
    exited: new Set(),
  };
}

export function stepBarriers(state: Barriers, event: BarrierEvent): Step<Barriers> {
  return event.type === 'enter' ? enter(state, event) : exit(state, event.rank);
}

function enter(
  state: Barriers,
  { rank, sequence, hosts }: Extract<BarrierEvent, { type: 'enter' }>,
): Step<Barriers> {
  const last = state.lastEntered.get(rank) ?? -1;
  if (sequence <= last) {
    return failed(
      state,
      'HLSIM_PROTOCOL_ERROR',
      `Expected rank ${rank} to enter a barrier after number ${last} but found number ${sequence}`,
    );
  }
  const entered = new Set(state.pending.get(sequence)).add(rank);
  const pending = new Map(state.pending);
  const lastEntered = new Map(state.lastEntered).set(rank, sequence);
  if (entered.size === state.nranks) {
    pending.delete(sequence);
    const done = toHosts(hosts, { type: 'HLCP_SYNC_DONE', jobId: state.jobId, sequence });
    return { state: { ...state, pending, lastEntered }, effects: done };
  }
  pending.set(sequence, entered);
  const next = { ...state, pending, lastEntered };
  if (pending.size > BARRIERS_PENDING_MAX) {
    return failed(
      next,
      'HLSIM_PROTOCOL_ERROR',
      `Expected at most ${BARRIERS_PENDING_MAX} barriers under way but found rank ${rank} enter one more`,
    );
  }
  return { state: next, effects: absentees(next, sequence) };
}

function exit(state: Barriers, rank: number): Step<Barriers> {
  const next = { ...state, exited: new Set(state.exited).add(rank) };
  for (const sequence of state.pending.keys()) {
    const effects = absentees(next, sequence);
    if (effects.length > 0) return { state: next, effects };
  }
  return { state: next, effects: [] };
}

/** A barrier that a rank has not entered and, having ended, never will. */
function absentees(state: Barriers, sequence: number): readonly Effect[] {
  const entered = state.pending.get(sequence);
  const absent = [...state.exited].filter((rank) => entered?.has(rank) === false);
  if (entered === undefined || absent.length === 0) return [];
  const message = `Expected all ${state.nranks} ranks in barrier ${sequence} but ${rankWords(absent)} ended without entering it; waiting: ${[...entered].join(', ')}`;
  return [{ type: 'failJob', failure: { code: 'HLSIM_JOB_FAILED', message } }];
}

function failed(state: Barriers, code: 'HLSIM_PROTOCOL_ERROR', message: string): Step<Barriers> {
  return { state, effects: [{ type: 'failJob', failure: { code, message } }] };
}

/** A job and its life, as data; `jobs.ts` says what happens to it. */
import type { PeerId } from './effect.ts';
import type { Failure, HostEntry, JobSpec } from './hlcp/messages.ts';
import { ranksOfHost } from './membership.ts';

/** From a rank's failure to the end of the others: time to print their own errors. */
export const JOB_STOP_GRACE_MS = 1_000;
/** From a host's loss to the end of the survivors' programs: time to report, or to shrink and save. */
export const HOST_LOST_GRACE_MS = 2_000;
/** From `HLCP_JOB_STOP` to the end of the job, whether or not every rank has reported its exit. */
export const JOB_STOP_TIMEOUT_MS = 3_000;

export interface JobHost {
  readonly peer: PeerId;
  readonly entry: HostEntry;
}

export interface Submission {
  readonly jobId: string;
  readonly attempt: number;
  /** `undefined` once the client has gone: nobody is left to tell. */
  readonly client: PeerId | undefined;
  readonly spec: JobSpec;
  readonly submittedMs: number;
}

export interface Verdict {
  readonly exitCode: number;
  readonly failure: Failure;
}

export interface Dispatched extends Submission {
  readonly nranks: number;
  /** The job's hosts that are alive. */
  readonly hosts: readonly JobHost[];
  readonly exited: ReadonlySet<number>;
}

export type WaitingJob = Submission & { readonly phase: 'waiting'; readonly deadlineMs: number };
export type DispatchedJob =
  | (Dispatched & { readonly phase: 'running' })
  | (Dispatched & {
      readonly phase: 'failing' | 'stopping';
      readonly verdict: Verdict;
      /** When grace, or patience, ends. */
      readonly deadlineMs: number;
    });
export type Jobs = { readonly phase: 'idle' } | WaitingJob | DispatchedJob;

export const NO_JOB: Jobs = { phase: 'idle' };

/** The job that has ranks, if there is one. */
export function dispatchedJob(state: Jobs): DispatchedJob | undefined {
  return state.phase === 'idle' || state.phase === 'waiting' ? undefined : state;
}

/** Ranks on live hosts whose exit has not been reported. */
export function liveRanks({ hosts, exited }: DispatchedJob): number[] {
  return hosts.flatMap(({ entry }) => ranksOfHost(entry)).filter((rank) => !exited.has(rank));
}

/** The control connections of hosts. */
export function peersOf(hosts: readonly JobHost[]): PeerId[] {
  return hosts.map(({ peer }) => peer);
}

/** What a log line about a job says of it. */
export function jobFields({ jobId, spec }: Submission): Readonly<Record<string, unknown>> {
  return { jobId, program: spec.program };
}

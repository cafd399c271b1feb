/** What `/status` answers and `hlsim ps` prints. */
import { type Colour, colour, type Liveness } from './failure-detector.ts';
import { dispatchedJob, type Jobs, liveRanks } from './job.ts';
import { type Member, type Membership, ranksOfHost } from './membership.ts';

export interface HostStatus {
  readonly index: number;
  readonly nodeId: string;
  readonly hostname: string;
  readonly pid: number;
  readonly devices: number;
  readonly hbmBytes: number;
  readonly ranks: readonly number[];
  readonly link: { readonly host: string; readonly port: number };
  readonly liveness: Colour;
  readonly silentMs: number;
}

export interface JobStatus {
  readonly jobId: string;
  readonly attempt: number;
  readonly phase: 'waiting' | 'running' | 'failing' | 'stopping';
  readonly program: string;
  readonly elapsedMs: number;
  /** Ranks of the job, 0 while it waits for hosts. */
  readonly nranks: number;
  readonly ranksLive: number;
}

export interface ClusterStatus {
  /** `shutting down`: no host and no job is accepted any more. */
  readonly state: 'forming' | 'complete' | 'shutting down';
  /** Of the world that is complete or being formed; the first is 1. */
  readonly epoch: number;
  readonly expectedHosts: number;
  /** In order of index. */
  readonly hosts: readonly HostStatus[];
  readonly job: JobStatus | null;
  readonly uptimeMs: number;
}

export interface ClusterView {
  readonly phase: 'up' | 'shutting down' | 'ended';
  readonly membership: Membership;
  readonly livenessOf: (member: Member) => Liveness;
  readonly jobs: Jobs;
  readonly startedMs: number;
}

/** The status at time `now`. */
export function statusOf(view: ClusterView, now: number): ClusterStatus {
  const { membership, phase } = view;
  return {
    state: phase === 'up' ? membership.phase : 'shutting down',
    epoch: membership.epoch,
    expectedHosts: membership.expectedHosts,
    hosts: membership.members.map((member) => hostStatus(member, view.livenessOf(member), now)),
    job: jobStatus(view.jobs, now),
    uptimeMs: Math.round(now - view.startedMs),
  };
}

function hostStatus({ entry, hbmBytes }: Member, liveness: Liveness, now: number): HostStatus {
  return {
    ...entry,
    hbmBytes,
    ranks: ranksOfHost(entry),
    liveness: colour(liveness, now),
    silentMs: Math.round(now - liveness.heardMs),
  };
}

function jobStatus(jobs: Jobs, now: number): JobStatus | null {
  if (jobs.phase === 'idle') return null;
  const dispatched = dispatchedJob(jobs);
  return {
    jobId: jobs.jobId,
    attempt: jobs.attempt,
    phase: jobs.phase,
    program: jobs.spec.program,
    elapsedMs: Math.round(now - jobs.submittedMs),
    nranks: dispatched?.nranks ?? 0,
    ranksLive: dispatched === undefined ? 0 : liveRanks(dispatched).length,
  };
}

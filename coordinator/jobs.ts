/**
 * One job at a time, from a client's submission to its one `HLCP_JOB_DONE`.
 *
 *            submit             world complete            every live rank has exited
 *      idle --------> waiting ----------------> running --------------------------------> idle
 *                        |                        |  \                                     ^
 *                        | join deadline,         |   \ verdict: a rank's non-zero exit,   |
 *                        | client gone            |    \ a lost host, a broken barrier     |
 *                        v                        |     v                                  |
 *                       idle        cancel,       |   failing -- grace over --> stopping --+
 *                                   client gone   +------------------------------> ^
 *
 * The first verdict decides the exit code; what happens after it changes nothing. `failing` gives the
 * other ranks time to find the error themselves and to print it; `stopping` is bounded too.
 */
import { HlsimError } from '../common/errors.ts';
import { type Effect, logEffect, type PeerId, type Step, toHosts } from './effect.ts';
import type { Failure, HostToCoordinator, JobSpec } from './hlcp/messages.ts';
import { failureOf, refusedMessage } from './hlcp/refusal.ts';
import {
  type DispatchedJob,
  HOST_LOST_GRACE_MS,
  JOB_STOP_GRACE_MS,
  JOB_STOP_TIMEOUT_MS,
  type Jobs,
  jobFields,
  liveRanks,
  NO_JOB,
  peersOf,
  type Verdict,
  type WaitingJob,
} from './job.ts';
import { incompleteError, type Membership } from './membership.ts';

type Submit = {
  readonly type: 'submit';
  readonly client: PeerId;
  readonly jobId: string;
  readonly spec: JobSpec;
  readonly hosts?: number | undefined;
  readonly joinTimeoutMs: number;
  readonly membership: Membership;
};
type RankExit = Extract<HostToCoordinator, { type: 'HLCP_RANK_EXIT' }>;

export type JobEvent =
  | Submit
  /** Membership may have become complete, or time has passed. */
  | { readonly type: 'tick'; readonly membership: Membership }
  | { readonly type: 'exit'; readonly hostname: string; readonly message: RankExit }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'fail'; readonly failure: Failure }
  | { readonly type: 'cancel'; readonly reason: string }
  | { readonly type: 'clientGone'; readonly client: PeerId };

export function stepJobs(state: Jobs, event: JobEvent, now: number): Step<Jobs> {
  if (event.type === 'submit') return submit(state, event, now);
  if (state.phase === 'idle') return { state, effects: [] };
  if (state.phase === 'waiting') return stepWaiting(state, event, now);
  return stepDispatched(state, event, now);
}

/** When a `tick` is due at the latest; `undefined` while nothing is bounded by time. */
export function jobDeadlineMs(state: Jobs): number | undefined {
  return 'deadlineMs' in state ? state.deadlineMs : undefined;
}

function submit(state: Jobs, event: Submit, now: number): Step<Jobs> {
  const { client, jobId, spec, membership } = event;
  const error = refusalOf(state, event);
  if (error !== undefined) return { state, effects: refuse(client, error) };
  const waiting: WaitingJob = {
    phase: 'waiting',
    jobId,
    attempt: 0,
    client,
    spec,
    submittedMs: now,
    deadlineMs: now + event.joinTimeoutMs,
  };
  if (membership.phase === 'complete') return dispatch(waiting, membership);
  const fields = { jobId, program: spec.program, joined: membership.members.length };
  return { state: waiting, effects: [logEffect('info', 'job waits for hosts', fields)] };
}

function refusalOf(state: Jobs, { hosts, membership }: Submit): HlsimError | undefined {
  if (state.phase !== 'idle') {
    return new HlsimError(
      'HLSIM_JOB_REFUSED',
      `Expected an idle cluster but found job ${state.jobId} (${state.spec.program}) ${state.phase}: wait for its end or cancel it`,
    );
  }
  if (hosts !== undefined && hosts !== membership.expectedHosts) {
    return new HlsimError(
      'HLSIM_JOB_REFUSED',
      `Expected a cluster of ${hosts} hosts but found one of ${membership.expectedHosts}: ask for as many hosts as it has, or start another cluster`,
    );
  }
  return undefined;
}

function refuse(client: PeerId | undefined, error: HlsimError): Effect[] {
  const log = logEffect('warn', 'job refused', { failure: failureOf(error) });
  if (client === undefined) return [log];
  return [
    { type: 'toClient', peer: client, message: refusedMessage(error) },
    { type: 'close', peer: client },
    log,
  ];
}

function stepWaiting(state: WaitingJob, event: Exclude<JobEvent, Submit>, now: number): Step<Jobs> {
  switch (event.type) {
    case 'tick':
      if (event.membership.phase === 'complete') return dispatch(state, event.membership);
      if (now < state.deadlineMs) return { state, effects: [] };
      return {
        state: NO_JOB,
        effects: refuse(state.client, incompleteError(event.membership, now - state.submittedMs)),
      };
    case 'cancel':
      return {
        state: NO_JOB,
        effects: refuse(state.client, new HlsimError('HLSIM_JOB_CANCELLED', event.reason)),
      };
    case 'clientGone':
      return event.client === state.client
        ? {
            state: NO_JOB,
            effects: [logEffect('info', 'client gone, job dropped', jobFields(state))],
          }
        : { state, effects: [] };
    default:
      return { state, effects: [] };
  }
}

function dispatch(waiting: WaitingJob, membership: Membership): Step<Jobs> {
  const { jobId, attempt, client, spec, submittedMs } = waiting;
  const hosts = membership.members.map(({ peer, entry }) => ({ peer, entry }));
  const nranks = hosts.reduce((total, { entry }) => total + entry.devices, 0);
  const effects: Effect[] = [];
  if (client !== undefined) {
    const entries = hosts.map(({ entry }) => entry);
    effects.push({
      type: 'toClient',
      peer: client,
      message: { type: 'HLCP_JOB_ACCEPTED', jobId, attempt, hosts: entries },
    });
  }
  effects.push(
    ...toHosts(peersOf(hosts), { type: 'HLCP_JOB_START', jobId, attempt, spec, nranks }),
    logEffect('info', 'job started', { ...jobFields(waiting), nranks }),
  );
  return {
    state: {
      phase: 'running',
      jobId,
      attempt,
      client,
      spec,
      submittedMs,
      nranks,
      hosts,
      exited: new Set(),
    },
    effects,
  };
}

function stepDispatched(
  state: DispatchedJob,
  event: Exclude<JobEvent, Submit>,
  now: number,
): Step<Jobs> {
  switch (event.type) {
    case 'tick':
      return tick(state, now);
    case 'exit':
      return rankExit(state, event, now);
    case 'hostLost':
      return hostLost(state, event, now);
    case 'fail':
      return fail(state, { exitCode: 1, failure: event.failure }, JOB_STOP_GRACE_MS, now);
    case 'cancel':
      return stop(state, cancelled(event.reason), now);
    case 'clientGone': {
      if (event.client !== state.client) return { state, effects: [] };
      const reason = `Expected the client of job ${state.jobId} to stay but its connection ended`;
      return stop({ ...state, client: undefined }, cancelled(reason), now);
    }
  }
}

function cancelled(reason: string): Verdict {
  return { exitCode: 1, failure: { code: 'HLSIM_JOB_CANCELLED', message: reason } };
}

function tick(state: DispatchedJob, now: number): Step<Jobs> {
  if (state.phase === 'running' || now < state.deadlineMs) return { state, effects: [] };
  if (state.phase === 'failing') return stop(state, state.verdict, now);
  const log = logEffect('warn', 'ranks did not report their exit', {
    ...jobFields(state),
    ranks: liveRanks(state),
  });
  const done = finish(state);
  return { state: done.state, effects: [log, ...done.effects] };
}

function rankExit(
  state: DispatchedJob,
  { hostname, message }: Extract<JobEvent, { type: 'exit' }>,
  now: number,
): Step<Jobs> {
  const { rank, exitCode } = message;
  const next = { ...state, exited: new Set(state.exited).add(rank) };
  if (exitCode === 0) return finishIfOver(next);
  const why = message.failure === undefined ? '' : `: ${message.failure.message}`;
  const failure = {
    code: message.failure?.code ?? 'HLSIM_JOB_FAILED',
    message: `Expected exit code 0 of every rank but found ${exitCode} of rank ${rank} on ${hostname}${why}`,
  };
  return fail(next, { exitCode, failure }, JOB_STOP_GRACE_MS, now);
}

function hostLost(
  state: DispatchedJob,
  { peer, failure }: Extract<JobEvent, { type: 'hostLost' }>,
  now: number,
): Step<Jobs> {
  if (!state.hosts.some((host) => host.peer === peer)) return { state, effects: [] };
  const next = { ...state, hosts: state.hosts.filter((host) => host.peer !== peer) };
  return fail(next, { exitCode: 1, failure }, HOST_LOST_GRACE_MS, now);
}

/** The first verdict wins; the job ends at once if nobody is left to wait for. */
function fail(state: DispatchedJob, verdict: Verdict, graceMs: number, now: number): Step<Jobs> {
  if (state.phase !== 'running') return finishIfOver(state);
  const failing: DispatchedJob = {
    ...state,
    phase: 'failing',
    verdict,
    deadlineMs: now + graceMs,
  };
  const log = logEffect('warn', 'job fails', { ...jobFields(state), failure: verdict.failure });
  const step = finishIfOver(failing);
  return { state: step.state, effects: [log, ...step.effects] };
}

/** Ends the programs now. A job that has a verdict keeps it. */
function stop(state: DispatchedJob, verdict: Verdict, now: number): Step<Jobs> {
  if (state.phase === 'stopping') return { state, effects: [] };
  const stopping: DispatchedJob = {
    ...state,
    phase: 'stopping',
    verdict: state.phase === 'failing' ? state.verdict : verdict,
    deadlineMs: now + JOB_STOP_TIMEOUT_MS,
  };
  const { jobId } = state;
  const reason = stopping.verdict.failure.message;
  return {
    state: stopping,
    effects: toHosts(peersOf(state.hosts), { type: 'HLCP_JOB_STOP', jobId, reason }),
  };
}

function finishIfOver(state: DispatchedJob): Step<Jobs> {
  return liveRanks(state).length === 0 ? finish(state) : { state, effects: [] };
}

function finish(state: DispatchedJob): Step<Jobs> {
  const { client, jobId } = state;
  const verdict = state.phase === 'running' ? { exitCode: 0 } : state.verdict;
  const effects: Effect[] = [logEffect('info', 'job done', { ...jobFields(state), ...verdict })];
  if (client !== undefined) {
    const message = { type: 'HLCP_JOB_DONE', jobId, ...verdict } as const;
    effects.unshift({ type: 'toClient', peer: client, message });
  }
  return { state: NO_JOB, effects };
}

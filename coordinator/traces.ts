/**
 * `HLCP_TRACE_START`: a client wants to know what the ranks do. Every host is asked to note it down, and
 * when the client says `HLCP_TRACE_STOP`, or goes, to stop and send what it has:
 *
 *     starting -- every host has answered --> running -- HLCP_TRACE_STOP --> stopping -- every host has
 *        |                                       |                              |        sent its end --> over
 *        +------------- the client goes: hosts are told to stop, and their events are dropped --> over
 *
 * A host that is lost, or says nothing in time, is named in the failures of the answer. There is one trace
 * at a time: two would hinder each other, and show what the other costs.
 */
import { HlsimError } from '../common/errors.ts';
import { type AskedHost, askedHost, silentHostError } from './asked-host.ts';
import { type OutwardEffect, type PeerId, toHosts } from './effect.ts';
import type { ClientToCoordinator, Failure, HostToCoordinator } from './hlcp/messages.ts';
import { failureOf } from './hlcp/refusal.ts';
import type { TraceFailure } from './hlcp/trace-messages.ts';
import type { Member } from './membership.ts';

/** From `HLCP_TRACE_START` to a host's answer, which has measured its clock by then. */
export const TRACE_START_TIMEOUT_MS = 10_000;
/** How long a host may say nothing while it sends what it has. */
export const TRACE_SILENCE_MS = 10_000;

interface Trace {
  /** What the hosts are told. */
  readonly id: number;
  readonly client: PeerId;
  /** The client's own number. */
  readonly requestId: number;
  readonly phase: 'starting' | 'running' | 'stopping';
  /** Hosts that note down. */
  readonly hosts: readonly AskedHost[];
  /** Hosts of which an answer is due. */
  readonly awaited: readonly AskedHost[];
  /** Since the last answer to the client. */
  readonly failures: readonly TraceFailure[];
  readonly deadlineMs: number | undefined;
  /** The client wanted the end before the beginning. */
  readonly isStopWanted: boolean;
}

export interface Traces {
  readonly lastId: number;
  readonly open: Trace | undefined;
}

export const NO_TRACES: Traces = { lastId: 0, open: undefined };

/** What hosts say about a trace. */
export type TraceAnswer = Extract<
  HostToCoordinator,
  { type: 'HLCP_TRACE_STARTED' | 'HLCP_TRACE_CHUNK' | 'HLCP_TRACE_END' }
>;

/** What clients want. */
export type TraceQuestion = Extract<
  ClientToCoordinator,
  { type: 'HLCP_TRACE_START' | 'HLCP_TRACE_STOP' }
>;

export type TraceEvent =
  | {
      readonly type: 'asked';
      readonly client: PeerId;
      readonly message: TraceQuestion;
      readonly members: readonly Member[];
    }
  | { readonly type: 'answered'; readonly peer: PeerId; readonly message: TraceAnswer }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'clientGone'; readonly client: PeerId }
  | { readonly type: 'tick' };

export interface TracesStep {
  readonly state: Traces;
  readonly effects: readonly OutwardEffect[];
}

export function stepTraces(state: Traces, event: TraceEvent, now: number): TracesStep {
  if (event.type === 'asked') return asked(state, event, now);
  const { open } = state;
  if (open === undefined) return { state, effects: [] };
  switch (event.type) {
    case 'answered':
      return answered(state, open, event, now);
    case 'hostLost': {
      const lost = open.hosts.find(({ peer }) => peer === event.peer);
      if (lost === undefined) return { state, effects: [] };
      return proceed(state, without(open, lost, event.failure), now);
    }
    case 'clientGone':
      return open.client === event.client ? abandon(state, open) : { state, effects: [] };
    case 'tick':
      return tick(state, open, now);
  }
}

/** When a `tick` is due at the latest; `undefined` while nobody waits. */
export function traceDeadlineMs({ open }: Traces): number | undefined {
  return open?.deadlineMs;
}

function asked(
  state: Traces,
  event: Extract<TraceEvent, { type: 'asked' }>,
  now: number,
): TracesStep {
  const { client, message, members } = event;
  if (message.type === 'HLCP_TRACE_START') {
    return start(state, client, message, members.map(askedHost), now);
  }
  const { open } = state;
  const isOurs = open?.client === client && open.requestId === message.requestId;
  if (!isOurs || open.phase === 'stopping') return { state, effects: [] };
  if (open.phase === 'starting') {
    return { state: { ...state, open: { ...open, isStopWanted: true } }, effects: [] };
  }
  return stop(state, open, now);
}

function start(
  state: Traces,
  client: PeerId,
  message: Extract<TraceQuestion, { type: 'HLCP_TRACE_START' }>,
  hosts: readonly AskedHost[],
  now: number,
): TracesStep {
  const { requestId } = message;
  if (state.open !== undefined) {
    const failure = failureOf(busyError());
    const failures = hosts.map((host) => failed(host, failure));
    const refusal = { type: 'HLCP_TRACE_STARTED', requestId, failures } as const;
    return { state, effects: [{ type: 'toClient', peer: client, message: refusal }] };
  }
  const id = state.lastId + 1;
  const share = Math.max(1, Math.floor(message.eventsMax / Math.max(1, hosts.length)));
  const open: Trace = {
    ...{ id, client, requestId, phase: 'starting', hosts, awaited: hosts, failures: [] },
    ...{ deadlineMs: now + TRACE_START_TIMEOUT_MS, isStopWanted: false },
  };
  const told = toHosts(
    hosts.map(({ peer }) => peer),
    { ...message, requestId: id, eventsMax: share },
  );
  const next = proceed({ ...state, lastId: id }, open, now);
  return { state: next.state, effects: [...told, ...next.effects] };
}

function stop(state: Traces, open: Trace, now: number): TracesStep {
  const { id, hosts } = open;
  const told = toHosts(
    hosts.map(({ peer }) => peer),
    { type: 'HLCP_TRACE_STOP', requestId: id },
  );
  const stopping: Trace = {
    ...open,
    phase: 'stopping',
    awaited: hosts,
    deadlineMs: now + TRACE_SILENCE_MS,
  };
  const next = proceed(state, stopping, now);
  return { state: next.state, effects: [...told, ...next.effects] };
}

/** Nobody is left who wants it. */
function abandon(state: Traces, { id, hosts }: Trace): TracesStep {
  const peers = hosts.map(({ peer }) => peer);
  const effects = toHosts(peers, { type: 'HLCP_TRACE_STOP', requestId: id });
  return { state: { ...state, open: undefined }, effects };
}

/** What comes of a trace that is over, or of a host that was given up, is nothing. */
function answered(
  state: Traces,
  open: Trace,
  { peer, message }: Extract<TraceEvent, { type: 'answered' }>,
  now: number,
): TracesStep {
  const host = open.awaited.find((each) => each.peer === peer);
  const isDue = (message.type === 'HLCP_TRACE_STARTED') === (open.phase === 'starting');
  if (host === undefined || message.requestId !== open.id || !isDue) return { state, effects: [] };
  const { index, hostname } = host;
  const awaited = open.awaited.filter((each) => each !== host);
  if (message.type === 'HLCP_TRACE_STARTED') {
    const { failure } = message;
    const next = failure === undefined ? { ...open, awaited } : without(open, host, failure);
    return proceed(state, next, now);
  }
  const relayed: OutwardEffect = {
    type: 'toClient',
    peer: open.client,
    message: { ...message, requestId: open.requestId, host: { index, hostname } },
  };
  const heard: Trace = { ...open, deadlineMs: now + TRACE_SILENCE_MS };
  if (message.type === 'HLCP_TRACE_CHUNK') {
    return { state: { ...state, open: heard }, effects: [relayed] };
  }
  const next = proceed(state, { ...heard, awaited }, now);
  return { state: next.state, effects: [relayed, ...next.effects] };
}

function tick(state: Traces, open: Trace, now: number): TracesStep {
  if (open.deadlineMs === undefined || now < open.deadlineMs) return { state, effects: [] };
  const timeoutMs = open.phase === 'starting' ? TRACE_START_TIMEOUT_MS : TRACE_SILENCE_MS;
  const late = open.awaited;
  const given = late.reduce(
    (trace, host) =>
      without(trace, host, failureOf(silentHostError(host, timeoutMs, 'about a trace'))),
    open,
  );
  const next = proceed(state, given, now);
  // They may have begun after all.
  const told = toHosts(
    late.map(({ peer }) => peer),
    { type: 'HLCP_TRACE_STOP', requestId: open.id },
  );
  return { state: next.state, effects: [...told, ...next.effects] };
}

/** Goes to the next phase if nobody is waited for any more. */
function proceed(state: Traces, open: Trace, now: number): TracesStep {
  const isAnswered = open.awaited.length === 0 && open.phase !== 'running';
  if (!isAnswered) return { state: { ...state, open }, effects: [] };
  const { requestId, client: peer, failures } = open;
  const type = open.phase === 'starting' ? 'HLCP_TRACE_STARTED' : 'HLCP_TRACE_DONE';
  const answer: OutwardEffect = {
    type: 'toClient',
    peer,
    message: { type, requestId, failures: [...failures] },
  };
  if (open.phase === 'stopping') return { state: { ...state, open: undefined }, effects: [answer] };
  const running: Trace = { ...open, phase: 'running', failures: [], deadlineMs: undefined };
  if (!open.isStopWanted) return { state: { ...state, open: running }, effects: [answer] };
  const next = stop(state, running, now);
  return { state: next.state, effects: [answer, ...next.effects] };
}

function without(open: Trace, host: AskedHost, failure: Failure): Trace {
  const rest = (hosts: readonly AskedHost[]) => hosts.filter(({ peer }) => peer !== host.peer);
  const failures = [...open.failures, failed(host, failure)];
  return { ...open, hosts: rest(open.hosts), awaited: rest(open.awaited), failures };
}

function busyError(): HlsimError {
  return new HlsimError(
    'HLSIM_JOB_REFUSED',
    'Expected no other trace of the cluster under way but found one: wait until it has ended',
  );
}

function failed({ index, hostname }: AskedHost, failure: Failure): TraceFailure {
  return { host: { index, hostname }, failure };
}

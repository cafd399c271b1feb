/**
 * How ranks become a communicator. Every rank brings its endpoint under (job, unique id, epoch); when
 * all `nranks` are there, each host that brought one gets the whole list.
 *
 *                    last rank joins
 *      collecting ---------------------> ready
 *           |                              |
 *           |  ranks disagree, deadline,   |  a rank reports an error,
 *           |  host lost, error reported   |  host lost, one rank too many
 *           +-----------> failed <---------+
 *
 * `failed` is final and announced once to every host that has a member; a rank that joins later is
 * told as well. The survivors of a failure meet again under a higher epoch.
 */
import { type Communicator, communicatorKey, disagreement, sentence } from './communicator.ts';
import { type Effect, logEffect, type PeerId, type Step, toHosts } from './effect.ts';
import type { Failure, HostToCoordinator } from './hlcp/messages.ts';
import { rankWords } from './membership.ts';

/** From the first rank's arrival to the last's. */
export const RENDEZVOUS_TIMEOUT_MS = 30_000;
/** Communicators of one job, of all epochs, dead ones included. */
export const COMMUNICATORS_MAX = 1_024;

type CommData = Extract<HostToCoordinator, { type: 'HLCP_COMM_DATA' }>;
type CommError = Extract<HostToCoordinator, { type: 'HLCP_COMM_ERROR' }>;

export interface Rendezvous {
  readonly jobId: string;
  /** Ranks of the job: a communicator of as many ranks needs every host of the job. */
  readonly jobRanks: number;
  readonly communicators: ReadonlyMap<string, Communicator>;
}

export type RendezvousEvent =
  | {
      readonly type: 'join';
      readonly peer: PeerId;
      readonly hostname: string;
      readonly message: CommData;
    }
  | { readonly type: 'error'; readonly peer: PeerId; readonly message: CommError }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'tick' };

export function startRendezvous(jobId: string, jobRanks: number): Rendezvous {
  return { jobId, jobRanks, communicators: new Map() };
}

export function stepRendezvous(
  state: Rendezvous,
  event: RendezvousEvent,
  now: number,
): Step<Rendezvous> {
  switch (event.type) {
    case 'join':
      return join(state, event, now);
    case 'error':
      return reportedError(state, event);
    case 'hostLost':
      return failAll(
        state,
        (communicator) => needsHost(state, communicator, event.peer),
        () => event.failure,
        event.peer,
      );
    case 'tick':
      return failAll(
        state,
        (communicator) => communicator.phase === 'collecting' && now >= deadlineOf(communicator),
        (communicator) => latecomers(communicator, now),
      );
  }
}

/** When the next rendezvous runs out; `undefined` while none is under way. */
export function rendezvousDeadlineMs(state: Rendezvous): number | undefined {
  const deadlines = [...state.communicators.values()]
    .filter(({ phase }) => phase === 'collecting')
    .map(deadlineOf);
  return deadlines.length === 0 ? undefined : Math.min(...deadlines);
}

function deadlineOf({ startedMs }: Communicator): number {
  return startedMs + RENDEZVOUS_TIMEOUT_MS;
}

function join(
  state: Rendezvous,
  { peer, hostname, message }: Extract<RendezvousEvent, { type: 'join' }>,
  now: number,
): Step<Rendezvous> {
  const key = communicatorKey(message);
  const known = state.communicators.get(key);
  if (known?.phase === 'failed') {
    return { state, effects: failedMessages(known, known.failure, [peer]) };
  }
  if (known === undefined && state.communicators.size >= COMMUNICATORS_MAX) {
    const text = `Expected at most ${COMMUNICATORS_MAX} communicators in job ${state.jobId} but found one more: ${message.uniqueId}`;
    return {
      state,
      effects: failedMessages(message, { code: 'HLSIM_RENDEZVOUS', message: text }, [peer]),
    };
  }
  const { jobId, uniqueId, epoch, nranks, member } = message;
  const before: Communicator = known ?? {
    phase: 'collecting',
    jobId,
    uniqueId,
    epoch,
    nranks,
    startedMs: now,
    joined: [],
  };
  const joiner = { peer, hostname, member };
  const joined = [...before.joined, joiner];
  const quarrel = disagreement(before, joiner, nranks);
  if (quarrel !== undefined) return failOne(state, { ...before, joined }, quarrel);
  if (joined.length < nranks) return put(state, { ...before, joined }, []);
  const ready: Communicator = { ...before, phase: 'ready', joined };
  return put(state, ready, [
    ...toHosts(peersOf(ready), {
      type: 'HLCP_COMM_READY',
      jobId,
      uniqueId,
      epoch,
      members: joined.map((each) => each.member).sort((a, b) => a.rank - b.rank),
    }),
    logEffect('info', 'communicator ready', {
      jobId,
      uniqueId,
      epoch,
      nranks,
      ms: now - before.startedMs,
    }),
  ]);
}

function reportedError(
  state: Rendezvous,
  { peer, message }: Extract<RendezvousEvent, { type: 'error' }>,
): Step<Rendezvous> {
  const communicator = state.communicators.get(communicatorKey(message));
  const isMember = communicator?.joined.some((each) => each.peer === peer) === true;
  if (communicator === undefined || !isMember) {
    const { jobId, uniqueId, epoch, rank } = message;
    const fields = { jobId, uniqueId, epoch, rank };
    return {
      state,
      effects: [logEffect('warn', 'error report for a communicator it is not in', fields)],
    };
  }
  if (communicator.phase === 'failed') return { state, effects: [] };
  return failOne(state, communicator, message.failure);
}

/** A lost host takes with it what it joined, and what cannot become complete without it. */
function needsHost(state: Rendezvous, communicator: Communicator, peer: PeerId): boolean {
  if (communicator.phase === 'failed') return false;
  if (communicator.joined.some((each) => each.peer === peer)) return true;
  return communicator.phase === 'collecting' && communicator.nranks === state.jobRanks;
}

function latecomers(communicator: Communicator, now: number): Failure {
  const here = new Set(communicator.joined.map(({ member }) => member.rank));
  const absent: number[] = [];
  for (let rank = 0; rank < communicator.nranks; rank++) if (!here.has(rank)) absent.push(rank);
  return {
    code: 'HLSIM_RENDEZVOUS',
    message: `Expected ${communicator.nranks} ranks in ${sentence(communicator)} but found ${here.size} after ${Math.round(now - communicator.startedMs)} ms: ${rankWords(absent)} never joined`,
  };
}

function failAll(
  state: Rendezvous,
  isDue: (communicator: Communicator) => boolean,
  failureOf: (communicator: Communicator) => Failure,
  gone?: PeerId,
): Step<Rendezvous> {
  let step: Step<Rendezvous> = { state, effects: [] };
  for (const communicator of state.communicators.values()) {
    if (!isDue(communicator)) continue;
    const next = failOne(step.state, communicator, failureOf(communicator), gone);
    step = { state: next.state, effects: [...step.effects, ...next.effects] };
  }
  return step;
}

function failOne(
  state: Rendezvous,
  communicator: Communicator,
  failure: Failure,
  gone?: PeerId,
): Step<Rendezvous> {
  const { jobId, uniqueId, epoch } = communicator;
  const peers = peersOf(communicator).filter((peer) => peer !== gone);
  return put(state, { ...communicator, phase: 'failed', failure }, [
    ...failedMessages(communicator, failure, peers),
    logEffect('warn', 'communicator failed', { jobId, uniqueId, epoch, failure }),
  ]);
}

function failedMessages(
  { jobId, uniqueId, epoch }: Pick<Communicator, 'jobId' | 'uniqueId' | 'epoch'>,
  failure: Failure,
  peers: readonly PeerId[],
): Effect[] {
  return toHosts(peers, { type: 'HLCP_COMM_FAILED', jobId, uniqueId, epoch, failure });
}

/** Each host once, however many ranks it brought. */
function peersOf({ joined }: Communicator): PeerId[] {
  return [...new Set(joined.map(({ peer }) => peer))];
}

function put(
  state: Rendezvous,
  communicator: Communicator,
  effects: readonly Effect[],
): Step<Rendezvous> {
  const communicators = new Map(state.communicators);
  communicators.set(communicatorKey(communicator), communicator);
  return { state: { ...state, communicators }, effects };
}

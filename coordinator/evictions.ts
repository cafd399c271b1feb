/**
 * `HLCP_EVICT`: a client wants a device free. Its host does it (`node/eviction.ts`) and tells every step,
 * which goes to the client; `HLCP_EVICT_DONE` ends it, exactly once.
 *
 * The coordinator passes the request on under a number of its own, so that several clients may evict at
 * once, and ends it if the host is lost or says nothing for too long. If the client goes, the host goes
 * on all the same: a device half freed helps nobody.
 */
import { HlsimError } from '../common/errors.ts';
import { type AskedHost, askedHost, silentHostError, tooManyError } from './asked-host.ts';
import { logEffect, type OutwardEffect, type PeerId } from './effect.ts';
import type { Evict } from './hlcp/device-messages.ts';
import type { Failure, HostToCoordinator } from './hlcp/messages.ts';
import { failureOf } from './hlcp/refusal.ts';
import type { Member, Membership } from './membership.ts';

/** Beyond the grace that the client asked for: how long a host that frees a device may say nothing. */
export const EVICT_SILENCE_MS = 15_000;
/** Evictions under way, of all clients together. */
export const EVICTIONS_MAX = 64;

interface Eviction {
  /** What the host is told. */
  readonly id: number;
  readonly client: PeerId;
  /** The client's own number. */
  readonly requestId: number;
  readonly host: AskedHost;
  readonly silenceMs: number;
  readonly deadlineMs: number;
}

export interface Evictions {
  readonly lastId: number;
  /** In the order in which they came. */
  readonly open: readonly Eviction[];
}

export const NO_EVICTIONS: Evictions = { lastId: 0, open: [] };

export type EvictionEvent =
  | {
      readonly type: 'asked';
      readonly client: PeerId;
      readonly message: Evict;
      readonly membership: Membership;
    }
  | {
      readonly type: 'answered';
      readonly peer: PeerId;
      readonly message: Extract<HostToCoordinator, { type: 'HLCP_EVICT_STEP' | 'HLCP_EVICT_DONE' }>;
    }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'clientGone'; readonly client: PeerId }
  | { readonly type: 'tick' };

export interface EvictionsStep {
  readonly state: Evictions;
  readonly effects: readonly OutwardEffect[];
}

export function stepEvictions(state: Evictions, event: EvictionEvent, now: number): EvictionsStep {
  switch (event.type) {
    case 'asked':
      return start(state, event, now);
    case 'answered':
      return answer(state, event, now);
    case 'hostLost':
      return endThose(
        state,
        ({ host }) => host.peer === event.peer,
        () => event.failure,
      );
    case 'clientGone': {
      const open = state.open.filter(({ client }) => client !== event.client);
      return { state: { ...state, open }, effects: [] };
    }
    case 'tick':
      return endThose(
        state,
        ({ deadlineMs }) => deadlineMs <= now,
        ({ host, silenceMs }) => failureOf(silentHostError(host, silenceMs)),
      );
  }
}

/** When a `tick` is due at the latest; `undefined` while nobody waits. */
export function evictionDeadlineMs({ open }: Evictions): number | undefined {
  return open.length === 0 ? undefined : Math.min(...open.map(({ deadlineMs }) => deadlineMs));
}

function start(
  state: Evictions,
  { client, message, membership }: Extract<EvictionEvent, { type: 'asked' }>,
  now: number,
): EvictionsStep {
  const { requestId, device, graceMs, retries } = message;
  const target = targetOf(state, message, membership);
  if (target instanceof HlsimError) {
    return { state, effects: [failedEnd({ client, requestId }, failureOf(target))] };
  }
  const id = state.lastId + 1;
  const host = askedHost(target);
  const silenceMs = graceMs + EVICT_SILENCE_MS;
  const eviction = { id, client, requestId, host, silenceMs, deadlineMs: now + silenceMs };
  const fields = { host: host.index, hostname: host.hostname, device, graceMs, retries };
  return {
    state: { lastId: id, open: [...state.open, eviction] },
    effects: [
      { type: 'toHost', peer: host.peer, message: { ...message, requestId: id } },
      logEffect('info', 'device eviction asked for', fields),
    ],
  };
}

/** The host of the device, or why there is none to ask. */
function targetOf(
  { open }: Evictions,
  message: Evict,
  membership: Membership,
): Member | HlsimError {
  if (open.length >= EVICTIONS_MAX) return tooManyError('evictions', EVICTIONS_MAX);
  const { host, device } = message;
  const { expectedHosts, members } = membership;
  if (host >= expectedHosts) {
    return new HlsimError(
      'HLSIM_USAGE',
      `Expected a host from 0 to ${expectedHosts - 1}, as this cluster has, but found ${host}: hlsim smi lists them`,
    );
  }
  const member = members.find(({ entry }) => entry.index === host);
  if (member === undefined) {
    return new HlsimError(
      'HLSIM_CLUSTER_INCOMPLETE',
      `Expected host ${host} in the cluster but found ${members.length} of ${expectedHosts} hosts without it: wait until it has joined`,
    );
  }
  const { devices, hostname } = member.entry;
  if (device < devices) return member;
  return new HlsimError(
    'HLSIM_USAGE',
    `Expected a device from 0 to ${devices - 1}, as host ${host} (${hostname}) has, but found ${device}: hlsim smi lists them`,
  );
}

/** What comes after the end, or of another host, is nothing. */
function answer(
  state: Evictions,
  { peer, message }: Extract<EvictionEvent, { type: 'answered' }>,
  now: number,
): EvictionsStep {
  const eviction = state.open.find(({ id }) => id === message.requestId);
  if (eviction?.host.peer !== peer) return { state, effects: [] };
  const { client, requestId, silenceMs } = eviction;
  const open = state.open.flatMap((each) => {
    if (each !== eviction) return [each];
    return message.type === 'HLCP_EVICT_DONE' ? [] : [{ ...each, deadlineMs: now + silenceMs }];
  });
  return {
    state: { ...state, open },
    effects: [{ type: 'toClient', peer: client, message: { ...message, requestId } }],
  };
}

function endThose(
  state: Evictions,
  isOver: (eviction: Eviction) => boolean,
  failure: (eviction: Eviction) => Failure,
): EvictionsStep {
  const over = state.open.filter(isOver);
  return {
    state: { ...state, open: state.open.filter((eviction) => !over.includes(eviction)) },
    effects: over.map((eviction) => failedEnd(eviction, failure(eviction))),
  };
}

function failedEnd(
  { client, requestId }: Pick<Eviction, 'client' | 'requestId'>,
  failure: Failure,
): OutwardEffect {
  const message = { type: 'HLCP_EVICT_DONE', requestId, outcome: 'failed', failure } as const;
  return { type: 'toClient', peer: client, message };
}

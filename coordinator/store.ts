/**
 * The job's key-value store: how ranks tell each other small things before they have a communicator
 * (a unique id, an address). It lives as long as the job, so no key of one job can reach the next.
 */
import type { Effect, PeerId, Step } from './effect.ts';

export const STORE_KEYS_MAX = 1_024;
/** Longest value, in UTF-16 code units. */
export const STORE_VALUE_LENGTH_MAX = 65_536;
/** Getters that wait for keys nobody has set. */
export const STORE_WAITERS_MAX = 4_096;

interface Waiter {
  readonly peer: PeerId;
  readonly key: string;
  readonly requestId: number;
}

export interface Store {
  readonly jobId: string;
  readonly values: ReadonlyMap<string, string>;
  readonly waiters: readonly Waiter[];
}

export type StoreEvent =
  | { readonly type: 'set'; readonly key: string; readonly value: string }
  | {
      readonly type: 'get';
      readonly peer: PeerId;
      readonly key: string;
      readonly requestId: number;
    }
  | { readonly type: 'hostLost'; readonly peer: PeerId };

export function startStore(jobId: string): Store {
  return { jobId, values: new Map(), waiters: [] };
}

export function stepStore(state: Store, event: StoreEvent): Step<Store> {
  switch (event.type) {
    case 'set':
      return set(state, event.key, event.value);
    case 'get':
      return get(state, { peer: event.peer, key: event.key, requestId: event.requestId });
    case 'hostLost':
      return {
        state: { ...state, waiters: state.waiters.filter(({ peer }) => peer !== event.peer) },
        effects: [],
      };
  }
}

function set(state: Store, key: string, value: string): Step<Store> {
  if (value.length > STORE_VALUE_LENGTH_MAX) {
    return overflow(
      state,
      `Expected a value of at most ${STORE_VALUE_LENGTH_MAX} characters under store key ${key} but found ${value.length}`,
    );
  }
  if (state.values.size >= STORE_KEYS_MAX && !state.values.has(key)) {
    return overflow(
      state,
      `Expected at most ${STORE_KEYS_MAX} store keys but found one more: ${key}`,
    );
  }
  const answered = state.waiters.filter((waiter) => waiter.key === key);
  return {
    state: {
      ...state,
      values: new Map(state.values).set(key, value),
      waiters: state.waiters.filter((waiter) => waiter.key !== key),
    },
    effects: answered.map((waiter) => answer(state.jobId, waiter, value)),
  };
}

function get(state: Store, waiter: Waiter): Step<Store> {
  const value = state.values.get(waiter.key);
  if (value !== undefined) return { state, effects: [answer(state.jobId, waiter, value)] };
  if (state.waiters.length >= STORE_WAITERS_MAX) {
    return overflow(
      state,
      `Expected at most ${STORE_WAITERS_MAX} waiting store reads but found one more: ${waiter.key}`,
    );
  }
  return { state: { ...state, waiters: [...state.waiters, waiter] }, effects: [] };
}

function answer(jobId: string, { peer, requestId }: Waiter, value: string): Effect {
  return { type: 'toHost', peer, message: { type: 'HLCP_STORE_VALUE', jobId, requestId, value } };
}

/** A program beyond the store's bounds: the job ends, the cluster lives. */
function overflow(state: Store, message: string): Step<Store> {
  return {
    state,
    effects: [{ type: 'failJob', failure: { code: 'HLSIM_PROTOCOL_ERROR', message } }],
  };
}

/** What a running job's ranks ask of the coordinator: rendezvous, barriers, store. Gone with the job. */
import { type Barriers, startBarriers, stepBarriers } from './barrier.ts';
import type { Effect, PeerId, Step } from './effect.ts';
import type { Failure, HostToCoordinator } from './hlcp/messages.ts';
import { type DispatchedJob, peersOf } from './job.ts';
import {
  type Rendezvous,
  rendezvousDeadlineMs,
  startRendezvous,
  stepRendezvous,
} from './rendezvous.ts';
import { type Store, startStore, stepStore } from './store.ts';

export interface JobServices {
  readonly jobId: string;
  readonly rendezvous: Rendezvous;
  readonly barriers: Barriers;
  readonly store: Store;
}

/** The messages that are answered here. */
export type ServiceMessage = Extract<
  HostToCoordinator,
  {
    type: 'HLCP_COMM_DATA' | 'HLCP_COMM_ERROR' | 'HLCP_SYNC' | 'HLCP_STORE_SET' | 'HLCP_STORE_GET';
  }
>;

export type ServiceEvent =
  | {
      readonly type: 'message';
      readonly peer: PeerId;
      readonly hostname: string;
      readonly job: DispatchedJob;
      readonly message: ServiceMessage;
    }
  | { readonly type: 'exit'; readonly rank: number }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'tick' };

export function startServices({ jobId, nranks }: DispatchedJob): JobServices {
  return {
    jobId,
    rendezvous: startRendezvous(jobId, nranks),
    barriers: startBarriers(jobId, nranks),
    store: startStore(jobId),
  };
}

/** When a `tick` is due at the latest; `undefined` while nothing is bounded by time. */
export function servicesDeadlineMs(state: JobServices): number | undefined {
  return rendezvousDeadlineMs(state.rendezvous);
}

export function stepServices(
  state: JobServices,
  event: ServiceEvent,
  now: number,
): Step<JobServices> {
  switch (event.type) {
    case 'message':
      return message(state, event, now);
    case 'exit':
      return withBarriers(state, stepBarriers(state.barriers, event));
    case 'tick':
      return withRendezvous(state, stepRendezvous(state.rendezvous, event, now));
    case 'hostLost': {
      const step = withRendezvous(state, stepRendezvous(state.rendezvous, event, now));
      return withStore(step.state, stepStore(state.store, event), step.effects);
    }
  }
}

function message(
  state: JobServices,
  { peer, hostname, job, message }: Extract<ServiceEvent, { type: 'message' }>,
  now: number,
): Step<JobServices> {
  switch (message.type) {
    case 'HLCP_COMM_DATA': {
      const event = { type: 'join', peer, hostname, message } as const;
      return withRendezvous(state, stepRendezvous(state.rendezvous, event, now));
    }
    case 'HLCP_COMM_ERROR': {
      const event = { type: 'error', peer, message } as const;
      return withRendezvous(state, stepRendezvous(state.rendezvous, event, now));
    }
    case 'HLCP_SYNC': {
      const { rank, sequence } = message;
      const event = { type: 'enter', rank, sequence, hosts: peersOf(job.hosts) } as const;
      return withBarriers(state, stepBarriers(state.barriers, event));
    }
    case 'HLCP_STORE_SET': {
      const { key, value } = message;
      return withStore(state, stepStore(state.store, { type: 'set', key, value }));
    }
    case 'HLCP_STORE_GET': {
      const { key, requestId } = message;
      return withStore(state, stepStore(state.store, { type: 'get', peer, key, requestId }));
    }
  }
}

function withRendezvous(state: JobServices, step: Step<Rendezvous>): Step<JobServices> {
  return { state: { ...state, rendezvous: step.state }, effects: step.effects };
}

function withBarriers(state: JobServices, step: Step<Barriers>): Step<JobServices> {
  return { state: { ...state, barriers: step.state }, effects: step.effects };
}

function withStore(
  state: JobServices,
  step: Step<Store>,
  before: readonly Effect[] = [],
): Step<JobServices> {
  return { state: { ...state, store: step.state }, effects: [...before, ...step.effects] };
}

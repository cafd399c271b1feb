/**
 * A control connection without a socket, for one process under one scheduler. Every message goes
 * through the codec, as on a real connection; order is kept; each delivery is an event of its own.
 */
import { HlsimError } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import {
  type Codec,
  clientEnd,
  coordinatorClientEnd,
  coordinatorHostEnd,
  hostEnd,
} from './codec.ts';
import type { ControlConnection } from './control-connection.ts';
import { ControlEndpoint, type Wire } from './control-endpoint.ts';
import type {
  ClientToCoordinator,
  CoordinatorToClient,
  CoordinatorToHost,
  HostToCoordinator,
} from './messages.ts';
import { reasonOfEnd, refusedMessage } from './refusal.ts';

/** The address that both ends of a pair in memory report. */
export const MEMORY_ADDRESS = 'memory';

/** Both ends of one connection. `dialled` is the host's or client's, `accepted` the coordinator's. */
export interface ControlPair<Up, Down> {
  readonly dialled: ControlConnection<Up, Down>;
  readonly accepted: ControlConnection<Down, Up>;
  /** As a process that dies: what is under way is lost, both ends learn of the end. */
  sever(): void;
  /** As a process that is stopped: from now on nothing is delivered, either way, and nobody is told. */
  silence(): void;
}

export function controlPair(
  scheduler: Scheduler,
  role?: 'host',
): ControlPair<HostToCoordinator, CoordinatorToHost>;
export function controlPair(
  scheduler: Scheduler,
  role: 'client',
): ControlPair<ClientToCoordinator, CoordinatorToClient>;
/** A connected pair of ends in memory; `role` says what the dialling side is. */
export function controlPair(
  scheduler: Scheduler,
  role: 'host' | 'client' = 'host',
):
  | ControlPair<HostToCoordinator, CoordinatorToHost>
  | ControlPair<ClientToCoordinator, CoordinatorToClient> {
  return role === 'host'
    ? pairOf(scheduler, hostEnd, coordinatorHostEnd, refusedMessage)
    : pairOf(scheduler, clientEnd, coordinatorClientEnd, refusedMessage);
}

/** What a wire calls of an endpoint. */
interface MemoryEnd {
  receive(bytes: Uint8Array): void;
  ended(cause: HlsimError): void;
}

function pairOf<Up, Down extends { readonly type: string }>(
  scheduler: Scheduler,
  dialledCodec: Codec<Up, Down>,
  acceptedCodec: Codec<Down, Up>,
  refusal: (error: HlsimError) => Down,
): ControlPair<Up, Down> {
  let state: 'joined' | 'silent' | 'severed' = 'joined';
  const cause = new HlsimError('HLSIM_COORDINATOR_LOST', 'The control connection in memory ended');
  const deliver = (task: () => void): void => {
    scheduler.soon(() => {
      if (state === 'joined') task();
    });
  };
  const endBoth = (): void => {
    state = 'severed';
    dialled.ended(cause);
    accepted.ended(cause);
  };
  const wire = (peer: () => MemoryEnd, own: () => MemoryEnd): Wire => ({
    localAddress: MEMORY_ADDRESS,
    transmit: (bytes) => {
      const copy = new Uint8Array(bytes);
      deliver(() => peer().receive(copy));
    },
    // Nothing to start: the endpoint keeps what comes before `listen`.
    start: () => undefined,
    finish: () => {
      scheduler.soon(state === 'joined' ? endBoth : () => own().ended(cause));
    },
  });
  const dialled: ControlEndpoint<Up, Down> = new ControlEndpoint({
    codec: dialledCodec,
    wire: wire(
      () => accepted,
      () => dialled,
    ),
    reasonOfEnd,
  });
  const accepted: ControlEndpoint<Down, Up> = new ControlEndpoint({
    codec: acceptedCodec,
    wire: wire(
      () => dialled,
      () => accepted,
    ),
    refusal,
  });
  return {
    dialled,
    accepted,
    sever: () => {
      state = 'severed';
      scheduler.soon(endBoth);
    },
    silence: () => {
      state = 'silent';
    },
  };
}

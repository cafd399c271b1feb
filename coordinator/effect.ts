/**
 * What the state machines of the coordinator ask for. They do nothing themselves: each takes (state,
 * event, now) and returns the new state and a list of these, in order. `cluster.ts` joins the
 * machines; `coordinator.ts` carries the effects out.
 */
import type { CoordinatorToClient, CoordinatorToHost, Failure } from './hlcp/messages.ts';

/** One accepted control connection, named by the shell; unique over the coordinator's life. */
export type PeerId = string;

export type Effect =
  | { readonly type: 'toHost'; readonly peer: PeerId; readonly message: CoordinatorToHost }
  | { readonly type: 'toClient'; readonly peer: PeerId; readonly message: CoordinatorToClient }
  /** Ends the connection after what was sent to it. */
  | { readonly type: 'close'; readonly peer: PeerId }
  /** The running job cannot go on; `cluster.ts` hands this to the job machine. */
  | { readonly type: 'failJob'; readonly failure: Failure }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  /** The cluster is down; nothing follows. */
  | { readonly type: 'ended' };

/** What leaves the cluster: everything but what its machines tell each other. */
export type OutwardEffect = Exclude<Effect, { type: 'failJob' }>;

export interface Step<State> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** The same message to several hosts. */
export function toHosts(peers: Iterable<PeerId>, message: CoordinatorToHost): OutwardEffect[] {
  return [...peers].map((peer) => ({ type: 'toHost', peer, message }));
}

export function logEffect(
  level: 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): OutwardEffect {
  return { type: 'log', level, message, fields };
}

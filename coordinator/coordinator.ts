/**
 * The coordinator at work: connections and timers around `cluster.ts`. It knows no socket; whoever
 * accepts connections (the server, a simulation) hands them over.
 */
import { customAlphabet } from 'nanoid';
import { HlsimError } from '../common/errors.ts';
import type { CancelTimer, Scheduler } from '../common/scheduler.ts';
import { Cluster, type ClusterEvent } from './cluster.ts';
import type { OutwardEffect, PeerId } from './effect.ts';
import type { ControlConnection } from './hlcp/control-connection.ts';
import type {
  ClientToCoordinator,
  CoordinatorToClient,
  CoordinatorToHost,
  HostToCoordinator,
} from './hlcp/messages.ts';
import { refusedMessage } from './hlcp/refusal.ts';
import type { Log } from './log.ts';
import type { ClusterStatus } from './status.ts';

/** A connection that says nothing for this long after it was accepted is closed. */
export const HELLO_TIMEOUT_MS = 5_000;

export interface CoordinatorOptions {
  readonly expectedHosts: number;
  readonly scheduler: Scheduler;
  readonly log: Log;
  /** The cluster is down: every host has gone or was given up. Called once. */
  readonly onShutdown: () => void;
  /** Makes job ids; random ones unless given. */
  readonly newJobId?: () => string;
  readonly helloTimeoutMs?: number;
}

/** The coordinator's ends of connections. */
export type AcceptedHost = ControlConnection<CoordinatorToHost, HostToCoordinator>;
export type AcceptedClient = ControlConnection<CoordinatorToClient, ClientToCoordinator>;

export interface Coordinator {
  /** Takes over a connection that a host has opened. */
  acceptHost(connection: AcceptedHost): void;
  /** Takes over a connection that a command-line client has opened. */
  acceptClient(connection: AcceptedClient): void;
  status(): ClusterStatus;
  /** Ends the job and the hosts, then calls `onShutdown`; bounded by `SHUTDOWN_TIMEOUT_MS`. */
  shutdown(reason: string): void;
}

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  return new CoordinatorShell(options);
}

/** Job ids: safe in file names, flags and addresses. */
const randomJobId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 12);

interface Peer {
  readonly role: 'host' | 'client';
  readonly cancelHello: CancelTimer;
  close(): void;
}

class CoordinatorShell implements Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #cluster: Cluster;
  readonly #hosts = new Map<PeerId, AcceptedHost>();
  readonly #clients = new Map<PeerId, AcceptedClient>();
  readonly #peers = new Map<PeerId, Peer>();
  /** Events that arose while another was being handled. */
  readonly #queue: ClusterEvent[] = [];
  #busy = false;
  #accepted = 0;
  #timer: { readonly atMs: number; readonly cancel: CancelTimer } | undefined;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#cluster = new Cluster({
      expectedHosts: options.expectedHosts,
      newJobId: options.newJobId ?? randomJobId,
      now: options.scheduler.clock.now(),
    });
  }

  acceptHost(connection: AcceptedHost): void {
    const peer = this.#admit('host', connection);
    this.#hosts.set(peer, connection);
    connection.listen({
      message: (message) => this.#said(peer, { type: 'hostMessage', peer, message }),
      closed: (reason) => {
        const words = reason?.message ?? 'its connection was closed';
        this.#gone(peer, reason, { type: 'hostClosed', peer, reason: words });
      },
    });
  }

  acceptClient(connection: AcceptedClient): void {
    const peer = this.#admit('client', connection);
    this.#clients.set(peer, connection);
    connection.listen({
      message: (message) => this.#said(peer, { type: 'clientMessage', peer, message }),
      closed: (reason) => this.#gone(peer, reason, { type: 'clientClosed', peer }),
    });
  }

  status(): ClusterStatus {
    return this.#cluster.status(this.#options.scheduler.clock.now());
  }

  shutdown(reason: string): void {
    this.#post({ type: 'shutdown', reason });
  }

  #admit(role: 'host' | 'client', connection: AcceptedHost | AcceptedClient): PeerId {
    this.#accepted += 1;
    const peer = `${role}#${this.#accepted}`;
    const { scheduler, helloTimeoutMs = HELLO_TIMEOUT_MS } = this.#options;
    const cancelHello = scheduler.after(helloTimeoutMs, () => {
      const words = `Expected a first message within ${helloTimeoutMs} ms but found none`;
      connection.send(refusedMessage(new HlsimError('HLSIM_TIMEOUT', words)));
      this.#options.log.warn({ peer, role }, 'connection said nothing');
      this.#drop(peer);
    });
    this.#peers.set(peer, { role, cancelHello, close: () => connection.close() });
    return peer;
  }

  #said(peer: PeerId, event: ClusterEvent): void {
    const known = this.#peers.get(peer);
    if (known === undefined) return;
    known.cancelHello();
    this.#post(event);
  }

  #gone(peer: PeerId, reason: HlsimError | undefined, event: ClusterEvent): void {
    const known = this.#peers.get(peer);
    if (known === undefined) return;
    const fields = { peer, code: reason?.code, reason: reason?.message };
    if (reason?.code === 'HLSIM_PROTOCOL_ERROR' || reason?.code === 'HLSIM_PROTOCOL_VERSION') {
      this.#options.log.warn(fields, 'connection broke the protocol');
    } else this.#options.log.info(fields, 'connection ended');
    this.#forget(peer, known);
    this.#post(event);
  }

  /** Closes a connection; nothing more of it is heard. */
  #drop(peer: PeerId): void {
    const known = this.#peers.get(peer);
    if (known === undefined) return;
    this.#forget(peer, known);
    known.close();
  }

  #forget(peer: PeerId, { cancelHello }: Peer): void {
    cancelHello();
    this.#peers.delete(peer);
    this.#hosts.delete(peer);
    this.#clients.delete(peer);
  }

  #post(event: ClusterEvent): void {
    this.#queue.push(event);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const effects = this.#cluster.handle(next, this.#options.scheduler.clock.now());
      for (const effect of effects) this.#perform(effect);
    }
    this.#busy = false;
    this.#armTimer();
  }

  #perform(effect: OutwardEffect): void {
    switch (effect.type) {
      case 'toHost':
        this.#send(effect.peer, () => this.#hosts.get(effect.peer)?.send(effect.message));
        break;
      case 'toClient':
        this.#send(effect.peer, () => this.#clients.get(effect.peer)?.send(effect.message));
        break;
      case 'close':
        this.#drop(effect.peer);
        break;
      case 'log':
        this.#options.log[effect.level](effect.fields, effect.message);
        break;
      case 'ended':
        for (const peer of [...this.#peers.keys()]) this.#drop(peer);
        this.#options.onShutdown();
        break;
    }
  }

  /** A message that is too long to send ends its connection: the peer would wait for it in vain. */
  #send(peer: PeerId, send: () => void): void {
    try {
      send();
    } catch (reason) {
      if (!(reason instanceof HlsimError)) throw reason;
      this.#options.log.error({ peer, code: reason.code, reason: reason.message }, 'cannot send');
      const isHost = this.#hosts.has(peer);
      this.#drop(peer);
      this.#post(
        isHost
          ? { type: 'hostClosed', peer, reason: reason.message }
          : { type: 'clientClosed', peer },
      );
    }
  }

  /** One timer, for the next deadline. A timer that is early only ticks once too often. */
  #armTimer(): void {
    const atMs = this.#cluster.deadlineMs();
    if (this.#timer !== undefined && atMs !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === undefined) return;
    const { scheduler } = this.#options;
    const delayMs = Math.max(0, Math.ceil(atMs - scheduler.clock.now()));
    const cancel = scheduler.after(delayMs, () => {
      this.#timer = undefined;
      this.#post({ type: 'tick' });
    });
    this.#timer = { atMs, cancel };
  }
}

/**
 * The whole coordinator without its sockets and timers: joins the state machines. Every event of the
 * outside comes in through `handle`, with the time at which it happened; what is to be done about it
 * comes out as effects. Equal events at equal times give equal effects.
 *
 * The caller's duties:
 * 1. Deliver each peer's messages in order, and its end (`hostClosed`, `clientClosed`) once.
 * 2. Carry out the effects in order, before the next event.
 * 3. Deliver nothing more of a peer after a `close` effect for it; its `...Closed` event is optional then.
 * 4. Deliver a `tick` when `deadlineMs()` has come.
 * 5. After `ended`, deliver nothing more.
 */
import { HlsimError } from '../common/errors.ts';
import { ClientDesk } from './client-desk.ts';
import { DeviceControl, isDeviceAnswer } from './device-control.ts';
import { logEffect, type OutwardEffect, type PeerId, toHosts } from './effect.ts';
import {
  type ClientToCoordinator,
  type CoordinatorToHost,
  HEARTBEAT_TIMEOUT_MS,
  type HostToCoordinator,
} from './hlcp/messages.ts';
import { failureOf, refusedMessage } from './hlcp/refusal.ts';
import { HostWatch } from './host-watch.ts';
import { JobControl } from './job-control.ts';
import {
  lostError,
  type Member,
  type Membership,
  type MembershipEvent,
  type MembershipOutcome,
  type RankData,
  startMembership,
  stepMembership,
} from './membership.ts';
import { type ClusterStatus, statusOf } from './status.ts';
import { isTraceAnswer, TraceControl } from './trace-control.ts';

/** How long hosts may take to end after `HLCP_SHUTDOWN`. */
export const SHUTDOWN_TIMEOUT_MS = 3_000;

export type ClusterEvent =
  | { readonly type: 'hostMessage'; readonly peer: PeerId; readonly message: HostToCoordinator }
  | { readonly type: 'hostClosed'; readonly peer: PeerId; readonly reason: string }
  | { readonly type: 'clientMessage'; readonly peer: PeerId; readonly message: ClientToCoordinator }
  | { readonly type: 'clientClosed'; readonly peer: PeerId }
  | { readonly type: 'shutdown'; readonly reason: string }
  | { readonly type: 'tick' };

type HostLost = Extract<CoordinatorToHost, { type: 'HLCP_HOST_LOST' }>;

export interface ClusterOptions {
  readonly expectedHosts: number;
  /** Makes the id of each job. */
  readonly newJobId: () => string;
  /** The time of the start. */
  readonly now: number;
}

export class Cluster {
  readonly #startedMs: number;
  #phase: 'up' | 'shutting down' | 'ended' = 'up';
  #shutdownDeadlineMs: number | undefined;
  #membership: Membership;
  readonly #jobs = new JobControl((effect) => this.#emit(effect));
  readonly #devices = new DeviceControl((effect) => this.#emit(effect));
  readonly #traces = new TraceControl((effect) => this.#emit(effect));
  readonly #watch = new HostWatch();
  readonly #desk: ClientDesk;
  /** Of the event that is being handled. */
  #now: number;
  #effects: OutwardEffect[] = [];

  constructor({ expectedHosts, newJobId, now }: ClusterOptions) {
    this.#membership = startMembership(expectedHosts);
    this.#startedMs = now;
    this.#now = now;
    this.#desk = new ClientDesk({
      jobs: this.#jobs,
      devices: this.#devices,
      traces: this.#traces,
      newJobId,
      membership: () => this.#membership,
      isUp: () => this.#phase === 'up',
      emit: (effect) => this.#emit(effect),
      shutDown: (reason) => this.#shutDown(reason),
    });
  }

  /** What is to be done about `event`, which happened at `now`. */
  handle(event: ClusterEvent, now: number): readonly OutwardEffect[] {
    this.#now = now;
    this.#effects = [];
    if (this.#phase !== 'ended') this.#handleLive(event);
    return this.#effects;
  }

  /** When the next `tick` is due; `undefined` while nothing is bounded by time. */
  deadlineMs(): number | undefined {
    const deadlines = [
      ...this.#watch.deadlinesMs(),
      ...this.#jobs.deadlinesMs(),
      ...this.#devices.deadlinesMs(),
      this.#traces.deadlineMs(),
      this.#shutdownDeadlineMs,
    ].filter((deadline) => deadline !== undefined);
    return this.#phase === 'ended' || deadlines.length === 0 ? undefined : Math.min(...deadlines);
  }

  status(now: number): ClusterStatus {
    return statusOf(
      {
        phase: this.#phase,
        membership: this.#membership,
        livenessOf: ({ peer }) => this.#watch.of(peer),
        jobs: this.#jobs.jobs,
        startedMs: this.#startedMs,
      },
      now,
    );
  }

  #handleLive(event: ClusterEvent): void {
    switch (event.type) {
      case 'hostMessage':
        this.#hostMessage(event.peer, event.message);
        break;
      case 'hostClosed':
        this.#stepMembership({ type: 'leave', peer: event.peer }, event.reason);
        break;
      case 'clientMessage':
        this.#desk.message(event.peer, event.message, this.#now);
        break;
      case 'clientClosed':
        this.#desk.gone(event.peer, this.#now);
        break;
      case 'shutdown':
        this.#shutDown(event.reason);
        break;
      case 'tick':
        this.#tick();
        break;
    }
  }

  // -- hosts --------------------------------------------------------------------------------------

  #hostMessage(peer: PeerId, message: HostToCoordinator): void {
    if (message.type === 'HLCP_RANK_DATA') {
      this.#join(peer, message);
      return;
    }
    const member = this.#membership.members.find((each) => each.peer === peer);
    if (member === undefined) {
      const found = `Expected HLCP_RANK_DATA as a host's first message but found ${message.type}`;
      this.#refuseHost(peer, protocolError(found));
      return;
    }
    this.#watch.heard(peer, this.#now);
    if (message.type === 'HLCP_HEARTBEAT') {
      const { sequence } = message;
      this.#emit({ type: 'toHost', peer, message: { type: 'HLCP_HEARTBEAT_ACK', sequence } });
      return;
    }
    if (message.type === 'HLCP_CLOCK_ASK') {
      const { sequence } = message;
      const answer = { type: 'HLCP_CLOCK_ANSWER', sequence, atMs: this.#now } as const;
      this.#emit({ type: 'toHost', peer, message: answer });
      return;
    }
    if (isTraceAnswer(message)) {
      this.#traces.answer(peer, message, this.#now);
      return;
    }
    if (isDeviceAnswer(message)) {
      this.#devices.answer(peer, message, this.#now);
      return;
    }
    const breach = this.#jobs.hostMessage(member, message, this.#now);
    if (breach !== undefined) this.#refuseHost(peer, protocolError(breach));
  }

  #join(peer: PeerId, data: RankData): void {
    if (this.#phase === 'up') {
      this.#stepMembership({ type: 'join', peer, data }, '');
      return;
    }
    const words = 'Expected a cluster to join but it is shutting down';
    this.#refuseHost(peer, new HlsimError('HLSIM_COORDINATOR_LOST', words));
  }

  /** The peer's last words from here; a member that is refused is lost to the others. */
  #refuseHost(peer: PeerId, error: HlsimError): void {
    const failure = failureOf(error);
    this.#emit({ type: 'toHost', peer, message: refusedMessage(error) });
    this.#emit({ type: 'close', peer });
    this.#emit(logEffect('warn', 'host refused', { peer, failure }));
    this.#stepMembership({ type: 'leave', peer }, error.message);
  }

  // -- membership ---------------------------------------------------------------------------------

  /** `reason`: why a host leaves. */
  #stepMembership(event: MembershipEvent, reason: string): void {
    const { state, outcomes } = stepMembership(this.#membership, event);
    this.#membership = state;
    for (const outcome of outcomes) this.#membershipChanged(event.peer, outcome, reason);
  }

  #membershipChanged(peer: PeerId, outcome: MembershipOutcome, reason: string): void {
    switch (outcome.type) {
      case 'accepted':
        this.#hostJoined(outcome.member);
        break;
      case 'refused':
        this.#refuseHost(peer, outcome.error);
        break;
      case 'complete':
        this.#worldComplete();
        break;
      case 'lost':
        this.#hostLeft(outcome.member, outcome.ranks, reason);
        break;
    }
  }

  #hostJoined({ peer, entry }: Member): void {
    const { expectedHosts, members } = this.#membership;
    this.#watch.start(peer, this.#now);
    this.#emit({ type: 'toHost', peer, message: { type: 'HLCP_ACCEPTED', expectedHosts } });
    this.#emit(
      logEffect('info', 'host joined', { ...entry, joined: members.length, expectedHosts }),
    );
  }

  #worldComplete(): void {
    const { epoch, members } = this.#membership;
    const hosts = members.map(({ entry }) => entry);
    this.#emitAll(toHosts(this.#hostPeers(), { type: 'HLCP_WORLD', epoch, hosts }));
    this.#emit(logEffect('info', 'world complete', { epoch, hosts: hosts.length }));
    this.#jobs.tick(this.#membership, this.#now);
  }

  #hostLeft(member: Member, ranks: readonly number[], reason: string): void {
    const { peer, entry, worldEpoch } = member;
    const { nodeId, hostname, pid } = entry;
    this.#watch.stop(peer);
    const failure = failureOf(lostError(member, reason));
    if (this.#phase === 'up') {
      this.#emit(logEffect('warn', 'host lost', { nodeId, hostname, pid, ranks, reason }));
      // A host that was never part of a complete world has no ranks that anybody knows of.
      if (worldEpoch > 0) this.#announceLoss(member, ranks, reason);
    }
    this.#devices.step({ type: 'hostLost', peer, failure }, this.#now);
    this.#traces.hostLost(peer, failure, this.#now);
    this.#jobs.hostLost(peer, failure, this.#now);
    this.#endIfDown();
  }

  #announceLoss(
    { peer, entry, worldEpoch }: Member,
    ranks: readonly number[],
    reason: string,
  ): void {
    const { nodeId, hostname } = entry;
    const message: HostLost = {
      type: 'HLCP_HOST_LOST',
      epoch: worldEpoch,
      nodeId,
      hostname,
      ranks: [...ranks],
      reason,
    };
    this.#emitAll(toHosts(this.#hostPeers(), message));
    const job = this.#jobs.dispatched;
    if (job?.client !== undefined && job.hosts.some((host) => host.peer === peer)) {
      this.#emit({ type: 'toClient', peer: job.client, message });
    }
  }

  // -- time and end -------------------------------------------------------------------------------

  #tick(): void {
    for (const { peer } of this.#membership.members) {
      if (!this.#watch.isDead(peer, this.#now)) continue;
      this.#emit({ type: 'close', peer });
      this.#stepMembership({ type: 'leave', peer }, `silent for ${HEARTBEAT_TIMEOUT_MS} ms`);
    }
    this.#devices.step({ type: 'tick' }, this.#now);
    this.#traces.tick(this.#now);
    this.#jobs.tick(this.#membership, this.#now);
    if (this.#shutdownDeadlineMs !== undefined && this.#now >= this.#shutdownDeadlineMs) {
      this.#abandonHosts();
    }
  }

  #shutDown(reason: string): void {
    if (this.#phase !== 'up') return;
    this.#phase = 'shutting down';
    this.#shutdownDeadlineMs = this.#now + SHUTDOWN_TIMEOUT_MS;
    this.#emit(logEffect('info', 'cluster shutting down', { reason }));
    this.#jobs.step({ type: 'cancel', reason }, this.#now);
    const message = { type: 'HLCP_SHUTDOWN', reason } as const;
    this.#emitAll(toHosts(this.#hostPeers(), message));
    for (const peer of this.#desk.clients) this.#emit({ type: 'toClient', peer, message });
    this.#endIfDown();
  }

  /** Hosts that did not end in time are left to themselves: without a coordinator they end as well. */
  #abandonHosts(): void {
    for (const { peer, entry } of this.#membership.members) {
      const { nodeId, hostname, pid } = entry;
      this.#emit(logEffect('warn', 'host did not end in time', { nodeId, hostname, pid }));
      this.#stepMembership({ type: 'leave', peer }, 'it did not end in time');
    }
  }

  #endIfDown(): void {
    if (this.#phase !== 'shutting down' || this.#membership.members.length > 0) return;
    this.#phase = 'ended';
    this.#emit({ type: 'ended' });
  }

  #emitAll(effects: readonly OutwardEffect[]): void {
    for (const effect of effects) this.#emit(effect);
  }

  #emit(effect: OutwardEffect): void {
    this.#effects.push(effect);
    // Whoever is shown out is gone for the job as well.
    if (effect.type === 'close' && this.#desk.clients.has(effect.peer)) {
      this.#desk.gone(effect.peer, this.#now);
    }
  }

  #hostPeers(): PeerId[] {
    return this.#membership.members.map(({ peer }) => peer);
  }
}

function protocolError(message: string): HlsimError {
  return new HlsimError('HLSIM_PROTOCOL_ERROR', message);
}

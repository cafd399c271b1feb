/**
 * Who is in the cluster. The world is complete when exactly the expected number of hosts has joined;
 * a smaller or larger one is never used.
 *
 *                     last host joins
 *        forming ----------------------> complete
 *           ^                                |
 *           +--------------------------------+
 *              a host is lost: epoch + 1
 *
 * Indices are given in the order of joining: a host takes the lowest that is free and keeps it for its
 * life, so survivors of a loss keep their ranks. A rank is `index * devices + device`; for this every
 * host must have the same number of devices.
 */
import { HlsimError } from '../common/errors.ts';
import type { PeerId } from './effect.ts';
import { versionError } from './hlcp/codec.ts';
import { HLCP_VERSION, type HostEntry, type HostToCoordinator } from './hlcp/messages.ts';

export type RankData = Extract<HostToCoordinator, { type: 'HLCP_RANK_DATA' }>;

/** Most ranks in a cluster (HCL_MAX_RANKS of HCL); keeps every message within its bound. */
export const RANKS_MAX = 8_192;

export interface Member {
  readonly peer: PeerId;
  readonly entry: HostEntry;
  readonly hbmBytes: number;
  /** Epoch of the last complete world that this host was part of; 0 before the first. */
  readonly worldEpoch: number;
}

export interface Membership {
  readonly phase: 'forming' | 'complete';
  readonly expectedHosts: number;
  /** Of the world that is complete or being formed; the first is 1. */
  readonly epoch: number;
  /** In order of index. */
  readonly members: readonly Member[];
}

export type MembershipEvent =
  | { readonly type: 'join'; readonly peer: PeerId; readonly data: RankData }
  | { readonly type: 'leave'; readonly peer: PeerId };

/** What the others must hear of; `cluster.ts` turns it into messages. */
export type MembershipOutcome =
  | { readonly type: 'accepted'; readonly member: Member }
  | { readonly type: 'refused'; readonly error: HlsimError }
  | { readonly type: 'complete' }
  | { readonly type: 'lost'; readonly member: Member; readonly ranks: readonly number[] };

export interface MembershipStep {
  readonly state: Membership;
  readonly outcomes: readonly MembershipOutcome[];
}

export function startMembership(expectedHosts: number): Membership {
  return { phase: 'forming', expectedHosts, epoch: 1, members: [] };
}

export function stepMembership(state: Membership, event: MembershipEvent): MembershipStep {
  return event.type === 'join' ? join(state, event) : leave(state, event.peer);
}

function join(
  state: Membership,
  { peer, data }: Extract<MembershipEvent, { type: 'join' }>,
): MembershipStep {
  const error = refusalOf(state, peer, data);
  if (error !== undefined) return { state, outcomes: [{ type: 'refused', error }] };
  const { nodeId, hostname, pid, devices, link, hbmBytes } = data;
  const index = lowestFreeIndex(state.members);
  const member: Member = {
    peer,
    entry: { index, nodeId, hostname, pid, devices, link },
    hbmBytes,
    worldEpoch: 0,
  };
  const members = state.members.toSpliced(index, 0, member);
  if (members.length < state.expectedHosts) {
    return { state: { ...state, members }, outcomes: [{ type: 'accepted', member }] };
  }
  return {
    state: {
      ...state,
      phase: 'complete',
      members: members.map((each) => ({ ...each, worldEpoch: state.epoch })),
    },
    outcomes: [{ type: 'accepted', member }, { type: 'complete' }],
  };
}

/** Members are sorted by index, so the first gap is where index and place differ. */
function lowestFreeIndex(members: readonly Member[]): number {
  const gap = members.findIndex(({ entry }, place) => entry.index !== place);
  return gap === -1 ? members.length : gap;
}

function leave(state: Membership, peer: PeerId): MembershipStep {
  const member = state.members.find((each) => each.peer === peer);
  if (member === undefined) return { state, outcomes: [] };
  return {
    state: {
      ...state,
      phase: 'forming',
      epoch: state.phase === 'complete' ? state.epoch + 1 : state.epoch,
      members: state.members.filter((each) => each !== member),
    },
    outcomes: [{ type: 'lost', member, ranks: ranksOfHost(member.entry) }],
  };
}

function refusalOf(state: Membership, peer: PeerId, data: RankData): HlsimError | undefined {
  const who = `host ${data.hostname} (node ${data.nodeId}, pid ${data.pid})`;
  if (data.version !== HLCP_VERSION) return versionError(who, data.version);
  if (state.members.some((member) => member.peer === peer)) {
    return new HlsimError(
      'HLSIM_PROTOCOL_ERROR',
      `Expected one HLCP_RANK_DATA per connection but found a second from ${who}`,
    );
  }
  const twin = state.members.find(({ entry }) => entry.nodeId === data.nodeId);
  if (twin !== undefined) {
    return new HlsimError(
      'HLSIM_PROTOCOL_ERROR',
      `Expected a new node id but found that of ${describe(twin)} at ${who}: every host process makes its own`,
    );
  }
  if (state.phase === 'complete') {
    return new HlsimError(
      'HLSIM_CLUSTER_FULL',
      `Expected ${state.expectedHosts} hosts but found one more: ${who}; joined: ${joinedHosts(state)}; start the coordinator with the number of hosts that you start`,
    );
  }
  return deviceRefusal(state, data, who);
}

function deviceRefusal(state: Membership, data: RankData, who: string): HlsimError | undefined {
  const first = state.members[0];
  if (first !== undefined && first.entry.devices !== data.devices) {
    return new HlsimError(
      'HLSIM_CONFIG',
      `Expected ${first.entry.devices} devices as on ${describe(first)} but found ${data.devices} on ${who}: start every host with the same number of devices`,
    );
  }
  const nranks = state.expectedHosts * data.devices;
  if (nranks <= RANKS_MAX) return undefined;
  return new HlsimError(
    'HLSIM_CONFIG',
    `Expected at most ${RANKS_MAX} ranks but found ${state.expectedHosts} hosts of ${data.devices} devices on ${who}`,
  );
}

/** The ranks of one host. */
export function ranksOfHost({ index, devices }: HostEntry): number[] {
  return Array.from({ length: devices }, (_, device) => index * devices + device);
}

/** Those who joined, for people: `host-a (pid 12), host-b (pid 13)`, or `nobody`. */
export function joinedHosts({ members }: Membership): string {
  return members.length === 0 ? 'nobody' : members.map(describe).join(', ');
}

function describe({ entry }: Member): string {
  return `${entry.hostname} (pid ${entry.pid})`;
}

/** The failure of whoever needs a host that is no more. */
export function lostError({ entry }: Member, reason: string): HlsimError {
  const ranks = ranksOfHost(entry);
  const { hostname, pid, nodeId } = entry;
  return new HlsimError(
    'HLSIM_HOST_LOST',
    `Expected host ${hostname} (pid ${pid}) to stay but lost it and ${rankWords(ranks)}: ${reason}`,
    { fields: { nodeId, hostname, pid, ranks } },
  );
}

/** `rank 3`, `ranks 4, 5`. */
export function rankWords(ranks: readonly number[]): string {
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;
}

/** The failure of whoever waited for a complete world in vain. */
export function incompleteError(state: Membership, waitedMs: number): HlsimError {
  return new HlsimError(
    'HLSIM_CLUSTER_INCOMPLETE',
    `Expected ${state.expectedHosts} hosts but found ${state.members.length} after ${Math.round(waitedMs)} ms: joined: ${joinedHosts(state)}; check the hosts that are missing, or allow more time`,
  );
}

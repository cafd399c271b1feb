/** A peer's header meets the operation that it is for: it is compared, and what it brings is taken. */
import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { Faults } from './faults.ts';
import type { InlineMessagesOfOperations } from './inline-messages.ts';
import type { Operation } from './operation.ts';
import type { Header } from './operation-header.ts';
import { sameOperation, samePair } from './operation-peers.ts';

interface HeaderTaker {
  readonly faults: Faults;
  readonly inline: InlineMessagesOfOperations;
}

/** Takes the header, or tells what is wrong with it. */
export function takeHeader(
  operation: Operation,
  peer: Rank,
  header: Header,
  { faults, inline }: HeaderTaker,
): void {
  const { plan } = operation;
  if (!sameOperation(operation, peer, header)) {
    faults.mismatch(operation, peer, header.call);
    return;
  }
  if (!samePair(operation, peer, header)) {
    faults.pairMismatch(operation, peer, header);
    return;
  }
  const index = plan.peerOf.get(peer);
  const outbound = plan.peers[index ?? -1]?.outbound ?? [];
  if (index === undefined || header.granted.length !== outbound.length) {
    faults.nonsense(peer, `the header of another program in ${operation.describe()}`);
    return;
  }
  if (!operation.started(index, header)) {
    faults.nonsense(peer, `a second header of operation ${header.sequence}`);
    return;
  }
  if (!takeLanes(operation, outbound, header)) {
    faults.nonsense(peer, `the slots that it released in ${operation.describe()}`);
    return;
  }
  const messages = header.inline;
  const own = defined(plan.peers[index], 'the peer');
  if (messages !== undefined && !inline.arrived(operation, own, messages))
    faults.nonsense(peer, `other messages than those of ${operation.describe()}`);
  if (inline.isWaiting) inline.resume(operation);
  operation.settleIfComplete();
}

/** `false`: the peer claims what cannot be. */
function takeLanes(
  { engine }: Operation,
  outbound: readonly number[],
  { granted, released }: Header,
): boolean {
  for (let lane = 0; lane < outbound.length; lane++) {
    const index = outbound[lane] as number;
    if (!engine.outboundLane(index).credit(released[lane] as number)) return false;
    engine.grant(index, granted[lane] as number);
  }
  return true;
}

/** A header that outlives the buffer it was read from. */
export function keptHeader(header: Header): Header {
  const { inline } = header;
  if (inline === undefined) return header;
  return { ...header, inline: { ...inline, bytes: inline.bytes.slice() } };
}

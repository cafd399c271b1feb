/** An operation as its peers see it: the headers for them, and which connection is which. */
import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { LocalBuffer, Operation } from './operation.ts';
import { IN_PLACE_SUFFIX, type OperationCall, sameCall } from './operation-call.ts';
import type { Header, InlineMessages, RemoteRegion, RemoteRegions } from './operation-header.ts';
import type { ByteRange, PlanPeer } from './plan.ts';

/** What a peer is told when the operation starts; with it, what is granted by now is announced. */
export function headerFor(
  operation: Operation,
  peer: PlanPeer,
  inline: InlineMessages | undefined,
): Header {
  const { sequence, engine, call } = operation;
  const released: number[] = [];
  const granted = peer.inbound.map((inbound) => {
    const places = engine.granted(inbound);
    const lane = engine.inboundLane(inbound);
    lane.announce(places);
    released.push(lane.released);
    return places;
  });
  return {
    kind: 'HEADER',
    sequence,
    call,
    sends: call.pairs?.sent[peer.rank] ?? 0,
    expects: call.pairs?.received[peer.rank] ?? 0,
    regions: regionsFor(operation, peer),
    granted,
    released,
    inline,
  };
}

/**
 * Whether the header's sender means the same operation. Two ranks of allToAllV that exchange nothing need
 * not have their buffers alike: one without any element cannot know how those of the others lie.
 */
export function sameOperation(
  { call }: Operation,
  peer: Rank,
  { call: theirs, sends, expects }: Header,
): boolean {
  const { pairs } = call;
  const isNothing =
    sends === 0 && expects === 0 && pairs?.sent[peer] === 0 && pairs.received[peer] === 0;
  if (!isNothing) return sameCall(call, theirs);
  return sameCall(withoutPlacement(call), withoutPlacement(theirs));
}

function withoutPlacement(call: OperationCall): OperationCall {
  const { algorithm } = call;
  if (!algorithm.endsWith(IN_PLACE_SUFFIX)) return call;
  return { ...call, algorithm: algorithm.slice(0, -IN_PLACE_SUFFIX.length) };
}

/** Whether the header's pair counts are those of the call, crosswise. */
export function samePair({ call }: Operation, peer: Rank, { sends, expects }: Header): boolean {
  const { pairs } = call;
  return sends === (pairs?.received[peer] ?? 0) && expects === (pairs?.sent[peer] ?? 0);
}

/** Index of a connection in the operation's plan; -1 if there is none. */
export function connectionOf(
  { plan }: Operation,
  end: 'inbound' | 'outbound',
  peer: Rank,
  lane: number,
): number {
  const indices = plan.peers[plan.peerOf.get(peer) ?? -1]?.[end];
  if (indices === undefined) return -1;
  for (const index of indices) if (plan[end][index]?.lane === lane) return index;
  return -1;
}

/** What a peer may write in an operation, as it reaches it. */
function regionsFor(operation: Operation, { offers, slots }: PlanPeer): RemoteRegions {
  return {
    input: remote(operation.input, offers.input),
    output: remote(operation.output, offers.output),
    scratch: remote(operation.scratch, offers.scratch),
    slots: remote(operation.scratch, slots),
  };
}

function remote(
  buffer: LocalBuffer | undefined,
  range: ByteRange | undefined,
): RemoteRegion | undefined {
  if (range === undefined) return undefined;
  const { address, mr } = defined(buffer, 'the buffer');
  const { key } = defined(mr, 'the registration');
  return { address: address + range.offset, key, length: range.length };
}

/** What a rank has moved for a communicator: over its links, and through memory that the ranks share. */
import { fi_domain_link } from '../fabric/domain.ts';
import type { FiEndpointCounters } from '../fabric/fabric.ts';
import type { CommunicatorInit, CommunicatorWiring } from './communicator-init.ts';
import type { Exchange } from './exchange.ts';
import { FLUSH_READ_BYTES } from './flush.ts';
import type { HcclCommCounters, HcclLink } from './hccl.ts';
import type { PointToPoint } from './point-to-point.ts';
import type { ProgramTraffic } from './program/control-page.ts';
import type { ProgramPath } from './program/program-path.ts';

export interface Counted {
  /** Of the endpoint; absent until there is one. */
  readonly traffic: FiEndpointCounters | undefined;
  readonly exchange: Exchange | undefined;
  readonly messages: PointToPoint | undefined;
  /** Of the program's thread. */
  readonly program: ProgramTraffic;
  readonly path: ProgramPath['path'];
  /** Those over links that have ended well. */
  readonly collectives: number;
}

export function countersOf(counted: Counted): HcclCommCounters {
  const { traffic, exchange, messages, program, path, collectives } = counted;
  const { flushes = 0, postsTurnedAway = 0 } = exchange ?? {};
  const { eagerBytes = { sent: 0, received: 0 }, turnedAway = 0 } = messages ?? {};
  const { sent: inlineSent = 0, received: inlineReceived = 0 } = exchange?.inline ?? {};
  const flushed = flushes * FLUSH_READ_BYTES;
  const { rmaBytesSent = 0, rmaBytesReceived = 0, messageBytesSent = 0 } = traffic ?? {};
  return {
    payloadBytesSent: rmaBytesSent - flushed + eagerBytes.sent + inlineSent + program.bytesServed,
    payloadBytesReceived:
      rmaBytesReceived - flushed + eagerBytes.received + inlineReceived + program.bytesRead,
    controlBytesSent: messageBytesSent - eagerBytes.sent - inlineSent,
    collectives: collectives + program.operations,
    sharedCollectives: path === 'p2p' ? program.operations : 0,
    postsTurnedAway: postsTurnedAway + turnedAway,
    flushes,
  };
}

/** By rank, what carries bytes between `rank` and it; `null` for itself, and where there is nothing yet. */
export function linksOf(
  { rank, nranks, session }: Pick<CommunicatorInit, 'rank' | 'nranks' | 'session'>,
  path: ProgramPath['path'],
  nodeIds: CommunicatorWiring['nodeIds'] | undefined,
): readonly (HcclLink | null)[] {
  return Array.from({ length: nranks }, (_, peer) => {
    if (peer === rank) return null;
    if (path === 'p2p') return 'p2p';
    const link = fi_domain_link(session.domain, nodeIds?.get(peer) ?? '') ?? null;
    // Wires are dialled as links are.
    if (path !== 'wire' || link === null || link === 'memory') return link;
    return link === 'unix' ? 'wire over unix' : 'wire over tcp';
  });
}

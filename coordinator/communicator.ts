/** One communicator as the rendezvous sees it, and what its ranks can disagree about. */
import type { PeerId } from './effect.ts';
import type { CommMember, Failure } from './hlcp/messages.ts';

export interface Joined {
  readonly peer: PeerId;
  readonly hostname: string;
  readonly member: CommMember;
}

interface CommunicatorBase {
  readonly jobId: string;
  readonly uniqueId: string;
  readonly epoch: number;
  /** As the first rank said it. */
  readonly nranks: number;
  readonly startedMs: number;
  /** In order of arrival. */
  readonly joined: readonly Joined[];
}

export type Communicator =
  | (CommunicatorBase & { readonly phase: 'collecting' | 'ready' })
  | (CommunicatorBase & { readonly phase: 'failed'; readonly failure: Failure });

type Name = Pick<CommunicatorBase, 'uniqueId' | 'epoch'>;

/** The key among the communicators of one job; a unique id has no space. */
export function communicatorKey({ uniqueId, epoch }: Name): string {
  return `${epoch} ${uniqueId}`;
}

/** For messages: `communicator u1 epoch 0`. */
export function sentence({ uniqueId, epoch }: Name): string {
  return `communicator ${uniqueId} epoch ${epoch}`;
}

/** Why `joiner`, which says that there are `nranks`, cannot be a rank of `communicator`. */
export function disagreement(
  communicator: Communicator,
  joiner: Joined,
  nranks: number,
): Failure | undefined {
  const { rank } = joiner.member;
  const first = communicator.joined[0];
  if (first !== undefined && nranks !== communicator.nranks) {
    return failure(
      `Expected every rank of ${sentence(communicator)} to give the same number of ranks but found ${communicator.nranks} on ${describe(first)} and ${nranks} on ${describe(joiner)}`,
    );
  }
  if (rank >= communicator.nranks) {
    return failure(
      `Expected ranks 0 to ${communicator.nranks - 1} in ${sentence(communicator)} but found ${describe(joiner)}`,
    );
  }
  const twin = communicator.joined.find(({ member }) => member.rank === rank);
  if (twin === undefined) return undefined;
  return failure(
    `Expected each rank of ${sentence(communicator)} once but found ${describe(twin)} and ${describe(joiner)}`,
  );
}

function describe({ member, hostname }: Joined): string {
  return `rank ${member.rank} (host ${hostname}, node ${member.nodeId})`;
}

function failure(message: string): Failure {
  return { code: 'HLSIM_RENDEZVOUS', message };
}

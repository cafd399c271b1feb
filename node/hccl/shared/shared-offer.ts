/**
 * How the host answers a program that wants to run a collective on shared memory itself: everything that
 * its thread needs, in numbers and names. What ranks must agree on depends on nothing but what they all
 * know, so that they come to the same answer.
 */
import { chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import {
  type CellsRequest,
  type PullPlan,
  pullCells,
  pullPlan,
} from '../../../collectives/pull-plan.ts';
import type { Rank } from '../../../collectives/schedule.ts';
import { algorithmsFor, buildSchedule } from '../../../collectives/table.ts';
import type { Topology } from '../../../collectives/topology.ts';
import { KiB } from '../../../common/bytes.ts';
import { MAILBOX_OPERAND_BYTES } from './mailbox.ts';

/** What of a schedule is pulled at a time: small enough to be still in a cache when a peer reads it. */
export const PULL_SLICE_BYTES = 256 * KiB;
/** Slices of a message; longer messages have longer slices. */
const SLICES_MAX = 256;

/** Algorithms that are tried in this order where nobody has chosen one. */
const PULLED_ALGORITHMS = ['direct', 'linear'] as const;

/** Which program is pulled. */
export interface PullChoice {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  /** Who sits in which box. */
  readonly topology: Topology;
  readonly root: Rank;
  /** As `chunkTable` takes it. */
  readonly count: number;
  readonly elementBytes: number;
}

/** Those whose operands may travel in mailboxes, and the algorithm that this is. */
const SMALL_ALGORITHMS: Readonly<Partial<Record<CollectiveName, string>>> = {
  allReduce: 'oneShot',
  allGather: 'direct',
  reduceScatter: 'direct',
  broadcast: 'direct',
};

/** How a collective goes through shared memory if nobody has chosen; `undefined`: it does not. */
export function sharedAlgorithm(
  collective: CollectiveName,
  operandBytes: number,
): { readonly mode: 'small' | 'pull'; readonly algorithm: string } | undefined {
  const small = SMALL_ALGORITHMS[collective];
  if (small !== undefined && operandBytes <= MAILBOX_OPERAND_BYTES)
    return { mode: 'small', algorithm: small };
  const algorithm = pulledAlgorithm(collective);
  return algorithm === undefined ? undefined : { mode: 'pull', algorithm };
}

/** The algorithm that is pulled if nobody has chosen another; `undefined` if there is none. */
function pulledAlgorithm(collective: CollectiveName): string | undefined {
  const known = algorithmsFor(collective);
  return PULLED_ALGORITHMS.find((name) => known.includes(name));
}

/** Whether an algorithm can be pulled, and so pushed too; a function of what all ranks know. */
export function isPullable(choice: PullChoice): boolean {
  // How finely it is cut makes no difference to that.
  return !('reason' in pullCells({ ...slicedBy(choice, PULL_SLICE_BYTES), slicesMax: 1 }));
}

/** The plan of one rank; `undefined` if the algorithm cannot be pulled. */
export function planOf(choice: PullChoice, rank: Rank): PullPlan | undefined {
  const plan = pullPlan({ ...slicedBy(choice, PULL_SLICE_BYTES), rank });
  return 'reason' in plan ? undefined : plan;
}

/** The schedule of a choice, cut into slices of `sliceBytes`, or into `SLICES_MAX` where messages are longer than those. */
export function slicedBy(choice: PullChoice, sliceBytes: number): CellsRequest {
  const { collective, algorithm, topology, root, count, elementBytes } = choice;
  const schedule = buildSchedule({ collective, algorithm, topology, root, placement: 'inPlace' });
  const table = chunkTable(schedule, count);
  return { schedule, table, sliceElements: sliceBytes / elementBytes, slicesMax: SLICES_MAX };
}

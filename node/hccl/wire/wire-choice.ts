/** How a collective goes over wires if nobody has chosen; a function of what all ranks know. */
import type { CollectiveName } from '../../../collectives/collective.ts';
import { type PushPlan, pushPlan } from '../../../collectives/push-plan.ts';
import type { Rank } from '../../../collectives/schedule.ts';
import { algorithmsFor } from '../../../collectives/table.ts';
import { KiB } from '../../../common/bytes.ts';
import { type PullChoice, slicedBy } from '../shared/shared-offer.ts';
import { SMALL_BYTES } from './wire-stage.ts';

/**
 * Payload of every frame of a message but its last, where that is not longer than so many of them as `slicedBy` cuts at
 * most.
 * With its head it is a little less than six segments of a loopback connection, 65,483 B each: a frame that is a
 * little more costs a packet, and mostly an acknowledgement, for a few bytes.
 */
export const WIRE_SLICE_BYTES = 380 * KiB;

/** Algorithms of small operands, which every rank sends to every other, and what they send. */
const SMALL_ALGORITHMS: Readonly<Partial<Record<CollectiveName, string>>> = {
  allReduce: 'oneShot',
  allGather: 'direct',
  broadcast: 'direct',
};
/** What a rank sends in a small collective, to all others together. */
const SMALL_TOTAL_BYTES = 48 * KiB;

/** Algorithms of longer ones, tried in this order. */
const PUSHED_ALGORITHMS = ['direct', 'linear'] as const;
/**
 * Blocks (what a rank gives to an all-gather, what it sums up of an all-reduce) from which on a ring is faster than
 * direct: a rank has one peer to send to and one to receive from, and passes on what has just come. Shorter ones were
 * slower that way (docs/performance.md).
 */
export const RING_BLOCK_BYTES = 512 * KiB;
/** Ranks from which on that holds for an all-reduce: on 4 it was slower in a ring, on 5 there was no clear difference. */
export const RING_REDUCE_RANKS = 6;

/** `undefined`: its host runs the collective. */
export function wireAlgorithm(
  collective: CollectiveName,
  operandBytes: number,
  nranks: number,
): { readonly mode: 'small' | 'pull'; readonly algorithm: string } | undefined {
  const small = SMALL_ALGORITHMS[collective];
  const isSmall = operandBytes <= SMALL_BYTES && operandBytes * (nranks - 1) <= SMALL_TOTAL_BYTES;
  if (small !== undefined && isSmall) return { mode: 'small', algorithm: small };
  if (goesInRing(collective, operandBytes, nranks)) return { mode: 'pull', algorithm: 'ring' };
  const known = algorithmsFor(collective);
  const algorithm = PUSHED_ALGORITHMS.find((name) => known.includes(name));
  return algorithm === undefined ? undefined : { mode: 'pull', algorithm };
}

function goesInRing(collective: CollectiveName, operandBytes: number, nranks: number): boolean {
  if (collective === 'allGather') return operandBytes >= RING_BLOCK_BYTES;
  if (collective !== 'allReduce' || nranks < RING_REDUCE_RANKS) return false;
  return operandBytes / nranks >= RING_BLOCK_BYTES;
}

/** The plan of one rank; `undefined` if the algorithm cannot be pushed. */
export function pushPlanOf(choice: PullChoice, rank: Rank): PushPlan | undefined {
  const plan = pushPlan({ ...slicedBy(choice, WIRE_SLICE_BYTES), rank });
  return 'reason' in plan ? undefined : plan;
}

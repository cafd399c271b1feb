/** How a collective goes over wires if nobody has chosen; a function of what all ranks know. */
import { type ChunkTable, chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { type PushPlan, pushPlan } from '../../../collectives/push-plan.ts';
import type { Rank } from '../../../collectives/schedule.ts';
import { algorithmsFor } from '../../../collectives/table.ts';
import { KiB } from '../../../common/bytes.ts';
import { longestMessage, type PullChoice, scheduleOf } from '../shared/shared-offer.ts';
import { SMALL_BYTES } from './wire-stage.ts';

/** Longest payload of a frame, where messages are not longer than `SLICES_MAX` of them. */
export const WIRE_SLICE_BYTES = 256 * KiB;
const SLICES_MAX = 256;

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

/** `undefined`: its host runs the collective. */
export function wireAlgorithm(
  collective: CollectiveName,
  operandBytes: number,
  nranks: number,
): { readonly mode: 'small' | 'pull'; readonly algorithm: string } | undefined {
  const small = SMALL_ALGORITHMS[collective];
  const isSmall = operandBytes <= SMALL_BYTES && operandBytes * (nranks - 1) <= SMALL_TOTAL_BYTES;
  if (small !== undefined && isSmall) return { mode: 'small', algorithm: small };
  const known = algorithmsFor(collective);
  const algorithm = PUSHED_ALGORITHMS.find((name) => known.includes(name));
  return algorithm === undefined ? undefined : { mode: 'pull', algorithm };
}

/** The plan of one rank; `undefined` if the algorithm cannot be pushed. */
export function pushPlanOf(choice: PullChoice, rank: Rank): PushPlan | undefined {
  const schedule = scheduleOf(choice);
  const table: ChunkTable = chunkTable(schedule, choice.count);
  const longest = longestMessage(schedule, table) * choice.elementBytes;
  const slices = Math.min(SLICES_MAX, Math.max(1, Math.ceil(longest / WIRE_SLICE_BYTES)));
  const plan = pushPlan({ schedule, table, rank, slices });
  return 'reason' in plan ? undefined : plan;
}

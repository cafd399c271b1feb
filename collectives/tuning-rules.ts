/**
 * The built-in tuning table. Small calls are mostly latency, so they take algorithms of few rounds;
 * large ones are mostly bytes. The last rule of every collective has no limits. All rules use one
 * channel: what more of them bring depends on the machine, and `hlsim tune` measures it.
 */
import { KiB } from '../common/bytes.ts';
import type { CollectiveName } from './collective.ts';
import type { TuningRule, TuningTable } from './tuner.ts';

/** Up to this size all-reduces are mostly latency: fewer rounds beat fewer bytes. */
export const LATENCY_BOUND_BYTES = 32 * KiB;

/** Messages below this size cost about as much as empty ones, so a ring must not cut finer. */
export const RING_MESSAGE_BYTES_MIN = 1 * KiB;

/** Up to this size, and up to so many ranks, a tree's rounds of whole vectors beat a vector in parts. */
const TREE_BYTES = 512 * KiB;
const TREE_RANKS = 7;

/** Where blocks are so small that forwarding them pays: MPICH does it up to 256 bytes a block, from 8 ranks on. */
const BRUCK_BYTES = 4 * KiB;
const BRUCK_RANKS = 8;

/** Largest communicator for which the rules are made finer. */
const RANKS_MAX = 1024;

/** What travels with the headers of an operation (`node/hccl/operation-header.ts`): then one hop is all there is. */
const INLINE_BYTES = 4 * KiB;
/** So few ranks that a message to each is cheaper than a second round. */
const ONE_SHOT_RANKS = 4;
const GATHER_RANKS = 8;

const small = { bytes: { to: LATENCY_BOUND_BYTES } } as const;

/** Up to which size a ring would cut crumbs, for ever more ranks. */
const CRUMBS = doublings(LATENCY_BOUND_BYTES / RING_MESSAGE_BYTES_MIN).map((ranks) =>
  use('allReduce', 'recursiveDoubling', {
    bytes: { to: 2 * ranks * RING_MESSAGE_BYTES_MIN - 1 },
    ranks: { from: ranks + 1, to: 2 * ranks },
  }),
);

export const BUILT_IN_TUNING: TuningTable = {
  rules: [
    use('allReduce', 'oneShot', {
      bytes: { to: INLINE_BYTES },
      ranks: { from: 3, to: ONE_SHOT_RANKS },
    }),
    use('allReduce', 'recursiveDoubling', small),
    ...CRUMBS,
    use('allReduce', 'ring'),
    use('allGather', 'direct', { bytes: small.bytes, ranks: { to: GATHER_RANKS } }),
    use('allGather', 'bruck', small),
    use('allGather', 'ring'),
    use('reduceScatter', 'recursiveHalving', small),
    use('reduceScatter', 'ring'),
    use('broadcast', 'binomialTree', { bytes: { to: TREE_BYTES } }),
    use('broadcast', 'binomialTree', { ranks: { to: TREE_RANKS } }),
    use('broadcast', 'scatterAllGather'),
    use('reduce', 'binomialTree', small),
    use('reduce', 'halvingDoubling'),
    use('allToAll', 'bruck', { bytes: { to: BRUCK_BYTES }, ranks: { from: BRUCK_RANKS } }),
    use('allToAll', 'direct', small),
    use('allToAll', 'pairwiseExchange'),
    use('gather', 'binomialTree', small),
    use('gather', 'direct'),
    use('scatter', 'binomialTree', small),
    use('scatter', 'direct'),
    use('sendRecv', 'direct'),
    use('barrier', 'dissemination'),
    use('allGatherV', 'direct', small),
    use('allGatherV', 'ring'),
    use('reduceScatterV', 'direct', small),
    use('reduceScatterV', 'ring'),
    use('allToAllV', 'pairwiseExchange'),
  ],
};

function use(
  collective: CollectiveName,
  algorithm: string,
  ranges: Pick<TuningRule, 'bytes' | 'ranks'> = {},
): TuningRule {
  return { collective, algorithm, channels: 1, ...ranges };
}

/** `from`, twice that, and so on. */
function doublings(from: number): number[] {
  const ranks: number[] = [];
  for (let next = from; next < RANKS_MAX; next *= 2) ranks.push(next);
  return ranks;
}

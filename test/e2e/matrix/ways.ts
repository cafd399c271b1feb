/** The rows of the numeric matrix: each collective of each algorithm, and what it can be combined with. */
import {
  DATA_TYPE_WORDS,
  type DataTypeWord,
  REDUCE_OPERATION_WORDS,
  type ReduceOperationWord,
} from '../../../bench/data-types.ts';
import { hasInPlace, type Place } from '../../../bench/layout.ts';
import { ALGORITHMS } from '../../../collectives/algorithms.ts';
import { BLOCKS } from '../../../collectives/collective.ts';
import {
  COLLECTIVE_WORDS,
  type CollectiveWord,
  wordOfCollective,
} from '../../../collectives/names.ts';
import { optionsOf, rowFor } from '../../../collectives/table.ts';
import type { Topology } from '../../../collectives/topology.ts';

/** Hosts times devices; a rank is a device. 1, 2, 3, 4, 5 and 8 ranks, of which 4 and 8 share hosts. */
export const CLUSTERS = ['1x1', '2x1', '3x1', '2x2', '5x1', '4x2', '2x4'] as const;
export type Cluster = (typeof CLUSTERS)[number];

export const COUNTS = [0, 1, 3, 1000, 10007, 2 ** 20] as const;
/** Of `COUNTS`, those that do not take long. */
export const SMALL_COUNTS = COUNTS.filter((count) => count < 2 ** 20);
export const CHANNELS = [1, 2] as const;

/** Parts of two-level algorithms that are tried, besides what is taken where none is named. */
const TWO_LEVEL_PARTS = [
  '(ring,ring)',
  '(direct,direct)',
  '(ring,recursiveDoubling)',
  '(binomialTree,ring)',
  '(direct,pairwiseExchange)',
];

/** A way of carrying out a collective, and what it can be combined with. */
export interface Way {
  readonly collective: CollectiveWord;
  readonly algorithm: string;
  /** Clusters and placements that its restrictions allow. */
  readonly sites: readonly { readonly cluster: Cluster; readonly place: Place }[];
  readonly counts: readonly number[];
  readonly dataTypes: readonly DataTypeWord[];
  readonly reduceOps: readonly (ReduceOperationWord | 'none')[];
  readonly channels: readonly number[];
}

/** Every collective of every row of the one list of algorithms, with these counts. */
export function matrixWays(counts: readonly number[]): readonly Way[] {
  return ALGORITHMS.flatMap((row) =>
    row.collectives.flatMap((collective) => {
      const parts = row.name === 'hierarchical' ? ['', ...TWO_LEVEL_PARTS] : [''];
      const word = wordOfCollective(collective) as CollectiveWord;
      return parts
        .map((part) => wayOf(word, `${row.name}${part}`, counts))
        .filter(({ sites }) => sites.length > 0);
    }),
  );
}

export function topologyOf(cluster: Cluster): Topology {
  const [boxes = 0, ranksPerBox = 0] = cluster.split('x').map(Number);
  return { boxes, ranksPerBox };
}

function wayOf(collective: CollectiveWord, algorithm: string, counts: readonly number[]): Way {
  const { reduces } = BLOCKS[COLLECTIVE_WORDS[collective]];
  const isBarrier = collective === 'barrier';
  const places = (['outOfPlace', 'inPlace'] as const).filter(
    (place) => place === 'outOfPlace' || hasPlace(collective),
  );
  return {
    collective,
    algorithm,
    sites: CLUSTERS.flatMap((cluster) =>
      places
        .filter((place) => isAllowed(collective, algorithm, cluster, place))
        .map((place) => ({ cluster, place })),
    ),
    // A barrier has no data, messages from rank to rank no channels.
    counts: isBarrier ? [0] : counts,
    dataTypes: isBarrier ? ['int32'] : DATA_TYPE_WORDS,
    reduceOps: reduces ? REDUCE_OPERATION_WORDS : ['none'],
    channels: collective === 'sendrecv' ? [1] : CHANNELS,
  };
}

/** The matrix has the same counts in both directions, so that an all-to-all-v can be in place. */
function hasPlace(collective: CollectiveWord): boolean {
  return hasInPlace(collective) || collective === 'alltoall_v';
}

function isAllowed(
  word: CollectiveWord,
  algorithm: string,
  cluster: Cluster,
  placement: Place,
): boolean {
  const collective = COLLECTIVE_WORDS[word];
  const request = { collective, algorithm, topology: topologyOf(cluster), placement };
  return rowFor(collective, algorithm).restrictions.every(({ holds }) => holds(optionsOf(request)));
}

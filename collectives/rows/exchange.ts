/** Rows of algorithms in which ranks exchange blocks, packed or in pairs. See `../algorithms.ts`. */
import { ceilLog2, isPowerOfTwo } from '../../common/math.ts';
import type { AlgorithmOptions, AlgorithmRow, ClosedForm } from '../algorithm-row.ts';
import { bruckAllGather, bruckAllToAll } from '../algorithms/bruck.ts';
import { neighbourExchangeAllGather } from '../algorithms/neighbour-exchange.ts';
import {
  pairwiseExchangeAllToAll,
  pairwiseExchangeReduceScatter,
} from '../algorithms/pairwise-exchange.ts';
import { patAllGather, patReduceScatter } from '../algorithms/pat.ts';
import { blockwiseForm, blockwiseReductionForm, treeBlocksForm } from '../closed-forms.ts';

export const EXCHANGE_ROWS: readonly AlgorithmRow[] = [
  {
    name: 'bruck',
    collectives: ['allGather'],
    restrictions: [],
    build: bruckAllGather,
    closedForm: treeBlocksForm,
    summary: 'Each round doubles the blocks that a rank has: fewest rounds for any number of ranks',
  },
  {
    name: 'neighbourExchange',
    collectives: ['allGather', 'allGatherV'],
    restrictions: [
      {
        needs: 'an even number of ranks',
        holds: ({ nranks }) => nranks === 1 || nranks % 2 === 0,
      },
    ],
    build: neighbourExchangeAllGather,
    closedForm: neighbourForm,
    summary:
      'Neighbours hand over two blocks, to one side and to the other: half the rounds of a ring',
  },
  {
    name: 'pat',
    collectives: ['allGather'],
    restrictions: [],
    build: patAllGather,
    closedForm: treeBlocksForm,
    summary: 'A binomial tree per block, all at once: fewest rounds, and the small messages go far',
  },
  {
    name: 'pat',
    collectives: ['reduceScatter'],
    restrictions: [],
    build: patReduceScatter,
    closedForm: patReductionForm,
    summary: 'Partial sums come up a binomial tree per block, all at once: fewest rounds',
  },
  {
    name: 'pairwiseExchange',
    collectives: ['reduceScatter', 'reduceScatterV'],
    restrictions: [],
    build: pairwiseExchangeReduceScatter,
    closedForm: blockwiseReductionForm,
    summary: 'In every round each rank exchanges contributions with one other: nothing in scratch',
  },
  {
    name: 'pairwiseExchange',
    collectives: ['allToAll', 'allToAllV'],
    restrictions: [],
    build: pairwiseExchangeAllToAll,
    closedForm: blockwiseForm,
    summary: 'In every round each rank exchanges blocks with one other: no block is forwarded',
  },
  {
    name: 'bruck',
    collectives: ['allToAll'],
    restrictions: [],
    build: bruckAllToAll,
    closedForm: bruckAllToAllForm,
    summary:
      'Blocks travel by the bits of their distance: fewest rounds, blocks are sent repeatedly',
  },
];

function neighbourForm({ nranks: p }: AlgorithmOptions): ClosedForm {
  const text = 'p/2·α + (p-1)/p·nβ';
  return { alphas: Math.floor(p / 2), bytes: (p - 1) / p, reducedBytes: 0, ports: 'single', text };
}

function patReductionForm({ nranks: p }: AlgorithmOptions): ClosedForm {
  const bytes = (p - 1) / p;
  const text = '⌈lg p⌉α + (p-1)/p·n(β+γ)';
  return { alphas: ceilLog2(p), bytes, reducedBytes: bytes, ports: 'single', text };
}

/** Bytes for p ranks: a block for each bit that is set in the numbers below p; p/2 of them a bit for a power of two. */
function bruckAllToAllForm({ nranks: p }: AlgorithmOptions): ClosedForm {
  let blocks = 0;
  for (let way = 1; way < p; way++) {
    for (let rest = way; rest > 0; rest >>= 1) blocks += rest & 1;
  }
  const text = isPowerOfTwo(p)
    ? 'lg p·α + (n/2)lg p·β'
    : '⌈lg p⌉α + s/p·nβ, s bits set in the numbers below p';
  return { alphas: ceilLog2(p), bytes: blocks / p, reducedBytes: 0, ports: 'single', text };
}

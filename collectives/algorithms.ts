/** The rows of the one list of algorithms. Names are looked up in `table.ts`. */

import type { AlgorithmRow, Restriction } from './algorithm-row.ts';
import { binomialTreeGather, binomialTreeScatter } from './algorithms/binomial-gather.ts';
import {
  binomialTreeAllReduce,
  binomialTreeBroadcast,
  binomialTreeReduce,
} from './algorithms/binomial-tree.ts';
import { directAllGather, directAllReduce, directReduceScatter } from './algorithms/direct.ts';
import { directAllToAll } from './algorithms/direct-all-to-all.ts';
import { disseminationBarrier } from './algorithms/dissemination.ts';
import {
  halvingBlocks,
  halvingDoublingAllReduce,
  halvingDoublingReduce,
} from './algorithms/halving-doubling.ts';
import { directBroadcast, directGather, directReduce, directScatter } from './algorithms/linear.ts';
import { oneShotAllReduce } from './algorithms/one-shot.ts';
import {
  recursiveDoublingAllGather,
  recursiveDoublingAllReduce,
} from './algorithms/recursive-doubling.ts';
import { recursiveHalvingReduceScatter } from './algorithms/recursive-halving.ts';
import { ringAllGather, ringAllReduce, ringReduceScatter } from './algorithms/ring.ts';
import { shift } from './algorithms/shift.ts';
import {
  allPairsAllReduceForm,
  blockwiseForm,
  blockwiseReductionForm,
  disseminationForm,
  doublingAllGatherForm,
  doublingAllReduceForm,
  halvingDoublingAllReduceForm,
  halvingDoublingReduceForm,
  linearBroadcastForm,
  linearReduceForm,
  recursiveHalvingForm,
  ringAllReduceForm,
  shiftForm,
  treeAllReduceForm,
  treeBlocksForm,
  treeBroadcastForm,
  treeReduceForm,
} from './closed-forms.ts';
import { EXCHANGE_ROWS } from './rows/exchange.ts';
import { PIPELINED_ROWS } from './rows/pipelined.ts';
import { CHUNKS_PER_RANK, POWER_OF_TWO } from './rows/restrictions.ts';
import { TWO_LEVEL_ROWS } from './rows/two-level.ts';

const CHUNKS_PER_CORE: Restriction = {
  needs: 'a number of chunks that is a multiple of the largest power of two of ranks',
  holds: ({ nranks, chunks = 0 }) => chunks % halvingBlocks(nranks) === 0,
};
const APART: Restriction = {
  needs: 'buffers that lie apart',
  holds: ({ placement, nranks }) => placement !== 'inPlace' || nranks === 1,
};

export const ALGORITHMS: readonly AlgorithmRow[] = [
  {
    name: 'ring',
    collectives: ['allReduce'],
    restrictions: [CHUNKS_PER_RANK],
    build: ringAllReduce,
    closedForm: ringAllReduceForm,
    summary: 'Reduce-scatter, then all-gather, around a ring: fewest bytes, most rounds',
  },
  {
    name: 'recursiveDoubling',
    collectives: ['allReduce'],
    restrictions: [],
    build: recursiveDoublingAllReduce,
    closedForm: doublingAllReduceForm,
    summary: 'Partners at distance 1, 2, 4, ... exchange whole vectors: fewest rounds, most bytes',
  },
  {
    name: 'halvingDoubling',
    collectives: ['allReduce'],
    restrictions: [CHUNKS_PER_CORE],
    build: halvingDoublingAllReduce,
    closedForm: halvingDoublingAllReduceForm,
    summary: 'Rabenseifner: partners halve the vector, then double it: few bytes in few rounds',
  },
  {
    name: 'binomialTree',
    collectives: ['allReduce'],
    restrictions: [],
    build: binomialTreeAllReduce,
    closedForm: treeAllReduceForm,
    summary: 'A reduce to rank 0, then a broadcast: fewest messages in all',
  },
  {
    name: 'direct',
    collectives: ['allReduce'],
    restrictions: [CHUNKS_PER_RANK],
    build: directAllReduce,
    closedForm: allPairsAllReduceForm,
    summary: 'Every rank sends every other a block, twice: two hops from end to end',
  },
  {
    name: 'oneShot',
    collectives: ['allReduce'],
    restrictions: [],
    build: oneShotAllReduce,
    summary: 'Every rank sends every other its vector: one hop, for very small ones',
  },
  {
    name: 'ring',
    collectives: ['allGather', 'allGatherV'],
    restrictions: [],
    build: ringAllGather,
    closedForm: blockwiseForm,
    summary: 'Every contribution goes once around a ring: fewest bytes, most rounds',
  },
  {
    name: 'recursiveDoubling',
    collectives: ['allGather'],
    restrictions: [POWER_OF_TWO],
    build: recursiveDoublingAllGather,
    closedForm: doublingAllGatherForm,
    summary: 'Partners at distance 1, 2, 4, ... exchange all they have: fewest bytes and rounds',
  },
  {
    name: 'direct',
    collectives: ['allGather', 'allGatherV'],
    restrictions: [],
    build: directAllGather,
    closedForm: blockwiseForm,
    summary: 'Every rank sends its contribution to every other: one hop',
  },
  {
    name: 'ring',
    collectives: ['reduceScatter', 'reduceScatterV'],
    restrictions: [],
    build: ringReduceScatter,
    closedForm: blockwiseReductionForm,
    summary: 'Every block goes once around a ring, and ends where it belongs',
  },
  {
    name: 'recursiveHalving',
    collectives: ['reduceScatter', 'reduceScatterV'],
    restrictions: [],
    build: recursiveHalvingReduceScatter,
    closedForm: recursiveHalvingForm,
    summary: 'Partners at distance p/2, p/4, ... split the blocks that both work on: fewest rounds',
  },
  {
    name: 'direct',
    collectives: ['reduceScatter', 'reduceScatterV'],
    restrictions: [],
    build: directReduceScatter,
    closedForm: blockwiseReductionForm,
    summary: 'Every rank sends every other its block: one hop, no scratch',
  },
  {
    name: 'binomialTree',
    collectives: ['broadcast'],
    restrictions: [],
    build: binomialTreeBroadcast,
    closedForm: treeBroadcastForm,
    summary: 'The ranks that have the vector double from round to round',
  },
  {
    name: 'direct',
    collectives: ['broadcast'],
    restrictions: [],
    build: directBroadcast,
    closedForm: linearBroadcastForm,
    summary: 'The root sends the vector to every rank',
  },
  {
    name: 'binomialTree',
    collectives: ['reduce'],
    restrictions: [],
    build: binomialTreeReduce,
    closedForm: treeReduceForm,
    summary: 'The ranks that have something to add halve from round to round',
  },
  {
    name: 'halvingDoubling',
    collectives: ['reduce'],
    restrictions: [CHUNKS_PER_CORE],
    build: halvingDoublingReduce,
    closedForm: halvingDoublingReduceForm,
    summary:
      'Rabenseifner: partners halve the vector, then the root gathers it: few bytes in few rounds',
  },
  {
    name: 'direct',
    collectives: ['reduce'],
    restrictions: [],
    build: directReduce,
    closedForm: linearReduceForm,
    summary: 'Every rank sends its vector to the root, which adds in rank order',
  },
  {
    name: 'binomialTree',
    collectives: ['gather'],
    restrictions: [],
    build: binomialTreeGather,
    closedForm: treeBlocksForm,
    summary: 'Ranks collect the blocks of their subtree: fewest messages at the root',
  },
  {
    name: 'direct',
    collectives: ['gather'],
    restrictions: [],
    build: directGather,
    closedForm: blockwiseForm,
    summary: 'Every rank sends its block to the root: fewest bytes',
  },
  {
    name: 'binomialTree',
    collectives: ['scatter'],
    restrictions: [],
    build: binomialTreeScatter,
    closedForm: treeBlocksForm,
    summary: 'Ranks pass on the blocks of their subtree: fewest messages at the root',
  },
  {
    name: 'direct',
    collectives: ['scatter'],
    restrictions: [],
    build: directScatter,
    closedForm: blockwiseForm,
    summary: 'The root sends every rank its block: fewest bytes',
  },
  {
    name: 'direct',
    collectives: ['allToAll'],
    restrictions: [],
    build: directAllToAll,
    closedForm: blockwiseForm,
    summary: 'Every rank sends every other its block, all at once',
  },
  {
    name: 'direct',
    collectives: ['allToAllV'],
    restrictions: [APART],
    build: directAllToAll,
    closedForm: blockwiseForm,
    summary: 'Every rank sends every other its block, all at once, whatever their sizes',
  },
  {
    name: 'direct',
    collectives: ['sendRecv'],
    restrictions: [],
    build: shift,
    closedForm: shiftForm,
    summary: 'Every rank sends its vector to the next',
  },
  {
    name: 'dissemination',
    collectives: ['barrier'],
    restrictions: [],
    build: disseminationBarrier,
    closedForm: disseminationForm,
    summary: 'In round k every rank tells the one 2^k further on: fewest rounds',
  },
  ...EXCHANGE_ROWS,
  ...PIPELINED_ROWS,
  ...TWO_LEVEL_ROWS,
];

/** Rows of algorithms that know of boxes. See `../algorithms.ts`. */

import type { AlgorithmRow, Restriction } from '../algorithm-row.ts';
import { hcclAllGather, hcclAllReduce, hcclReduceScatter } from '../algorithms/hccl.ts';
import { hcclAllToAll } from '../algorithms/hccl-all-to-all.ts';
import { hcclBroadcast, hcclReduce } from '../algorithms/hccl-rooted.ts';
import { hierarchicalAllReduce } from '../algorithms/hierarchical.ts';
import {
  hierarchicalAllGather,
  hierarchicalAllToAll,
  hierarchicalReduceScatter,
} from '../algorithms/hierarchical-blocks.ts';
import { hierarchicalBroadcast, hierarchicalReduce } from '../algorithms/hierarchical-rooted.ts';
import { levelsOf, partsOf } from '../algorithms/two-level.ts';
import { CHUNKS_PER_RANK } from './restrictions.ts';
import {
  hcclForm,
  hierarchicalAllReduceForm,
  hierarchicalBlocksForm,
  hierarchicalRootedForm,
  twoStepAllToAllForm,
} from './two-level-forms.ts';

const CHUNKS_PER_CARD: Restriction = {
  needs: 'a number of chunks that is a multiple of the ranks of a box',
  holds: (options) => (options.chunks ?? 0) % levelsOf(options).size === 0,
};
const PARTS: Restriction = {
  needs: 'algorithms inside and across the boxes that do their part of it among so many ranks',
  holds: (options) => partsOf(options.collective, options) !== undefined,
};

export const TWO_LEVEL_ROWS: readonly AlgorithmRow[] = [
  {
    name: 'hierarchical',
    collectives: ['allReduce'],
    restrictions: [PARTS, CHUNKS_PER_RANK],
    build: hierarchicalAllReduce,
    closedForm: hierarchicalAllReduceForm,
    summary: 'Boxes reduce-scatter inside, all-reduce across, all-gather inside: little crosses',
  },
  {
    name: 'hccl',
    collectives: ['allReduce'],
    restrictions: [CHUNKS_PER_RANK],
    build: hcclAllReduce,
    closedForm: hcclForm({ reduced: 1, gathered: 1 }, ({ nranks }) => nranks),
    summary:
      'Slices, full mesh inside the box, shifted pairs of the same index across: as HCCL does',
  },
  {
    name: 'hierarchical',
    collectives: ['allGather', 'allGatherV'],
    restrictions: [PARTS],
    build: hierarchicalAllGather,
    closedForm: hierarchicalBlocksForm,
    summary: 'Same-index ranks gather across the boxes, then boxes share: each block crosses once',
  },
  {
    name: 'hccl',
    collectives: ['allGather'],
    restrictions: [],
    build: hcclAllGather,
    closedForm: hcclForm({ reduced: 0, gathered: 1 }, () => 1),
    summary: 'Blocks cross in shifted pairs of the same index and are shared in a full mesh',
  },
  {
    name: 'hierarchical',
    collectives: ['reduceScatter', 'reduceScatterV'],
    restrictions: [PARTS],
    build: hierarchicalReduceScatter,
    closedForm: hierarchicalBlocksForm,
    summary: 'Boxes reduce inside, then same-index ranks across: one sum per block leaves a box',
  },
  {
    name: 'hccl',
    collectives: ['reduceScatter'],
    restrictions: [],
    build: hcclReduceScatter,
    closedForm: hcclForm({ reduced: 1, gathered: 0 }, () => 1),
    summary: 'A full mesh reduces inside the box, sums cross in shifted pairs of the same index',
  },
  {
    name: 'hierarchical',
    collectives: ['broadcast'],
    restrictions: [PARTS],
    build: hierarchicalBroadcast,
    closedForm: hierarchicalRootedForm,
    summary: 'Across to one rank of each box, then inside: the vector crosses to each box once',
  },
  {
    name: 'hccl',
    collectives: ['broadcast'],
    restrictions: [CHUNKS_PER_CARD],
    build: hcclBroadcast,
    summary: "Scatter in the root's box, blocks cross from all its cards, boxes all-gather",
  },
  {
    name: 'hierarchical',
    collectives: ['reduce'],
    restrictions: [PARTS],
    build: hierarchicalReduce,
    closedForm: hierarchicalRootedForm,
    summary: 'Inside to one rank of each box, then across: one vector leaves each box',
  },
  {
    name: 'hccl',
    collectives: ['reduce'],
    restrictions: [CHUNKS_PER_RANK],
    build: hcclReduce,
    summary: 'A reduce-scatter as of the all-reduce, then a gather to the root',
  },
  {
    name: 'hierarchical',
    collectives: ['allToAll'],
    restrictions: [PARTS],
    build: hierarchicalAllToAll,
    closedForm: twoStepAllToAllForm,
    summary: 'Inside to the rank of the right index, then across: few messages leave a box',
  },
  {
    name: 'hccl',
    collectives: ['allToAll'],
    restrictions: [],
    build: hcclAllToAll,
    closedForm: twoStepAllToAllForm,
    summary: 'Across to the rank of the same index, then inside in a full mesh, box by box',
  },
];

/** Rows of algorithms that cut a vector into segments or blocks and move them in pipelines. See `../algorithms.ts`. */
import { ceilLog2 } from '../../common/math.ts';
import type { AlgorithmOptions, AlgorithmRow, ClosedForm, Restriction } from '../algorithm-row.ts';
import { CHAIN_SEGMENTS, chainBroadcast, chainReduce } from '../algorithms/chain.ts';
import {
  doubleBinaryTreeAllReduce,
  doubleBinaryTreeBroadcast,
  doubleBinaryTreeReduce,
} from '../algorithms/double-binary-tree.ts';
import {
  scatterAllGatherBroadcast,
  scatterRecursiveDoublingBroadcast,
} from '../algorithms/scatter-all-gather.ts';
import { CHUNKS_PER_RANK, POWER_OF_TWO } from './restrictions.ts';

const TWO_HALVES: Restriction = {
  needs: 'an even number of chunks',
  holds: ({ chunks = 2 }) => chunks % 2 === 0,
};

export const PIPELINED_ROWS: readonly AlgorithmRow[] = [
  {
    name: 'doubleBinaryTree',
    collectives: ['allReduce'],
    restrictions: [TWO_HALVES],
    build: doubleBinaryTreeAllReduce,
    summary:
      'Half of the vector up and down each of two trees: few rounds, nearly the bytes of a ring',
  },
  {
    name: 'chain',
    collectives: ['broadcast'],
    restrictions: [],
    build: chainBroadcast,
    closedForm: chainForm,
    summary: 'Segments follow each other from rank to rank: fewest bytes, for very large vectors',
  },
  {
    name: 'scatterAllGather',
    collectives: ['broadcast'],
    restrictions: [CHUNKS_PER_RANK],
    build: scatterAllGatherBroadcast,
    closedForm: scatterRingForm,
    summary: 'The root deals the vector out, a ring hands it around: less than 2n bytes per rank',
  },
  {
    name: 'scatterRecursiveDoubling',
    collectives: ['broadcast'],
    restrictions: [POWER_OF_TWO, CHUNKS_PER_RANK],
    build: scatterRecursiveDoublingBroadcast,
    closedForm: scatterDoublingForm,
    summary: 'The root deals the vector out, partners exchange all they have: few rounds and bytes',
  },
  {
    name: 'doubleBinaryTree',
    collectives: ['broadcast'],
    restrictions: [TWO_HALVES],
    build: doubleBinaryTreeBroadcast,
    summary: 'Half of the vector down each of two trees that the root feeds: for large vectors',
  },
  {
    name: 'chain',
    collectives: ['reduce'],
    restrictions: [],
    build: chainReduce,
    closedForm: chainReductionForm,
    summary:
      'Partial sums of segments go from rank to rank towards the root: for very large vectors',
  },
  {
    name: 'doubleBinaryTree',
    collectives: ['reduce'],
    restrictions: [TWO_HALVES],
    build: doubleBinaryTreeReduce,
    summary: 'Half of the vector up each of two trees to the root: for large vectors',
  },
];

function chainForm({ nranks: p, chunks: k = CHAIN_SEGMENTS }: AlgorithmOptions): ClosedForm {
  const hops = p === 1 ? 0 : p - 2 + k;
  const text = '(p-2+k)(α + n/k·β)';
  return { alphas: hops, bytes: hops / k, reducedBytes: 0, ports: 'single', text };
}

function chainReductionForm(options: AlgorithmOptions): ClosedForm {
  const { nranks: p, chunks: k = CHAIN_SEGMENTS } = options;
  const form = chainForm(options);
  const text = '(p-2+k)(α + n/k·(β+γ))';
  return { ...form, reducedBytes: p === 1 ? 0 : (p - 2 + k) / k, text };
}

function scatterRingForm({ nranks: p }: AlgorithmOptions): ClosedForm {
  const alphas = ceilLog2(p) + p - 1;
  const text = '(⌈lg p⌉+p-1)α + 2(p-1)/p·nβ';
  return { alphas, bytes: (2 * (p - 1)) / p, reducedBytes: 0, ports: 'single', text };
}

function scatterDoublingForm({ nranks: p }: AlgorithmOptions): ClosedForm {
  const text = '2lg p·α + 2(p-1)/p·nβ';
  return {
    alphas: 2 * ceilLog2(p),
    bytes: (2 * (p - 1)) / p,
    reducedBytes: 0,
    ports: 'single',
    text,
  };
}

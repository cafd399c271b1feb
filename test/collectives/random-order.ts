/** Runs programs on numbers in random ones of the orders that they allow, and says how that ends. */
import { chunkTable } from '../../collectives/chunks.ts';
import {
  BLOCKS,
  type CollectiveShape,
  chunksIn,
  promisedBlock,
} from '../../collectives/collective.ts';
import type { Program } from '../../collectives/program.ts';
import { runPrograms } from '../../collectives/reference.ts';
import { defined } from '../../common/assert.ts';
import { ranksOf } from '../../common/math.ts';
import type { Prng } from '../../common/prng.ts';
import { programAt } from './support.ts';

export type Outcome = 'right' | 'wrong' | 'stuck';

/** Elements of a block: some chunks are larger than others, for all numbers of chunks in use. */
const BLOCK_ELEMENTS = 11;

export function runInRandomOrder(
  programs: readonly Program[],
  inPlace: boolean,
  prng: Prng,
): Outcome {
  const shape = programAt(programs, 0);
  const table = chunkTable(shape, countsOf(shape));
  const inputs = ranksOf(shape.nranks).map((rank) =>
    inputOf(rank, table.bufferLength(rank, 'input')),
  );
  const choose = (count: number): number => prng.below(count);
  try {
    const outputs = runPrograms(programs, table, inputs, { inPlace, type: 'float64', choose });
    const isRight = outputs.every((output, rank) => isAsPromised(shape, rank, output, inputs));
    return isRight ? 'right' : 'wrong';
  } catch (reason) {
    if (reason instanceof Error && reason.message.includes('programs that end')) return 'stuck';
    // Places outside a buffer, messages that are too long: no executor would get through.
    if (reason instanceof Error) return 'wrong';
    throw reason;
  }
}

function countsOf({ collective, nranks }: CollectiveShape): number {
  return collective === 'allToAll' ? BLOCK_ELEMENTS * nranks : BLOCK_ELEMENTS;
}

/** Integers that are large and unlike each other, so that wrong sums differ and right ones are exact. */
function inputOf(rank: number, length: number): Float64Array {
  return Float64Array.from({ length }, (_, index) => elementOf(rank, index));
}

function elementOf(rank: number, index: number): number {
  return 1 + (Math.imul(rank * 7919 + index * 104_729 + 1, 0x9e3779b1) >>> 4);
}

function isAsPromised(
  shape: CollectiveShape,
  rank: number,
  output: Float64Array,
  inputs: readonly Float64Array[],
): boolean {
  const blocks = chunksIn(shape, rank, 'output') / shape.chunks;
  for (let index = 0; index < blocks; index++) {
    const { block, ranks, times } = defined(promisedBlock(shape, rank, index), 'a promise');
    for (let element = 0; element < BLOCK_ELEMENTS; element++) {
      const values = ranks.map((contributor) => {
        const start = inputBlockOf(shape, contributor, block) * BLOCK_ELEMENTS;
        return defined(inputs[contributor]?.[start + element], 'an input element');
      });
      const expected =
        times === 'once' ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
      if (output[index * BLOCK_ELEMENTS + element] !== expected) return false;
    }
  }
  return true;
}

function inputBlockOf(shape: CollectiveShape, rank: number, block: number): number {
  const { inputBlock, inputBlocks } = BLOCKS[shape.collective];
  const blocks = Array.from({ length: inputBlocks(shape, rank) }, (_, index) => index);
  return defined(
    blocks.find((index) => inputBlock(shape, rank, index) === block),
    `block ${block} of rank ${rank}`,
  );
}

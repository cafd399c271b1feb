/** The rows of a sweep: sizes stepped and rounded as nccl-tests does (src/common.cu, src/all_gather.cu). */
import { ELEMENT_TYPES } from '../collectives/arithmetic.ts';
import { BLOCKS } from '../collectives/collective.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../collectives/names.ts';
import { assert } from '../common/assert.ts';
import { DATA_TYPES, type DataTypeWord, type ReduceOperationWord } from './data-types.ts';
import type { BenchOptions } from './options.ts';

/** Where every rank has a block, nccl-tests keeps it a multiple of this. */
const BLOCK_ALIGNMENT_BYTES = 16;

/** One row of the table. */
export interface BenchSize {
  /** Of the whole array: everything that is gathered, for all_gather. */
  readonly bytes: number;
  /** Elements that the call is given: of the vector, or of one rank's block; on average, for the V forms. */
  readonly count: number;
  readonly dataType: DataTypeWord;
  readonly reduceOp: ReduceOperationWord | 'none';
}

type SweepOptions = Pick<
  BenchOptions,
  | 'collective'
  | 'minBytes'
  | 'maxBytes'
  | 'stepFactor'
  | 'stepBytes'
  | 'dataTypes'
  | 'reduceOps'
  | 'countMultiple'
>;

/**
 * Every size from `minBytes` to `maxBytes`, with each type and reduction. A size that is no whole number
 * of elements (where every rank has a block: of 16-byte blocks on each rank; with `countMultiple`: of
 * so many elements) is rounded down, to 0 if need be: then nothing moves and the time is that of the call alone.
 */
export function benchSizes(options: SweepOptions, nranks: number): readonly BenchSize[] {
  const { collective, reduceOps, countMultiple: multiple } = options;
  // A barrier has no elements, of no type.
  const dataTypes = collective === 'barrier' ? options.dataTypes.slice(0, 1) : options.dataTypes;
  const reduces = BLOCKS[COLLECTIVE_WORDS[collective]].reduces;
  const operations = reduces ? reduceOps : (['none'] as const);
  const rows: BenchSize[] = [];
  for (const dataType of dataTypes) {
    for (const reduceOp of operations) {
      for (const bytes of steps(options)) {
        rows.push({
          ...rounded(collective, bytes, nranks, dataType, multiple),
          dataType,
          reduceOp,
        });
      }
    }
  }
  return rows;
}

/** Bytes of an element. */
export function elementBytes(dataType: DataTypeWord): number {
  return ELEMENT_TYPES[DATA_TYPES[dataType]].bytes;
}

/** Of a barrier there is one row. */
function* steps(options: SweepOptions): Generator<number> {
  const { collective, minBytes, maxBytes } = options;
  const last = collective === 'barrier' ? minBytes : maxBytes;
  for (let bytes = minBytes; bytes <= last; bytes = next(bytes, options)) yield bytes;
}

function next(bytes: number, { stepFactor, stepBytes }: SweepOptions): number {
  const following = stepFactor === undefined ? bytes + (stepBytes ?? 0) : bytes * stepFactor;
  assert(following > bytes, `Expected a step that makes ${bytes} larger`);
  return following;
}

function rounded(
  collective: CollectiveWord,
  bytes: number,
  nranks: number,
  dataType: DataTypeWord,
  multiple: number,
): { readonly bytes: number; readonly count: number } {
  if (collective === 'barrier') return { bytes: 0, count: 0 };
  const each = elementBytes(dataType);
  const { logicalBlocks } = BLOCKS[COLLECTIVE_WORDS[collective]];
  const shape = {
    collective: COLLECTIVE_WORDS[collective],
    nranks,
    chunks: 1,
    root: 0,
    scratch: [],
  };
  const isVector = logicalBlocks(shape) === 1 || collective === 'sendrecv';
  const parts = isVector ? 1 : nranks;
  const alignment = isVector ? multiple : multiple * (BLOCK_ALIGNMENT_BYTES / each);
  const count = Math.floor(bytes / each / parts / alignment) * alignment;
  return { bytes: count * parts * each, count };
}

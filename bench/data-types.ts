/** nccl-tests' names of element types and reductions, and what they are elsewhere. */
import type { ElementType, ReduceOperation } from '../collectives/arithmetic.ts';

/** In nccl-tests' order (src/common.h, `test_typenames`). */
export const DATA_TYPES = {
  int8: 'int8',
  uint8: 'uint8',
  int32: 'int32',
  uint32: 'uint32',
  int64: 'int64',
  uint64: 'uint64',
  half: 'float16',
  float: 'float32',
  double: 'float64',
  bfloat16: 'bfloat16',
} as const satisfies Readonly<Record<string, ElementType>>;

export type DataTypeWord = keyof typeof DATA_TYPES;

export const DATA_TYPE_WORDS = Object.keys(DATA_TYPES) as readonly DataTypeWord[];

export const REDUCE_OPERATION_WORDS = [
  'sum',
  'prod',
  'min',
  'max',
  'avg',
] as const satisfies readonly ReduceOperation[];

export type ReduceOperationWord = (typeof REDUCE_OPERATION_WORDS)[number];

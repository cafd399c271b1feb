/** What the table of kernels says of each: its tensors, its scalars, and which sizes fit together. */

/** What a kernel does to a tensor. */
export type TensorAccess = 'read' | 'write' | 'readwrite';

/** Integers of these ranges; `f32`, `f64`: any number, which `f32` rounds; `bool`: 0 or 1. */
export type ScalarType = 'u32' | 'i32' | 'f32' | 'f64' | 'bool';

/** Bytes of an element where nothing else is said: float32, and counters. */
const ELEMENT_BYTES = 4;

export interface KernelTensor {
  readonly access: TensorAccess;
  readonly elementBytes: number;
}

export interface KernelRow {
  /** Of 4-byte elements, unless it says otherwise. */
  readonly tensors: Readonly<Record<string, TensorAccess | KernelTensor>>;
  readonly scalars: Readonly<Record<string, ScalarType>>;
  /** Where the element count of the first tensor is passed, if it is. */
  readonly count: 'afterTensors' | 'last' | 'none';
  /** Whether a written tensor may be exactly one of those read. Partial overlap never is allowed. */
  readonly inPlace: boolean;
  /**
   * Elements of each tensor, given the first one's; `undefined` if the scalars are out of range.
   */
  sizes(scalars: readonly number[], count: number): readonly number[] | undefined;
}

/** The row's tensors in order, with the size of their elements. */
export function tensorsOf({ tensors }: KernelRow): readonly KernelTensor[] {
  return Object.values(tensors).map((tensor) =>
    typeof tensor === 'string' ? { access: tensor, elementBytes: ELEMENT_BYTES } : tensor,
  );
}

/** What the exported function of `row` is called with. */
export function argumentsOf(
  row: KernelRow,
  offsets: readonly number[],
  scalars: readonly number[],
  count: number,
): readonly number[] {
  if (row.count === 'afterTensors') return [...offsets, count, ...scalars];
  if (row.count === 'last') return [...offsets, ...scalars, count];
  return [...offsets, ...scalars];
}

/**
 * The element types of kernels. A kernel's name ends in the suffix of the type that it works on.
 */

interface ElementRow {
  readonly suffix: string;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly isInteger: boolean;
}

export const ELEMENTS = {
  int8: { suffix: 'i8', bytes: 1, isInteger: true },
  uint8: { suffix: 'u8', bytes: 1, isInteger: true },
  int32: { suffix: 'i32', bytes: 4, isInteger: true },
  uint32: { suffix: 'u32', bytes: 4, isInteger: true },
  int64: { suffix: 'i64', bytes: 8, isInteger: true },
  uint64: { suffix: 'u64', bytes: 8, isInteger: true },
  float16: { suffix: 'f16', bytes: 2, isInteger: false },
  float32: { suffix: 'f32', bytes: 4, isInteger: false },
  float64: { suffix: 'f64', bytes: 8, isInteger: false },
  bfloat16: { suffix: 'bf16', bytes: 2, isInteger: false },
} as const satisfies Record<string, ElementRow>;

export type KernelElement = keyof typeof ELEMENTS;

export type IntegerElement = Exclude<KernelElement, 'float16' | 'float32' | 'float64' | 'bfloat16'>;

export type Suffix<Type extends KernelElement> = (typeof ELEMENTS)[Type]['suffix'];

export const KERNEL_ELEMENTS = Object.keys(ELEMENTS) as readonly KernelElement[];

export function isInteger(type: KernelElement): type is IntegerElement {
  return ELEMENTS[type].isInteger;
}

/** Operations of a reduction; the place in the list is the number in `hcclRedOp_t`. */
export const KERNEL_OPERATIONS = ['sum', 'prod', 'min', 'max', 'avg'] as const;

export type KernelOperation = (typeof KERNEL_OPERATIONS)[number];

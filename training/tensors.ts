/** Jobs and tensors of float32 elements, as `step.ts` needs them. */
import type { KernelJob, Tensor } from '../node/device/job.ts';
import { FLOAT_BYTES } from './buckets.ts';
import type { Block } from './model.ts';

/** y += alpha * x */
export function scaleAdd(y: number, x: number, count: number, alpha: number): KernelJob {
  return kernel('scale_add_f32', [elements(y, 0, count), elements(x, 0, count)], [alpha]);
}

/** Every element becomes `value`. */
export function fill(tensor: Tensor, value: number): KernelJob {
  return kernel('fill_f32', [tensor], [value]);
}

/** A job of one kernel. */
export function kernel(
  name: KernelJob['kernel'],
  tensors: readonly Tensor[],
  scalars: readonly number[],
): KernelJob {
  return { kind: 'kernel', kernel: name, tensors, scalars };
}

/** `count` elements, `offset` elements behind `base`. */
export function elements(base: number, offset: number, count: number): Tensor {
  return { address: base + offset * FLOAT_BYTES, bytes: count * FLOAT_BYTES };
}

/** A block of the buffer at `base`. */
export function block(base: number, { offset, rows, columns }: Block): Tensor {
  return elements(base, offset, rows * columns);
}

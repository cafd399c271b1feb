/** A memory with the kernels bound to it, and views to fill and read it, for the kernel tests. */
import { type KernelSet, loadKernels } from '../../../../node/device/kernels/kernels.ts';

export interface KernelBench {
  readonly kernels: KernelSet;
  readonly buffer: ArrayBufferLike;
  /** Places values at byte offset `offset` (a multiple of 4) and returns it. */
  place(offset: number, values: ArrayLike<number>): number;
  floats(offset: number, count: number): Float32Array;
}

export function kernelBench(pages = 4): KernelBench {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const floats = (offset: number, count: number) => new Float32Array(memory.buffer, offset, count);
  return {
    kernels: loadKernels(memory),
    buffer: memory.buffer,
    place(offset, values) {
      floats(offset, values.length).set(values);
      return offset;
    },
    floats,
  };
}

/** The bits of each float32, so that NaN payloads and the sign of zero are compared too. */
export function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

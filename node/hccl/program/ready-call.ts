/** A call of which everything is looked up, so that it only has to be made. */
import { defined } from '../../../common/assert.ts';
import type { Kernel, KernelSet } from '../../device/kernels/kernels.ts';
import type { HcclCommChoice } from '../hccl.ts';
import type { ProgramOffer } from './program-collectives.ts';
import type { ProgramOperation } from './program-operation.ts';
import type { ProgramRunner } from './program-runner.ts';

export interface ReadyCall {
  /** What the program hears of how it was carried out. */
  readonly choice: HcclCommChoice | undefined;
  /** The operation with this number. */
  operation(sequence: number): ProgramOperation;
}

/** Makes calls ready in its own way: on shared memory, or on wires. */
export interface CallMaker {
  readonly runner: ProgramRunner;
  ready(offer: ProgramOffer): ReadyCall;
}

/** What the kernels do of a call that the host has named. */
export interface CallKernels {
  /** dst = a (op) b; absent if nothing is reduced. */
  readonly reduce: Kernel | undefined;
  /** What an average does to the sum in the output, when nobody reads it any more. */
  readonly finish: ((output: number) => void) | undefined;
}

export function kernelsOfCall(kernels: KernelSet, offer: ProgramOffer): CallKernels {
  const { reduceKernel, averageKernel, averageScalars, outputBytes, elementBytes } = offer;
  const reduce = reduceKernel === '' ? undefined : kernelOf(kernels, reduceKernel);
  if (averageKernel === '') return { reduce, finish: undefined };
  const average = kernelOf(kernels, averageKernel);
  const count = outputBytes / elementBytes;
  return {
    reduce,
    finish(output) {
      if (count > 0) average(output, output, count, ...averageScalars);
    },
  };
}

/** What ranks compare to know that they make the same call: FNV-1a of Fowler, Noll and Vo, 32 bits; never 0. */
export function digestOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  // 0 is no call's.
  return hash >>> 0 || 1;
}

function kernelOf(kernels: KernelSet, name: string): KernelSet[keyof KernelSet] {
  return defined(
    (kernels as Readonly<Record<string, KernelSet[keyof KernelSet]>>)[name],
    'a kernel',
  );
}

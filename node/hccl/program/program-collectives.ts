/** Collectives that the program's thread runs, and what the host says of a call of one. */
import type { CollectiveName } from '../../../collectives/collective.ts';
import type { SharedBuffer } from '../shared/shared-operation.ts';

/** Collectives that it can run; the others are its host's. */
export const PROGRAM_COLLECTIVES = {
  hcclAllReduce: 'allReduce',
  hcclAllGather: 'allGather',
  hcclReduceScatter: 'reduceScatter',
  hcclBroadcast: 'broadcast',
  hcclReduce: 'reduce',
  hcclGather: 'gather',
  hcclScatter: 'scatter',
} as const satisfies Readonly<Record<string, CollectiveName>>;

/** The answer to hcclProgramPrepare: everything that the program's thread needs to run the call. */
export type ProgramOffer = {
  readonly mode: 'small' | 'pull' | 'declined';
  readonly text: string;
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly topology: { readonly boxes: number; readonly ranksPerBox: number };
  readonly root: number;
  readonly count: number;
  readonly elementBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly input: SharedBuffer;
  readonly output: SharedBuffer;
  /** Names of kernels; empty for none. */
  readonly reduceKernel: string;
  readonly averageKernel: string;
  readonly averageScalars: readonly number[];
};

/** Calls of all ranks of a world, and where their buffers lie in what each rank has for them. */
import { BLOCKS, type CollectiveName } from '../../../../collectives/collective.ts';
import type { Rank } from '../../../../collectives/schedule.ts';
import { algorithmsFor } from '../../../../collectives/table.ts';
import { flatTopology } from '../../../../collectives/topology.ts';
import { ranksOf } from '../../../../common/math.ts';
import type { Prng } from '../../../../common/prng.ts';
import type { PullChoice } from '../../../../node/hccl/shared/shared-offer.ts';
import type { SharedBuffer } from '../../../../node/hccl/shared/shared-operation.ts';

/** One call of all ranks. */
export interface WorldCall {
  readonly mode: 'small' | 'pull';
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly root: Rank;
  readonly count: number;
  readonly type: 'float32' | 'uint8' | 'float64' | 'bfloat16';
  readonly op: 'sum' | 'max' | 'avg';
  /** By rank. */
  readonly inPlace: readonly boolean[];
}

export const TYPE_BYTES = { float32: 4, uint8: 1, float64: 8, bfloat16: 2 } as const;

/** Collectives that reduce. */
export const REDUCING: readonly CollectiveName[] = ['allReduce', 'reduceScatter', 'reduce'];
const ROOTED: readonly CollectiveName[] = ['broadcast', 'reduce', 'gather', 'scatter'];

/** A rank of a world: its two windows lie side by side. */
export interface CallPlace {
  readonly rank: Rank;
  readonly nranks: number;
  readonly windows: readonly [number, number];
}

export function describeWorldCall(call: WorldCall): string {
  const { collective, algorithm, count, type, op, root } = call;
  return `${collective} ${algorithm} ${count} ${type} ${op} ${root}`;
}

/** Sizes of a rank's buffers for a call. */
export function callSizes(
  { collective, count, type, root }: WorldCall,
  { rank, nranks }: Pick<CallPlace, 'rank' | 'nranks'>,
): { readonly input: number; readonly output: number } {
  const { inputBlocks, outputBlocks } = BLOCKS[collective];
  const shape = { collective, nranks, root, chunks: 1, scratch: [] };
  const bytes = count * TYPE_BYTES[type];
  return { input: bytes * inputBlocks(shape, rank), output: bytes * outputBlocks(shape, rank) };
}

/** Where a rank's buffers lie in its windows, the second one for the output unless it is in place. */
export function callBuffers(
  call: WorldCall,
  place: CallPlace,
  shift: number,
): { readonly input: SharedBuffer; readonly output: SharedBuffer } {
  const { rank, windows } = place;
  const { input, output } = callSizes(call, place);
  const at = (index: 0 | 1, offset: number, bytes: number): SharedBuffer => {
    if (bytes === 0) return { offset: 0, window: 0, windowOffset: 0 };
    return { offset: windows[index] + offset, window: index + 1, windowOffset: offset };
  };
  if (!call.inPlace[rank] || input === 0 || output === 0)
    return { input: at(0, shift, input), output: at(1, shift, output) };
  const { inPlace } = BLOCKS[call.collective];
  const own = rank * Math.min(input, output);
  return {
    input: at(0, inPlace === 'inputInOutput' ? shift + own : shift, input),
    output: at(0, inPlace === 'outputInInput' ? shift + own : shift, output),
  };
}

/** What of a call is to be random. */
export interface CallChoices {
  readonly nranks: number;
  readonly small: readonly CollectiveName[];
  /** What the algorithm of a small one is called. */
  smallAlgorithm(collective: CollectiveName): string;
  readonly pulled: readonly CollectiveName[];
  readonly counts: readonly number[];
  /** Whether operands of so many bytes, which each rank has, may be small ones. */
  fits(collective: CollectiveName, operandBytes: number): boolean;
  isRunnable(choice: PullChoice): boolean;
}

const TYPES = ['float32', 'uint8', 'float64', 'bfloat16'] as const;
const OPS = ['sum', 'max', 'avg'] as const;

export function randomCall(prng: Prng, choices: CallChoices): WorldCall {
  const { nranks, counts } = choices;
  const mode = pick(prng, ['small', 'pull'] as const);
  const collective = pick(prng, mode === 'small' ? choices.small : choices.pulled);
  const root = ROOTED.includes(collective) ? prng.below(nranks) : 0;
  const type = pick(prng, TYPES);
  const parts = collective === 'reduceScatter' ? nranks : 1;
  const fits = (count: number) => choices.fits(collective, count * parts * TYPE_BYTES[type]);
  const count = pick(prng, mode === 'small' ? counts.filter(fits) : counts);
  const inPlace = ranksOf(nranks).map(() => prng.below(2) === 0);
  const op = REDUCING.includes(collective) ? pick(prng, OPS) : 'sum';
  const common = { mode, collective, root, count, type, op, inPlace } as const;
  if (mode === 'small') return { ...common, algorithm: choices.smallAlgorithm(collective) };
  const algorithms = algorithmsFor(collective).filter((algorithm) => {
    try {
      const topology = flatTopology(nranks);
      return choices.isRunnable({ collective, algorithm, topology, root, count, elementBytes: 4 });
    } catch {
      // Not with so many ranks.
      return false;
    }
  });
  return { ...common, algorithm: pick(prng, algorithms) };
}

function pick<T>(prng: Prng, some: readonly T[]): T {
  return some[prng.below(some.length)] as T;
}

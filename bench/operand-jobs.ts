/**
 * Test data of a sweep as jobs for the device: operands that differ by rank and by element, and the
 * comparison of every element of a result. Pure. The operands are such that no order of reduction makes
 * a difference (`node/device/kernels/operands.ts`); for `digest` they are scaled so that it does.
 */
import { MiB } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import type { KernelJob, Tensor } from '../node/device/job.ts';
import { preMulKernel, preMulScalars } from '../node/device/kernels/element-kernels.ts';
import {
  ELEMENTS,
  KERNEL_OPERATIONS,
  type KernelOperation,
} from '../node/device/kernels/element-types.ts';
import { operandRange } from '../node/device/kernels/operands.ts';
import type { BenchBuffers } from './buffers.ts';
import { DATA_TYPES } from './data-types.ts';
import type { Layout, Place } from './layout.ts';
import type { BenchSize } from './sizes.ts';

/** One measurement of one rank. */
export interface Measured {
  readonly layout: Layout;
  readonly size: BenchSize;
  readonly place: Place;
  readonly seed: number;
  readonly rank: number;
  readonly nranks: number;
}

/**
 * Jobs run on the host's own thread, one after the other, with everything else in between: none may
 * take longer than a few milliseconds. Bytes that one job fills, or compares times the ranks whose
 * operands it computes.
 */
const JOB_BYTES = 2 * MiB;

/** What no operand and no result has in its bytes where it can be told: NaN, or out of range. */
const UNWRITTEN_SIGNED = 0x80;
const UNWRITTEN = 0xff;
/** Operations of a copy: any whose operands are spread widely. */
const COPIED_AS: KernelOperation = 'max';
/** No float of any type; multiplied by it, sums of operands are rounded. */
const ROUNDING_FACTOR = 0.3;

/** Addresses of the buffers of a call. */
export function buffersOf(
  { send, recv }: BenchBuffers,
  { layout, size, place }: Pick<Measured, 'layout' | 'size' | 'place'>,
): { readonly input: number; readonly output: number } {
  const { bytes } = ELEMENTS[DATA_TYPES[size.dataType]];
  if (place === 'outOfPlace') return { input: send, output: recv };
  const { input, output } = layout.inPlace;
  return { input: recv + input * bytes, output: recv + output * bytes };
}

/** Fills the input with operands, the rest of the result with what is always wrong. */
export function prepareJobs(buffers: BenchBuffers, measured: Measured): KernelJob[] {
  const { layout, size, place, nranks, rank, seed } = measured;
  const type = DATA_TYPES[size.dataType];
  const whole = place === 'inPlace' ? layout.inPlace.length : layout.outputLength;
  const unwritten = type.startsWith('int') ? UNWRITTEN_SIGNED : UNWRITTEN;
  const { input } = buffersOf(buffers, measured);
  const operation = operationNumber(size);
  return [
    ...piecesOf(size, { address: buffers.recv, length: whole }, 1).map(({ tensor }) =>
      kernel('fill_u8', [tensor], [unwritten]),
    ),
    ...piecesOf(size, { address: input, length: layout.inputLength }, 1).map(({ tensor, start }) =>
      kernel(
        `fill_operands_${ELEMENTS[type].suffix}`,
        [tensor],
        [operation, nranks, rank, seed, start],
      ),
    ),
  ];
}

/** Makes the operands in the input such that sums of them are rounded; nothing for integers. */
export function roundingJobs(buffers: BenchBuffers, measured: Measured): KernelJob[] {
  const { layout, size } = measured;
  const type = DATA_TYPES[size.dataType];
  if (ELEMENTS[type].isInteger) return [];
  const { input } = buffersOf(buffers, measured);
  const scalars = preMulScalars(type, ROUNDING_FACTOR);
  return piecesOf(size, { address: input, length: layout.inputLength }, 1).map(({ tensor }) =>
    kernel(preMulKernel(type), [tensor, tensor], scalars),
  );
}

/** Counts, into the counter, the elements that are not bit for bit what they must be. */
export function checkJobs(buffers: BenchBuffers, measured: Measured): KernelJob[] {
  const { layout, size, seed, nranks } = measured;
  const { bytes, suffix } = ELEMENTS[DATA_TYPES[size.dataType]];
  const { output } = buffersOf(buffers, measured);
  const counter: Tensor = { address: buffers.counter, bytes: 4 };
  const operation = operationNumber(size);
  const checks = layout.expected.flatMap(({ offset, length, firstRank, ranks, firstIndex }) =>
    piecesOf(size, { address: output + offset * bytes, length }, ranks).map(({ tensor, start }) =>
      kernel(
        `check_reduced_${suffix}`,
        [tensor, counter],
        [operation, nranks, firstRank, ranks, seed, firstIndex + start],
      ),
    ),
  );
  return [kernel('fill_u8', [counter], [0]), ...checks];
}

/**
 * Refuses a sweep over so many ranks that a reduction of operands would not be exact.
 *
 * @throws HlsimError `HLSIM_USAGE`
 */
export function expectOperands(sizes: readonly BenchSize[], nranks: number): void {
  const broken = sizes.find(
    ({ dataType, reduceOp }) =>
      operandRange(DATA_TYPES[dataType], reduceOp === 'none' ? COPIED_AS : reduceOp, nranks) === 0,
  );
  if (broken === undefined) return;
  const { dataType, reduceOp } = broken;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected fewer than ${nranks} ranks: no operands of ${dataType} for ${reduceOp} are exact for so many: use a type with more bits, another operation, or fewer hosts`,
    { fields: { dataType, reduceOp, nranks } },
  );
}

interface Elements {
  readonly address: number;
  readonly length: number;
}

interface Piece {
  readonly tensor: Tensor;
  /** Index of its first element among the elements. */
  readonly start: number;
}

/** Runs of elements that one job takes, of which each is computed `times` times. */
function piecesOf(
  { dataType }: BenchSize,
  { address, length }: Elements,
  times: number,
): readonly Piece[] {
  const { bytes } = ELEMENTS[DATA_TYPES[dataType]];
  const most = Math.max(1, Math.floor(JOB_BYTES / (bytes * times)));
  return Array.from({ length: Math.ceil(length / most) }, (_, index) => {
    const start = index * most;
    const count = Math.min(most, length - start);
    return { tensor: { address: address + start * bytes, bytes: count * bytes }, start };
  });
}

function operationNumber({ reduceOp }: BenchSize): number {
  return KERNEL_OPERATIONS.indexOf(reduceOp === 'none' ? COPIED_AS : reduceOp);
}

function kernel(
  name: KernelJob['kernel'],
  tensors: readonly Tensor[],
  scalars: readonly number[],
): KernelJob {
  return { kind: 'kernel', kernel: name, tensors, scalars };
}

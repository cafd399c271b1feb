/**
 * Checks a job at submission and binds it to the memory it names. What is wrong with a job shows here,
 * before anything runs; what can go wrong later is only that its memory went away.
 */
import type { Errno } from '../../common/errno.ts';
import type { Hbm } from './hbm.ts';
import type { DmaJob, Job, KernelJob, Tensor } from './job.ts';
import {
  argumentsOf,
  type KernelRow,
  type KernelTensor,
  type ScalarType,
  tensorsOf,
} from './kernels/kernel-row.ts';
import type { KernelSet } from './kernels/kernels.ts';
import { KERNELS, type KernelName } from './kernels/table.ts';
import { copyBytes, mappedBytes } from './mapped-bytes.ts';
import { deviceOffsetOf, isLive, type MappedRange, type Mmu } from './mmu.ts';

/** Where a job's addresses lead and what carries it out. */
export interface JobMemory {
  readonly hbm: Hbm;
  readonly mmu: Mmu;
  readonly kernels: KernelSet;
}

export interface PreparedJob {
  readonly ranges: readonly MappedRange[];
  /** EIO, and nothing is done, if a range's memory was taken away. */
  run(): Errno | undefined;
}

/** EINVAL: the job makes no sense. EFAULT: an address is not the caller's to use. */
export function prepareJob(memory: JobMemory, job: Job): PreparedJob | Errno {
  return job.kind === 'dma' ? prepareDma(memory, job) : prepareKernel(memory, job);
}

function prepareDma({ hbm, mmu }: JobMemory, job: DmaJob): PreparedJob | Errno {
  const { source, destination, bytes } = job;
  if (overlap(source, bytes, destination, bytes)) return 'EINVAL';
  const from = mmu.translate(source, bytes);
  if (typeof from === 'string') return from;
  const to = mmu.translate(destination, bytes);
  if (typeof to === 'string') return to;
  return {
    ranges: [from, to],
    run() {
      const sourceBytes = mappedBytes(hbm, from);
      if (typeof sourceBytes === 'string') return sourceBytes;
      const destinationBytes = mappedBytes(hbm, to);
      if (typeof destinationBytes === 'string') return destinationBytes;
      copyBytes(destinationBytes, sourceBytes);
      return undefined;
    },
  };
}

/** A tensor in the device's own memory. */
interface BoundTensor extends KernelTensor {
  readonly range: MappedRange;
  /** Offset in the device's memory, a multiple of the element's size. */
  readonly offset: number;
  readonly bytes: number;
}

/** What the table says of a kernel, as lists. */
interface KernelForm {
  readonly row: KernelRow;
  readonly tensors: readonly KernelTensor[];
  readonly scalars: readonly ScalarType[];
}

/** Of the kernels that have been submitted so far. */
const forms = new Map<KernelName, KernelForm>();

function formOf(kernel: KernelName): KernelForm {
  const known = forms.get(kernel);
  if (known !== undefined) return known;
  const row: KernelRow = KERNELS[kernel];
  const form = { row, tensors: tensorsOf(row), scalars: Object.values(row.scalars) };
  forms.set(kernel, form);
  return form;
}

function prepareKernel({ mmu, kernels }: JobMemory, job: KernelJob): PreparedJob | Errno {
  const form = formOf(job.kernel);
  const { row } = form;
  if (job.tensors.length !== form.tensors.length) return 'EINVAL';
  if (!scalarsFit(form.scalars, job.scalars)) return 'EINVAL';
  const tensors: BoundTensor[] = [];
  const offsets: number[] = [];
  const ranges: MappedRange[] = [];
  for (let index = 0; index < form.tensors.length; index++) {
    const tensor = bindTensor(mmu, job.tensors[index], form.tensors[index] as KernelTensor);
    if (typeof tensor === 'string') return tensor;
    tensors.push(tensor);
    offsets.push(tensor.offset);
    ranges.push(tensor.range);
  }
  if (!sizesFit(row, job.scalars, tensors) || !placesFit(row, tensors)) return 'EINVAL';
  const kernelArguments = argumentsOf(row, offsets, job.scalars, countOf(tensors));
  return {
    ranges,
    run() {
      if (!ranges.every(isLive)) return 'EIO';
      kernels[job.kernel](...kernelArguments);
      return undefined;
    },
  };
}

/** EFAULT for an address outside device memory: a kernel sees its own device, and what is imported, alone. */
function bindTensor(
  mmu: Mmu,
  tensor: Tensor | undefined,
  kernelTensor: KernelTensor,
): BoundTensor | Errno {
  const { access, elementBytes } = kernelTensor;
  if (tensor === undefined || tensor.bytes % elementBytes !== 0) return 'EINVAL';
  const range = mmu.translate(tensor.address, tensor.bytes);
  if (typeof range === 'string') return range;
  const start = deviceOffsetOf(range.mapping);
  if (start === undefined) return 'EFAULT';
  const offset = start + range.offset;
  if (offset % elementBytes !== 0) return 'EINVAL';
  return { access, elementBytes, range, offset, bytes: tensor.bytes };
}

/** Elements of the first tensor. */
function countOf([first]: readonly BoundTensor[]): number {
  return first === undefined ? 0 : first.bytes / first.elementBytes;
}

/** The least integer of each type, and the first that is too large. */
const INTEGER_SCALARS = { bool: [0, 2], u32: [0, 2 ** 32], i32: [-(2 ** 31), 2 ** 31] } as const;

function scalarsFit(types: readonly ScalarType[], scalars: readonly number[]): boolean {
  if (scalars.length !== types.length) return false;
  return types.every((type, index) => {
    const scalar = scalars[index] ?? Number.NaN;
    if (type === 'f32' || type === 'f64') return true;
    const [least, limit] = INTEGER_SCALARS[type];
    return Number.isInteger(scalar) && scalar >= least && scalar < limit;
  });
}

function sizesFit(
  row: KernelRow,
  scalars: readonly number[],
  tensors: readonly BoundTensor[],
): boolean {
  const sizes = row.sizes(scalars, countOf(tensors));
  return (
    sizes?.every((elements, index) => {
      const tensor = tensors[index];
      return tensor !== undefined && tensor.bytes === elements * tensor.elementBytes;
    }) ?? false
  );
}

/** A written tensor is disjoint from all others, or, for a kernel that allows it, is one it reads. */
function placesFit(row: KernelRow, tensors: readonly BoundTensor[]): boolean {
  return tensors.every((one, index) => {
    for (let next = index + 1; next < tensors.length; next++) {
      if (!pairFits(row, one, tensors[next] as BoundTensor)) return false;
    }
    return true;
  });
}

function pairFits(row: KernelRow, one: BoundTensor, other: BoundTensor): boolean {
  if (one.access === 'read' && other.access === 'read') return true;
  if (!overlap(one.offset, one.bytes, other.offset, other.bytes)) return true;
  const isSame = one.offset === other.offset && one.bytes === other.bytes;
  return row.inPlace && isSame && (one.access === 'read' || other.access === 'read');
}

function overlap(a: number, aBytes: number, b: number, bBytes: number): boolean {
  return aBytes > 0 && bBytes > 0 && a < b + bBytes && b < a + aBytes;
}

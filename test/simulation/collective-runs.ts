/** Any collective, on real buffers of a simulated rank, beside what its schedule gives on plain arrays. */
import { ELEMENT_TYPES, type ElementType, elementArray } from '../../collectives/arithmetic.ts';
import { type ChunkTable, chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import {
  type CollectiveName,
  type CollectiveShape,
  inPlaceAlias,
} from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { type RunOptions, runPrograms } from '../../collectives/reference.ts';
import { buildSchedule } from '../../collectives/table.ts';
import type { Topology } from '../../collectives/topology.ts';
import { defined } from '../../common/assert.ts';
import { roundUp } from '../../common/math.ts';
import { Prng } from '../../common/prng.ts';
import { synStreamSynchronize } from '../../node/hccl/api.ts';
import * as collective from '../../node/hccl/collective-api.ts';
import type { HcclCommChoice, HcclDataType } from '../../node/hccl/hccl.ts';
import { allocate, type InlineRank, readBytes, writeBytes } from './simulated-cluster.ts';

/** A call as all ranks make it. */
export interface CollectiveCase {
  readonly collective: CollectiveName;
  /** As `chunkTable` takes them: for all ranks. */
  readonly counts: ElementCounts;
  readonly root: number;
  readonly type: ElementType;
  readonly op: NonNullable<RunOptions['op']>;
  readonly placement: 'inPlace' | 'outOfPlace';
  /** By rank: the input is scaled with a reduction that the program creates. */
  readonly scalars?: readonly number[];
}

/** Bytes around each buffer that nobody may write. */
const GUARD_BYTES = 64;
const GUARD = 0x5a;
const REDUCE_OPS = { sum: 0, prod: 1, min: 2, max: 3, avg: 4 } as const;

function shapeOf({ collective: name, root }: CollectiveCase, nranks: number): CollectiveShape {
  return { collective: name, nranks, chunks: 1, root, scratch: [] };
}

/** Small numbers, so that integers divide with and without a rest and floats are exact in every type. */
export function inputOf(one: CollectiveCase, nranks: number, rank: number): Uint8Array {
  const { type } = one;
  const count = tableOf(one, nranks).bufferLength(rank, 'input');
  const bytes = new Uint8Array(count * ELEMENT_TYPES[type].bytes);
  const prng = new Prng(count * 64 + rank);
  const elements = elementArray(type, bytes.buffer, 0, count);
  for (let index = 0; index < count; index++) {
    const value = 1 + (prng.uint32() % 3);
    elements[index] = (
      type === 'int64' || type === 'uint64' ? BigInt(value) : bitsOf(type, value)
    ) as never;
  }
  return bytes;
}

/** 16-bit floats are given by their bits: those of 1, 2 and 3. */
function bitsOf(type: ElementType, value: number): number {
  if (type === 'float16') return [0, 0x3c00, 0x4000, 0x4200][value] ?? 0;
  if (type === 'bfloat16') return [0, 0x3f80, 0x4000, 0x4040][value] ?? 0;
  return value;
}

function tableOf(one: CollectiveCase, nranks: number): ChunkTable {
  return chunkTable(shapeOf(one, nranks), one.counts);
}

/** Every rank's output, as the schedule of `choice` gives it. */
export function expectedOutputs(
  one: CollectiveCase,
  topology: Topology,
  choice: Pick<HcclCommChoice, 'algorithm' | 'channels' | 'chunks'>,
): Uint8Array[] {
  const { collective: name, root, type, op, placement, counts, scalars } = one;
  const nranks = topology.boxes * topology.ranksPerBox;
  const { algorithm, channels, chunks } = choice;
  const schedule = buildSchedule({
    collective: name,
    algorithm,
    topology,
    root,
    placement,
    channels,
    ...(chunks !== undefined && { chunks }),
  });
  const programs = lowerAll(schedule);
  const table = chunkTable(defined(programs[0], 'a program'), counts);
  const inputs = Array.from({ length: nranks }, (_, rank) => {
    const { buffer, byteLength } = inputOf(one, nranks, rank);
    return elementArray(type, buffer, 0, byteLength / ELEMENT_TYPES[type].bytes);
  });
  const isLarge = type === 'int64' || type === 'uint64';
  const outputs = runPrograms(programs, table, inputs, {
    inPlace: placement === 'inPlace',
    type,
    op,
    ...(scalars !== undefined && { scalars: isLarge ? scalars.map(BigInt) : scalars }),
  });
  return outputs.map(({ buffer, byteOffset, byteLength }) =>
    new Uint8Array(buffer, byteOffset, byteLength).slice(),
  );
}

interface Buffers {
  readonly send: number;
  readonly recv: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Makes the call of one rank with buffers of its own, and checks what must not change. */
export async function runCase(
  rank: InlineRank,
  fd: number,
  comm: number,
  one: CollectiveCase,
): Promise<Uint8Array> {
  const buffers = await buffersOf(rank, fd, one);
  const { send, recv, inputBytes, outputBytes } = buffers;
  const input = inputOf(one, rank.nranks, rank.rank);
  if (inputBytes > 0) await writeBytes(rank, fd, send, padded(input));
  await post(rank, comm, one, buffers);
  await synStreamSynchronize(rank.channel);
  if (one.placement === 'outOfPlace' && inputBytes > 0) {
    const after = await readBytes(rank, fd, send, inputBytes);
    if (!Buffer.from(after).equals(Buffer.from(input))) throw new Error('The input has changed');
  }
  await checkGuard(rank, fd, buffers);
  return outputBytes === 0 ? new Uint8Array() : readBytes(rank, fd, recv, outputBytes);
}

/** What lies behind the last buffer is as it was. */
async function checkGuard(rank: InlineRank, fd: number, buffers: Buffers): Promise<void> {
  const { send, recv, inputBytes, outputBytes } = buffers;
  const end = Math.max(send + inputBytes, recv + outputBytes);
  const found = await readBytes(rank, fd, roundUp(end, 4), GUARD_BYTES / 2);
  if (found.some((byte) => byte !== GUARD)) throw new Error('Bytes behind a buffer have changed');
}

/** Input before output in one allocation; in place one in the other. */
async function buffersOf(rank: InlineRank, fd: number, one: CollectiveCase): Promise<Buffers> {
  const { nranks } = rank;
  const table = tableOf(one, nranks);
  const bytesOf = ELEMENT_TYPES[one.type].bytes;
  const inputBytes = bytesOf * table.bufferLength(rank.rank, 'input');
  const outputBytes = bytesOf * table.bufferLength(rank.rank, 'output');
  const gap = roundUp(inputBytes, 64) + GUARD_BYTES;
  const total = gap + roundUp(outputBytes, 64) + GUARD_BYTES;
  const base = await allocate(rank.channel, fd, total);
  await writeBytes(rank, fd, base, new Uint8Array(total).fill(GUARD));
  const alias = inPlaceAlias(shapeOf(one, nranks), rank.rank);
  if (one.placement === 'outOfPlace' || alias === undefined) {
    return { send: base, recv: base + gap, inputBytes, outputBytes };
  }
  const whole = { buffer: alias.whole, chunk: alias.chunk } as const;
  const part = base + bytesOf * table.range(rank.rank, whole, 0).offset;
  const [send, recv] = alias.part === 'input' ? [part, base] : [base, part];
  return { send, recv, inputBytes, outputBytes };
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(roundUp(bytes.byteLength, 4)).fill(GUARD);
  whole.set(bytes);
  return whole;
}

async function post(rank: InlineRank, comm: number, one: CollectiveCase, { send, recv }: Buffers) {
  const { channel, nranks } = rank;
  const { counts, root } = one;
  const type = ELEMENT_TYPES[one.type].hcclDataType as HcclDataType;
  const scalar = one.scalars?.[rank.rank];
  const op =
    scalar === undefined
      ? REDUCE_OPS[one.op]
      : await collective.hcclRedOpCreatePreMulSum(channel, scalar, type, comm);
  const list = typeof counts === 'number' ? [] : counts;
  const count = typeof counts === 'number' ? counts : 0;
  const row = list.slice(rank.rank * nranks, (rank.rank + 1) * nranks);
  const column = list.filter((_, index) => index % nranks === rank.rank);
  switch (one.collective) {
    case 'allReduce':
      return collective.hcclAllReduce(channel, send, recv, count, type, op, comm);
    case 'reduce':
      return collective.hcclReduce(channel, send, recv, count, type, op, root, comm);
    case 'broadcast':
      return collective.hcclBroadcast(channel, send, recv, count, type, root, comm);
    case 'allGather':
      return collective.hcclAllGather(channel, send, recv, count, type, comm);
    case 'reduceScatter':
      return collective.hcclReduceScatter(channel, send, recv, count, type, op, comm);
    case 'allToAll':
      return collective.hcclAlltoAll(channel, send, recv, count, type, comm);
    case 'gather':
      return collective.hcclGather(channel, send, recv, count, type, root, comm);
    case 'scatter':
      return collective.hcclScatter(channel, send, recv, count, type, root, comm);
    case 'allGatherV':
      return collective.hcclAllGatherV(channel, send, recv, list, type, comm);
    case 'reduceScatterV':
      return collective.hcclReduceScatterV(channel, send, recv, list, type, op, comm);
    case 'allToAllV':
      return collective.hcclAlltoAllV(channel, send, recv, row, column, type, comm);
    default:
      throw new Error(`No call is ${one.collective}`);
  }
}

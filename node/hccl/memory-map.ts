/** Where the engine's operands lie: from buffers, slots and staged messages to device addresses. */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { Job } from '../device/job.ts';
import { reduceKernel } from '../device/kernels/element-kernels.ts';
import type { FiMr } from '../fabric/fabric.ts';
import type { Computation, Operand } from './engine-ports.ts';
import { HCCL_DATA_TYPES, reductionOf } from './hccl.ts';
import { slotOffset } from './lanes.ts';
import type { Operation } from './operation.ts';
import type { Entries, PlanConnection } from './plan.ts';

/** This rank's receive slots. */
export interface SlotPool {
  readonly address: number;
  readonly mr: FiMr;
}

interface Owner {
  readonly rank: Rank;
  readonly nranks: number;
  readonly slots: SlotPool | undefined;
}

/** The registration that covers an operand. */
export function registrationOf(owner: Owner, operation: Operation, operand: Operand): FiMr {
  if (operand.kind === 'buffer')
    return defined(operation.buffer(operand.buffer).mr, 'the registration');
  if (operand.kind === 'slot' && operand.connection.slots === undefined)
    return defined(owner.slots, 'the receive slots').mr;
  return defined(operation.buffer('scratch').mr, 'the registration');
}

/** Device address of an operand. */
export function addressOf(owner: Owner, operation: Operation, operand: Operand): number {
  switch (operand.kind) {
    case 'buffer':
      return operation.buffer(operand.buffer).address + operand.offset;
    case 'slot':
      return slotAddress(owner, operation, operand.connection, operand.message);
    case 'staging': {
      const staging = defined(operand.connection.staging, 'memory for staged messages');
      return operation.buffer('scratch').address + entryOffset(staging, operand.message);
    }
  }
}

function slotAddress(
  owner: Owner,
  operation: Operation,
  { peer, peerIndex, lane, slots }: PlanConnection,
  message: number,
): number {
  if (slots === undefined) {
    const offset = slotOffset(owner.nranks, owner.rank, peer, lane, message);
    return defined(owner.slots, 'the receive slots').address + offset;
  }
  const own = defined(operation.plan.peers[peerIndex]?.slots, 'slots of the lane');
  return operation.buffer('scratch').address + own.offset + entryOffset(slots, message);
}

/** Where message `message` of a lane lies in the slots that its receiver offers. */
export function remoteSlotOffset(
  { rank, nranks }: Owner,
  { peer, lane, slots }: PlanConnection,
  message: number,
): number {
  if (slots === undefined) return slotOffset(nranks, peer, rank, lane, message);
  return entryOffset(slots, message);
}

function entryOffset({ offset, count, stride }: Entries, message: number): number {
  return offset + (message % count) * stride;
}

/** The device job that does a computation. */
export function computationJob(owner: Owner, operation: Operation, work: Computation): Job {
  const { bytes } = work;
  const dst = addressOf(owner, operation, work.dst);
  if (work.kind === 'copy') {
    const source = addressOf(owner, operation, work.src);
    return { kind: 'dma', source, destination: dst, bytes };
  }
  const tensors = [
    { address: dst, bytes },
    { address: addressOf(owner, operation, work.a), bytes },
    { address: addressOf(owner, operation, work.b), bytes },
  ];
  const { dataType, reduceOp } = operation.call;
  const type = defined(HCCL_DATA_TYPES.get(dataType), 'the data type');
  const kernel = reduceKernel(reductionOf(reduceOp), type.name);
  return { kind: 'kernel', kernel, tensors, scalars: NO_SCALARS };
}

const NO_SCALARS: readonly number[] = [];

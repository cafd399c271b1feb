/** Where the engine's operands lie: from (buffer, offset) and (slot, number) to device addresses. */

import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { Job } from '../device/job.ts';
import type { FiMr } from '../fabric/fabric.ts';
import type { Computation, Operand } from './engine-ports.ts';
import { HCCL_DATA_TYPES } from './hccl.ts';
import { slotOffset } from './lanes.ts';
import type { Operation } from './operation.ts';

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

/** Device address of an operand, and the registration that covers it. */
export function deviceAddress(
  owner: Owner,
  operation: Operation,
  operand: Operand,
): { readonly address: number; readonly mr: FiMr } {
  if (operand.kind === 'buffer') {
    const buffer = operation.buffer(operand.buffer);
    return { address: buffer.address + operand.offset, mr: defined(buffer.mr, 'the registration') };
  }
  const { peer, channel } = defined(operation.plan.inbound[operand.inbound], 'the connection');
  const slots = defined(owner.slots, 'the receive slots');
  const offset = slotOffset(owner.nranks, owner.rank, peer, channel, operand.message);
  return { address: slots.address + offset, mr: slots.mr };
}

/** Address of slot message `message` in `peer`'s pool, for what `owner` sends there. */
export function remoteSlotAddress(
  owner: Owner,
  slots: { readonly address: number; readonly key: bigint },
  peer: Rank,
  channel: number,
  message: number,
): { readonly address: number; readonly key: bigint } {
  const offset = slotOffset(owner.nranks, peer, owner.rank, channel, message);
  return { address: slots.address + offset, key: slots.key };
}

/** The device job that does a computation. */
export function computationJob(owner: Owner, operation: Operation, work: Computation): Job {
  const at = (operand: Operand): number => addressOf(owner, operation, operand);
  const { bytes } = work;
  if (work.kind === 'copy') {
    return { kind: 'dma', source: at(work.src), destination: at(work.dst), bytes };
  }
  const tensors = [work.dst, work.a, work.b].map((operand) => ({ address: at(operand), bytes }));
  const type = defined(HCCL_DATA_TYPES.get(operation.call.dataType), 'the data type');
  return { kind: 'kernel', kernel: type.sumKernel, tensors, scalars: [] };
}

function addressOf(owner: Owner, operation: Operation, operand: Operand): number {
  if (operand.kind === 'buffer') return operation.buffer(operand.buffer).address + operand.offset;
  return deviceAddress(owner, operation, operand).address;
}

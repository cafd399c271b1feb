/**
 * A checked collective at its turn: registers its buffers for the time of the operation, plans it, runs
 * it, and does what its reduction wants done before and after.
 */

import { defined } from '../../common/assert.ts';
import { messageOf } from '../../common/errors.ts';
import { roundUp } from '../../common/math.ts';
import type { FiMr } from '../fabric/fabric.ts';
import type { CheckedCall } from './collective-call.ts';
import { averageOnDevice, multiplyOnDevice } from './device-work.ts';
import { type HcclFailure, resultOf } from './failure.ts';
import { HCCL_DATA_TYPES, type HcclDataTypeRow } from './hccl.ts';
import type { OpenCommunicator } from './open-communicator.ts';
import type { LocalBuffer } from './operation.ts';
import { apiName } from './operation-call.ts';
import type { Plan } from './plan.ts';

export interface BufferAddresses {
  readonly sendBuffer: number;
  readonly recvBuffer: number;
}

interface Buffers {
  readonly input: LocalBuffer;
  readonly output: LocalBuffer;
}

/** Staged inputs lie at multiples of this. */
const STAGING_ALIGNMENT_BYTES = 64;

/** Runs the call. Rejects with what went wrong, after which no buffer is written any more. */
export async function runCall(
  open: OpenCommunicator,
  checked: CheckedCall,
  addresses: BufferAddresses,
): Promise<void> {
  const { session, communicator } = open;
  communicator.throwIfFailed(apiName(checked.call.collective));
  const used: FiMr[] = [];
  try {
    // Buffers first: what they hold bounds the plan.
    const buffers = await localBuffers(open, checked, addresses, used);
    if (checked.reduction.kind === 'preMulSum') await runScaled(open, checked, buffers);
    else await runPlanned(open, checked, buffers);
    if (checked.reduction.kind === 'average') {
      await communicator.throwIfFailing();
      await averageOnDevice(session, typeOf(checked), buffers.output, open.nranks);
    }
  } catch (reason) {
    // The other ranks are in this operation or will be: they must hear that this one is not.
    communicator.giveUp(startFailure(checked, communicator.init.rank, reason));
    throw reason;
  } finally {
    for (const mr of used) session.unuse(mr);
  }
}

async function runPlanned(
  open: OpenCommunicator,
  checked: CheckedCall,
  buffers: Buffers,
): Promise<void> {
  const plan = open.planner.plan(checked);
  const { call } = checked;
  const { input, output } = buffers;
  if (plan.scratchBytes === 0) {
    await open.communicator.run({ call, plan, input, output, scratch: undefined });
    return;
  }
  const { scratch } = await scratchFor(open, plan);
  await open.communicator.run({ call, plan, input, output, scratch });
}

/**
 * The sum of scaled inputs. In place the buffer itself is scaled. Out of place the input stays as it is:
 * an output of its size takes the scaled one, which is then reduced in place; else scratch memory does.
 */
async function runScaled(
  open: OpenCommunicator,
  checked: CheckedCall,
  { input, output }: Buffers,
): Promise<void> {
  const { communicator, planner, session } = open;
  const { call, inputBytes, outputBytes, reduction, choice } = checked;
  const scalar = reduction.kind === 'preMulSum' ? reduction.scalar : 1;
  const { loaded } = choice;
  const mayGoInPlace = loaded === undefined || loaded.program('inPlace') !== undefined;
  const intoOutput = inputBytes === outputBytes && mayGoInPlace;
  const isStaged = checked.placement === 'outOfPlace' && !intoOutput;
  const run: CheckedCall = intoOutput ? { ...checked, placement: 'inPlace' } : checked;
  const plan = planner.plan(run);
  const { scratch, staging } = await scratchFor(open, plan, isStaged ? inputBytes : 0);
  const inPlaceInput = intoOutput ? output : input;
  const operand = isStaged ? defined(staging, 'memory for the scaled input') : inPlaceInput;
  await communicator.throwIfFailing();
  await multiplyOnDevice(session, typeOf(checked), scalar, { from: input, to: operand });
  await communicator.run({ call, plan, input: operand, output, scratch });
}

/** Scratch memory for a plan, and behind it for `stagedBytes` of input. */
async function scratchFor(
  { scratch: pool }: OpenCommunicator,
  { scratchBytes }: Plan,
  stagedBytes = 0,
): Promise<{ readonly scratch?: LocalBuffer; readonly staging?: LocalBuffer }> {
  if (scratchBytes + stagedBytes === 0) return {};
  const offset = roundUp(scratchBytes, STAGING_ALIGNMENT_BYTES);
  const scratch = await pool.reserve(offset + stagedBytes);
  if (stagedBytes === 0) return { scratch };
  const staging = { ...scratch, address: scratch.address + offset, bytes: stagedBytes };
  return { scratch, staging };
}

/** The call's buffers with their registrations, each of which is added to `used` at once. */
async function localBuffers(
  { session }: OpenCommunicator,
  { placement, inputBytes, outputBytes }: CheckedCall,
  { sendBuffer, recvBuffer }: BufferAddresses,
  used: FiMr[],
): Promise<Buffers> {
  const use = async (address: number, bytes: number): Promise<LocalBuffer> => {
    if (bytes === 0) return { address, bytes };
    const mr = await session.use(address, bytes);
    used.push(mr);
    return { address, bytes, mr };
  };
  if (placement === 'outOfPlace') {
    const output = await use(recvBuffer, outputBytes);
    return { input: await use(sendBuffer, inputBytes), output };
  }
  // One lies in the other.
  if (inputBytes > outputBytes) {
    const input = await use(sendBuffer, inputBytes);
    return { input, output: { ...input, address: recvBuffer, bytes: outputBytes } };
  }
  const output = await use(recvBuffer, outputBytes);
  return { input: { ...output, address: sendBuffer, bytes: inputBytes }, output };
}

function typeOf({ call }: CheckedCall): HcclDataTypeRow {
  return defined(HCCL_DATA_TYPES.get(call.dataType), 'the data type');
}

function startFailure({ call }: CheckedCall, rank: number, reason: unknown): HcclFailure {
  const message = `Rank ${rank} failed in ${apiName(call.collective)}: ${messageOf(reason)}`;
  return { result: resultOf(reason), message };
}

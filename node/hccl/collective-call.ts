/** From the arguments of a collective call to an operation: checks, algorithm, plan, buffers. */
import type { ChunkTable } from '../../collectives/chunks.ts';
import { chunkTable } from '../../collectives/chunks.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { lower } from '../../collectives/lower.ts';
import type { Program } from '../../collectives/program.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { selectAlgorithm } from '../../collectives/tuner.ts';
import type { OperationCall } from './control-message.ts';
import { invalidArgument } from './failure.ts';
import { HCCL_DATA_TYPES, HCCL_REDUCE_OPS, hcclSum } from './hccl.ts';
import { slotBytes } from './lanes.ts';
import { makePlan, type Plan } from './plan.ts';

/** Arguments of hcclAllReduce, hcclAllGather and hcclBroadcast, as they came. */
export interface CollectiveArguments {
  readonly collective: CollectiveName;
  readonly sendBuffer: number;
  readonly recvBuffer: number;
  readonly count: number;
  readonly dataType: number;
  /** Ignored but by `allReduce`. */
  readonly reduceOp: number;
  /** Ignored but by `broadcast`. */
  readonly root: number;
}

/** A checked call of one rank. */
export interface CheckedCall {
  readonly call: OperationCall;
  readonly placement: 'inPlace' | 'outOfPlace';
  readonly elementBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Plans kept per communicator. */
const PLANS_MAX = 64;

/** Throws hcclInvalidArgument for what HCL refuses, with what was expected and found. */
export function checkCall(
  arguments_: CollectiveArguments,
  rank: number,
  nranks: number,
  algorithm: string | undefined,
): CheckedCall {
  const { collective, count, dataType } = arguments_;
  const elementBytes = checkScalars(arguments_, nranks);
  const inputBytes = count * elementBytes;
  const outputBytes = collective === 'allGather' ? inputBytes * nranks : inputBytes;
  checkAddresses(arguments_, elementBytes);
  const placement = checkBuffers(arguments_, rank, inputBytes, outputBytes);
  const selected = selectAlgorithm({ collective, bytes: outputBytes, nranks });
  const call: OperationCall = {
    collective,
    count,
    dataType,
    reduceOp: collective === 'allReduce' ? arguments_.reduceOp : hcclSum,
    root: collective === 'broadcast' ? arguments_.root : 0,
    algorithm: algorithm ?? selected,
  };
  return { call, placement, elementBytes, inputBytes, outputBytes };
}

/** Checks everything but the buffers; returns the element size. */
function checkScalars(arguments_: CollectiveArguments, nranks: number): number {
  const { collective, count, dataType, reduceOp, root } = arguments_;
  const type = HCCL_DATA_TYPES.get(dataType);
  if (type === undefined) {
    const known = [...HCCL_DATA_TYPES.keys()];
    throw invalidArgument(`Expected a data type of ${known} but found ${dataType}`);
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    throw invalidArgument(`Expected a count of at least 0 elements but found ${count}`);
  }
  if (collective === 'allReduce' && !HCCL_REDUCE_OPS.has(reduceOp)) {
    const known = [...HCCL_REDUCE_OPS.keys()];
    throw invalidArgument(`Expected a reduction of ${known} but found ${reduceOp}`);
  }
  if (collective === 'broadcast' && !(Number.isInteger(root) && root >= 0 && root < nranks)) {
    throw invalidArgument(`Expected a root from 0 to ${nranks - 1} but found ${root}`);
  }
  return type.bytes;
}

/** Kernels take whole elements: an address between two would fail on the device, in mid-operation. */
function checkAddresses(
  { sendBuffer, recvBuffer }: CollectiveArguments,
  elementBytes: number,
): void {
  for (const address of [sendBuffer, recvBuffer]) {
    if (Number.isSafeInteger(address) && address >= 0 && address % elementBytes === 0) continue;
    throw invalidArgument(
      `Expected device addresses that are multiples of ${elementBytes} but found ${address}`,
    );
  }
}

/** Same place, or apart; anything between is refused. */
function checkBuffers(
  arguments_: CollectiveArguments,
  rank: number,
  inputBytes: number,
  outputBytes: number,
): 'inPlace' | 'outOfPlace' {
  const { collective, sendBuffer, recvBuffer, root } = arguments_;
  const ownBlock = collective === 'allGather' ? recvBuffer + rank * inputBytes : recvBuffer;
  if (sendBuffer === ownBlock) return 'inPlace';
  const reads = collective !== 'broadcast' || rank === root;
  const apart = sendBuffer + inputBytes <= recvBuffer || recvBuffer + outputBytes <= sendBuffer;
  if (reads && !apart) {
    throw invalidArgument(
      'Expected the buffers to be the same or apart but found that they overlap in part',
    );
  }
  return 'outOfPlace';
}

/** Makes and keeps the plans of one rank of one communicator. */
export class Planner {
  readonly #rank: number;
  readonly #nranks: number;
  readonly #programs = new Map<string, Program>();
  readonly #plans = new Map<string, Plan>();

  constructor(rank: number, nranks: number) {
    this.#rank = rank;
    this.#nranks = nranks;
  }

  /** Throws `HlsimError` HLSIM_USAGE for an algorithm that does not exist or does not fit. */
  plan(checked: CheckedCall): Plan {
    const { call, placement, elementBytes } = checked;
    const key = `${call.collective} ${call.algorithm} ${call.root} ${call.count} ${call.dataType} ${placement}`;
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const program = this.#program(call);
    const table: ChunkTable = chunkTable(program, call.count);
    const sliceBytes = slotBytes(this.#nranks);
    const plan = makePlan({ program, table, elementBytes, sliceBytes, placement });
    const oldest = this.#plans.keys().next();
    if (this.#plans.size >= PLANS_MAX && !oldest.done) this.#plans.delete(oldest.value);
    this.#plans.set(key, plan);
    return plan;
  }

  #program(call: OperationCall): Program {
    const { collective, algorithm, root } = call;
    const key = `${collective} ${algorithm} ${root}`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const topology = flatTopology(this.#nranks);
    const program = lower(buildSchedule({ collective, algorithm, topology, root }), this.#rank);
    this.#programs.set(key, program);
    return program;
  }
}

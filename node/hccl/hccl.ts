/**
 * HCCL's types and constants (HabanaAI/HCL `include/hccl.h`, `hccl_types.h`), numbers and spelling as
 * there.
 */
import {
  ELEMENT_TYPES,
  type ElementType,
  REDUCE_OPERATIONS,
} from '../../collectives/arithmetic.ts';
import type { CollectiveName } from '../../collectives/collective.ts';

/** `hcclResult_t`, each with the sentence that hcclGetErrorString gives. */
export const HCCL_RESULTS = {
  hcclUninitialized: [-1, 'HCCL has not been initialized'],
  hcclSuccess: [0, 'Success'],
  hcclNoDeviceFound: [1, 'No device found'],
  hcclUnsupported: [2, 'Operation not supported'],
  hcclOutOfMemory: [3, 'Out of memory'],
  hcclUnhandledSynapseError: [4, 'Unhandled device error'],
  hcclSystemError: [5, 'System error'],
  hcclInternalError: [6, 'Internal error'],
  hcclInvalidArgument: [7, 'Invalid argument'],
  hcclInvalidUsage: [8, 'Invalid usage'],
  hcclSocketError: [9, 'Socket error'],
  hcclLibfabricError: [10, 'Libfabric error'],
  hcclTryAgain: [11, 'Try again'],
  hcclBusy: [12, 'Busy'],
  hcclStreamError: [14, 'Stream error'],
  hcclSynapseTerminated: [15, 'Device terminated'],
  hcclPortDown: [16, 'Port down'],
} as const satisfies Record<string, readonly [number, string]>;

/** Name of an `hcclResult_t`. */
export type HcclResult = keyof typeof HCCL_RESULTS;

export function isHcclResult(value: unknown): value is HcclResult {
  return typeof value === 'string' && Object.hasOwn(HCCL_RESULTS, value);
}

/** `hcclDataType_t`. */
export const hcclInt8 = 0;
export const hcclUint8 = 1;
export const hcclInt32 = 2;
export const hcclUint32 = 3;
export const hcclInt64 = 4;
export const hcclUint64 = 5;
export const hcclFloat16 = 6;
export const hcclFloat32 = 7;
export const hcclFloat64 = 8;
export const hcclBfloat16 = 9;
export type HcclDataType = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/** `hcclRedOp_t`. */
export const hcclSum = 0;
export const hcclProd = 1;
export const hcclMin = 2;
export const hcclMax = 3;
/** The sum, then one multiplication by 1/n (floats) or a truncating division by n (integers). */
export const hcclAvg = 4;
export const hcclOpNone = 5;
/** Those of hcclRedOpCreatePreMulSum have numbers from here on, in each communicator. */
export const HCCL_USER_OPS_FROM = 6;
/** Bounds what one communicator keeps of them. */
export const HCCL_USER_OPS_MAX = 256;
/** A reduction: one of the constants above, or what hcclRedOpCreatePreMulSum gave. */
export type HcclRedOp = number;

/** What HCCL knows of a data type. */
export interface HcclDataTypeRow {
  readonly name: ElementType;
  readonly bytes: number;
}

export const HCCL_DATA_TYPES: ReadonlyMap<number, HcclDataTypeRow> = new Map(
  Object.entries(ELEMENT_TYPES).map(([name, { bytes, hcclDataType }]) => [
    hcclDataType,
    { name: name as ElementType, bytes },
  ]),
);

/**
 * Names of the reductions that ranks agree on. In an operation every user-created one has number
 * `HCCL_USER_OPS_FROM`: each rank has a scalar of its own.
 */
export const HCCL_REDUCE_OPS: ReadonlyMap<number, string> = new Map<number, string>([
  ...REDUCE_OPERATIONS.map((name, number) => [number, name] as const),
  [HCCL_USER_OPS_FROM, 'preMulSum'],
]);

/**
 * What the engine reduces with: an average and a user-created reduction are sums, with something done
 * to the result or to the inputs.
 */
export function reductionOf(reduceOp: number): 'sum' | 'prod' | 'min' | 'max' {
  const name = REDUCE_OPERATIONS[reduceOp];
  return name === undefined || name === 'avg' ? 'sum' : name;
}

/** A communicator, as user programs hold it. */
export type HcclComm = number;

/** A stream of a device: collectives of one stream run in order. 0 is the default stream. */
export type HcclStream = number;
export const HCCL_DEFAULT_STREAM: HcclStream = 0;

/** An event of a process (synEventHandle). */
export type SynEvent = number;

/** A color for hcclCommSplit: this rank will be in no part. */
export const HCCL_SPLIT_NOCOLOR = -1;

/** HCCL_VERSION_CODE of the library that this is modelled on, 2.6.4. */
export const HCCL_VERSION_CODE = 2604;

/** How a call was carried out (hlsim's own). */
export interface HcclCommChoice {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly channels: number;
  readonly chunks?: number;
  readonly sliceBytes?: number;
}

/**
 * What carries bytes between two ranks: shared memory, a socket of the programs' threads (a wire), a socket of
 * their hosts, or nothing outside of this process.
 */
export type HcclLink = 'p2p' | 'wire over tcp' | 'wire over unix' | 'tcp' | 'unix' | 'memory';

/** A schedule that was loaded into a communicator (hlsim's own). */
export interface HcclSchedule {
  /** Name in the file; empty if it has none. */
  readonly name: string;
  readonly collective: CollectiveName;
  /** What `HcclCommChoice` calls it. */
  readonly algorithm: string;
  /** Buffers for which it is used. */
  readonly placements: readonly ('inPlace' | 'outOfPlace')[];
  /** Counts must be a multiple of this. */
  readonly multiple: number;
}

/** hcclCommCount is bounded as in HCL (HCL_MAX_RANKS). */
export const HCCL_RANKS_MAX = 8192;

/** What one rank of a communicator has moved since hcclCommInitRank (hlsim's own call). */
export interface HcclCommCounters {
  /** Payload bytes of collectives that this rank's NIC sent: RDMA writes of data, nothing else. */
  readonly payloadBytesSent: number;
  readonly payloadBytesReceived: number;
  /** Bytes of control messages: operation headers, credits. */
  readonly controlBytesSent: number;
  /** Collectives that have ended well, and how many of them went through memory that ranks share. */
  readonly collectives: number;
  readonly sharedCollectives: number;
  /** Posts that were turned away with FI_EAGAIN, and tried again. */
  readonly postsTurnedAway: number;
  /** Reads of own memory before its bytes were used; 0 unless HCL_FABRIC_FLUSH is 1. */
  readonly flushes: number;
}

/** Answer of hcclCommGetAsyncError with hcclCommGetAsyncErrorMessage. */
export interface HcclAsyncError {
  readonly result: HcclResult;
  readonly message: string;
}

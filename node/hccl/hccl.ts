/**
 * HCCL's types and constants (HabanaAI/HCL `include/hccl.h`, `hccl_types.h`), numbers and spelling as
 * there.
 */

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

/** `hcclDataType_t`. This version computes on these two. */
export const hcclInt32 = 2;
export const hcclFloat32 = 7;
export type HcclDataType = typeof hcclInt32 | typeof hcclFloat32;

/** `hcclRedOp_t`. This version reduces with `hcclSum` alone. */
export const hcclSum = 0;
export type HcclRedOp = typeof hcclSum;

/** What HCCL knows of a data type: its name, its size, and the kernel that adds two vectors of it. */
export interface HcclDataTypeRow {
  readonly name: string;
  readonly bytes: number;
  readonly sumKernel: 'reduce_sum_f32' | 'reduce_sum_i32';
}

export const HCCL_DATA_TYPES: ReadonlyMap<number, HcclDataTypeRow> = new Map([
  [hcclInt32, { name: 'int32', bytes: 4, sumKernel: 'reduce_sum_i32' }],
  [hcclFloat32, { name: 'float32', bytes: 4, sumKernel: 'reduce_sum_f32' }],
]);

export const HCCL_REDUCE_OPS: ReadonlyMap<number, string> = new Map([[hcclSum, 'sum']]);

/** A communicator, as user programs hold it. */
export type HcclComm = number;

/** A stream of a device: collectives of one stream run in order. 0 is the default stream. */
export type HcclStream = number;
export const HCCL_DEFAULT_STREAM: HcclStream = 0;

/** hcclCommCount is bounded as in HCL (HCL_MAX_RANKS). */
export const HCCL_RANKS_MAX = 8192;

/** What one rank of a communicator has moved since hcclCommInitRank (hlsim's own call). */
export interface HcclCommCounters {
  /** Payload bytes of collectives that this rank's NIC sent: RDMA writes of data, nothing else. */
  readonly payloadBytesSent: number;
  readonly payloadBytesReceived: number;
  /** Bytes of control messages: operation headers, credits. */
  readonly controlBytesSent: number;
  /** Collectives that have ended well. */
  readonly collectives: number;
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

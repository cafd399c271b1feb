/**
 * What the real HCCL refuses and hlsim does not (HabanaAI/HCL 2.6.4: `include/hccl.h`; `hccl_wrapper.cpp`
 * and `hccl_helpers.h`, RETURN_ON_INVALID_DATA_TYPE, RETURN_ON_INVALID_REDUCTION_OP). A job with
 * HCCL_STRICT=1 gets its answers.
 */
import { type HcclFailure, hcclError } from './failure.ts';
import {
  HCCL_DATA_TYPES,
  HCCL_REDUCE_OPS,
  type HcclResult,
  hcclBfloat16,
  hcclFloat16,
  hcclFloat32,
  hcclInt32,
  hcclMax,
  hcclMin,
  hcclSum,
  hcclUint32,
} from './hccl.ts';

/** Accepted by every call that takes a data type; another is hcclInvalidArgument. */
export const STRICT_DATA_TYPES: readonly number[] = [
  hcclFloat32,
  hcclBfloat16,
  hcclFloat16,
  hcclInt32,
  hcclUint32,
];

/** Accepted by every call that reduces; another is hcclInvalidArgument. */
export const STRICT_REDUCE_OPS: readonly number[] = [hcclSum, hcclMin, hcclMax];

/** Calls that answer this whatever their arguments: declared but not implemented, or not declared at all. */
export const STRICT_REFUSED_CALLS = {
  hcclBarrier: 'hcclUnsupported',
  hcclDeviceInit: 'hcclInvalidUsage',
  hcclGather: 'hcclUnsupported',
  hcclScatter: 'hcclUnsupported',
  hcclAllGatherV: 'hcclUnsupported',
  hcclReduceScatterV: 'hcclUnsupported',
  hcclAlltoAllV: 'hcclUnsupported',
  hcclCommSplit: 'hcclUnsupported',
  hcclRedOpCreatePreMulSum: 'hcclUnsupported',
} as const satisfies Readonly<Record<string, HcclResult>>;

/** Throws what the real HCCL answers to a call that it does not have. */
export function refuseCall(name: string): void {
  const answers: Readonly<Record<string, HcclResult>> = STRICT_REFUSED_CALLS;
  const result = answers[name];
  if (result === undefined) return;
  throw hcclError(refusal(result, `${name} is not there in the real HCCL`));
}

/** Throws hcclInvalidArgument for a data type or reduction that the real HCCL does not take. */
export function refuseArguments(dataType: number, reduceOp: number | undefined): void {
  if (!STRICT_DATA_TYPES.includes(dataType)) {
    const what = `Expected a data type of ${typeNames(STRICT_DATA_TYPES)} but found ${typeNames([dataType])}`;
    throw hcclError(refusal('hcclInvalidArgument', what));
  }
  if (reduceOp !== undefined && !STRICT_REDUCE_OPS.includes(reduceOp)) {
    const what = `Expected a reduction of ${opNames(STRICT_REDUCE_OPS)} but found ${opNames([reduceOp])}`;
    throw hcclError(refusal('hcclInvalidArgument', what));
  }
}

function typeNames(dataTypes: readonly number[]): string {
  return dataTypes.map((type) => HCCL_DATA_TYPES.get(type)?.name ?? String(type)).join(', ');
}

function opNames(reduceOps: readonly number[]): string {
  return reduceOps.map((op) => HCCL_REDUCE_OPS.get(op) ?? String(op)).join(', ');
}

function refusal(result: HcclResult, what: string): HcclFailure {
  return { result, message: `${what} (HCCL_STRICT=1)` };
}

/**
 * Atomic operations on a peer's memory (fi_atomic(3)), by the atomics of verbs: on one unsigned number
 * of 64 bit, add and compare-and-swap. Each is executed exactly once. The address must be a multiple of
 * 8; if it is not, the operation ends with FI_EIO and IBV_WC_REM_INV_REQ_ERR. Operands are values: C
 * reads them from memory before the call returns. Answers of every call: see `endpoint.ts`.
 */
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { FiAddr, FiCompletionKind, FiErrno, FiReceiveBuffer } from './fabric.ts';
import { outcomeOf } from './outcome.ts';
import type { FiEndpoint } from './rdm-endpoint.ts';
import { isRemote, rmaCompleting } from './rma.ts';
import { type PlainWr, SendOperation } from './send-operation.ts';

export const FI_DATATYPES = [
  'FI_INT8',
  'FI_UINT8',
  'FI_INT16',
  'FI_UINT16',
  'FI_INT32',
  'FI_UINT32',
  'FI_INT64',
  'FI_UINT64',
  'FI_INT128',
  'FI_UINT128',
  'FI_FLOAT',
  'FI_DOUBLE',
  'FI_FLOAT_COMPLEX',
  'FI_DOUBLE_COMPLEX',
  'FI_LONG_DOUBLE',
  'FI_LONG_DOUBLE_COMPLEX',
  'FI_FLOAT16',
  'FI_BFLOAT16',
] as const;
export type FiDatatype = (typeof FI_DATATYPES)[number];

export const FI_OPS = [
  'FI_MIN',
  'FI_MAX',
  'FI_SUM',
  'FI_PROD',
  'FI_LOR',
  'FI_LAND',
  'FI_BOR',
  'FI_BAND',
  'FI_LXOR',
  'FI_BXOR',
  'FI_DIFF',
  'FI_ATOMIC_READ',
  'FI_ATOMIC_WRITE',
  'FI_CSWAP',
  'FI_CSWAP_NE',
  'FI_CSWAP_LE',
  'FI_CSWAP_LT',
  'FI_CSWAP_GE',
  'FI_CSWAP_GT',
  'FI_MSWAP',
] as const;
export type FiOp = (typeof FI_OPS)[number];

/** Which family of calls an operation belongs to. */
export type FiAtomicFamily = 'atomic' | 'fetch' | 'compare';

/** What the provider has, all of it on FI_UINT64; everything else is FI_EOPNOTSUPP. */
export const ATOMIC_OPS: Readonly<Record<FiAtomicFamily, readonly FiOp[]>> = {
  atomic: ['FI_SUM'],
  fetch: ['FI_SUM', 'FI_ATOMIC_READ'],
  compare: ['FI_CSWAP'],
};

const ATOMIC_BYTES = 8;

/** Where an atomic operation works. */
export interface FiAtomicTarget {
  readonly dest: FiAddr;
  readonly remoteAddress: number;
  readonly key: bigint;
  readonly datatype: FiDatatype;
  readonly op: FiOp;
}

/** How many elements one call takes (fi_atomicvalid(3)): 1. FI_EOPNOTSUPP: not this operation. */
export function fi_atomicvalid(
  family: FiAtomicFamily,
  datatype: FiDatatype,
  op: FiOp,
): 1 | 'FI_EOPNOTSUPP' {
  return datatype === 'FI_UINT64' && ATOMIC_OPS[family].includes(op) ? 1 : 'FI_EOPNOTSUPP';
}

/** FI_SUM: adds `operand` to the number there. */
export function fi_atomic(
  endpoint: FiEndpoint,
  operand: bigint,
  target: FiAtomicTarget,
  context: unknown,
): FiErrno | undefined {
  const ignored = new Uint8Array(ATOMIC_BYTES);
  return post(endpoint, 'atomic', { operand, compare: 0n, result: ignored }, target, context);
}

/** As fi_atomic; what was there before comes to `result` (8 bytes). FI_ATOMIC_READ only looks. */
export function fi_fetch_atomic(
  endpoint: FiEndpoint,
  operand: bigint,
  result: FiReceiveBuffer,
  target: FiAtomicTarget,
  context: unknown,
): FiErrno | undefined {
  return post(endpoint, 'fetch', { operand, compare: 0n, result }, target, context);
}

/** FI_CSWAP: stores `operand` if `compare` is there; what was there comes to `result` in any case. */
export function fi_compare_atomic(
  endpoint: FiEndpoint,
  operand: bigint,
  compare: bigint,
  result: FiReceiveBuffer,
  target: FiAtomicTarget,
  context: unknown,
): FiErrno | undefined {
  return post(endpoint, 'compare', { operand, compare, result }, target, context);
}

interface Operands {
  readonly operand: bigint;
  readonly compare: bigint;
  readonly result: FiReceiveBuffer;
}

/** FI_EINVAL: `result` has not 8 bytes, or an address or key that verbs do not have. */
function post(
  endpoint: FiEndpoint,
  family: FiAtomicFamily,
  { operand, compare, result }: Operands,
  { dest, remoteAddress, key, datatype, op }: FiAtomicTarget,
  context: unknown,
): FiErrno | undefined {
  if (fi_atomicvalid(family, datatype, op) !== 1) return 'FI_EOPNOTSUPP';
  const length = result instanceof Uint8Array ? result.byteLength : result.length;
  if (length !== ATOMIC_BYTES || !isRemote(remoteAddress, key)) return 'FI_EINVAL';
  const flags = endpoint.defaults.transmit;
  const isReported = endpoint.isReported('transmit', flags);
  const { sge, release } = endpoint.regions.sink(result, length);
  const kind: FiCompletionKind = family === 'atomic' ? 'atomic' : 'fetchAtomic';
  const operation = new SendOperation({
    requests: [{ sg_list: [sge], remote_addr: remoteAddress, rkey: Number(key), ...request() }],
    repeat: 'never',
    ended: (status: IbvWcStatus) => {
      release();
      endpoint.complete(rmaCompleting(kind, dest, context, isReported, length), outcomeOf(status));
    },
  });
  const error = endpoint.post(operation, { dest, flags });
  if (error !== undefined) release();
  return error;

  function request(): Pick<PlainWr, 'opcode' | 'compare_add' | 'swap'> {
    if (op === 'FI_CSWAP') {
      return { opcode: 'IBV_WR_ATOMIC_CMP_AND_SWP', compare_add: compare, swap: operand };
    }
    const compare_add = op === 'FI_ATOMIC_READ' ? 0n : operand;
    return { opcode: 'IBV_WR_ATOMIC_FETCH_AND_ADD', compare_add };
  }
}

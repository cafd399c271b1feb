/** How an HCCL call fails, and the one table from libfabric's errors to HCCL's results. */
import type { FiErrno } from '../fabric/fabric.ts';
import { SystemCallError } from '../process/system-call.ts';
import { HCCL_RESULTS, type HcclResult, isHcclResult } from './hccl.ts';

/** Why a communicator or a call failed. `message` names rank, collective and step where they are known. */
export interface HcclFailure {
  readonly result: HcclResult;
  readonly message: string;
}

/** The failure as the calling program sees it thrown. */
export function hcclError(failure: HcclFailure): SystemCallError {
  const message = `${failure.result}: ${failure.message}`;
  return new SystemCallError({ family: 'hccl', code: failure.result, message });
}

/** `hcclInvalidArgument: Expected ... but found ...`. */
export function invalidArgument(message: string): SystemCallError {
  return hcclError({ result: 'hcclInvalidArgument', message });
}

/** The result that something thrown is; hcclInternalError if it has none. */
export function resultOf(reason: unknown): HcclResult {
  const known = reason instanceof SystemCallError && isHcclResult(reason.code);
  return known ? (reason.code as HcclResult) : 'hcclInternalError';
}

/** fi_cq_err_entry.err and errors of calls, as HCCL results. Total: a test proves it. */
export const RESULT_OF_FI_ERRNO: Readonly<Record<FiErrno, HcclResult>> = {
  FI_EAGAIN: 'hcclTryAgain',
  FI_ENOMEM: 'hcclOutOfMemory',
  FI_EACCES: 'hcclLibfabricError',
  FI_EBUSY: 'hcclBusy',
  FI_EINVAL: 'hcclInvalidArgument',
  FI_ENOSYS: 'hcclUnsupported',
  FI_ENOMSG: 'hcclInternalError',
  FI_ENODATA: 'hcclLibfabricError',
  FI_EMSGSIZE: 'hcclLibfabricError',
  FI_ENOPROTOOPT: 'hcclUnsupported',
  FI_EOPNOTSUPP: 'hcclUnsupported',
  FI_ECONNABORTED: 'hcclPortDown',
  FI_ENOTCONN: 'hcclPortDown',
  FI_ETIMEDOUT: 'hcclLibfabricError',
  FI_ECONNREFUSED: 'hcclPortDown',
  FI_EREMOTEIO: 'hcclLibfabricError',
  FI_EIO: 'hcclLibfabricError',
  FI_EHOSTUNREACH: 'hcclPortDown',
  FI_ECANCELED: 'hcclLibfabricError',
  FI_EKEYREJECTED: 'hcclLibfabricError',
  FI_EOTHER: 'hcclLibfabricError',
  FI_ETOOSMALL: 'hcclInternalError',
  FI_EOPBADSTATE: 'hcclInternalError',
  FI_EAVAIL: 'hcclInternalError',
  FI_EBADFLAGS: 'hcclInternalError',
  FI_ENOEQ: 'hcclInternalError',
  FI_EDOMAIN: 'hcclInternalError',
  FI_ENOCQ: 'hcclInternalError',
  FI_ECRC: 'hcclLibfabricError',
  FI_ETRUNC: 'hcclInternalError',
  FI_ENOKEY: 'hcclLibfabricError',
  FI_ENOAV: 'hcclInternalError',
  FI_EOVERRUN: 'hcclInternalError',
  FI_ENORX: 'hcclLibfabricError',
  FI_ENOMR: 'hcclOutOfMemory',
  FI_EFIREWALLADDR: 'hcclPortDown',
};

/** The failure that a libfabric error is. */
export function fabricFailure(what: string, error: FiErrno, detail = ''): HcclFailure {
  const because = detail === '' ? error : `${error}, ${detail}`;
  return { result: RESULT_OF_FI_ERRNO[error], message: `${what} failed (${because})` };
}

/**
 * hcclGetErrorString: the sentence of a result, given by its name or its number; one that does not exist
 * gets a sentence too, as in C.
 */
export function hcclGetErrorString(result: HcclResult | number): string {
  const rows = Object.entries(HCCL_RESULTS);
  const row = rows.find(([name, [number]]) => name === result || number === result);
  return row?.[1][1] ?? `Unknown result ${result}`;
}

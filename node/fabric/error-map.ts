/** The border between verbs and fabric: what each failure there is called here. Both tables are total. */
import type { Errno } from '../../common/errno.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { FiErrno } from './fabric.ts';

/**
 * Work completion status to fi_cq_err_entry.err; the status itself is its prov_errno. As libfabric's
 * verbs provider (flushed: FI_ECANCELED, all others: FI_EIO), except that an unreachable peer and one
 * without a receive have codes of their own, as the EFA provider gives them.
 */
export const FI_ERRNO_OF_STATUS: Readonly<Record<Exclude<IbvWcStatus, 'IBV_WC_SUCCESS'>, FiErrno>> =
  {
    IBV_WC_LOC_LEN_ERR: 'FI_EIO',
    IBV_WC_LOC_QP_OP_ERR: 'FI_EIO',
    IBV_WC_LOC_PROT_ERR: 'FI_EIO',
    IBV_WC_WR_FLUSH_ERR: 'FI_ECANCELED',
    IBV_WC_BAD_RESP_ERR: 'FI_EIO',
    IBV_WC_LOC_ACCESS_ERR: 'FI_EIO',
    IBV_WC_REM_INV_REQ_ERR: 'FI_EIO',
    IBV_WC_REM_ACCESS_ERR: 'FI_EIO',
    IBV_WC_REM_OP_ERR: 'FI_EIO',
    IBV_WC_RETRY_EXC_ERR: 'FI_EHOSTUNREACH',
    IBV_WC_RNR_RETRY_EXC_ERR: 'FI_ENORX',
  };

/** `undefined` for success. */
export function fiErrnoOfStatus(status: IbvWcStatus): FiErrno | undefined {
  return status === 'IBV_WC_SUCCESS' ? undefined : FI_ERRNO_OF_STATUS[status];
}

/**
 * What a failed request says about those behind it. `told`: the peer has refused it, and has executed
 * nothing behind it. `local`: this side could not run it; those behind it may have been executed if
 * it had been sent before. `lost`: the peer cannot be reached. `flushed`: see the one before it.
 */
export const FAILURE_CLASS: Readonly<
  Record<Exclude<IbvWcStatus, 'IBV_WC_SUCCESS'>, 'told' | 'local' | 'lost' | 'flushed'>
> = {
  IBV_WC_LOC_LEN_ERR: 'local',
  IBV_WC_LOC_QP_OP_ERR: 'local',
  IBV_WC_LOC_PROT_ERR: 'local',
  IBV_WC_WR_FLUSH_ERR: 'flushed',
  IBV_WC_BAD_RESP_ERR: 'local',
  IBV_WC_LOC_ACCESS_ERR: 'local',
  IBV_WC_REM_INV_REQ_ERR: 'told',
  IBV_WC_REM_ACCESS_ERR: 'told',
  IBV_WC_REM_OP_ERR: 'told',
  IBV_WC_RETRY_EXC_ERR: 'lost',
  IBV_WC_RNR_RETRY_EXC_ERR: 'told',
};

/** What a verbs call returned. Numbers are equal where both sides have the name. */
export const FI_ERRNO_OF_ERRNO: Readonly<Record<Errno, FiErrno>> = {
  EPERM: 'FI_EACCES',
  ENOENT: 'FI_EINVAL',
  ESRCH: 'FI_EINVAL',
  EINTR: 'FI_EAGAIN',
  EIO: 'FI_EIO',
  ENXIO: 'FI_EIO',
  EBADF: 'FI_EINVAL',
  ECHILD: 'FI_EINVAL',
  EAGAIN: 'FI_EAGAIN',
  ENOMEM: 'FI_ENOMEM',
  EACCES: 'FI_EACCES',
  EFAULT: 'FI_EINVAL',
  EBUSY: 'FI_EBUSY',
  ENODEV: 'FI_EIO',
  EINVAL: 'FI_EINVAL',
  EMFILE: 'FI_ENOMEM',
  ENOTTY: 'FI_EOPNOTSUPP',
  ENOSPC: 'FI_ENOMEM',
  ESPIPE: 'FI_EINVAL',
  EPIPE: 'FI_EIO',
  EDEADLK: 'FI_EAGAIN',
  ENOSYS: 'FI_ENOSYS',
  ETIME: 'FI_EHOSTUNREACH',
  ENOTSOCK: 'FI_EINVAL',
  EMSGSIZE: 'FI_EMSGSIZE',
  EOPNOTSUPP: 'FI_EOPNOTSUPP',
  ECONNRESET: 'FI_EIO',
  ETOOMANYREFS: 'FI_ENOMEM',
  ETIMEDOUT: 'FI_ETIMEDOUT',
  EALREADY: 'FI_EBUSY',
};

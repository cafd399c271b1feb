/** The border between verbs and fabric: what each failure there is called here. Both tables are total. */
import type { Errno } from '../../common/errno.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { FiErrno } from './fabric.ts';

/**
 * Work completion status to fi_cq_err_entry.err; the status itself is its prov_errno. As libfabric's
 * verbs provider (flushed: FI_ECANCELED, all others: FI_EIO), except that an unreachable peer has its
 * own code, as the EFA provider gives it.
 */
export const FI_ERRNO_OF_STATUS: Readonly<Record<Exclude<IbvWcStatus, 'IBV_WC_SUCCESS'>, FiErrno>> =
  {
    IBV_WC_LOC_LEN_ERR: 'FI_EIO',
    IBV_WC_LOC_QP_OP_ERR: 'FI_EIO',
    IBV_WC_LOC_PROT_ERR: 'FI_EIO',
    IBV_WC_WR_FLUSH_ERR: 'FI_ECANCELED',
    IBV_WC_BAD_RESP_ERR: 'FI_EIO',
    IBV_WC_REM_INV_REQ_ERR: 'FI_EIO',
    IBV_WC_REM_ACCESS_ERR: 'FI_EIO',
    IBV_WC_REM_OP_ERR: 'FI_EIO',
    IBV_WC_RETRY_EXC_ERR: 'FI_EHOSTUNREACH',
    IBV_WC_RNR_RETRY_EXC_ERR: 'FI_EIO',
  };

/** `undefined` for success. */
export function fiErrnoOfStatus(status: IbvWcStatus): FiErrno | undefined {
  return status === 'IBV_WC_SUCCESS' ? undefined : FI_ERRNO_OF_STATUS[status];
}

/** What a verbs call returned. Numbers are equal where both sides have the name. */
export const FI_ERRNO_OF_ERRNO: Readonly<Record<Errno, FiErrno>> = {
  EPERM: 'FI_EACCES',
  ENOENT: 'FI_EINVAL',
  EINTR: 'FI_EAGAIN',
  EIO: 'FI_EIO',
  ENXIO: 'FI_EIO',
  EBADF: 'FI_EINVAL',
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
  EDEADLK: 'FI_EAGAIN',
  ENOSYS: 'FI_ENOSYS',
  ETIME: 'FI_EHOSTUNREACH',
  EOPNOTSUPP: 'FI_EOPNOTSUPP',
  ETIMEDOUT: 'FI_EHOSTUNREACH',
  EALREADY: 'FI_EBUSY',
};

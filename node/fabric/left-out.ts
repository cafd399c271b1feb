/**
 * Calls of libfabric that hlsim does not have, with what a program that probes for them gets
 * (fi_errno(3)). FI_ENOSYS: there is no such thing here. FI_EOPNOTSUPP: the object is here, but not
 * with this.
 */
import type { FiErrno } from './fabric.ts';

/** Each call with its answer and, for people, why. */
export const LEFT_OUT = {
  fi_passive_ep: ['FI_ENOSYS', 'connected endpoints'],
  fi_listen: ['FI_ENOSYS', 'connected endpoints'],
  fi_connect: ['FI_ENOSYS', 'connected endpoints'],
  fi_accept: ['FI_ENOSYS', 'connected endpoints'],
  fi_reject: ['FI_ENOSYS', 'connected endpoints'],
  fi_shutdown: ['FI_ENOSYS', 'connected endpoints'],
  fi_getpeer: ['FI_ENOSYS', 'connected endpoints'],
  fi_setname: ['FI_ENOSYS', 'the provider names endpoints'],
  fi_scalable_ep: ['FI_ENOSYS', 'scalable endpoints'],
  fi_tx_context: ['FI_ENOSYS', 'scalable endpoints'],
  fi_rx_context: ['FI_ENOSYS', 'scalable endpoints'],
  fi_stx_context: ['FI_ENOSYS', 'shared contexts'],
  fi_srx_context: ['FI_ENOSYS', 'shared contexts'],
  fi_ep_alias: ['FI_ENOSYS', 'endpoints of other flags: use the calls with flags'],
  fi_join: ['FI_ENOSYS', 'multicast'],
  fi_leave: ['FI_ENOSYS', 'multicast'],
  fi_av_set: ['FI_ENOSYS', 'collectives of libfabric: HCCL has its own'],
  fi_join_collective: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_query_collective: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_barrier: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_broadcast: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_alltoall: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_allreduce: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_allgather: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_reduce_scatter: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_reduce: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_scatter: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_gather: ['FI_ENOSYS', 'collectives of libfabric'],
  fi_trigger: ['FI_ENOSYS', 'triggered operations'],
  fi_deferred_work: ['FI_ENOSYS', 'triggered operations'],
  fi_poll_open: ['FI_ENOSYS', 'poll sets'],
  fi_wait_open: ['FI_ENOSYS', 'wait sets'],
  fi_trywait: ['FI_ENOSYS', 'wait descriptors'],
  fi_cq_strerror: ['FI_ENOSYS', 'entries name their IBV_WC status'],
  fi_av_bind: ['FI_ENOSYS', 'insertion is synchronous'],
  fi_av_insertsvc: ['FI_ENOSYS', 'endpoints have names, not services'],
  fi_av_insertsym: ['FI_ENOSYS', 'endpoints have names, not services'],
  fi_domain_bind: ['FI_ENOSYS', 'registration is synchronous'],
  fi_mr_bind: ['FI_ENOSYS', 'regions do not report events'],
  fi_mr_enable: ['FI_ENOSYS', 'regions are enabled when they are made'],
  fi_mr_refresh: ['FI_ENOSYS', 'FI_MR_MMU_NOTIFY'],
  fi_mr_raw_attr: ['FI_ENOSYS', 'FI_MR_RAW'],
  fi_mr_map_raw: ['FI_ENOSYS', 'FI_MR_RAW'],
  fi_mr_regv: ['FI_EOPNOTSUPP', 'regions of one piece only'],
  fi_sendv: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_recvv: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_tsendv: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_trecvv: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_readv: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_writev: ['FI_EOPNOTSUPP', 'iov_limit is 1'],
  fi_inject_write: ['FI_EOPNOTSUPP', 'RMA takes registered memory only'],
  fi_inject_writedata: ['FI_EOPNOTSUPP', 'RMA takes registered memory only'],
  fi_inject_atomic: ['FI_EOPNOTSUPP', 'fi_atomic takes its operand at once'],
} as const satisfies Readonly<Record<string, readonly [FiErrno, string]>>;

export type FiLeftOut = keyof typeof LEFT_OUT;

/** The answer to a call that is left out. */
export function fi_left_out(call: FiLeftOut): 'FI_ENOSYS' | 'FI_EOPNOTSUPP' {
  return LEFT_OUT[call][0];
}

/**
 * What every verbs program writes for itself, as `pp_connect_ctx()` of rdma-core's ibv_rc_pingpong:
 * bringing a queue pair from RESET to RTS with what the other end has told, by whatever way the two
 * have (a job's store, a message). hlsim's own names.
 */
import { KiB } from '../../common/bytes.ts';
import type { SystemCallChannel } from '../process/system-call.ts';
import type { IbvAccessFlag } from './mr.ts';
import { ibv_query_gid } from './rdma-core.ts';
import type { VerbsQp } from './rdma-core-objects.ts';
import { ibv_modify_qp } from './rdma-core-queues.ts';
import type { IbvGid, UverbsQpAttr } from './uverbs-uapi.ts';

/** One end of a connection, for the other end. Plain: it survives JSON. */
export interface QueuePairAddress {
  readonly gid: IbvGid;
  readonly qp_num: number;
  /** First sequence number that this end sends. */
  readonly psn: number;
}

/** What the peer may do through a queue pair; what it may do with a region is the region's affair. */
const EVERY_REMOTE_ACCESS: readonly IbvAccessFlag[] = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
];

/** Attributes of a connection; `qp-state.ts` has the units. */
const CONNECTION: Required<
  Pick<
    UverbsQpAttr,
    | 'path_mtu'
    | 'max_dest_rd_atomic'
    | 'max_rd_atomic'
    | 'min_rnr_timer'
    | 'rnr_retry'
    | 'retry_cnt'
    | 'timeout'
  >
> = {
  /** With its head a little less than eight segments of a loopback connection, 65,483 B each. */
  path_mtu: 504 * KiB,
  max_dest_rd_atomic: 16,
  max_rd_atomic: 16,
  /** 0.64 ms */
  min_rnr_timer: 12,
  /** Without end: a receiver may take its time. */
  rnr_retry: 7,
  retry_cnt: 7,
  /** 537 ms, eight times */
  timeout: 17,
};

/** What to tell the other end. */
export async function queuePairAddress(
  channel: SystemCallChannel,
  qp: VerbsQp,
): Promise<QueuePairAddress> {
  return {
    gid: await ibv_query_gid(channel, qp.context),
    qp_num: qp.qp_num,
    psn: firstPsn(qp),
  };
}

/** RESET to INIT: from here on receives can be posted. */
export async function initQueuePair(
  channel: SystemCallChannel,
  qp: VerbsQp,
  qp_access_flags: readonly IbvAccessFlag[] = EVERY_REMOTE_ACCESS,
): Promise<void> {
  const attributes = { pkey_index: 0, port_num: 1, qp_access_flags };
  await ibv_modify_qp(channel, qp, { qp_state: 'IBV_QPS_INIT', ...attributes });
}

/**
 * INIT to RTS. What is sent before the other end has done the same is lost, and repeated after the
 * timeout. `overrides` changes attributes of the connection, as `timeout` or `retry_cnt`.
 */
export async function connectQueuePair(
  channel: SystemCallChannel,
  qp: VerbsQp,
  peer: QueuePairAddress,
  overrides: Partial<typeof CONNECTION> = {},
): Promise<void> {
  const chosen = { ...CONNECTION, ...overrides };
  await ibv_modify_qp(channel, qp, {
    qp_state: 'IBV_QPS_RTR',
    ah_attr: peer.gid,
    dest_qp_num: peer.qp_num,
    rq_psn: peer.psn,
    path_mtu: chosen.path_mtu,
    max_dest_rd_atomic: chosen.max_dest_rd_atomic,
    min_rnr_timer: chosen.min_rnr_timer,
  });
  await ibv_modify_qp(channel, qp, {
    qp_state: 'IBV_QPS_RTS',
    sq_psn: firstPsn(qp),
    max_rd_atomic: chosen.max_rd_atomic,
    retry_cnt: chosen.retry_cnt,
    rnr_retry: chosen.rnr_retry,
    timeout: chosen.timeout,
  });
}

/** Anywhere will do, as long as both ends agree on it. */
function firstPsn({ qp_num }: VerbsQp): number {
  return Math.imul(qp_num, 0x9e37_79b1) >>> 0;
}

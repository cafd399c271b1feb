/**
 * The user interface of `/dev/infiniband/uverbs0` (Linux include/uapi/rdma/ib_user_verbs.h): requests,
 * what each takes and gives, and how much one open file may hold. Shared by the kernel's side
 * (`uverbs.ts`) and the user's library (`rdma-core.ts`), which runs in the user's worker.
 *
 * Objects are named by handles: integers that mean something in one open file only, and are never
 * given twice. A request that names none, or one of another kind, answers EINVAL.
 */
import type { LinkAddress } from '../transport/transport.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvQpCap, QpAttributes } from './qp-attributes.ts';
import type { IbvQpAttr, IbvQpState } from './qp-state.ts';
import type { IbvWc } from './wc.ts';
import type { IbvRecvWr, IbvSendWr } from './work-request.ts';

export const UVERBS_NODE_PATH = '/dev/infiniband/uverbs0';

export type UverbsRequest =
  | 'IB_USER_VERBS_CMD_QUERY_DEVICE'
  | 'IB_USER_VERBS_CMD_QUERY_GID'
  | 'IB_USER_VERBS_CMD_ALLOC_PD'
  | 'IB_USER_VERBS_CMD_DEALLOC_PD'
  | 'IB_USER_VERBS_CMD_REG_MR'
  | 'UVERBS_METHOD_REG_DMABUF_MR'
  | 'IB_USER_VERBS_CMD_REREG_MR'
  | 'IB_USER_VERBS_CMD_DEREG_MR'
  | 'UVERBS_METHOD_QUERY_MR'
  | 'IB_USER_VERBS_CMD_CREATE_CQ'
  | 'IB_USER_VERBS_CMD_POLL_CQ'
  | 'IB_USER_VERBS_CMD_RESIZE_CQ'
  | 'IB_USER_VERBS_CMD_DESTROY_CQ'
  | 'IB_USER_VERBS_CMD_CREATE_QP'
  | 'IB_USER_VERBS_CMD_MODIFY_QP'
  | 'IB_USER_VERBS_CMD_QUERY_QP'
  | 'IB_USER_VERBS_CMD_DESTROY_QP'
  | 'IB_USER_VERBS_CMD_POST_SEND'
  | 'IB_USER_VERBS_CMD_POST_RECV'
  | 'UVERBS_METHOD_GET_ASYNC_EVENT'
  | 'UVERBS_METHOD_ACK_ASYNC_EVENT';

/** What one open file may hold (`struct ibv_device_attr`); one more answers ENOMEM. */
export const UVERBS_LIMITS = {
  max_pd: 256,
  max_mr: 4_096,
  max_cq: 256,
  max_qp: 256,
} as const;

/** Work requests in one call of post_send or post_recv. */
export const POST_LIST_MAX = 1_024;
/** Completions that one poll takes. */
export const POLL_ENTRIES_MAX = 1_024;
/** Longest wait for a completion or an event. */
export const WAIT_TIMEOUT_MAX_MS = 600_000;
/** Events of one open file that were taken and not acknowledged; one more answers ENOMEM. */
export const UNACKNOWLEDGED_EVENTS_MAX = 1_024;
/** Hosts that one open file may ever connect to. */
export const PEERS_MAX = 1_024;

/** `struct ibv_device_attr`, in part: limits of the NIC and of one open file. */
export const UVERBS_DEVICE_ATTR = { ...NIC_LIMITS, ...UVERBS_LIMITS } as const;
export type IbvDeviceAttr = typeof UVERBS_DEVICE_ATTR;

/** What a peer needs to find this host: in place of an InfiniBand GID. */
export interface IbvGid {
  readonly nodeId: string;
  readonly address: LinkAddress;
}

/** `struct ibv_qp_attr` of a user: the address handle says where the peer's host is, too. */
export interface UverbsQpAttr extends Omit<IbvQpAttr, 'ah_attr'> {
  readonly ah_attr?: IbvGid;
}

/** Handle of what an event is about; a port has a number; the whole device has neither. */
export interface UverbsEventElement {
  readonly qp?: number;
  readonly cq?: number;
  readonly port_num?: number;
}

/**
 * Requests and completions of users carry an integer of at least 0 as their id. IBV_SEND_INLINE data
 * is named by `sg_list`, in the caller's own memory.
 */
export interface UverbsSendWr
  extends Omit<IbvSendWr, 'wr_id' | 'inline_data' | 'compare_add' | 'swap'> {
  readonly wr_id: number;
  readonly compare_add?: bigint | number;
  readonly swap?: bigint | number;
}
export type UverbsRecvWr = Omit<IbvRecvWr, 'wr_id'> & { readonly wr_id: number };
export type UverbsWc = Omit<IbvWc, 'wr_id'> & { readonly wr_id: number };

/** What ibv_query_qp(3) gives: state, attributes in force and capacities. */
export interface IbvQpDescription extends QpAttributes {
  readonly qp_num: number;
  readonly qp_state: IbvQpState;
  readonly cap: IbvQpCap;
}

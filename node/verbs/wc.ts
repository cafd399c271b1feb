/**
 * Work completions (`struct ibv_wc`, ibv_poll_cq(3)). Numbers are those of `enum ibv_wc_status` in
 * infiniband/verbs.h, sentences those of ibv_wc_status_str(3). Only statuses that a reliable
 * connection of hlsim can end with are listed.
 */
export const IBV_WC_STATUS = {
  /** Done, and for requests acknowledged by the peer. */
  IBV_WC_SUCCESS: [0, 'success'],
  /** Receiver: the message is longer than the posted receive. */
  IBV_WC_LOC_LEN_ERR: [1, 'local length error'],
  IBV_WC_LOC_QP_OP_ERR: [2, 'local QP operation error'],
  /** An lkey is unknown, of another PD, revoked, lacks the right, or does not cover the range. */
  IBV_WC_LOC_PROT_ERR: [4, 'local protection error'],
  /** The queue pair was in the error state, or went there before this one could run. */
  IBV_WC_WR_FLUSH_ERR: [5, 'Work Request Flushed Error'],
  /** The peer's answer to a READ or an atomic does not fit the request. */
  IBV_WC_BAD_RESP_ERR: [7, 'bad response error'],
  /** Receiver: the receive of a WRITE with immediate data that this side refuses. */
  IBV_WC_LOC_ACCESS_ERR: [8, 'local access error'],
  /** The peer refuses the form of the request, or its queue pair lacks the right. */
  IBV_WC_REM_INV_REQ_ERR: [9, 'remote invalid request error'],
  /** The peer refuses the rkey, the range or the right. Not one byte was stored. */
  IBV_WC_REM_ACCESS_ERR: [10, 'remote access error'],
  /** The peer could not do its part, for example its receive has a bad lkey. */
  IBV_WC_REM_OP_ERR: [11, 'remote operation error'],
  IBV_WC_RETRY_EXC_ERR: [12, 'transport retry counter exceeded'],
  IBV_WC_RNR_RETRY_EXC_ERR: [13, 'RNR retry counter exceeded'],
} as const satisfies Record<string, readonly [number, string]>;

export type IbvWcStatus = keyof typeof IBV_WC_STATUS;

/** ibv_wc_status_str(3) */
export function ibv_wc_status_str(status: IbvWcStatus): string {
  return IBV_WC_STATUS[status][1];
}

export type IbvWcOpcode =
  | 'IBV_WC_SEND'
  | 'IBV_WC_RDMA_WRITE'
  | 'IBV_WC_RDMA_READ'
  | 'IBV_WC_COMP_SWAP'
  | 'IBV_WC_FETCH_ADD'
  | 'IBV_WC_RECV'
  | 'IBV_WC_RECV_RDMA_WITH_IMM';

/** Of an unsuccessful completion only `wr_id`, `status` and `qp_num` mean anything. */
export interface IbvWc {
  readonly wr_id: unknown;
  readonly status: IbvWcStatus;
  readonly opcode: IbvWcOpcode;
  /** Bytes received, written into this host, or read. */
  readonly byte_len: number;
  /** Immediate data; present with IBV_WC_WITH_IMM only. */
  readonly imm_data?: number | undefined;
  readonly qp_num: number;
}

/** What queue pairs are made from, and what they tell about themselves. */
import type { IbvCq } from './cq.ts';
import type { IbvQpAttr } from './qp-state.ts';

/** `struct ibv_qp_cap` */
export interface IbvQpCap {
  readonly max_send_wr: number;
  readonly max_recv_wr: number;
  readonly max_send_sge: number;
  readonly max_recv_sge: number;
  /** Bytes of an IBV_SEND_INLINE request. Absent: what the device takes. */
  readonly max_inline_data?: number;
}

/**
 * For libraries inside the host.
 * `credits`: the peer has posted receives. `sendSpace`: after ENOMEM, the send queue has room again.
 * `fatal`: the queue pair went to the error state by itself.
 */
export type IbvQpEvent = 'credits' | 'sendSpace' | 'fatal';

export interface IbvQpInitAttr {
  readonly send_cq: IbvCq;
  readonly recv_cq: IbvCq;
  readonly cap: IbvQpCap;
  /** Epoch of the communicator that the queue pair is made for; frames of another are refused. */
  readonly epoch: number;
  /** Called from inside the NIC: note the event and return, call no verbs function. */
  onEvent?(event: IbvQpEvent): void;
}

/** Payload bytes in each direction, counted once however often a frame is sent. */
export interface IbvQpCounters {
  writeBytesSent: number;
  writeBytesReceived: number;
  sendBytesSent: number;
  sendBytesReceived: number;
  /** As the side that asked. */
  readBytesReceived: number;
  /** As the side that answered. */
  readBytesSent: number;
  /** Requests that were executed here, each counted once. */
  atomicsExecuted: number;
  /** Payload bytes sent again after a loss, of all kinds. */
  replayedBytesSent: number;
}

/** Attributes in force; those of states not yet reached have no meaning. */
export type QpAttributes = Required<
  Omit<IbvQpAttr, 'qp_state' | 'cur_qp_state' | 'en_sqd_async_notify'>
>;

/** Before any modification. */
export const INITIAL_ATTRIBUTES: QpAttributes = {
  pkey_index: 0,
  port_num: 1,
  qp_access_flags: [],
  ah_attr: { nodeId: '' },
  path_mtu: 1,
  dest_qp_num: 0,
  rq_psn: 0,
  max_dest_rd_atomic: 0,
  min_rnr_timer: 0,
  sq_psn: 0,
  max_rd_atomic: 0,
  retry_cnt: 0,
  rnr_retry: 0,
  timeout: 0,
};

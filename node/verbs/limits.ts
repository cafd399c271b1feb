import { MAX_MESSAGE_BYTES } from '../transport/frame.ts';

/** Limits of the simulated NIC (`struct ibv_device_attr`, ibv_query_device(3)). */
export const NIC_LIMITS = {
  max_qp_wr: 16_384,
  max_sge: 16,
  max_cqe: 65_536,
  /** READs and atomics in progress per queue pair, each way. */
  max_qp_rd_atom: 128,
  /** Bytes of one request that are taken over at post. */
  max_inline_data: 1_024,
  /** Bytes of one work request (`struct ibv_port_attr`). */
  max_msg_sz: MAX_MESSAGE_BYTES,
} as const;

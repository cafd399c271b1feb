/** Work requests (`struct ibv_send_wr`, `struct ibv_recv_wr`; ibv_post_send(3), ibv_post_recv(3)). */
import type { FrameType } from '../transport/frame.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvWcOpcode } from './wc.ts';

/** `struct ibv_sge`: a piece of local memory, by address in a registered region. */
export interface IbvSge {
  readonly lkey: number;
  readonly address: number;
  readonly length: number;
}

export type IbvWrOpcode =
  | 'IBV_WR_RDMA_WRITE'
  | 'IBV_WR_RDMA_WRITE_WITH_IMM'
  | 'IBV_WR_RDMA_READ'
  | 'IBV_WR_SEND'
  | 'IBV_WR_SEND_WITH_IMM';

/** Without it a request completes in silence unless it fails. */
export type IbvSendFlag = 'IBV_SEND_SIGNALED';

export interface IbvSendWr {
  /** Comes back in the completion. C has 64 bits here that users fill with a pointer. */
  readonly wr_id: unknown;
  readonly opcode: IbvWrOpcode;
  /** What to send; for a READ, where to put it. */
  readonly sg_list: readonly IbvSge[];
  readonly send_flags?: readonly IbvSendFlag[];
  /** 32 bit, for the two opcodes with immediate data. */
  readonly imm_data?: number;
  /** RDMA only: address in the peer's region, and its key. */
  readonly remote_addr?: number;
  readonly rkey?: number;
}

export interface IbvRecvWr {
  readonly wr_id: unknown;
  readonly sg_list: readonly IbvSge[];
}

interface OpcodeTraits {
  readonly frame: FrameType;
  readonly completion: IbvWcOpcode;
  readonly rdma: boolean;
  /** It takes a receive at the peer, that is, a credit. */
  readonly consumesReceive: boolean;
}

export const OPCODES: Readonly<Record<IbvWrOpcode, OpcodeTraits>> = {
  IBV_WR_RDMA_WRITE: {
    frame: 'WRITE',
    completion: 'IBV_WC_RDMA_WRITE',
    rdma: true,
    consumesReceive: false,
  },
  IBV_WR_RDMA_WRITE_WITH_IMM: {
    frame: 'WRITE_IMM',
    completion: 'IBV_WC_RDMA_WRITE',
    rdma: true,
    consumesReceive: true,
  },
  IBV_WR_RDMA_READ: {
    frame: 'READ_REQUEST',
    completion: 'IBV_WC_RDMA_READ',
    rdma: true,
    consumesReceive: false,
  },
  IBV_WR_SEND: { frame: 'SEND', completion: 'IBV_WC_SEND', rdma: false, consumesReceive: true },
  IBV_WR_SEND_WITH_IMM: {
    frame: 'SEND_IMM',
    completion: 'IBV_WC_SEND',
    rdma: false,
    consumesReceive: true,
  },
};

export function sgeLength(list: readonly IbvSge[]): number {
  let total = 0;
  for (const sge of list) total += sge.length;
  return total;
}

/** Whether a list has only sane numbers; whether its keys are good is seen when it is executed. */
export function isWellFormed(list: readonly IbvSge[], maxSge: number): boolean {
  if (list.length > maxSge) return false;
  for (const { address, length } of list) {
    if (!isCount(address) || !isCount(length)) return false;
  }
  return sgeLength(list) <= NIC_LIMITS.max_msg_sz;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Work requests (`struct ibv_send_wr`, `struct ibv_recv_wr`; ibv_post_send(3), ibv_post_recv(3)). */
import type { FrameType } from '../transport/frame.ts';
import { NIC_LIMITS } from './limits.ts';
import type { SendAnswer } from './send-queue.ts';
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
  | 'IBV_WR_SEND_WITH_IMM'
  | 'IBV_WR_ATOMIC_CMP_AND_SWP'
  | 'IBV_WR_ATOMIC_FETCH_AND_ADD';

/**
 * SIGNALED: without it a request completes in silence unless it fails. FENCE: starts after every READ
 * and atomic before it has its answer. INLINE: the bytes are `inline_data`, taken over at post; keys
 * play no part and the buffer is the caller's again.
 */
export type IbvSendFlag = 'IBV_SEND_SIGNALED' | 'IBV_SEND_FENCE' | 'IBV_SEND_INLINE';

export interface IbvSendWr {
  /** Comes back in the completion. C has 64 bits here that users fill with a pointer. */
  readonly wr_id: unknown;
  readonly opcode: IbvWrOpcode;
  /** What to send; for READ and atomics, where to put the answer. Empty with IBV_SEND_INLINE. */
  readonly sg_list: readonly IbvSge[];
  readonly send_flags?: readonly IbvSendFlag[];
  /** With IBV_SEND_INLINE, for WRITE and SEND: what to send. C reads it through the `sg_list`. */
  readonly inline_data?: Uint8Array | undefined;
  /** Nobody waits for its completion: the peer may acknowledge it together with later requests. */
  readonly ack_later?: boolean | undefined;
  /** 32 bit, for the two opcodes with immediate data. */
  readonly imm_data?: number | undefined;
  /** RDMA and atomics: address in the peer's region, and its key. */
  readonly remote_addr?: number | undefined;
  readonly rkey?: number | undefined;
  /** Atomics: what to compare with, or to add; and what to store. Modulo 2^64, 0 if absent. */
  readonly compare_add?: bigint | undefined;
  readonly swap?: bigint | undefined;
}

export interface IbvRecvWr {
  readonly wr_id: unknown;
  readonly sg_list: readonly IbvSge[];
}

interface OpcodeTraits {
  readonly frame: FrameType;
  readonly completion: IbvWcOpcode;
  /** It names memory of the peer. */
  readonly rdma: boolean;
  /** It takes a receive at the peer, that is, a credit. */
  readonly consumesReceive: boolean;
  readonly answer: SendAnswer;
}

export const OPCODES: Readonly<Record<IbvWrOpcode, OpcodeTraits>> = {
  IBV_WR_RDMA_WRITE: {
    frame: 'WRITE',
    completion: 'IBV_WC_RDMA_WRITE',
    rdma: true,
    consumesReceive: false,
    answer: 'ack',
  },
  IBV_WR_RDMA_WRITE_WITH_IMM: {
    frame: 'WRITE_IMM',
    completion: 'IBV_WC_RDMA_WRITE',
    rdma: true,
    consumesReceive: true,
    answer: 'ack',
  },
  IBV_WR_RDMA_READ: {
    frame: 'READ_REQUEST',
    completion: 'IBV_WC_RDMA_READ',
    rdma: true,
    consumesReceive: false,
    answer: 'read',
  },
  IBV_WR_SEND: {
    frame: 'SEND',
    completion: 'IBV_WC_SEND',
    rdma: false,
    consumesReceive: true,
    answer: 'ack',
  },
  IBV_WR_SEND_WITH_IMM: {
    frame: 'SEND_IMM',
    completion: 'IBV_WC_SEND',
    rdma: false,
    consumesReceive: true,
    answer: 'ack',
  },
  IBV_WR_ATOMIC_CMP_AND_SWP: {
    frame: 'ATOMIC_CAS',
    completion: 'IBV_WC_COMP_SWAP',
    rdma: true,
    consumesReceive: false,
    answer: 'atomic',
  },
  IBV_WR_ATOMIC_FETCH_AND_ADD: {
    frame: 'ATOMIC_FAA',
    completion: 'IBV_WC_FETCH_ADD',
    rdma: true,
    consumesReceive: false,
    answer: 'atomic',
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
  let total = 0;
  for (const { address, length } of list) {
    if (!isCount(address) || !isCount(length)) return false;
    total += length;
  }
  return total <= NIC_LIMITS.max_msg_sz;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

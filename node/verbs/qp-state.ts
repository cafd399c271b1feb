/**
 * States of a reliable-connection queue pair and the attributes each transition needs
 * (ibv_modify_qp(3); Linux drivers/infiniband/core/verbs.c `qp_state_table`). Reliable connections
 * never enter SQE; what the kernel's table says of alternate paths is left out, there is one path.
 */
import { LINK_MTU_BYTES } from '../transport/frame.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvAccessFlag } from './mr.ts';

export type IbvQpState =
  | 'IBV_QPS_RESET'
  | 'IBV_QPS_INIT'
  | 'IBV_QPS_RTR'
  | 'IBV_QPS_RTS'
  | 'IBV_QPS_SQD'
  | 'IBV_QPS_SQE'
  | 'IBV_QPS_ERR';

/** `struct ibv_qp_attr`; a present property is a set bit of the attribute mask. */
export interface IbvQpAttr {
  readonly qp_state?: IbvQpState;
  /** The state that the caller believes it is in; another one makes the call fail. */
  readonly cur_qp_state?: IbvQpState;
  /** To SQD: report IBV_EVENT_SQ_DRAINED. */
  readonly en_sqd_async_notify?: boolean;
  readonly pkey_index?: number;
  readonly port_num?: number;
  /** What the peer may do through this queue pair. Local writing is implied. */
  readonly qp_access_flags?: readonly IbvAccessFlag[];
  /** The address handle: which host the peer is. */
  readonly ah_attr?: { readonly nodeId: string };
  /** Payload bytes per frame, 1..LINK_MTU_BYTES. */
  readonly path_mtu?: number;
  readonly dest_qp_num?: number;
  /** First PSN that the peer will send. */
  readonly rq_psn?: number;
  readonly max_dest_rd_atomic?: number;
  /** How long a peer waits after an RNR NAK of this side: index in `RNR_TIMER_MS`. */
  readonly min_rnr_timer?: number;
  /** First PSN that this side will send. */
  readonly sq_psn?: number;
  readonly max_rd_atomic?: number;
  /** 0..7 */
  readonly retry_cnt?: number;
  /** 0..7; 7 is without end. */
  readonly rnr_retry?: number;
  /** Acknowledgement timeout of 4.096 us x 2^timeout, 0..31; 0 waits for ever. */
  readonly timeout?: number;
}

type AttributeName = Exclude<keyof IbvQpAttr, 'qp_state'>;

interface Transition {
  readonly required: readonly AttributeName[];
  readonly optional: readonly AttributeName[];
}

const BARE: Transition = { required: [], optional: [] };

const TRANSITIONS: Readonly<Record<IbvQpState, Readonly<Partial<Record<IbvQpState, Transition>>>>> =
  {
    IBV_QPS_RESET: {
      IBV_QPS_RESET: BARE,
      IBV_QPS_INIT: { required: ['pkey_index', 'port_num', 'qp_access_flags'], optional: [] },
    },
    IBV_QPS_INIT: {
      IBV_QPS_RESET: BARE,
      IBV_QPS_ERR: BARE,
      IBV_QPS_INIT: { required: [], optional: ['pkey_index', 'port_num', 'qp_access_flags'] },
      IBV_QPS_RTR: {
        required: [
          'ah_attr',
          'path_mtu',
          'dest_qp_num',
          'rq_psn',
          'max_dest_rd_atomic',
          'min_rnr_timer',
        ],
        optional: ['qp_access_flags', 'pkey_index'],
      },
    },
    IBV_QPS_RTR: {
      IBV_QPS_RESET: BARE,
      IBV_QPS_ERR: BARE,
      IBV_QPS_RTS: {
        required: ['sq_psn', 'max_rd_atomic', 'retry_cnt', 'rnr_retry', 'timeout'],
        optional: ['cur_qp_state', 'qp_access_flags', 'min_rnr_timer'],
      },
    },
    IBV_QPS_RTS: {
      IBV_QPS_RESET: BARE,
      IBV_QPS_ERR: BARE,
      IBV_QPS_RTS: {
        required: [],
        optional: ['cur_qp_state', 'qp_access_flags', 'min_rnr_timer'],
      },
      IBV_QPS_SQD: { required: [], optional: ['en_sqd_async_notify'] },
    },
    IBV_QPS_SQD: {
      IBV_QPS_RESET: BARE,
      IBV_QPS_ERR: BARE,
      IBV_QPS_RTS: {
        required: [],
        optional: ['cur_qp_state', 'qp_access_flags', 'min_rnr_timer'],
      },
      IBV_QPS_SQD: {
        required: [],
        optional: [
          'port_num',
          'ah_attr',
          'timeout',
          'retry_cnt',
          'rnr_retry',
          'max_rd_atomic',
          'max_dest_rd_atomic',
          'qp_access_flags',
          'pkey_index',
          'min_rnr_timer',
        ],
      },
    },
    IBV_QPS_SQE: { IBV_QPS_RESET: BARE, IBV_QPS_ERR: BARE },
    IBV_QPS_ERR: { IBV_QPS_RESET: BARE, IBV_QPS_ERR: BARE },
  };

const PSN_MAX = 2 ** 32 - 1;

/** Largest value of each attribute that is a number; the smallest is 0, or 1 where 0 means nothing. */
const RANGES: Readonly<Partial<Record<AttributeName, readonly [number, number]>>> = {
  pkey_index: [0, 0],
  port_num: [1, 1],
  path_mtu: [1, LINK_MTU_BYTES],
  dest_qp_num: [0, PSN_MAX],
  rq_psn: [0, PSN_MAX],
  max_dest_rd_atomic: [0, NIC_LIMITS.max_qp_rd_atom],
  min_rnr_timer: [0, 31],
  sq_psn: [0, PSN_MAX],
  max_rd_atomic: [0, NIC_LIMITS.max_qp_rd_atom],
  retry_cnt: [0, 7],
  rnr_retry: [0, 7],
  timeout: [0, 31],
};

/** Where a queue pair stands when it is modified. */
export interface QpStanding {
  readonly state: IbvQpState;
  /** In SQD: requests that were under way have not completed. */
  readonly draining: boolean;
}

/** Whether such a queue pair may take `attributes` (which may name the next state). */
export function isLegalModify({ state, draining }: QpStanding, attributes: IbvQpAttr): boolean {
  const next = attributes.qp_state ?? state;
  const transition = TRANSITIONS[state][next];
  if (transition === undefined) return false;
  // Linux, rxe_qp_chk_attr: while the queue drains there is only the way out by failure.
  if (draining && (next === 'IBV_QPS_RTS' || next === 'IBV_QPS_SQD')) return false;
  if ((attributes.cur_qp_state ?? state) !== state) return false;
  const given = (Object.keys(attributes) as (keyof IbvQpAttr)[]).filter(
    (name) => name !== 'qp_state' && attributes[name] !== undefined,
  ) as AttributeName[];
  const known = given.every(
    (name) => transition.required.includes(name) || transition.optional.includes(name),
  );
  const complete = transition.required.every((name) => given.includes(name));
  return known && complete && given.every((name) => isInRange(name, attributes[name]));
}

function isInRange(name: AttributeName, value: unknown): boolean {
  const range = RANGES[name];
  if (range === undefined) return true;
  return Number.isInteger(value) && Number(value) >= range[0] && Number(value) <= range[1];
}

/** Acknowledgement timeout in milliseconds. */
export function ackTimeoutMs(timeout: number): number {
  return 4.096e-3 * 2 ** timeout;
}

/** RNR timer codes in milliseconds (InfiniBand Architecture Specification, table of ibv_modify_qp(3)). */
export const RNR_TIMER_MS: readonly number[] = [
  655.36, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.96, 1.28, 1.92,
  2.56, 3.84, 5.12, 7.68, 10.24, 15.36, 20.48, 30.72, 40.96, 61.44, 81.92, 122.88, 163.84, 245.76,
  327.68, 491.52,
];

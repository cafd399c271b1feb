/**
 * The queue pairs of a connection, with completion queues of their own that can never overrun. Each
 * direction has one: what goes wrong with a request of this side leaves the peer's requests alone.
 */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import { type IbvCq, ibv_create_cq, ibv_destroy_cq } from '../verbs/cq.ts';
import { type IbvQp, ibv_create_qp, ibv_destroy_qp, ibv_modify_qp } from '../verbs/qp.ts';
import type { IbvQpEvent } from '../verbs/qp-attributes.ts';
import type { FiDomain } from './domain.ts';

/** Receives posted per peer: how many SENDs and writes with data it may have under way. */
export const RECV_DEPTH = 64;
/** Requests per peer that are posted and have not completed. */
export const SEND_DEPTH = 256;
/** Questions and answers about windows that have room beside those: they take none of the program's. */
export const WINDOW_DEPTH = 32;
/** Requests of a queue pair. */
export const QUEUE_DEPTH = SEND_DEPTH + WINDOW_DEPTH;
/** A message is gathered from its header's slot and, if it lies in a region, from there. */
const SEND_SGE = 2;

export interface QueuePairUser {
  readonly epoch: number;
  readonly onCompletion: () => void;
  readonly onEvent: (event: IbvQpEvent) => void;
}

const ACCESS_OF_PEER = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
] as const;

/** A queue pair in state INIT: for requests of this side (`outbound`), or of the peer (`inbound`). */
export function openQueuePair(
  domain: FiDomain,
  direction: 'outbound' | 'inbound',
  { epoch, onCompletion, onEvent }: QueuePairUser,
): IbvQp {
  const [sends, receives] = direction === 'outbound' ? [QUEUE_DEPTH, 0] : [0, RECV_DEPTH];
  const cq = openCq(domain, sends + receives, onCompletion);
  const qp = ibv_create_qp(domain.pd, {
    send_cq: cq,
    recv_cq: cq,
    cap: {
      max_send_wr: sends,
      max_recv_wr: receives,
      max_send_sge: SEND_SGE,
      max_recv_sge: 1,
    },
    epoch,
    onEvent,
  });
  assert(!isErrno(qp), `Expected a queue pair but found ${String(qp)}`);
  const errno = ibv_modify_qp(qp, {
    qp_state: 'IBV_QPS_INIT',
    pkey_index: 0,
    port_num: 1,
    qp_access_flags: direction === 'inbound' ? ACCESS_OF_PEER : [],
  });
  assert(errno === undefined, `Expected a new queue pair to take INIT but found ${errno}`);
  return qp;
}

export function closeQueuePair(qp: IbvQp): void {
  ibv_destroy_qp(qp);
  const errno = ibv_destroy_cq(qp.send_cq);
  assert(errno === undefined, 'Expected a completion queue of a single queue pair');
}

function openCq(domain: FiDomain, cqe: number, onCompletion: () => void): IbvCq {
  const cq = ibv_create_cq(domain.context, cqe, onCompletion);
  assert(!isErrno(cq), `Expected a completion queue of ${cqe} but found ${String(cq)}`);
  return cq;
}

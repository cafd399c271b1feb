/**
 * What a responder does when it does not execute a request: what it tells the peer, how the receive at
 * the head of its queue ends by it, and which asynchronous event it raises. An error that a receive
 * can report is reported there, any other by an event (InfiniBand Architecture Specification, volume
 * 1, section 9.9.3, responder error behaviour).
 */
import type { NakSyndrome } from '../transport/frame.ts';
import type { IbvWcStatus } from './wc.ts';

export interface ResponderFault {
  readonly syndrome: NakSyndrome;
  /** The status of the receive that ends by it. */
  readonly receive?: IbvWcStatus;
  /** Raised unless a receive has told it. Absent: it is no fault, the peer shall try again. */
  readonly event?: 'IBV_EVENT_QP_REQ_ERR' | 'IBV_EVENT_QP_ACCESS_ERR';
}

export const RESPONDER_FAULTS = {
  /** Bad form or order, a queue pair without the right, a misaligned atomic, too many READs. */
  invalidRequest: { syndrome: 'INVALID_REQUEST', event: 'IBV_EVENT_QP_REQ_ERR' },
  /** The message is longer than the receive. */
  receiveTooShort: { syndrome: 'INVALID_REQUEST', receive: 'IBV_WC_LOC_LEN_ERR' },
  /** rkey unknown, of another domain, without the right, revoked, or the range is not in it. */
  noAccess: { syndrome: 'REMOTE_ACCESS_ERROR', event: 'IBV_EVENT_QP_ACCESS_ERR' },
  /** The same for a WRITE that would have completed a receive. */
  noAccessWithImmediate: {
    syndrome: 'REMOTE_ACCESS_ERROR',
    receive: 'IBV_WC_LOC_ACCESS_ERR',
    event: 'IBV_EVENT_QP_ACCESS_ERR',
  },
  /** An lkey of the receive does not work. */
  badReceive: { syndrome: 'REMOTE_OPERATION_ERROR', receive: 'IBV_WC_LOC_PROT_ERR' },
  /** No receive is posted, or a page is not there yet. */
  notReady: { syndrome: 'RNR' },
} as const satisfies Record<string, ResponderFault>;

const STATUS_OF_SYNDROME: Readonly<Partial<Record<NakSyndrome, IbvWcStatus>>> = {
  INVALID_REQUEST: 'IBV_WC_REM_INV_REQ_ERR',
  REMOTE_ACCESS_ERROR: 'IBV_WC_REM_ACCESS_ERR',
  REMOTE_OPERATION_ERROR: 'IBV_WC_REM_OP_ERR',
};

/** What a NAK ends the peer's request with; `undefined` if the peer shall try again. */
export function statusOfSyndrome(syndrome: NakSyndrome): IbvWcStatus | undefined {
  return STATUS_OF_SYNDROME[syndrome];
}

/** An operation that was posted to a queue pair: its requests, and what its completion will say. */
import type { IbvWcStatus } from '../verbs/wc.ts';
import { type IbvSendWr, OPCODES } from '../verbs/work-request.ts';

/** A request without what the connection adds. */
export type PlainWr = Omit<IbvSendWr, 'wr_id' | 'send_flags'>;

/**
 * `harmless`: as often as one likes, a read. `numbered`: a message; a peer that remembers its number
 * drops it the second time. `never`: a write or an atomic.
 */
export type Repeat = 'harmless' | 'numbered' | 'never';

export interface SendOperationInit {
  /** In order. They complete together. */
  readonly requests: readonly PlainWr[];
  /** Whether it may be posted anew if the peer may have executed it already. */
  readonly repeat: Repeat;
  /** False: what is posted behind it may overtake it. Default true. */
  readonly isOrdered?: boolean | undefined;
  /** It has room of its own in the queue (`WINDOW_DEPTH`). Default false. */
  readonly isBeside?: boolean | undefined;
  /** Called once, with IBV_WC_SUCCESS or what went wrong. Not called if the endpoint closes first. */
  readonly ended: (status: IbvWcStatus) => void;
}

export class SendOperation {
  readonly requests: readonly PlainWr[];
  readonly repeat: Repeat;
  readonly isOrdered: boolean;
  readonly isBeside: boolean;
  readonly ended: (status: IbvWcStatus) => void;
  /** Receives of the peer, and so credits, that it takes. */
  readonly receives: number;
  /** Requests under way. */
  remaining = 0;
  /** The first failure among its requests that is not a flush; else the flush. */
  status: IbvWcStatus = 'IBV_WC_SUCCESS';
  /** Payload bytes that its queue pair sends, from the start to the end of this operation. */
  endByte = 0;

  constructor(init: SendOperationInit) {
    this.requests = init.requests;
    this.repeat = init.repeat;
    this.isOrdered = init.isOrdered ?? true;
    this.isBeside = init.isBeside ?? false;
    this.ended = init.ended;
    let receives = 0;
    for (const { opcode } of init.requests) if (OPCODES[opcode].consumesReceive) receives++;
    this.receives = receives;
  }

  /** Notes how one of its requests ended. */
  note(status: IbvWcStatus): void {
    this.remaining--;
    const isNews = this.status === 'IBV_WC_SUCCESS' || this.status === 'IBV_WC_WR_FLUSH_ERR';
    if (isNews && status !== 'IBV_WC_SUCCESS') this.status = status;
  }
}

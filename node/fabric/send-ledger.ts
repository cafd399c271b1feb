/**
 * What an endpoint has under way to one peer: the operations on the present queue pair, and those that
 * have to be posted again on the next one. Decides which these are when a request fails.
 */

import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import { type IbvQp, ibv_post_send } from '../verbs/qp.ts';
import type { IbvWc, IbvWcStatus } from '../verbs/wc.ts';
import { type IbvSendWr, OPCODES, sgeLength } from '../verbs/work-request.ts';
import { FAILURE_CLASS, FI_ERRNO_OF_ERRNO } from './error-map.ts';
import type { FiErrno } from './fabric.ts';
import { SEND_DEPTH, WINDOW_DEPTH } from './queue-pair.ts';
import { type PlainWr, SendOperation } from './send-operation.ts';

/**
 * What is posted again of operations that were flushed. `afterFailure`: as the request that failed
 * allows, if it is the cause. `harmless`: what the peer has forgotten must not come twice. `nothing`:
 * the peer is lost.
 */
export type RepeatScope = 'afterFailure' | 'harmless' | 'nothing';

const SIGNALED = ['IBV_SEND_SIGNALED'] as const;

export class SendLedger {
  /** Requests on the queue pair whose completion has not been taken. */
  #pending = 0;
  /** Of those, requests that have room of their own. */
  #beside = 0;
  /** Operations, under way or to be posted again, that nothing may overtake. */
  #ordered = 0;
  #postedBytes = 0;
  /** Set by the operation that failed: nothing behind it has been executed. */
  #isRestUnexecuted = false;
  readonly #again: SendOperation[] = [];

  get pending(): number {
    return this.#pending;
  }

  /** The next operation that has to be posted again, before all others. */
  get again(): SendOperation | undefined {
    return this.#again[0];
  }

  get isIdle(): boolean {
    return this.#pending === 0 && this.#again.length === 0;
  }

  /** Nothing is under way that may not be overtaken. */
  get isClear(): boolean {
    return this.#ordered === 0;
  }

  /** The queue has a place for each of its requests. */
  hasRoom({ requests, isBeside }: SendOperation): boolean {
    return isBeside
      ? this.#beside + requests.length <= WINDOW_DEPTH
      : this.#pending - this.#beside + requests.length <= SEND_DEPTH;
  }

  /** There is a new queue pair, with nothing on it. */
  restart(): void {
    this.#pending = 0;
    this.#beside = 0;
    this.#postedBytes = 0;
    this.#isRestUnexecuted = false;
  }

  /** Posts all requests of an operation, for which there is room. FI_EINVAL: nothing was posted. */
  post(qp: IbvQp, operation: SendOperation): FiErrno | undefined {
    if (operation === this.#again[0]) this.#again.shift();
    else this.#enter(operation);
    operation.status = 'IBV_WC_SUCCESS';
    const { requests } = operation;
    operation.remaining = requests.length;
    for (let index = 0; index < requests.length; index++) {
      const wr = requests[index] as PlainWr;
      const errno = ibv_post_send(qp, signaled(wr, operation));
      if (isErrno(errno)) {
        assert(index === 0, `Expected room for all of an operation but found ${errno}`);
        this.#leave(operation);
        return FI_ERRNO_OF_ERRNO[errno];
      }
      this.#pending++;
      if (operation.isBeside) this.#beside++;
      this.#postedBytes += OPCODES[wr.opcode].answer === 'ack' ? sgeLength(wr.sg_list) : 0;
    }
    operation.endByte = this.#postedBytes;
    return undefined;
  }

  /** Notes a completion. Gives its operation if that has ended by it; not if it is posted again. */
  complete(qp: IbvQp, { wr_id, status }: IbvWc, scope: RepeatScope): SendOperation | undefined {
    assert(wr_id instanceof SendOperation, 'Expected an operation of this connection');
    this.#pending--;
    if (wr_id.isBeside) this.#beside--;
    wr_id.note(status);
    if (wr_id.remaining > 0) return undefined;
    if (wr_id.status === 'IBV_WC_WR_FLUSH_ERR') {
      if (!this.#mayRepeat(wr_id, scope, qp.failure)) return this.#leave(wr_id);
      this.#again.push(wr_id);
      return undefined;
    }
    if (wr_id.status !== 'IBV_WC_SUCCESS') this.#noteFailure(qp, wr_id.endByte, wr_id.status);
    return this.#leave(wr_id);
  }

  /** Takes out what should have been posted again and, in this scope, may not. */
  takeAgain(scope: RepeatScope): SendOperation[] {
    const all = this.#again.splice(0);
    const stays = ({ repeat }: SendOperation) => scope === 'harmless' && repeat === 'harmless';
    this.#again.push(...all.filter(stays));
    return all.filter((operation) => !stays(operation)).map((operation) => this.#leave(operation));
  }

  #enter({ isOrdered }: SendOperation): void {
    if (isOrdered) this.#ordered++;
  }

  #leave(operation: SendOperation): SendOperation {
    if (operation.isOrdered) this.#ordered--;
    return operation;
  }

  #mayRepeat({ repeat }: SendOperation, scope: RepeatScope, cause: IbvWcStatus | undefined) {
    if (scope !== 'afterFailure') return scope === 'harmless' && repeat === 'harmless';
    return isOfOneRequest(cause) && (this.#isRestUnexecuted || repeat !== 'never');
  }

  #noteFailure(
    { counters }: IbvQp,
    endByte: number,
    status: Exclude<IbvWcStatus, 'IBV_WC_SUCCESS' | 'IBV_WC_WR_FLUSH_ERR'>,
  ): void {
    // Requests are sent in order: if not all of this one was sent, nothing behind it was.
    const wasCut = counters.writeBytesSent + counters.sendBytesSent < endByte;
    this.#isRestUnexecuted = FAILURE_CLASS[status] === 'told' || wasCut;
  }
}

/** A request as it is posted. Every field is written out: all have one shape. */
function signaled(wr: PlainWr, operation: SendOperation): IbvSendWr {
  return {
    wr_id: operation,
    opcode: wr.opcode,
    sg_list: wr.sg_list,
    send_flags: SIGNALED,
    inline_data: wr.inline_data,
    ack_later: wr.ack_later,
    imm_data: wr.imm_data,
    remote_addr: wr.remote_addr,
    rkey: wr.rkey,
    compare_add: wr.compare_add,
    swap: wr.swap,
  };
}

/** The failure is that of one request: on another queue pair, the others can go on. */
export function isOfOneRequest(cause: IbvWcStatus | undefined): boolean {
  if (cause === undefined || cause === 'IBV_WC_SUCCESS') return false;
  return FAILURE_CLASS[cause] === 'told' || FAILURE_CLASS[cause] === 'local';
}

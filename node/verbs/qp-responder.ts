/**
 * The responder half of a queue pair: it executes the peer's requests in order, each once, and
 * acknowledges them (InfiniBand Architecture Specification, chapter 9; structure after Linux
 * drivers/infiniband/sw/rxe/rxe_resp.c).
 *
 * `place` decides about a frame before a byte of it is stored: sequence, form, queue pair rights,
 * then key, domain, region rights and range. What fails is refused there. Between `place` and
 * `landed` the connection may break or memory may be taken back, so `place` changes nothing for a
 * frame that it lets through, and `landed` decides again before it counts the frame as executed.
 */
import { assert, defined } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { FrameHeader, NakSyndrome } from '../transport/frame.ts';
import { ATOMIC_BYTES, executeAtomic, SavedReplies } from './atomic.ts';
import { psnAdd, psnDistance } from './psn.ts';
import type { IbvQp } from './qp.ts';
import {
  checkRead,
  checkRequest,
  type PartialMessage,
  type RequestProgress,
  requestTarget,
} from './request-check.ts';
import { RESPONDER_FAULTS, type ResponderFault, statusOfSyndrome } from './responder-faults.ts';
import { ResponseQueue } from './response-queue.ts';
import type { IbvWcStatus } from './wc.ts';
import type { IbvRecvWr } from './work-request.ts';

/** Acknowledgements wait for at most so many frames. */
const ACK_EVERY_FRAMES = 16;
/** That of a frame whose sender waits for it: the turn of the event loop in which it came may be a long one. */
export const ACK_TURN_FRAMES = 4;
/** How long the acknowledgement of a frame that asks for none soon (`ackLater`) waits for company. */
export const ACK_DELAY_MS = 4;

export class Responder implements RequestProgress {
  readonly #qp: IbvQp;
  readonly #responses: ResponseQueue;
  readonly #savedReplies = new SavedReplies();
  /** Where the operands of an atomic land: nothing else arrives before it is executed. */
  readonly #operands = new Uint8Array(2 * ATOMIC_BYTES);
  #receives: IbvRecvWr[] = [];
  /** Receives posted since the start, modulo 2^32: the credits that the peer is told. */
  #posted = 0;
  /** The credits that the peer was told last. */
  #reported = 0;
  #expectedPsn = 0;
  #message: PartialMessage | undefined;
  /** One NAK per gap: until the expected frame comes, the rest is dropped in silence. */
  #nakSent = false;
  #ackScheduled = false;
  #turnAck = false;
  #delayedAck = false;
  #framesUnacked = 0;
  /** The NAK that ended the connection; repeated if the peer has missed it. */
  #lastWord: { readonly psn: number; readonly syndrome: NakSyndrome } | undefined;
  /** A refusal that waits until earlier requests have been answered. */
  #pendingFault: { readonly psn: number; readonly fault: ResponderFault } | undefined;

  constructor(qp: IbvQp) {
    this.#qp = qp;
    this.#responses = new ResponseQueue(qp);
  }

  /** The queue pair has reached RTR. */
  start(): void {
    this.#expectedPsn = this.#qp.attributes.rq_psn;
  }

  /** Receives posted since the start, modulo 2^32. */
  get receivesPosted(): number {
    return this.#posted;
  }

  get message(): PartialMessage | undefined {
    return this.#message;
  }

  get receive(): IbvRecvWr | undefined {
    return this.#receives[0];
  }

  get hasResponseRoom(): boolean {
    return !this.#responses.isFull;
  }

  post(wr: IbvRecvWr): Errno | undefined {
    if (this.#qp.state === 'IBV_QPS_ERR') {
      this.#completeReceive(wr, 'IBV_WC_WR_FLUSH_ERR');
      return undefined;
    }
    if (this.#receives.length >= this.#qp.cap.max_recv_wr) return 'ENOMEM';
    this.#receives.push(wr);
    this.#posted = psnAdd(this.#posted, 1);
    // A peer that has room for half of all knows enough: the next acknowledgement brings the rest.
    if (2 * this.#knownRoom < this.#qp.cap.max_recv_wr) this.#acknowledgeSoon();
    return undefined;
  }

  place(header: FrameHeader): readonly Uint8Array[] | null {
    if (!this.#admits(header)) return null;
    if (isAtomic(header)) return [this.#operands.subarray(0, header.payloadLength)];
    return requestTarget(this.#qp, this, header);
  }

  landed(header: FrameHeader): void {
    if (!this.#admits(header)) return;
    this.#expectedPsn = psnAdd(this.#expectedPsn, 1);
    if (header.type === 'READ_REQUEST') this.#responses.addRead(header);
    else if (isAtomic(header)) this.#execute(header);
    else this.#stored(header);
    this.#framesUnacked++;
    if (this.#framesUnacked >= ACK_EVERY_FRAMES) this.#acknowledgeSoon();
    else if (header.last && header.ackLater) this.#acknowledgeLater();
    else if (header.last) this.#acknowledgeThisTurn();
    if (!this.#responses.isIdle || this.#pendingFault !== undefined) this.pump();
  }

  /** Sends answers. False if the link is full. */
  pump(): boolean {
    const outcome = this.#responses.pump();
    if (outcome.kind === 'refused') this.#refuse(outcome.psn, RESPONDER_FAULTS.noAccess);
    else if (outcome.kind === 'idle') this.#settlePendingFault();
    return outcome.kind !== 'full';
  }

  flush(): void {
    const receives = this.#receives;
    this.#receives = [];
    this.#message = undefined;
    // Its receive is flushed with the others.
    this.#pendingFault = undefined;
    this.#responses.clear();
    for (const wr of receives) this.#completeReceive(wr, 'IBV_WC_WR_FLUSH_ERR');
  }

  reset(): void {
    this.#receives = [];
    this.#message = undefined;
    this.#responses.clear();
    this.#savedReplies.clear();
    this.#posted = 0;
    this.#reported = 0;
    this.#nakSent = false;
    this.#framesUnacked = 0;
    this.#lastWord = undefined;
    this.#pendingFault = undefined;
  }

  /**
   * Whether `header` is of the expected frame, and the frame may be executed. If not, the peer is told
   * what it has to know.
   */
  #admits(header: FrameHeader): boolean {
    if (!this.#isNext(header)) return false;
    const fault = checkRequest(this.#qp, this, header);
    if (fault === undefined) return true;
    this.#refuse(header.psn, fault);
    return false;
  }

  #isNext(header: FrameHeader): boolean {
    if (this.#qp.state === 'IBV_QPS_ERR') {
      if (this.#lastWord !== undefined) this.#nak(this.#lastWord.psn, this.#lastWord.syndrome);
      return false;
    }
    if (this.#pendingFault !== undefined) return false;
    const distance = psnDistance(header.psn, this.#expectedPsn);
    if (distance < 0) this.#onDuplicate(header);
    if (distance > 0 && !this.#nakSent) {
      this.#nakSent = true;
      this.#nak(this.#expectedPsn, 'SEQUENCE_ERROR');
    }
    if (distance !== 0) return false;
    this.#nakSent = false;
    return true;
  }

  /** Already executed: READ and atomics are answered again, anything else only acknowledged again. */
  #onDuplicate(header: FrameHeader): void {
    if (isAtomic(header)) {
      const reply = this.#savedReplies.get(header.psn);
      // One that is not kept any more has been answered long ago.
      if (reply !== undefined) this.#responses.addAtomic(header.psn, reply);
      this.pump();
    } else if (header.type === 'READ_REQUEST' && checkRead(this.#qp, header) === undefined) {
      this.#responses.addReadAgain(header);
      this.pump();
    } else {
      this.#acknowledgeSoon();
    }
  }

  #execute({ type, psn, rkey, remoteAddress }: FrameHeader): void {
    const region = defined(this.#qp.context.nic.region(rkey), 'the region of an atomic');
    const memory = region.views(remoteAddress, ATOMIC_BYTES);
    const reply = executeAtomic(type, this.#operands, memory);
    this.#qp.counters.atomicsExecuted++;
    this.#savedReplies.save(psn, reply);
    this.#responses.addAtomic(psn, reply);
  }

  /** Counts a WRITE or SEND frame whose payload is in place. */
  #stored(header: FrameHeader): void {
    const { counters } = this.#qp;
    const write = header.type === 'WRITE' || header.type === 'WRITE_IMM';
    if (write) counters.writeBytesReceived += header.payloadLength;
    else counters.sendBytesReceived += header.payloadLength;
    const offset = header.messageOffset + header.payloadLength;
    this.#message = header.last
      ? undefined
      : { type: header.type, length: header.messageLength, offset };
    if (!header.last || header.type === 'WRITE') return;
    this.#qp.completeReceive({
      wr_id: defined(this.#receives.shift(), 'a posted receive').wr_id,
      status: 'IBV_WC_SUCCESS',
      opcode: write ? 'IBV_WC_RECV_RDMA_WITH_IMM' : 'IBV_WC_RECV',
      byte_len: header.messageLength,
      imm_data: header.type === 'SEND' ? undefined : header.immediate,
    });
  }

  #refuse(psn: number, fault: ResponderFault): void {
    if (fault.syndrome === 'RNR') {
      this.#nakSent = true;
      this.#nak(psn, 'RNR');
    } else if (this.#responses.isIdle) {
      this.#end(psn, fault);
    } else {
      this.#pendingFault ??= { psn, fault };
    }
  }

  #settlePendingFault(): void {
    const pending = this.#pendingFault;
    if (pending === undefined) return;
    this.#pendingFault = undefined;
    this.#end(pending.psn, pending.fault);
  }

  #end(psn: number, { syndrome, receive: status, event }: ResponderFault): void {
    this.#lastWord = { psn, syndrome };
    this.#nak(psn, syndrome);
    if (status !== undefined) {
      this.#completeReceive(defined(this.#receives.shift(), 'a posted receive'), status);
    } else if (event !== undefined) {
      this.#qp.raise(event);
    }
    this.#qp.fail(status ?? defined(statusOfSyndrome(syndrome), 'the status of a fault'));
  }

  #completeReceive(wr: IbvRecvWr, status: IbvWcStatus): void {
    this.#qp.completeReceive({ wr_id: wr.wr_id, status, opcode: 'IBV_WC_RECV', byte_len: 0 });
  }

  #nak(psn: number, syndrome: NakSyndrome): void {
    assert(syndrome !== 'NONE', 'Expected a reason');
    this.#reported = this.#posted;
    const immediate = syndrome === 'RNR' ? this.#qp.attributes.min_rnr_timer : 0;
    this.#qp.reply('NAK', { psn, syndrome, immediate, credits: this.#posted });
  }

  /** One ACK for all frames that come in this turn of the event loop, unless there are many. */
  #acknowledgeThisTurn(): void {
    const { nextTurn } = this.#qp.context.nic.scheduler;
    if (nextTurn === undefined || this.#framesUnacked >= ACK_TURN_FRAMES) {
      this.#acknowledgeSoon();
    } else if (!this.#turnAck) {
      this.#turnAck = true;
      nextTurn(() => {
        this.#turnAck = false;
        if (this.#framesUnacked > 0) this.#acknowledge();
      });
    }
  }

  /** One ACK for everything that happens until the running task is done. */
  #acknowledgeSoon(): void {
    if (this.#ackScheduled || !this.#isConnected()) return;
    this.#ackScheduled = true;
    this.#qp.context.nic.scheduler.soon(() => {
      this.#ackScheduled = false;
      this.#acknowledge();
    });
  }

  /** One ACK for everything that happens until then, unless one is sent before. */
  #acknowledgeLater(): void {
    if (this.#delayedAck) return;
    this.#delayedAck = true;
    this.#qp.context.nic.scheduler.after(ACK_DELAY_MS, () => {
      this.#delayedAck = false;
      if (this.#framesUnacked > 0) this.#acknowledge();
    });
  }

  #acknowledge(): void {
    if (!this.#isConnected()) return;
    this.#framesUnacked = 0;
    this.#reported = this.#posted;
    this.#qp.reply('ACK', { psn: psnAdd(this.#expectedPsn, -1), credits: this.#posted });
  }

  /** Receives that the peer knows of and has not used. */
  get #knownRoom(): number {
    return psnDistance(this.#reported, psnAdd(this.#posted, -this.#receives.length));
  }

  #isConnected(): boolean {
    return canReceive(this.#qp.state);
  }
}

function canReceive(state: IbvQp['state']): boolean {
  return state === 'IBV_QPS_RTR' || state === 'IBV_QPS_RTS' || state === 'IBV_QPS_SQD';
}

function isAtomic({ type }: FrameHeader): boolean {
  return type === 'ATOMIC_CAS' || type === 'ATOMIC_FAA';
}

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
import { psnAdd, psnDistance } from './psn.ts';
import type { IbvQp } from './qp.ts';
import { ReadStreams } from './read-streams.ts';
import {
  checkRead,
  checkRequest,
  NO_ACCESS,
  type PartialMessage,
  type Refusal,
  type RequestProgress,
} from './request-check.ts';
import type { IbvWcStatus } from './wc.ts';
import type { IbvRecvWr } from './work-request.ts';

/** A long message is acknowledged every so many frames, and at its end. */
const ACK_EVERY_FRAMES = 16;

/** What the peer's request ends with. */
const STATUS_TOLD: Readonly<Record<NakSyndrome, IbvWcStatus>> = {
  NONE: 'IBV_WC_SUCCESS',
  SEQUENCE_ERROR: 'IBV_WC_RETRY_EXC_ERR',
  RNR: 'IBV_WC_RNR_RETRY_EXC_ERR',
  INVALID_REQUEST: 'IBV_WC_REM_INV_REQ_ERR',
  REMOTE_ACCESS_ERROR: 'IBV_WC_REM_ACCESS_ERR',
  REMOTE_OPERATION_ERROR: 'IBV_WC_REM_OP_ERR',
};

export class Responder {
  readonly #qp: IbvQp;
  readonly #reads: ReadStreams;
  #receives: IbvRecvWr[] = [];
  /** Receives posted since the start, modulo 2^32: the credits that the peer is told. */
  #posted = 0;
  #expectedPsn = 0;
  #message: PartialMessage | undefined;
  /** One NAK per gap: until the expected frame comes, the rest is dropped in silence. */
  #nakSent = false;
  #ackScheduled = false;
  #framesUnacked = 0;
  /** The NAK that ended the connection; repeated if the peer has missed it. */
  #lastWord: { readonly psn: number; readonly syndrome: NakSyndrome } | undefined;
  /** A refusal that waits until earlier READs have been answered. */
  #pendingRefusal: { readonly psn: number; readonly refusal: Refusal } | undefined;

  constructor(qp: IbvQp) {
    this.#qp = qp;
    this.#reads = new ReadStreams(qp);
  }

  /** The queue pair has reached RTR. */
  start(): void {
    this.#expectedPsn = this.#qp.attributes.rq_psn;
  }

  /** Receives posted since the start, modulo 2^32. */
  get receivesPosted(): number {
    return this.#posted;
  }

  post(wr: IbvRecvWr): Errno | undefined {
    if (this.#qp.state === 'IBV_QPS_ERR') {
      this.#completeReceive(wr, 'IBV_WC_WR_FLUSH_ERR');
      return undefined;
    }
    if (this.#receives.length >= this.#qp.cap.max_recv_wr) return 'ENOMEM';
    this.#receives.push(wr);
    this.#posted = psnAdd(this.#posted, 1);
    this.#acknowledgeSoon();
    return undefined;
  }

  place(header: FrameHeader): readonly Uint8Array[] | null {
    return this.#decide(header) ?? null;
  }

  landed(header: FrameHeader): void {
    if (this.#decide(header) === undefined) return;
    this.#expectedPsn = psnAdd(this.#expectedPsn, 1);
    if (header.type === 'READ_REQUEST') this.#reads.add(header);
    else this.#stored(header);
    this.#framesUnacked++;
    if (header.last || this.#framesUnacked >= ACK_EVERY_FRAMES) this.#acknowledgeSoon();
    this.pump();
  }

  /** Sends answers to READs. False if the link is full. */
  pump(): boolean {
    const outcome = this.#reads.pump();
    if (outcome.kind === 'refused') this.#refuse(outcome.psn, NO_ACCESS);
    else if (outcome.kind === 'idle') this.#settlePendingRefusal();
    return outcome.kind !== 'full';
  }

  flush(): void {
    const receives = this.#receives;
    this.#receives = [];
    this.#message = undefined;
    this.#reads.clear();
    for (const wr of receives) this.#completeReceive(wr, 'IBV_WC_WR_FLUSH_ERR');
  }

  reset(): void {
    this.#receives = [];
    this.#message = undefined;
    this.#reads.clear();
    this.#posted = 0;
    this.#nakSent = false;
    this.#framesUnacked = 0;
    this.#lastWord = undefined;
    this.#pendingRefusal = undefined;
  }

  /**
   * Where the payload of `header` goes, if it is the expected frame and may be executed; else
   * `undefined`, with the peer told what it has to know.
   */
  #decide(header: FrameHeader): Uint8Array[] | undefined {
    if (!this.#isNext(header)) return undefined;
    const decision = checkRequest(this.#qp, this.#progress(), header);
    if (Array.isArray(decision)) return decision;
    this.#refuse(header.psn, decision);
    return undefined;
  }

  #progress(): RequestProgress {
    const [receive] = this.#receives;
    return { message: this.#message, receive, hasReadRoom: !this.#reads.isFull };
  }

  #isNext(header: FrameHeader): boolean {
    if (this.#qp.state === 'IBV_QPS_ERR') {
      if (this.#lastWord !== undefined) this.#nak(this.#lastWord.psn, this.#lastWord.syndrome);
      return false;
    }
    if (this.#pendingRefusal !== undefined) return false;
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

  /** Already executed: a READ is answered again, anything else only acknowledged again. */
  #onDuplicate(header: FrameHeader): void {
    if (header.type === 'READ_REQUEST' && checkRead(this.#qp, header) === undefined) {
      this.#reads.addDuplicate(header);
      this.pump();
    } else {
      this.#acknowledgeSoon();
    }
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
      ...(header.type === 'SEND' ? {} : { imm_data: header.immediate }),
    });
  }

  #refuse(psn: number, refusal: Refusal): void {
    if (refusal.syndrome === 'RNR') {
      this.#nakSent = true;
      this.#nak(psn, 'RNR');
    } else if (this.#reads.isIdle) {
      this.#end(psn, refusal);
    } else {
      this.#pendingRefusal ??= { psn, refusal };
    }
  }

  #settlePendingRefusal(): void {
    const pending = this.#pendingRefusal;
    if (pending === undefined) return;
    this.#pendingRefusal = undefined;
    this.#end(pending.psn, pending.refusal);
  }

  #end(psn: number, { syndrome, receive }: Refusal): void {
    this.#lastWord = { psn, syndrome };
    this.#nak(psn, syndrome);
    if (receive !== undefined) {
      this.#completeReceive(defined(this.#receives.shift(), 'a posted receive'), receive);
    }
    this.#qp.fail(receive ?? STATUS_TOLD[syndrome]);
  }

  #completeReceive(wr: IbvRecvWr, status: IbvWcStatus): void {
    this.#qp.completeReceive({ wr_id: wr.wr_id, status, opcode: 'IBV_WC_RECV', byte_len: 0 });
  }

  #nak(psn: number, syndrome: NakSyndrome): void {
    assert(syndrome !== 'NONE', 'Expected a reason');
    const immediate = syndrome === 'RNR' ? this.#qp.attributes.min_rnr_timer : 0;
    this.#qp.reply('NAK', { psn, syndrome, immediate, credits: this.#posted });
  }

  /** One ACK for everything that happens in this turn of the event loop. */
  #acknowledgeSoon(): void {
    if (this.#ackScheduled || !this.#isConnected()) return;
    this.#ackScheduled = true;
    this.#qp.context.nic.scheduler.soon(() => {
      this.#ackScheduled = false;
      if (!this.#isConnected()) return;
      this.#framesUnacked = 0;
      this.#qp.reply('ACK', { psn: psnAdd(this.#expectedPsn, -1), credits: this.#posted });
    });
  }

  #isConnected(): boolean {
    return this.#qp.state === 'IBV_QPS_RTR' || this.#qp.state === 'IBV_QPS_RTS';
  }
}

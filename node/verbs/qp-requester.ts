/**
 * The requester half of a queue pair: it cuts posted requests into frames, sends them in order, and
 * completes them in the same order once the peer has acknowledged them (InfiniBand Architecture
 * Specification, chapter 9; structure after Linux drivers/infiniband/sw/rxe/rxe_req.c, rxe_comp.c).
 *
 * Everything from the oldest unacknowledged frame on can be sent again: after the link came back,
 * after a NAK, after a timeout. The payload is then read from its region anew. A request that has
 * failed waits until those before it are done, then it completes with its error and takes the queue
 * pair to the error state.
 */
import type { Errno } from '../../common/errno.ts';
import type { CancelTimer } from '../../common/scheduler.ts';
import type { FrameHeader, NakSyndrome } from '../transport/frame.ts';
import { AckTimer } from './ack-timer.ts';
import { CreditGauge } from './credit-gauge.ts';
import { frameCount, frameSlice } from './frame-header.ts';
import { psnAdd } from './psn.ts';
import type { IbvQp } from './qp.ts';
import { ackTimeoutMs, RNR_TIMER_MS } from './qp-state.ts';
import { type SendEntry, SendQueue } from './send-queue.ts';
import type { IbvWcStatus } from './wc.ts';
import { type IbvSendWr, OPCODES, sgeLength } from './work-request.ts';

/** Infinite `rnr_retry`. */
const RNR_RETRY_FOR_EVER = 7;

const FATAL_SYNDROMES: Readonly<Partial<Record<NakSyndrome, IbvWcStatus>>> = {
  INVALID_REQUEST: 'IBV_WC_REM_INV_REQ_ERR',
  REMOTE_ACCESS_ERROR: 'IBV_WC_REM_ACCESS_ERR',
  REMOTE_OPERATION_ERROR: 'IBV_WC_REM_OP_ERR',
};

/** The frame of a READ request carries no payload. */
const REQUEST_SLICE = { first: true, last: true, messageOffset: 0, payloadLength: 0 } as const;

export class Requester {
  readonly credits: CreditGauge;
  readonly #qp: IbvQp;
  readonly #queue = new SendQueue();
  readonly #ackTimer: AckTimer;
  #blocked: 'full' | 'down' | 'rnr' | undefined;
  #pumping = false;
  #spaceWanted = false;
  #retriesLeft = 0;
  #rnrRetriesLeft = 0;
  #cancelRnrTimer: CancelTimer = () => undefined;

  constructor(qp: IbvQp) {
    this.#qp = qp;
    this.credits = new CreditGauge(qp, () => this.#probe());
    this.#ackTimer = new AckTimer(qp.context.nic.scheduler, () => this.#onSilence());
  }

  /** The queue pair has reached RTS. */
  start(): void {
    this.#queue.start(this.#qp.attributes.sq_psn);
    this.#noteProgress();
  }

  /** Requests posted and not completed. */
  get outstanding(): number {
    return this.#queue.length;
  }

  post(wr: IbvSendWr): Errno | undefined {
    if (this.#qp.state === 'IBV_QPS_ERR') {
      this.#qp.completeSend(wr, 'IBV_WC_WR_FLUSH_ERR', 0);
      return undefined;
    }
    if (this.#queue.length >= this.#qp.cap.max_send_wr) {
      this.#spaceWanted = true;
      return 'ENOMEM';
    }
    const length = sgeLength(wr.sg_list);
    const read = wr.opcode === 'IBV_WR_RDMA_READ';
    const frames = read ? 1 : frameCount(length, this.#qp.attributes.path_mtu);
    this.#queue.append(wr, read, length, frames);
    if (OPCODES[wr.opcode].consumesReceive) this.credits.consume();
    this.#pump();
    return undefined;
  }

  /** Where a part of the answer to a READ goes. */
  place(header: FrameHeader): readonly Uint8Array[] | null {
    const entry = this.#expecting(header);
    return entry === undefined ? null : (this.#sink(entry, header) ?? null);
  }

  landed(header: FrameHeader): void {
    if (header.type === 'READ_RESPONSE') this.#onReadResponse(header);
    if (header.type === 'ACK') this.#acknowledge(psnAdd(header.psn, 1));
    if (header.type === 'NAK') this.#onNak(header);
    if (header.type !== 'READ_RESPONSE') this.credits.grant(header.credits);
    this.#retire();
    this.#pump();
  }

  linkUp(): void {
    if (this.#blocked !== 'rnr') this.#blocked = undefined;
    this.credits.linkUp();
    this.#queue.rewind();
    this.#pump();
  }

  linkDown(): void {
    if (this.#blocked !== 'rnr') this.#blocked = 'down';
    this.#watch();
  }

  /** The oldest request ends with IBV_WC_RETRY_EXC_ERR; the others are flushed. */
  linkLost(): void {
    const { oldest } = this.#queue;
    if (oldest !== undefined) this.#failEntry(oldest, 'IBV_WC_RETRY_EXC_ERR');
  }

  /** False if the link is full again. */
  writable(): boolean {
    if (this.#blocked === 'full') this.#blocked = undefined;
    this.#pump();
    return !this.#isLinkFull();
  }

  flush(): void {
    const entries = this.#queue.clear();
    this.reset();
    for (const { wr } of entries) this.#qp.completeSend(wr, 'IBV_WC_WR_FLUSH_ERR', 0);
  }

  reset(): void {
    this.#queue.clear();
    this.#blocked = undefined;
    this.#spaceWanted = false;
    this.#cancelRnrTimer();
    this.#ackTimer.stop();
    this.credits.reset();
  }

  /** A method, because sending changes it. */
  #isLinkFull(): boolean {
    return this.#blocked === 'full';
  }

  #pump(): void {
    if (this.#pumping || this.#qp.state !== 'IBV_QPS_RTS') return;
    this.#pumping = true;
    while (this.#blocked === undefined && this.#sendNext()) {
      // One frame per turn.
    }
    this.#pumping = false;
    this.#watch();
  }

  /** Hands one frame to the transport. False if there is nothing to send now. */
  #sendNext(): boolean {
    const entry = this.#queue.current;
    if (entry === undefined || entry.failure !== undefined) return false;
    if (!this.#queue.isSettled && !this.#sendFrame(entry)) return false;
    this.#queue.step();
    return true;
  }

  #sendFrame(entry: SendEntry): boolean {
    const { max_rd_atomic, path_mtu } = this.#qp.attributes;
    if (entry.read && this.#queue.readsInFlight >= max_rd_atomic) return false;
    const slice = entry.read
      ? REQUEST_SLICE
      : frameSlice(entry.length, path_mtu, this.#queue.frameIndex);
    const views = this.#localMemory(entry, slice);
    if (views === undefined) {
      this.#failEntry(entry, 'IBV_WC_LOC_PROT_ERR');
      return false;
    }
    const { frame, rdma } = OPCODES[entry.wr.opcode];
    const header = {
      ...slice,
      psn: this.#queue.sendPsn,
      remoteAddress: entry.wr.remote_addr ?? 0,
      rkey: entry.wr.rkey ?? 0,
      messageLength: entry.length,
      immediate: (entry.wr.imm_data ?? 0) >>> 0,
    };
    const outcome = this.#qp.send(frame, header, entry.read ? [] : views);
    if (outcome !== 'queued') {
      this.#blocked = outcome;
      return false;
    }
    this.#count(rdma, slice.payloadLength);
    return true;
  }

  /** What a frame sends; for a READ, everything that the answer will fill. */
  #localMemory(
    entry: SendEntry,
    slice: { readonly messageOffset: number; readonly payloadLength: number },
  ): Uint8Array[] | undefined {
    const { sg_list } = entry.wr;
    if (entry.read) {
      return this.#qp.gather(
        sg_list,
        { offset: 0, length: entry.length },
        'IBV_ACCESS_LOCAL_WRITE',
      );
    }
    return this.#qp.gather(sg_list, { offset: slice.messageOffset, length: slice.payloadLength });
  }

  #count(rdma: boolean, bytes: number): void {
    const { counters } = this.#qp;
    if (this.#queue.isReplay) counters.replayedBytesSent += bytes;
    else if (rdma) counters.writeBytesSent += bytes;
    else counters.sendBytesSent += bytes;
  }

  /** The READ that waits for exactly this part of its answer. */
  #expecting(header: FrameHeader): SendEntry | undefined {
    const entry = this.#queue.at(header.psn);
    if (!entry?.read || !this.#queue.wasSent(header.psn)) return undefined;
    if (entry.answered || entry.failure !== undefined) return undefined;
    if (header.messageOffset < entry.placed) return undefined;
    if (header.messageOffset > entry.placed) {
      this.#askAgain(entry);
      return undefined;
    }
    const end = header.messageOffset + header.payloadLength;
    const fits = header.messageLength === entry.length && end <= entry.length;
    if (fits && header.last === (end === entry.length)) return entry;
    this.#failEntry(entry, 'IBV_WC_BAD_RESP_ERR');
    return undefined;
  }

  #sink(entry: SendEntry, header: FrameHeader): Uint8Array[] | undefined {
    const range = { offset: header.messageOffset, length: header.payloadLength };
    const views = this.#qp.gather(entry.wr.sg_list, range, 'IBV_ACCESS_LOCAL_WRITE');
    if (views === undefined) this.#failEntry(entry, 'IBV_WC_LOC_PROT_ERR');
    return views;
  }

  /** A part of the answer is missing: asks for the whole once more, until something arrives. */
  #askAgain(entry: SendEntry): void {
    if (entry.askedAgain) return;
    entry.askedAgain = true;
    this.#queue.rewindTo(entry.firstPsn);
    this.#pump();
  }

  #onReadResponse(header: FrameHeader): void {
    const entry = this.#expecting(header);
    if (entry === undefined || this.#sink(entry, header) === undefined) return;
    entry.placed += header.payloadLength;
    entry.answered = header.last;
    entry.askedAgain = false;
    this.#qp.counters.readBytesReceived += header.payloadLength;
    // The peer executes in order: an answer acknowledges everything before it.
    this.#acknowledge(psnAdd(header.psn, 1));
    this.#noteProgress();
  }

  /** Everything before `psn` has been executed. */
  #acknowledge(psn: number): void {
    if (this.#queue.acknowledge(psn)) this.#noteProgress();
  }

  #onNak(header: FrameHeader): void {
    const { psn, syndrome } = header;
    const entry = this.#queue.at(psn);
    if (entry === undefined || !this.#queue.wasSent(psn)) return;
    // A READ may be refused after its request has been acknowledged; anything else is old news.
    if (!entry.read && this.#queue.isAcknowledged(psn)) return;
    this.#acknowledge(psn);
    const status = FATAL_SYNDROMES[syndrome];
    if (status !== undefined) this.#failEntry(entry, status);
    else if (syndrome === 'RNR') this.#onReceiverNotReady(header, entry);
    else if (this.#takeRetry()) this.#queue.rewindTo(psn);
  }

  /** The peer names in `immediate` the code of the time to wait. */
  #onReceiverNotReady(header: FrameHeader, entry: SendEntry): void {
    if (this.#blocked === 'rnr') return;
    if (this.#rnrRetriesLeft === 0) {
      this.#failEntry(entry, 'IBV_WC_RNR_RETRY_EXC_ERR');
      return;
    }
    if (this.#qp.attributes.rnr_retry !== RNR_RETRY_FOR_EVER) this.#rnrRetriesLeft--;
    this.#queue.rewindTo(header.psn);
    this.#blocked = 'rnr';
    const waitMs = RNR_TIMER_MS[header.immediate & 31] ?? 0;
    this.#cancelRnrTimer = this.#qp.context.nic.scheduler.after(waitMs, () => {
      this.#blocked = undefined;
      this.#pump();
    });
  }

  #failEntry(entry: SendEntry, status: IbvWcStatus): void {
    entry.failure ??= status;
    // Sending stops in front of it.
    this.#queue.rewindTo(entry.firstPsn);
    this.#retire();
  }

  /** Completes what is done, oldest first; stops at the first that is not. */
  #retire(): void {
    let retired = false;
    for (let entry = this.#queue.takeEnded(); entry; entry = this.#queue.takeEnded()) {
      retired = true;
      this.#qp.completeSend(entry.wr, entry.failure ?? 'IBV_WC_SUCCESS', entry.length);
      if (entry.failure !== undefined) this.#qp.fail(entry.failure);
    }
    if (!retired || !this.#spaceWanted) return;
    this.#spaceWanted = false;
    this.#qp.event('sendSpace');
  }

  #noteProgress(): void {
    this.#retriesLeft = this.#qp.attributes.retry_cnt;
    this.#rnrRetriesLeft = this.#qp.attributes.rnr_retry;
    this.#ackTimer.noteProgress();
  }

  /** False, and the oldest request has failed, if no retry is left. */
  #takeRetry(): boolean {
    const { oldest } = this.#queue;
    if (oldest === undefined) return false;
    if (this.#retriesLeft === 0) {
      this.#failEntry(oldest, 'IBV_WC_RETRY_EXC_ERR');
      return false;
    }
    this.#retriesLeft--;
    return true;
  }

  /** Keeps the acknowledgement timer running exactly while an answer may be expected. */
  #watch(): void {
    const { oldest } = this.#queue;
    const { timeout } = this.#qp.attributes;
    const sent = oldest !== undefined && this.#queue.wasSent(oldest.firstPsn);
    const waiting = sent && this.#blocked !== 'down' && this.#blocked !== 'rnr';
    if (waiting && timeout > 0) this.#ackTimer.run(ackTimeoutMs(timeout));
    else this.#ackTimer.stop();
  }

  #onSilence(): void {
    if (!this.#takeRetry()) return;
    // Frames that still stand in front of a full link are late, not lost.
    if (!this.#isLinkFull()) this.#queue.rewind();
    this.#pump();
  }

  /**
   * Asks the peer for an acknowledgement, to learn its credits: repeats an empty WRITE under the last
   * acknowledged sequence number, which the peer takes for a duplicate.
   */
  #probe(): void {
    this.#qp.send('WRITE', { psn: this.#queue.acknowledgedPsn, first: true, last: true }, []);
  }
}

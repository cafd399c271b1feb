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
import type { FrameHeader } from '../transport/frame.ts';
import { AckTimer } from './ack-timer.ts';
import { CreditGauge } from './credit-gauge.ts';
import { isGathered } from './gather.ts';
import { psnAdd } from './psn.ts';
import type { IbvQp } from './qp.ts';
import { ackTimeoutMs, RNR_TIMER_MS } from './qp-state.ts';
import { requestHeader } from './request-frame.ts';
import { statusOfSyndrome } from './responder-faults.ts';
import { RetryBudget } from './retry-budget.ts';
import { type SendEntry, SendQueue, type SendRequest } from './send-queue.ts';
import type { IbvWcStatus } from './wc.ts';
import { OPCODES } from './work-request.ts';

/** How long a local page that is being mapped is waited for, before it is looked at again. */
const PAGE_FAULT_RETRY_MS = 0.1;

const NO_PAYLOAD: readonly Uint8Array[] = [];

export class Requester {
  readonly credits: CreditGauge;
  readonly #qp: IbvQp;
  readonly #queue = new SendQueue();
  readonly #ackTimer: AckTimer;
  readonly #retries = new RetryBudget();
  #blocked: 'full' | 'down' | 'wait' | undefined;
  #pumping = false;
  #spaceWanted = false;
  #cancelWait: CancelTimer = () => undefined;
  /** In SQD, requests under way have not completed; whether somebody wants to hear of the end. */
  #draining = false;
  #drainNotify = false;

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

  get draining(): boolean {
    return this.#draining;
  }

  /** Queues a request; `pump` sends it. ENOMEM: the queue is full. */
  post(request: SendRequest): Errno | undefined {
    const { wr } = request;
    if (this.#qp.state === 'IBV_QPS_ERR') {
      this.#qp.completeSend(wr, 'IBV_WC_WR_FLUSH_ERR', 0);
      return undefined;
    }
    if (this.#queue.length >= this.#qp.cap.max_send_wr) {
      this.#spaceWanted = true;
      return 'ENOMEM';
    }
    this.#queue.append(request);
    if (OPCODES[wr.opcode].consumesReceive) this.credits.consume();
    return undefined;
  }

  /** Into SQD: what is under way goes on to its end, nothing new begins. */
  drain(notify: boolean): void {
    this.#draining = true;
    this.#drainNotify = notify;
    this.#settleDrain();
  }

  /** Where a part of the answer to a READ, or the answer to an atomic, goes. */
  place(header: FrameHeader): readonly Uint8Array[] | null {
    const entry = this.#expecting(header);
    return entry === undefined ? null : (this.#sink(entry, header) ?? null);
  }

  landed(header: FrameHeader): void {
    switch (header.type) {
      case 'ACK':
        this.#acknowledge(psnAdd(header.psn, 1));
        this.credits.grant(header.credits);
        break;
      case 'NAK':
        this.#onNak(header);
        this.credits.grant(header.credits);
        break;
      default:
        this.#onAnswer(header);
    }
    this.#retire();
    this.pump();
  }

  linkUp(): void {
    if (this.#blocked !== 'wait') this.#blocked = undefined;
    this.credits.linkUp();
    this.#queue.rewind();
    this.pump();
  }

  linkDown(): void {
    if (this.#blocked !== 'wait') this.#blocked = 'down';
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
    this.pump();
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
    this.#draining = false;
    this.#cancelWait();
    this.#ackTimer.stop();
    this.credits.reset();
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#pumping || !this.#isSending()) return;
    this.#pumping = true;
    while (this.#blocked === undefined && this.#sendNext()) {
      // One frame per turn.
    }
    this.#pumping = false;
    this.#watch();
  }

  /** A method, because sending changes it. */
  #isLinkFull(): boolean {
    return this.#blocked === 'full';
  }

  #isSending(): boolean {
    return this.#qp.state === 'IBV_QPS_RTS' || this.#qp.state === 'IBV_QPS_SQD';
  }

  /** Hands one frame to the transport. False if there is nothing to send now. */
  #sendNext(): boolean {
    const entry = this.#queue.current;
    if (entry === undefined || entry.failure !== undefined) return false;
    if (!this.#queue.isSettled && !this.#sendFrame(entry)) return false;
    this.#queue.step();
    return true;
  }

  /** Whether the request may begin, or go on, now. */
  #mayProceed(entry: SendEntry): boolean {
    const due = this.#queue.answersDue;
    if (entry.fence && due > 0) return false;
    if (entry.answer !== 'ack' && due >= this.#qp.attributes.max_rd_atomic) return false;
    return this.#qp.state === 'IBV_QPS_RTS' || this.#queue.wasSent(entry.firstPsn);
  }

  #sendFrame(entry: SendEntry): boolean {
    if (!this.#mayProceed(entry)) return false;
    const header = requestHeader(this.#qp, entry, this.#queue.sendPsn);
    const payload = this.#payloadOf(entry, header);
    if (payload === undefined) return false;
    const outcome = this.#qp.transmit(header, payload);
    if (outcome !== 'queued') {
      this.#blocked = outcome;
      return false;
    }
    this.#count(entry, header.payloadLength);
    return true;
  }

  /** What a frame sends; `undefined`: the local memory does not allow it, or not yet. */
  #payloadOf(entry: SendEntry, header: FrameHeader): readonly Uint8Array[] | undefined {
    const { wr, answer, payload } = entry;
    const { messageOffset: offset, payloadLength: length } = header;
    if (answer === 'ack' && payload !== undefined) {
      return [payload.subarray(offset, offset + length)];
    }
    // The answer will fill its memory: what cannot be written then is not asked for.
    const gathered =
      answer === 'ack'
        ? this.#qp.gather(wr.sg_list, offset, length, undefined)
        : this.#qp.gather(wr.sg_list, 0, entry.length, 'IBV_ACCESS_LOCAL_WRITE');
    if (isGathered(gathered)) {
      if (answer === 'ack') return gathered;
      return payload === undefined ? NO_PAYLOAD : [payload];
    }
    if (gathered === 'fault') this.#waitFor(PAGE_FAULT_RETRY_MS);
    else this.#failEntry(entry, 'IBV_WC_LOC_PROT_ERR');
    return undefined;
  }

  #count(entry: SendEntry, bytes: number): void {
    if (entry.answer === 'atomic') return;
    const { counters } = this.#qp;
    if (this.#queue.isReplay) counters.replayedBytesSent += bytes;
    else if (OPCODES[entry.wr.opcode].rdma) counters.writeBytesSent += bytes;
    else counters.sendBytesSent += bytes;
  }

  /** The READ or atomic that waits for exactly this part of its answer. */
  #expecting(header: FrameHeader): SendEntry | undefined {
    const entry = this.#queue.at(header.psn);
    if (entry === undefined || entry.answer === 'ack') return undefined;
    if (!this.#queue.wasSent(header.psn)) return undefined;
    if (entry.answered || entry.failure !== undefined) return undefined;
    if (header.messageOffset < entry.placed) return undefined;
    if (header.messageOffset > entry.placed) {
      this.#askAgain(entry);
      return undefined;
    }
    const end = header.messageOffset + header.payloadLength;
    const kind = header.type === 'READ_RESPONSE' ? 'read' : 'atomic';
    const fits = header.messageLength === entry.length && end <= entry.length;
    if (kind === entry.answer && fits && header.last === (end === entry.length)) return entry;
    this.#failEntry(entry, 'IBV_WC_BAD_RESP_ERR');
    return undefined;
  }

  #sink(entry: SendEntry, header: FrameHeader): Uint8Array[] | undefined {
    const { messageOffset, payloadLength } = header;
    const gathered = this.#qp.gather(
      entry.wr.sg_list,
      messageOffset,
      payloadLength,
      'IBV_ACCESS_LOCAL_WRITE',
    );
    if (isGathered(gathered)) return gathered;
    if (gathered === 'fault') this.#askAgain(entry);
    else this.#failEntry(entry, 'IBV_WC_LOC_PROT_ERR');
    return undefined;
  }

  /** A part of the answer is missing: asks for the whole once more, until something arrives. */
  #askAgain(entry: SendEntry): void {
    if (entry.askedAgain) return;
    entry.askedAgain = true;
    this.#queue.rewindTo(entry.firstPsn);
    this.pump();
  }

  #onAnswer(header: FrameHeader): void {
    const entry = this.#expecting(header);
    if (entry === undefined || this.#sink(entry, header) === undefined) return;
    entry.placed += header.payloadLength;
    entry.askedAgain = false;
    if (header.last) this.#queue.answered(entry);
    if (entry.answer === 'read') this.#qp.counters.readBytesReceived += header.payloadLength;
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
    if (entry.answer !== 'read' && this.#queue.isAcknowledged(psn)) return;
    this.#acknowledge(psn);
    const status = statusOfSyndrome(syndrome);
    if (status !== undefined) this.#failEntry(entry, status);
    else if (syndrome === 'RNR') this.#onReceiverNotReady(header, entry);
    else if (this.#takeRetry()) this.#queue.rewindTo(psn);
  }

  /** The peer names in `immediate` the code of the time to wait. */
  #onReceiverNotReady(header: FrameHeader, entry: SendEntry): void {
    if (this.#blocked === 'wait') return;
    if (!this.#retries.takeRnr()) {
      this.#failEntry(entry, 'IBV_WC_RNR_RETRY_EXC_ERR');
      return;
    }
    this.#queue.rewindTo(header.psn);
    this.#waitFor(RNR_TIMER_MS[header.immediate & 31] ?? 0);
  }

  /** Sends nothing for a while. */
  #waitFor(waitMs: number): void {
    this.#blocked = 'wait';
    this.#cancelWait = this.#qp.context.nic.scheduler.after(waitMs, () => {
      this.#blocked = undefined;
      this.pump();
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
    if (!retired) return;
    if (this.#draining) this.#settleDrain();
    if (!this.#spaceWanted) return;
    this.#spaceWanted = false;
    this.#qp.event('sendSpace');
  }

  /** The queue is drained when no request is left that had begun. */
  #settleDrain(): void {
    const { oldest } = this.#queue;
    if (oldest !== undefined && this.#queue.wasSent(oldest.firstPsn)) return;
    this.#draining = false;
    if (this.#drainNotify) this.#qp.raise('IBV_EVENT_SQ_DRAINED');
  }

  #noteProgress(): void {
    this.#retries.refill(this.#qp.attributes);
    this.#ackTimer.noteProgress();
  }

  /** False, and the oldest request has failed, if no retry is left. */
  #takeRetry(): boolean {
    const { oldest } = this.#queue;
    if (oldest === undefined) return false;
    if (this.#retries.take()) return true;
    this.#failEntry(oldest, 'IBV_WC_RETRY_EXC_ERR');
    return false;
  }

  /** Keeps the acknowledgement timer running exactly while an answer may be expected. */
  #watch(): void {
    const { oldest } = this.#queue;
    const { timeout } = this.#qp.attributes;
    const sent = oldest !== undefined && this.#queue.wasSent(oldest.firstPsn);
    const waiting = sent && this.#blocked !== 'down' && this.#blocked !== 'wait';
    if (waiting && timeout > 0) this.#ackTimer.run(ackTimeoutMs(timeout));
    else this.#ackTimer.stop();
  }

  #onSilence(): void {
    if (!this.#takeRetry()) return;
    // Frames that still stand in front of a full link are late, not lost.
    if (!this.#isLinkFull()) this.#queue.rewind();
    this.pump();
  }

  /**
   * Asks the peer for an acknowledgement, to learn its credits: repeats an empty WRITE under the last
   * acknowledged sequence number, which the peer takes for a duplicate.
   */
  #probe(): void {
    if (this.#qp.state !== 'IBV_QPS_RTS') return;
    this.#qp.send('WRITE', { psn: this.#queue.acknowledgedPsn, first: true, last: true }, []);
  }
}

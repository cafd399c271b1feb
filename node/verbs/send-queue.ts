/**
 * The send queue of a queue pair: posted requests, oldest first, and the sequence numbers of their
 * frames. Four of these numbers matter, in this order:
 *
 *   unacknowledged   the oldest that the peer has not acknowledged
 *   sending          the next to hand to the transport; goes back when frames are sent again
 *   unsent           the first that was never handed over
 *   next             the first that no request has yet
 *
 * READ and atomic requests take one number; they are done only when all of their answer has come.
 */
import { assert, defined } from '../../common/assert.ts';
import { psnAdd, psnDistance } from './psn.ts';
import type { IbvWcStatus } from './wc.ts';
import type { IbvSendWr } from './work-request.ts';

/** What ends a request: an acknowledgement, or an answer with data. */
export type SendAnswer = 'ack' | 'read' | 'atomic';

/** What a request is made of, as it was posted. */
export interface SendRequest {
  readonly wr: IbvSendWr;
  readonly answer: SendAnswer;
  /** Bytes of the message; for READ and atomics, of the answer. */
  readonly length: number;
  /** Sequence numbers it takes. */
  readonly frames: number;
  /** Bytes that were taken over when it was posted: inline data, operands of atomics. */
  readonly payload: Uint8Array | undefined;
  /** It waits until every READ and atomic before it has its answer. */
  readonly fence: boolean;
}

/** A posted request that has not completed. */
export interface SendEntry extends SendRequest {
  readonly firstPsn: number;
  /** Bytes of the answer in place, whether its last frame has come, whether it was asked again. */
  placed: number;
  answered: boolean;
  askedAgain: boolean;
  /** How it will end, decided before its turn. */
  failure: IbvWcStatus | undefined;
}

/** Ended requests that stay in the list until they are taken out together. */
const ENDED_MAX = 1024;

export class SendQueue {
  #entries: SendEntry[] = [];
  /** Index of the oldest entry; those before it have ended. */
  #head = 0;
  /** Index of the entry that `#sendPsn` belongs to. */
  #cursor = 0;
  /** Entries before the cursor that wait for an answer with data. */
  #answersDue = 0;
  #unackedPsn = 0;
  #sendPsn = 0;
  #unsentPsn = 0;
  #nextPsn = 0;

  start(psn: number): void {
    this.#unackedPsn = psn;
    this.#sendPsn = psn;
    this.#unsentPsn = psn;
    this.#nextPsn = psn;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get oldest(): SendEntry | undefined {
    return this.#entries[this.#head];
  }

  /** Sequence number of the last frame that is known to have been executed. */
  get acknowledgedPsn(): number {
    return psnAdd(this.#unackedPsn, -1);
  }

  append({ wr, answer, length, frames, payload, fence }: SendRequest): void {
    this.#entries.push({
      wr,
      answer,
      length,
      frames,
      payload,
      fence,
      firstPsn: this.#nextPsn,
      placed: 0,
      answered: false,
      askedAgain: false,
      failure: undefined,
    });
    this.#nextPsn = psnAdd(this.#nextPsn, frames);
  }

  /** The request whose frame is next, if any. */
  get current(): SendEntry | undefined {
    return this.#entries[this.#cursor];
  }

  get sendPsn(): number {
    return this.#sendPsn;
  }

  /** Which frame of `current` is next. */
  get #frameIndex(): number {
    return psnDistance(this.#sendPsn, defined(this.current, 'a request').firstPsn);
  }

  /** The next frame has been handed over before. */
  get isReplay(): boolean {
    return psnDistance(this.#sendPsn, this.#unsentPsn) < 0;
  }

  /** The next frame has been handed over before, and need not be again. */
  get isSettled(): boolean {
    const entry = defined(this.current, 'a request');
    if (entry.answer !== 'ack') return entry.answered;
    return psnDistance(this.#unackedPsn, this.#sendPsn) > 0;
  }

  /** The next frame has been handed over, or is skipped. */
  step(): void {
    const entry = defined(this.current, 'a request');
    if (this.#frameIndex + 1 === entry.frames) {
      this.#cursor++;
      if (isDue(entry)) this.#answersDue++;
    }
    this.#sendPsn = psnAdd(this.#sendPsn, 1);
    if (psnDistance(this.#sendPsn, this.#unsentPsn) > 0) this.#unsentPsn = this.#sendPsn;
  }

  /** READs and atomics that have been asked for and not answered, up to the next frame. */
  get answersDue(): number {
    return this.#answersDue;
  }

  /** All of the answer of `entry` is in place. */
  answered(entry: SendEntry): void {
    assert(!entry.answered, 'Expected one answer');
    const sent = psnDistance(entry.firstPsn, this.#sendPsn) < 0;
    if (sent && isDue(entry)) this.#answersDue--;
    entry.answered = true;
  }

  /** Whether a frame with this number has been handed over. */
  wasSent(psn: number): boolean {
    return psnDistance(psn, this.#unsentPsn) < 0;
  }

  isAcknowledged(psn: number): boolean {
    return psnDistance(psn, this.#unackedPsn) < 0;
  }

  /** The request that the number belongs to, if it has not completed. */
  at(psn: number): SendEntry | undefined {
    return this.#entries[this.#indexOf(psn)];
  }

  /** Everything before `psn` has been executed. False if that is not news, or not possible. */
  acknowledge(psn: number): boolean {
    if (psnDistance(psn, this.#unackedPsn) <= 0) return false;
    if (psnDistance(psn, this.#unsentPsn) > 0) return false;
    this.#unackedPsn = psn;
    return true;
  }

  /** Sending goes on at the oldest frame that is still needed. */
  rewind(): void {
    const { oldest } = this;
    if (oldest === undefined) return;
    const begun = oldest.answer === 'ack' && psnDistance(this.#unackedPsn, oldest.firstPsn) > 0;
    this.rewindTo(begun ? this.#unackedPsn : oldest.firstPsn);
  }

  /** Sending goes on at `psn`, of a request in the queue, unless it is behind that already. */
  rewindTo(psn: number): void {
    if (psnDistance(psn, this.#sendPsn) >= 0) return;
    const index = this.#indexOf(psn);
    assert(index >= 0, 'Expected a number of a request in the queue');
    for (let at = index; at < this.#cursor; at++) {
      if (isDue(defined(this.#entries[at], 'a request'))) this.#answersDue--;
    }
    this.#cursor = index;
    this.#sendPsn = psn;
  }

  /** Takes out the oldest request if it is done or has failed. */
  takeEnded(): SendEntry | undefined {
    const { oldest } = this;
    if (oldest === undefined) return undefined;
    if (oldest.failure === undefined && !this.#isDone(oldest)) return undefined;
    if (this.#cursor > this.#head) {
      if (isDue(oldest)) this.#answersDue--;
    } else {
      this.#cursor++;
      this.#sendPsn = psnAdd(oldest.firstPsn, oldest.frames);
    }
    this.#head++;
    this.#compact();
    return oldest;
  }

  /** Takes out everything. */
  clear(): SendEntry[] {
    const entries = this.#entries.slice(this.#head);
    this.#entries = [];
    this.#head = 0;
    this.#cursor = 0;
    this.#answersDue = 0;
    return entries;
  }

  #compact(): void {
    if (this.#head < this.#entries.length && this.#head < ENDED_MAX) return;
    this.#entries.splice(0, this.#head);
    this.#cursor -= this.#head;
    this.#head = 0;
  }

  /** Index of the entry that `psn` belongs to, -1 if there is none. */
  #indexOf(psn: number): number {
    const { oldest } = this;
    if (oldest === undefined) return -1;
    const base = oldest.firstPsn;
    const distance = psnDistance(psn, base);
    let low = this.#head;
    let high = this.#entries.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const { firstPsn } = defined(this.#entries[middle], 'a request');
      if (psnDistance(firstPsn, base) <= distance) low = middle;
      else high = middle - 1;
    }
    const { firstPsn, frames } = defined(this.#entries[low], 'a request');
    const offset = psnDistance(psn, firstPsn);
    return offset >= 0 && offset < frames ? low : -1;
  }

  #isDone(entry: SendEntry): boolean {
    if (entry.answer !== 'ack') return entry.answered;
    return psnDistance(this.#unackedPsn, psnAdd(entry.firstPsn, entry.frames)) >= 0;
  }
}

/** It is a READ or an atomic whose answer has not come. */
function isDue(entry: SendEntry): boolean {
  return entry.answer !== 'ack' && !entry.answered;
}

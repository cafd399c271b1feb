/**
 * The send queue of a queue pair: posted requests, oldest first, and the sequence numbers of their
 * frames. Four of these numbers matter, in this order:
 *
 *   unacknowledged   the oldest that the peer has not acknowledged
 *   sending          the next to hand to the transport; goes back when frames are sent again
 *   unsent           the first that was never handed over
 *   next             the first that no request has yet
 *
 * A READ takes one number, for its request; it is done only when all of its answer has come.
 */
import { assert, defined } from '../../common/assert.ts';
import { psnAdd, psnDistance } from './psn.ts';
import type { IbvWcStatus } from './wc.ts';
import type { IbvSendWr } from './work-request.ts';

/** A posted request that has not completed. */
export interface SendEntry {
  readonly wr: IbvSendWr;
  readonly read: boolean;
  readonly length: number;
  readonly firstPsn: number;
  /** Sequence numbers it takes. */
  readonly frames: number;
  /** READ: bytes of the answer in place, whether its last frame has come, whether it was asked again. */
  placed: number;
  answered: boolean;
  askedAgain: boolean;
  /** How it will end, decided before its turn. */
  failure: IbvWcStatus | undefined;
}

export class SendQueue {
  #entries: SendEntry[] = [];
  /** Index of the entry that `#sendPsn` belongs to. */
  #cursor = 0;
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
    return this.#entries.length;
  }

  get oldest(): SendEntry | undefined {
    return this.#entries[0];
  }

  /** Sequence number of the last frame that is known to have been executed. */
  get acknowledgedPsn(): number {
    return psnAdd(this.#unackedPsn, -1);
  }

  append(wr: IbvSendWr, read: boolean, length: number, frames: number): void {
    this.#entries.push({
      wr,
      read,
      length,
      firstPsn: this.#nextPsn,
      frames,
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
  get frameIndex(): number {
    return psnDistance(this.#sendPsn, defined(this.current, 'a request').firstPsn);
  }

  /** The next frame has been handed over before. */
  get isReplay(): boolean {
    return psnDistance(this.#sendPsn, this.#unsentPsn) < 0;
  }

  /** The next frame has been handed over before, and need not be again. */
  get isSettled(): boolean {
    const entry = defined(this.current, 'a request');
    return entry.read ? entry.answered : psnDistance(this.#unackedPsn, this.#sendPsn) > 0;
  }

  /** The next frame has been handed over, or is skipped. */
  step(): void {
    const entry = defined(this.current, 'a request');
    if (this.frameIndex + 1 === entry.frames) this.#cursor++;
    this.#sendPsn = psnAdd(this.#sendPsn, 1);
    if (psnDistance(this.#sendPsn, this.#unsentPsn) > 0) this.#unsentPsn = this.#sendPsn;
  }

  /** READs that have been asked for and not answered, up to the next frame. */
  get readsInFlight(): number {
    let count = 0;
    for (let index = 0; index < this.#cursor; index++) {
      const entry = this.#entries[index];
      if (entry?.read && !entry.answered) count++;
    }
    return count;
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
    return this.#entries.find(({ firstPsn, frames }) => {
      const distance = psnDistance(psn, firstPsn);
      return distance >= 0 && distance < frames;
    });
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
    const begun = !oldest.read && psnDistance(this.#unackedPsn, oldest.firstPsn) > 0;
    this.rewindTo(begun ? this.#unackedPsn : oldest.firstPsn);
  }

  /** Sending goes on at `psn`, of a request in the queue, unless it is behind that already. */
  rewindTo(psn: number): void {
    if (psnDistance(psn, this.#sendPsn) >= 0) return;
    const entry = this.at(psn);
    assert(entry !== undefined, 'Expected a number of a request in the queue');
    this.#cursor = this.#entries.indexOf(entry);
    this.#sendPsn = psn;
  }

  /** Takes out the oldest request if it is done or has failed. */
  takeEnded(): SendEntry | undefined {
    const { oldest } = this;
    if (oldest === undefined) return undefined;
    if (oldest.failure === undefined && !this.#isDone(oldest)) return undefined;
    this.#entries.shift();
    if (this.#cursor > 0) this.#cursor--;
    else this.#sendPsn = psnAdd(oldest.firstPsn, oldest.frames);
    return oldest;
  }

  /** Takes out everything. */
  clear(): SendEntry[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#cursor = 0;
    return entries;
  }

  #isDone(entry: SendEntry): boolean {
    if (entry.read) return entry.answered;
    return psnDistance(this.#unackedPsn, psnAdd(entry.firstPsn, entry.frames)) >= 0;
  }
}

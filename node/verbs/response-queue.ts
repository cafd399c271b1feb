/**
 * Answers to READ and atomic requests, in the order of the requests. They are data of this side and
 * leave on the link here -> peer, as fast as it takes them. What a READ asks for is read when its
 * frame leaves, and its region is checked again for each frame.
 */
import type { FrameHeader } from '../transport/frame.ts';
import { ATOMIC_BYTES } from './atomic.ts';
import { frameSlice } from './frame-header.ts';
import type { Gathered } from './gather.ts';
import type { IbvQp } from './qp.ts';

/** How long a page that is being mapped is waited for, before it is looked at again. */
const PAGE_FAULT_RETRY_MS = 0.1;

interface Response {
  readonly psn: number;
  readonly remoteAddress: number;
  readonly rkey: number;
  readonly messageLength: number;
  /** Of an atomic: the answer. */
  readonly reply: Uint8Array | undefined;
  /** Frames handed over, and how many ever were: more are replays. */
  frames: number;
  framesBest: number;
}

/**
 * `fault`: a page is waited for. `refused`: the region of the READ `psn` may not be read any more.
 */
export type ResponseProgress =
  | { readonly kind: 'idle' | 'full' | 'down' | 'fault' }
  | { readonly kind: 'refused'; readonly psn: number };

type ReadTarget = Pick<FrameHeader, 'remoteAddress' | 'rkey' | 'messageLength'>;

/** Whether all that a READ names may be read. */
export function admitRead(qp: IbvQp, read: ReadTarget): 'granted' | 'denied' | 'fault' {
  const { remoteAddress, rkey, messageLength } = read;
  if (messageLength === 0) return 'granted';
  const region = qp.context.nic.region(rkey);
  if (region === undefined) return 'denied';
  return region.admit(qp.pd, 'IBV_ACCESS_REMOTE_READ', remoteAddress, messageLength);
}

export class ResponseQueue {
  readonly #qp: IbvQp;
  #responses: Response[] = [];
  #faultTimer = false;

  constructor(qp: IbvQp) {
    this.#qp = qp;
  }

  get isIdle(): boolean {
    return this.#responses.length === 0;
  }

  /** The peer has more requests in progress than it may have; repeated ones take half of the room. */
  get isFull(): boolean {
    return this.#responses.length >= 2 * this.#qp.attributes.max_dest_rd_atomic;
  }

  addRead({ psn, remoteAddress, rkey, messageLength }: FrameHeader): void {
    const rest = { reply: undefined, frames: 0, framesBest: 0 };
    this.#responses.push({ psn, remoteAddress, rkey, messageLength, ...rest });
  }

  /** A READ that was executed before: starts its answer again. */
  addReadAgain({ psn, remoteAddress, rkey, messageLength }: FrameHeader): void {
    if (!this.#restart(psn)) return;
    const framesBest = Number.POSITIVE_INFINITY;
    const read = { psn, remoteAddress, rkey, messageLength };
    this.#responses.push({ ...read, reply: undefined, frames: 0, framesBest });
  }

  addAtomic(psn: number, reply: Uint8Array): void {
    if (!this.#restart(psn)) return;
    const atomic = { psn, remoteAddress: 0, rkey: 0, messageLength: ATOMIC_BYTES };
    this.#responses.push({ ...atomic, reply, frames: 0, framesBest: 0 });
  }

  clear(): void {
    this.#responses = [];
  }

  /** Sends until nothing is left or the link takes no more. */
  pump(): ResponseProgress {
    for (let next = this.#responses[0]; next !== undefined; next = this.#responses[0]) {
      const slice = frameSlice(next.messageLength, this.#qp.attributes.path_mtu, next.frames);
      const { messageOffset, payloadLength } = slice;
      const views = this.#payload(next, messageOffset, payloadLength);
      if (views === 'fault') {
        this.#retryLater();
        return { kind: 'fault' };
      }
      if (views === 'denied') {
        this.#responses = [];
        return { kind: 'refused', psn: next.psn };
      }
      const { psn, messageLength, reply } = next;
      const type = reply === undefined ? 'READ_RESPONSE' : 'ATOMIC_RESPONSE';
      const { first, last } = slice;
      const fields = { first, last, messageOffset, payloadLength, psn, messageLength };
      const outcome = this.#qp.send(type, fields, views);
      if (outcome !== 'queued') return { kind: outcome };
      this.#count(next, payloadLength);
      if (slice.last) this.#responses.shift();
    }
    return { kind: 'idle' };
  }

  /** Starts the answer `psn` again if it is under way. True: it is not, and there is room for it. */
  #restart(psn: number): boolean {
    const running = this.#responses.find((response) => response.psn === psn);
    if (running !== undefined) running.frames = 0;
    const room = 2 * this.#qp.attributes.max_dest_rd_atomic;
    return running === undefined && this.#responses.length < room;
  }

  #payload(response: Response, offset: number, length: number): Gathered {
    const { reply, rkey, remoteAddress } = response;
    if (reply !== undefined) return [reply];
    if (length === 0) return [];
    const region = this.#qp.context.nic.region(rkey);
    if (region === undefined) return 'denied';
    const address = remoteAddress + offset;
    const admission = region.admit(this.#qp.pd, 'IBV_ACCESS_REMOTE_READ', address, length);
    return admission === 'granted' ? region.views(address, length) : admission;
  }

  #retryLater(): void {
    if (this.#faultTimer) return;
    this.#faultTimer = true;
    this.#qp.context.nic.scheduler.after(PAGE_FAULT_RETRY_MS, () => {
      this.#faultTimer = false;
      if (!this.isIdle) this.#qp.responder.pump();
    });
  }

  #count(response: Response, bytes: number): void {
    response.frames++;
    if (response.reply !== undefined) return;
    if (response.frames <= response.framesBest) {
      this.#qp.counters.replayedBytesSent += bytes;
    } else {
      response.framesBest = response.frames;
      this.#qp.counters.readBytesSent += bytes;
    }
  }
}

/**
 * Answers to READ requests, in the order of the requests. They are bulk data of this side and leave
 * on the link here -> peer, as fast as it takes them; the region is checked again for each frame.
 */
import type { FrameHeader } from '../transport/frame.ts';
import { frameSlice } from './frame-header.ts';
import type { IbvQp } from './qp.ts';

interface ReadStream {
  readonly psn: number;
  readonly remoteAddress: number;
  readonly rkey: number;
  readonly messageLength: number;
  /** Frames handed over, and how many ever were: more are replays. */
  frames: number;
  framesBest: number;
}

/** `refused`: the region of the READ `psn` may not be read any more. */
export type ReadProgress =
  | { readonly kind: 'idle' | 'full' | 'down' }
  | { readonly kind: 'refused'; readonly psn: number };

type ReadTarget = Pick<FrameHeader, 'remoteAddress' | 'rkey' | 'messageLength'>;

/** The memory that a READ names, or a part of it; `undefined`: a check failed. */
export function reachForRead(
  qp: IbvQp,
  read: ReadTarget,
  { offset, length }: { readonly offset: number; readonly length: number },
): Uint8Array[] | undefined {
  if (read.messageLength === 0) return [];
  const region = qp.context.nic.region(read.rkey);
  return region?.reach(qp.pd, 'IBV_ACCESS_REMOTE_READ', read.remoteAddress + offset, length);
}

export class ReadStreams {
  readonly #qp: IbvQp;
  #streams: ReadStream[] = [];

  constructor(qp: IbvQp) {
    this.#qp = qp;
  }

  get isIdle(): boolean {
    return this.#streams.length === 0;
  }

  /** The peer has more READs in progress than it may have; repeated ones take half of the room. */
  get isFull(): boolean {
    return this.#streams.length >= 2 * this.#qp.attributes.max_dest_rd_atomic;
  }

  add({ psn, remoteAddress, rkey, messageLength }: FrameHeader): void {
    this.#streams.push({ psn, remoteAddress, rkey, messageLength, frames: 0, framesBest: 0 });
  }

  /** A READ that was executed before: starts its answer again. */
  addDuplicate({ psn, remoteAddress, rkey, messageLength }: FrameHeader): void {
    const running = this.#streams.find((stream) => stream.psn === psn);
    if (running !== undefined) {
      running.frames = 0;
    } else if (this.#streams.length < this.#qp.attributes.max_dest_rd_atomic) {
      const framesBest = Number.POSITIVE_INFINITY;
      this.#streams.push({ psn, remoteAddress, rkey, messageLength, frames: 0, framesBest });
    }
  }

  clear(): void {
    this.#streams = [];
  }

  /** Sends until nothing is left or the link takes no more. */
  pump(): ReadProgress {
    for (let stream = this.#streams[0]; stream !== undefined; stream = this.#streams[0]) {
      const { attributes } = this.#qp;
      const slice = frameSlice(stream.messageLength, attributes.path_mtu, stream.frames);
      const range = { offset: slice.messageOffset, length: slice.payloadLength };
      const views = reachForRead(this.#qp, stream, range);
      if (views === undefined) {
        this.#streams = [];
        return { kind: 'refused', psn: stream.psn };
      }
      const { psn, messageLength } = stream;
      const outcome = this.#qp.send('READ_RESPONSE', { ...slice, psn, messageLength }, views);
      if (outcome !== 'queued') return { kind: outcome };
      this.#count(stream, slice.payloadLength);
      if (slice.last) this.#streams.shift();
    }
    return { kind: 'idle' };
  }

  #count(stream: ReadStream, bytes: number): void {
    stream.frames++;
    if (stream.frames <= stream.framesBest) {
      this.#qp.counters.replayedBytesSent += bytes;
    } else {
      stream.framesBest = stream.frames;
      this.#qp.counters.readBytesSent += bytes;
    }
  }
}

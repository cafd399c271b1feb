/**
 * From bytes to the sink: decodes a header, asks where the payload goes, and reports the frame. A
 * reader that has whole messages calls `message`; one that sees the header before the payload calls
 * `begin`, fills the views itself and calls `end`.
 */
import { assert } from '../../common/assert.ts';
import { totalLength } from '../../common/bytes.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { decodeFrameHeader } from './frame-codec.ts';
import { isReply } from './frame-rules.ts';
import type { FrameSink, LinkCounters } from './transport.ts';

export interface FrameReceiverInit {
  /** The peer at the other end. */
  readonly nodeId: string;
  /** Of this connection: frames of any other are refused. */
  readonly incarnation: number;
  /** `data`: the dialling end of a link; `replies`: the accepting end. */
  readonly takes: 'data' | 'replies';
  readonly sink: FrameSink;
  readonly counters: LinkCounters;
}

/** Where a payload goes (`null`: nowhere), or what is wrong with the frame. */
export type FramePlacement =
  | {
      readonly header: FrameHeader;
      readonly views: readonly Uint8Array[] | null;
      readonly error?: undefined;
    }
  | { readonly error: string };

/** Takes frames off a connection. */
export interface FrameReader {
  /**
   * One whole message, in pieces of any size. Returns what is wrong with it, upon which the
   * connection is closed as `violated`; `undefined` if all is well.
   */
  message(fragments: readonly Uint8Array[]): string | undefined;
  /** The header at `offset` of `bytes`, of a message of `messageBytes` bytes. Nothing is stored yet. */
  begin(bytes: Uint8Array, offset: number, messageBytes: number): FramePlacement;
  /** Where the payload of a frame that has begun belongs now: `begin` again, without a new frame. */
  again(header: FrameHeader): readonly Uint8Array[] | null;
  /** The frame that has begun is complete; `isPlaced`: its payload is in the views. */
  end(header: FrameHeader, isPlaced: boolean): void;
}

const NO_VIEWS: readonly Uint8Array[] = [];

/** Of a connection that nobody has asked for yet: a frame breaks the protocol. */
export function refuseFrames(reason: string): FrameReader {
  return {
    message: () => reason,
    begin: () => ({ error: reason }),
    again: () => null,
    end: () => undefined,
  };
}

export class FrameReceiver implements FrameReader {
  readonly #init: FrameReceiverInit;
  #stopped = false;

  constructor(init: FrameReceiverInit) {
    this.#init = init;
  }

  /** From now on frames are ignored: the link has been given up, or has a newer connection. */
  stop(): void {
    this.#stopped = true;
  }

  begin(bytes: Uint8Array, offset: number, messageBytes: number): FramePlacement {
    const { incarnation, takes } = this.#init;
    const decoded = decodeFrameHeader(bytes, messageBytes, offset);
    if (decoded.error !== undefined) return decoded;
    const header = decoded.ok;
    if (decoded.incarnation !== incarnation) {
      return {
        error: `Expected frames of incarnation ${incarnation} but found ${decoded.incarnation}`,
      };
    }
    if (isReply(header.type) !== (takes === 'replies')) {
      return { error: `Expected only ${takes} on this end of a link but found a ${header.type}` };
    }
    return { header, views: this.again(header) };
  }

  again(header: FrameHeader): readonly Uint8Array[] | null {
    if (this.#stopped) return null;
    if (header.payloadLength === 0) return NO_VIEWS;
    const views = this.#init.sink.place(this.#init.nodeId, header);
    if (views !== null && totalLength(views) !== header.payloadLength) {
      assert(false, `Expected views of ${header.payloadLength} bytes from place()`);
    }
    return views;
  }

  end(header: FrameHeader, isPlaced: boolean): void {
    if (this.#stopped) return;
    const { nodeId, sink, counters } = this.#init;
    counters.framesReceived++;
    counters.payloadBytesReceived += header.payloadLength;
    if (isPlaced) sink.landed(nodeId, header);
  }

  message(fragments: readonly Uint8Array[]): string | undefined {
    if (this.#stopped) return undefined;
    const placement = this.begin(headerOf(fragments), 0, totalLength(fragments));
    if (placement.error !== undefined) return placement.error;
    const { header, views } = placement;
    const isPlaced = views !== null && !this.#isStopped();
    if (isPlaced) scatter(fragments, FRAME_HEADER_BYTES, views);
    this.end(header, isPlaced);
    return undefined;
  }

  /** A method, because callbacks of the sink may have given the link up since the last look. */
  #isStopped(): boolean {
    return this.#stopped;
  }
}
/** At least the header's bytes, if the message has as many. */
function headerOf(fragments: readonly Uint8Array[]): Uint8Array {
  const first = fragments[0];
  if (first !== undefined && first.byteLength >= FRAME_HEADER_BYTES) return first;
  const gathered = new Uint8Array(Math.min(FRAME_HEADER_BYTES, totalLength(fragments)));
  scatter(fragments, 0, [gathered]);
  return gathered;
}

/** Copies `sources` from byte `skip` on into `targets`, until these are full. */
export function scatter(
  sources: readonly Uint8Array[],
  skip: number,
  targets: readonly Uint8Array[],
): void {
  let source = 0;
  let offset = skip;
  for (const target of targets) {
    let filled = 0;
    while (filled < target.byteLength) {
      const from = sources[source];
      assert(from !== undefined, 'Expected enough bytes to fill the views');
      const available = from.byteLength - offset;
      if (available <= 0) {
        source++;
        offset -= from.byteLength;
        continue;
      }
      const count = Math.min(available, target.byteLength - filled);
      const whole = offset === 0 && count === from.byteLength;
      target.set(whole ? from : from.subarray(offset, offset + count), filled);
      filled += count;
      offset += count;
    }
  }
}

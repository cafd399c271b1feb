/**
 * From bytes to the sink: decodes a header, asks where the payload goes, and reports the frame. A
 * reader that has whole messages calls `message`; one that sees the header before the payload calls
 * `begin`, fills the views itself and calls `land`.
 */
import { assert } from '../../common/assert.ts';
import { totalLength } from '../../common/bytes.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { decodeFrameHeader } from './frame-codec.ts';
import { isReply } from './frame-rules.ts';
import type { MessageReader } from './link-medium.ts';
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

const NO_VIEWS: readonly Uint8Array[] = [];

export class FrameReceiver implements MessageReader {
  readonly #init: FrameReceiverInit;
  #stopped = false;

  constructor(init: FrameReceiverInit) {
    this.#init = init;
  }

  /** From now on messages are ignored: the link has been given up, or has a newer connection. */
  stop(): void {
    this.#stopped = true;
  }

  /** A header has arrived, of a message of `messageBytes` bytes in all. Nothing is stored yet. */
  begin(bytes: Uint8Array, messageBytes: number): FramePlacement {
    const { nodeId, incarnation, takes, sink } = this.#init;
    const decoded = decodeFrameHeader(bytes, messageBytes);
    if (decoded.error !== undefined) return decoded;
    const header = decoded.ok;
    if (decoded.incarnation !== incarnation) {
      return {
        error: `Expected frames of incarnation ${incarnation} but found ${decoded.incarnation}`,
      };
    }
    if (isReply(header.type) !== (takes === 'replies')) {
      return { error: `Expected ${takes} on this end of the link but found a ${header.type}` };
    }
    if (header.payloadLength === 0) return { header, views: NO_VIEWS };
    const views = sink.place(nodeId, header);
    assert(
      views === null || totalLength(views) === header.payloadLength,
      `Expected views of ${header.payloadLength} bytes from place()`,
    );
    return { header, views };
  }

  /** The frame that `begin` placed is complete. */
  land(header: FrameHeader): void {
    if (!this.#stopped) this.#init.sink.landed(this.#init.nodeId, header);
  }

  message(fragments: readonly Uint8Array[]): string | undefined {
    if (this.#stopped) return undefined;
    const placement = this.begin(headerOf(fragments), totalLength(fragments));
    if (placement.error !== undefined) return placement.error;
    const { header, views } = placement;
    this.#init.counters.framesReceived++;
    this.#init.counters.payloadBytesReceived += header.payloadLength;
    if (views === null || this.#stopped) return undefined;
    scatter(fragments, FRAME_HEADER_BYTES, views);
    this.land(header);
    return undefined;
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

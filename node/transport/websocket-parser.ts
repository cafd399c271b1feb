/**
 * Reads the frames of RFC 6455 out of a window of bytes that the socket has filled, and hands a link's
 * frames to its reader. Where a payload goes is asked once its whole header has been checked.
 *
 * A message in one frame, which is what a link's own writer sends, goes straight to its place: a small
 * one from the window, of a large one the part that is in the window, and the rest by `fill`, which
 * the socket reads into. A message in several frames is joined first, in a buffer of its own.
 */
import { defined } from '../../common/assert.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import type { FrameReader } from './frame-receiver.ts';
import type { PayloadFill } from './payload-fill.ts';
import {
  CONTROL_PAYLOAD_BYTES_MAX,
  FIN_BIT,
  HEAD_BYTES_MAX,
  isZeroMask,
  LENGTH_BITS,
  LENGTH_IN_16_BITS,
  LENGTH_IN_64_BITS,
  MASK_BIT,
  MASK_BYTES,
  OPCODE_BITS,
  OPCODES,
  RESERVED_BITS,
  unmask,
} from './websocket-frames.ts';

/** Frames up to this size wait in the window until they are whole. */
export const WHOLE_FRAME_BYTES = 16 * 1024;
/** What a window must hold: the longest frame that waits in it. */
export const WINDOW_BYTES_MIN = HEAD_BYTES_MAX + WHOLE_FRAME_BYTES;

export interface ParserEvents {
  /** A ping, pong or close frame. `payload` is the window's. */
  control(opcode: number, payload: Uint8Array): void;
  /** The other end broke the protocol; nothing of it is read any more. */
  violated(reason: string): void;
}

export interface ParserInit {
  /** Whether the other end is a WebSocket client: it must mask, and a server must not. */
  readonly isMasked: boolean;
  readonly messageBytesMax: number;
  readonly fragmentsMax: number;
  /** Of the dialling end. The accepting one has no message above `WHOLE_FRAME_BYTES`. */
  readonly fill?: PayloadFill;
  readonly events: ParserEvents;
}

/** A message of which the last fragment is still to come. */
interface Assembly {
  readonly bytes: Uint8Array;
  length: number;
  fragments: number;
}

const DATA_OPCODES: readonly number[] = [OPCODES.CONTINUATION, OPCODES.TEXT, OPCODES.BINARY];
const CONTROL_OPCODES: readonly number[] = [OPCODES.CLOSE, OPCODES.PING, OPCODES.PONG];

export class WebSocketParser {
  readonly #init: ParserInit;
  #reader: FrameReader;
  #stopped = false;
  #assembly: Assembly | undefined;
  /** Of the frame that `fill` takes: its header, or that it is a fragment, and whether it is the last. */
  #filling: { readonly header: FrameHeader } | { readonly isLast: boolean } | undefined;
  // The head that was read last.
  #opcode = 0;
  #isFinal = false;
  #length = 0;

  constructor(init: ParserInit, reader: FrameReader) {
    this.#init = init;
    this.#reader = reader;
  }

  /** Hands frames to another reader from now on. */
  bind(reader: FrameReader): void {
    this.#reader = reader;
  }

  /** Reads nothing any more. */
  stop(): void {
    this.#stopped = true;
    this.#assembly = undefined;
    this.#filling = undefined;
    this.#init.fill?.abandon();
  }

  /** Header of the frame whose payload `fill` takes, if it goes to a place of the reader. */
  get filledHeader(): FrameHeader | undefined {
    return this.#filling !== undefined && 'header' in this.#filling
      ? this.#filling.header
      : undefined;
  }

  /** Reads what is in [from, to) and returns how far it came: the rest is the start of a frame. */
  parse(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (!this.#stopped) {
      const next = this.#frame(bytes, at, to);
      if (next === at) return at;
      at = next;
    }
    return to;
  }

  /** `fill` has all of its payload. */
  filled(): void {
    const filling = defined(this.#filling, 'a frame whose payload was read');
    this.#filling = undefined;
    if ('header' in filling) this.#reader.end(filling.header, this.#init.fill?.views !== null);
    else if (filling.isLast) this.#assembled();
  }

  /** Reads one frame at `at`; returns the offset behind it, or `at` if more of it is needed. */
  #frame(bytes: Uint8Array, at: number, to: number): number {
    const body = this.#head(bytes, at, to);
    if (this.#stopped) return to;
    if (body === 0) return at;
    if (this.#opcode >= OPCODES.CLOSE) {
      if (to - body < this.#length) return at;
      this.#unmask(bytes, body);
      this.#init.events.control(this.#opcode, bytes.subarray(body, body + this.#length));
      return body + this.#length;
    }
    const isWhole = to - body >= this.#length;
    if (!isWhole && this.#length <= WHOLE_FRAME_BYTES) return at;
    if (isWhole) this.#unmask(bytes, body);
    if (this.#isFinal && this.#assembly === undefined) {
      return this.#message(bytes, at, body, to);
    }
    return this.#fragment(bytes, body, to);
  }

  /** Reads a head at `at` and checks it: offset of the payload; 0 if the head is not whole yet. */
  #head(bytes: Uint8Array, at: number, to: number): number {
    if (to - at < 2) return 0;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const fault = this.#faultOfStart(first, second);
    if (fault !== undefined) return this.#violated(fault);
    this.#opcode = first & OPCODE_BITS;
    this.#isFinal = (first & FIN_BIT) !== 0;
    const body = this.#lengthAt(bytes, at + 2, to, second & LENGTH_BITS);
    if (body === 0 || this.#stopped) return 0;
    const end = this.#init.isMasked ? body + MASK_BYTES : body;
    if (to < end) return 0;
    if (this.#opcode >= OPCODES.CLOSE) return end;
    const tooMuch = this.#faultOfSize();
    return tooMuch === undefined ? end : this.#violated(tooMuch);
  }

  #faultOfStart(first: number, second: number): string | undefined {
    const opcode = first & OPCODE_BITS;
    if ((first & RESERVED_BITS) !== 0) return 'Expected reserved bits to be zero';
    const isMasked = (second & MASK_BIT) !== 0;
    if (isMasked !== this.#init.isMasked) {
      return isMasked ? 'Expected a server not to mask' : 'Expected a client to mask';
    }
    if (CONTROL_OPCODES.includes(opcode)) {
      if ((first & FIN_BIT) === 0) return 'Expected a control frame in one piece';
      if ((second & LENGTH_BITS) <= CONTROL_PAYLOAD_BYTES_MAX) return undefined;
      return `Expected a control frame of at most ${CONTROL_PAYLOAD_BYTES_MAX} bytes`;
    }
    if (!DATA_OPCODES.includes(opcode)) return `Expected a known opcode but found ${opcode}`;
    if (opcode === OPCODES.TEXT) return 'Expected a binary message but found text';
    if ((opcode === OPCODES.CONTINUATION) === (this.#assembly !== undefined)) return undefined;
    return this.#assembly === undefined
      ? 'Expected the start of a message but found a continuation'
      : 'Expected the rest of a message but found the start of another';
  }

  /** Reads a length of any form into `#length`; returns the offset behind it, 0 if it is not whole. */
  #lengthAt(bytes: Uint8Array, at: number, to: number, short: number): number {
    if (short < LENGTH_IN_16_BITS) {
      this.#length = short;
      return at;
    }
    const count = short === LENGTH_IN_64_BITS ? 8 : 2;
    if (to - at < count) return 0;
    let length = 0;
    for (let index = at; index < at + count; index++) length = length * 256 + (bytes[index] ?? 0);
    this.#length = length;
    const isShortest = length >= (count === 2 ? LENGTH_IN_16_BITS : 0x1_0000);
    return isShortest ? at + count : this.#violated('Expected the shortest form of a length');
  }

  #faultOfSize(): string | undefined {
    const { messageBytesMax, fragmentsMax } = this.#init;
    const { length = 0, fragments = 0 } = this.#assembly ?? {};
    if (length + this.#length > messageBytesMax) {
      return `Expected a message of at most ${messageBytesMax} bytes but found more`;
    }
    if (fragments < fragmentsMax) return undefined;
    return `Expected a message of at most ${fragmentsMax} fragments but found more`;
  }

  /** A message in one frame, of which the payload starts at `body`. */
  #message(bytes: Uint8Array, at: number, body: number, to: number): number {
    const length = this.#length;
    // A large frame whose header is not here yet; a small one is whole.
    if (to - body < Math.min(FRAME_HEADER_BYTES, length)) return at;
    const placement = this.#reader.begin(bytes, body, length);
    if (placement.error !== undefined) {
      this.#violated(placement.error);
      return to;
    }
    const { header, views } = placement;
    const start = body + FRAME_HEADER_BYTES;
    const end = body + length;
    if (end <= to) {
      if (views !== null && !this.#stopped) store(bytes, start, views);
      this.#reader.end(header, views !== null);
      return end;
    }
    if (this.#stopped) return to;
    const fill = defined(this.#init.fill, 'a place for long payloads');
    fill.start(views, header.payloadLength);
    this.#filling = { header };
    fill.store(bytes.subarray(start, to));
    return to;
  }

  #fragment(bytes: Uint8Array, body: number, to: number): number {
    this.#assembly ??= {
      bytes: new Uint8Array(this.#init.messageBytesMax),
      length: 0,
      fragments: 0,
    };
    const assembly = this.#assembly;
    const end = body + this.#length;
    const start = assembly.length;
    assembly.fragments++;
    assembly.length += this.#length;
    if (end <= to) {
      assembly.bytes.set(bytes.subarray(body, end), start);
      if (this.#isFinal) this.#assembled();
      return end;
    }
    const fill = defined(this.#init.fill, 'a place for long payloads');
    fill.start([assembly.bytes.subarray(start, assembly.length)], this.#length);
    this.#filling = { isLast: this.#isFinal };
    fill.store(bytes.subarray(body, to));
    return to;
  }

  /** The last fragment is there. */
  #assembled(): void {
    const { bytes, length } = defined(this.#assembly, 'a message in fragments');
    this.#assembly = undefined;
    const error = this.#reader.message([bytes.subarray(0, length)]);
    if (error !== undefined) this.#violated(error);
  }

  #unmask(bytes: Uint8Array, body: number): void {
    if (!this.#init.isMasked) return;
    const maskAt = body - MASK_BYTES;
    if (!isZeroMask(bytes, maskAt)) unmask(bytes, body, body + this.#length, maskAt);
  }

  /** Returns 0, for callers that return an offset. */
  #violated(reason: string): 0 {
    this.stop();
    this.#init.events.violated(reason);
    return 0;
  }
}

/** Copies what is at `from` into the views. */
function store(bytes: Uint8Array, from: number, views: readonly Uint8Array[]): void {
  let at = from;
  for (const view of views) {
    view.set(bytes.subarray(at, at + view.byteLength));
    at += view.byteLength;
  }
}

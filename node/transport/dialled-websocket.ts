/**
 * The dialling end of an open link as a WebSocket client: it takes bulk data, which a server never
 * masks, and sends 64-byte replies. The socket reads into memory that this end chooses before each
 * read: a window for heads, headers and small frames, and for a large payload the places themselves.
 */
import type { Socket } from 'node:net';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader, LINK_MTU_BYTES } from './frame.ts';
import type { DialledEnd, DialRequest, LinkCloseCode } from './link-medium.ts';
import { LinkSocket, REPLY_QUEUE_BYTES_MAX } from './link-socket.ts';
import { isSamePlace, PayloadFill } from './payload-fill.ts';
import type { SendOutcome } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';
import { WebSocketParser } from './websocket-parser.ts';
import { WebSocketWriter } from './websocket-writer.ts';

/** WebSocket fragments in one message: a header and the segments of a payload. */
export const MESSAGE_FRAGMENTS_MAX = 1024;
/** One read takes this much of small frames. */
export const WINDOW_BYTES = 64 * 1024;
/** One read takes this much where a large payload is expected: what it takes of it has to be copied. */
export const HEAD_WINDOW_BYTES = 4 * 1024;

const NO_PAYLOAD: readonly Uint8Array[] = [];

export interface DialledWebSocketInit {
  readonly socket: Socket;
  readonly scheduler: Scheduler;
  readonly request: DialRequest;
  readonly end: DialledEnd;
  /** `WINDOW_BYTES` that the socket reads into. */
  readonly window: Uint8Array;
}

export class DialledWebSocket {
  /** Of payloads that the socket reads to where they belong. */
  readonly filling = new ViewLedger();
  readonly #init: DialledWebSocketInit;
  readonly #link: LinkSocket;
  readonly #parser: WebSocketParser;
  readonly #writer: WebSocketWriter;
  readonly #fill: PayloadFill;
  readonly #bytes: Uint8Array;
  readonly #headWindow: Uint8Array;
  /** What is in the window is a part of a frame. */
  #held = 0;
  /** Large payloads come, one behind the other: the next read is short, so that little is copied. */
  #isBulk = false;
  #isRecalled = false;

  constructor(init: DialledWebSocketInit) {
    const { socket, scheduler, request, end, window } = init;
    this.#init = init;
    this.#bytes = window;
    this.#headWindow = window.subarray(0, HEAD_WINDOW_BYTES);
    this.#fill = new PayloadFill(window);
    this.#writer = new WebSocketWriter({
      socket,
      isMasking: true,
      scheduler,
      written: () => undefined,
    });
    this.#parser = new WebSocketParser(
      {
        isMasked: false,
        messageBytesMax: FRAME_HEADER_BYTES + LINK_MTU_BYTES,
        fragmentsMax: MESSAGE_FRAGMENTS_MAX,
        fill: this.#fill,
        events: {
          control: (opcode, payload) => this.#link.control(opcode, payload),
          violated: (reason) => this.#link.violated(reason),
        },
      },
      end.reader,
    );
    this.#link = new LinkSocket({
      socket,
      scheduler,
      label: request.peer.nodeId,
      writer: this.#writer,
      isFilling: () => !this.filling.isQuiet,
      stopReading: () => this.#parser.stop(),
      released: () => this.filling.clear(),
      closed: (closure) => end.closed(closure),
    });
  }

  /** Where the next read goes. */
  window(): Uint8Array {
    if (this.#fill.left > 0) return this.#fill.window();
    if (this.#held > 0) return this.#bytes.subarray(this.#held);
    return this.#isBulk ? this.#headWindow : this.#bytes;
  }

  /** A read has put `count` bytes there. */
  read(count: number): void {
    if (this.#fill.left > 0) this.#filled(count);
    else this.parse(this.#held + count);
  }

  /** Takes what the first `count` bytes of the window hold. */
  parse(count: number): void {
    const rest = this.#parser.parse(this.#bytes, 0, count);
    this.#held = count - rest;
    if (rest > 0 && this.#held > 0) this.#bytes.copyWithin(0, rest, count);
    // A short window full of small frames: there may be many of them.
    if (this.#fill.left === 0) {
      if (count >= HEAD_WINDOW_BYTES) this.#isBulk = false;
      return;
    }
    // What follows is read to where it belongs.
    if (this.#fill.views !== null) this.filling.handOver();
    this.#isBulk = true;
  }

  reply(header: FrameHeader): SendOutcome {
    if (!this.#link.open) return 'down';
    if (this.#writer.queuedBytes > REPLY_QUEUE_BYTES_MAX) {
      this.#link.abort('the peer does not read the replies on its own link');
      return 'down';
    }
    this.#writer.frame(header, this.#init.request.incarnation, NO_PAYLOAD);
    return 'queued';
  }

  recall(): void {
    this.#isRecalled = true;
  }

  abort(reason: string): void {
    this.#link.abort(reason);
  }

  close(code: LinkCloseCode, reason: string): void {
    this.#link.close(code, reason);
  }

  #filled(count: number): void {
    this.#fill.advance(count);
    if (this.#isRecalled) this.#askAgain();
    if (this.#fill.left > 0) return;
    // Before the frame is reported: from here on nothing is stored in its views.
    this.filling.take();
    this.#parser.filled();
  }

  /** Memory has been taken back since `place` was asked; is that of this payload still the right one? */
  #askAgain(): void {
    this.#isRecalled = false;
    const header = this.#parser.filledHeader;
    if (header === undefined) return;
    const isKept = isSamePlace(this.#fill.views, this.#init.end.reader.again(header));
    if (!isKept) this.#fill.drop();
    // Whoever waits does not wait for memory that `place` still gives out.
    this.filling.take();
    if (isKept) this.filling.handOver();
  }
}

/**
 * The accepting end of a link as a WebSocket server connection: it sends bulk data. A server's
 * frames are not masked, so payload views go to the socket as they are, behind the header.
 */
import type { Socket } from 'node:net';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { refuseFrames } from './frame-receiver.ts';
import type {
  AcceptedConnection,
  AcceptedEnd,
  DialIdentity,
  LinkCloseCode,
} from './link-medium.ts';
import { LinkSocket } from './link-socket.ts';
import type { LinkKind } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';
import { WebSocketParser } from './websocket-parser.ts';
import { WebSocketWriter } from './websocket-writer.ts';

/** A reply is 64 bytes; nobody needs more fragments than this for it. */
export const REPLY_FRAGMENTS_MAX = 64;

const UNBOUND: AcceptedEnd = {
  reader: refuseFrames('Expected no frame before the connection has an owner'),
  drained: () => undefined,
  closed: () => undefined,
};

export class AcceptedWebSocket implements AcceptedConnection {
  readonly nodeId: string;
  readonly incarnation: number;
  readonly kind: LinkKind;
  /** Of payloads that are sent from where they are: copied ones are never read again. */
  readonly views = new ViewLedger();
  readonly #link: LinkSocket;
  readonly #parser: WebSocketParser;
  readonly #writer: WebSocketWriter;
  /** The start of a frame whose rest is still to come. */
  #rest: Uint8Array | undefined;
  #end = UNBOUND;

  /** `socket` has answered the upgrade and has no listeners. */
  constructor(socket: Socket, kind: LinkKind, dial: DialIdentity, scheduler: Scheduler) {
    this.nodeId = dial.nodeId;
    this.incarnation = dial.incarnation;
    this.kind = kind;
    this.#writer = new WebSocketWriter({
      socket,
      isMasking: false,
      scheduler,
      written: (hadViews) => {
        if (hadViews) this.views.take();
        this.#end.drained();
      },
    });
    this.#parser = new WebSocketParser(
      {
        isMasked: true,
        // Replies are all that a dialler may send, so nothing longer than a header is read.
        messageBytesMax: FRAME_HEADER_BYTES,
        fragmentsMax: REPLY_FRAGMENTS_MAX,
        events: {
          control: (opcode, payload) => this.#link.control(opcode, payload),
          violated: (reason) => this.#link.violated(reason),
        },
      },
      UNBOUND.reader,
    );
    this.#link = new LinkSocket({
      socket,
      scheduler,
      label: dial.nodeId,
      writer: this.#writer,
      isFilling: () => false,
      stopReading: () => this.#parser.stop(),
      released: () => this.views.clear(),
      closed: (closure) => this.#end.closed(closure),
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  get open(): boolean {
    return this.#link.open;
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes;
  }

  bind(end: AcceptedEnd): void {
    this.#end = end;
    this.#parser.bind(end.reader);
  }

  write(header: FrameHeader, payload: readonly Uint8Array[]): void {
    if (this.#writer.frame(header, this.incarnation, payload)) this.views.handOver();
  }

  /** Queued frames are dropped by destroying the socket; with none, the peer gets a close frame. */
  close(code: LinkCloseCode, reason: string): void {
    this.#link.close(code, reason);
  }

  abort(reason: string): void {
    this.#link.abort(reason);
  }

  /** A chunk is nobody else's: masks are taken off in place. */
  #read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = this.#parser.parse(bytes, 0, bytes.byteLength);
    this.#rest = end === bytes.byteLength ? undefined : bytes.subarray(end);
  }
}

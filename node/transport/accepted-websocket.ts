/**
 * The accepting end of a link as a WebSocket server connection: it sends bulk data. A server's
 * frames are not masked, so payload views go to the socket as they are, each as a fragment of its own
 * behind the header.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { encodeFrameHeader } from './frame-codec.ts';
import { scatter } from './frame-receiver.ts';
import type {
  AcceptedConnection,
  AcceptedEnd,
  DialIdentity,
  LinkCloseCode,
} from './link-medium.ts';
import { LinkSocket } from './link-socket.ts';
import { ViewLedger } from './view-ledger.ts';

/** Payloads up to this size are copied behind their header: cheaper than a write of their own. */
export const COPIED_PAYLOAD_BYTES = 4 * 1024;
/** Payloads of more views than this are copied too: fragments have a cost at both ends. */
export const PAYLOAD_FRAGMENTS_MAX = 64;

const UNBOUND: AcceptedEnd = {
  reader: { message: () => 'Expected no frame before the connection has an owner' },
  drained: () => undefined,
  closed: () => undefined,
};

export class AcceptedWebSocket implements AcceptedConnection {
  readonly nodeId: string;
  readonly incarnation: number;
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  readonly #link: LinkSocket;
  /** Of payloads in fragments: copied ones are never read again. */
  readonly views = new ViewLedger();
  #end = UNBOUND;
  readonly #written = () => this.#end.drained();
  readonly #viewsWritten = () => {
    this.views.take();
    this.#end.drained();
  };

  constructor(socket: WebSocket, stream: Duplex, dial: DialIdentity) {
    this.nodeId = dial.nodeId;
    this.incarnation = dial.incarnation;
    this.#socket = socket;
    this.#stream = stream;
    this.#link = new LinkSocket(socket, dial.nodeId, UNBOUND);
    socket.on('close', () => this.views.clear());
  }

  get open(): boolean {
    return this.#link.open;
  }

  get queuedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  bind(end: AcceptedEnd): void {
    this.#end = end;
    this.#link.bind({
      reader: end.reader,
      closed: (closure) => {
        // A closing handshake would send what is queued first.
        if (!this.views.isQuiet) this.#socket.terminate();
        this.views.clear();
        end.closed(closure);
      },
    });
  }

  write(header: FrameHeader, payload: readonly Uint8Array[]): void {
    const isCopied =
      header.payloadLength <= COPIED_PAYLOAD_BYTES || payload.length > PAYLOAD_FRAGMENTS_MAX;
    if (isCopied) this.#writeCopied(header, payload);
    else this.#writeFragments(header, payload);
  }

  /**
   * Queued frames are dropped by destroying the socket: their payload views may be reused from now
   * on, and half a message is never landed. With nothing queued the peer gets a close frame.
   */
  close(code: LinkCloseCode, reason: string): void {
    if (this.queuedBytes > 0) this.#link.terminate();
    else this.#link.close(code, reason);
    this.views.clear();
  }

  abort(reason: string): void {
    this.#link.abort(reason);
    this.views.clear();
  }

  #writeCopied(header: FrameHeader, payload: readonly Uint8Array[]): void {
    const message = Buffer.allocUnsafe(FRAME_HEADER_BYTES + header.payloadLength);
    encodeFrameHeader(header, this.incarnation, message);
    scatter(payload, 0, [message.subarray(FRAME_HEADER_BYTES)]);
    this.#socket.send(message, this.#written);
  }

  #writeFragments(header: FrameHeader, payload: readonly Uint8Array[]): void {
    const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    encodeFrameHeader(header, this.incarnation, bytes);
    this.views.handOver();
    this.#stream.cork();
    this.#socket.send(bytes, { binary: true, fin: false });
    const last = payload.length - 1;
    for (const [index, part] of payload.entries()) {
      // A Buffer over the same memory, shared or not: `ws` sends it without a copy.
      const fragment = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
      if (index < last) this.#socket.send(fragment, { binary: true, fin: false });
      else this.#socket.send(fragment, { binary: true, fin: true }, this.#viewsWritten);
    }
    this.#stream.uncork();
  }
}

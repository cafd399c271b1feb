/**
 * The dialling end of a link as a WebSocket client: it takes bulk data, which a server never masks,
 * and sends 64-byte replies. The reader is `ws`'s own; a faster one may replace this file alone.
 */
import { WebSocket } from 'ws';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader, LINK_MTU_BYTES } from './frame.ts';
import { encodeFrameHeader } from './frame-codec.ts';
import { closureOfRefusal, dialHeaders, type HandshakeInit, LINK_PATH } from './link-handshake.ts';
import {
  type Closure,
  type DialledConnection,
  type DialledEnd,
  type DialRequest,
  formatLinkAddress,
  type LinkCloseCode,
} from './link-medium.ts';
import { CLOSE_GRACE_MS, LinkSocket } from './link-socket.ts';
import type { SendOutcome } from './transport.ts';

/** Unsent replies above which the peer is taken for dead: it does not read its own link. */
export const REPLY_QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/** WebSocket fragments in one message: a header and the segments of a payload. */
export const MESSAGE_FRAGMENTS_MAX = 1024;
/** Socket reads that may be pending for one message; `ws` closes the connection above it. */
export const BUFFERED_CHUNKS_MAX = 16 * 1024;

/** Options of `ws` that its type declarations do not know yet. */
const RESOURCE_LIMITS = {
  maxFragments: MESSAGE_FRAGMENTS_MAX,
  maxBufferedChunks: BUFFERED_CHUNKS_MAX,
  closeTimeout: CLOSE_GRACE_MS,
};

export interface WebSocketDialInit {
  readonly handshake: HandshakeInit;
  readonly scheduler: Scheduler;
  /** There is a socket now. */
  readonly opening: (socket: WebSocket) => void;
  /** The socket is gone, whoever closed it. */
  readonly released: (socket: WebSocket) => void;
}

/** Dials `request.peer`. An address that cannot even be dialled is reported like any refusal. */
export function dialWebSocket(
  init: WebSocketDialInit,
  request: DialRequest,
  end: DialledEnd,
): DialledConnection {
  const url = `ws://${formatLinkAddress(request.peer.address)}${LINK_PATH}`;
  let socket: WebSocket;
  try {
    socket = new WebSocket(url, {
      headers: dialHeaders(init.handshake, request),
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: FRAME_HEADER_BYTES + LINK_MTU_BYTES,
      ...RESOURCE_LIMITS,
      generateMask: zeroMask,
    });
  } catch (error) {
    const reason = `Expected an address to dial but found ${url}: ${messageOf(error)}`;
    return new UndialledConnection(init.scheduler, end, { kind: 'ended', reason });
  }
  init.opening(socket);
  socket.on('close', () => init.released(socket));
  return new WebSocketDial(socket, request, end);
}

/**
 * A mask of zeros, with which `ws` skips both the masking and a copy. RFC 6455 wants masks to be
 * unpredictable because of proxies that scripts in browsers could poison; a link runs between hosts
 * of one trusted cluster, and carries no bytes of a browser's choice.
 */
function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

class WebSocketDial implements DialledConnection {
  readonly #socket: WebSocket;
  readonly #link: LinkSocket;
  readonly #incarnation: number;

  constructor(socket: WebSocket, request: DialRequest, end: DialledEnd) {
    this.#socket = socket;
    this.#incarnation = request.incarnation;
    this.#link = new LinkSocket(socket, request.peer.nodeId, end);
    socket.on('open', () => {
      if (this.#link.open) end.opened();
    });
    socket.on('unexpected-response', (_request, response) => {
      this.#link.fail(closureOfRefusal(request, response.statusCode ?? 0));
    });
  }

  reply(header: FrameHeader): SendOutcome {
    if (!this.#link.open) return 'down';
    if (this.#socket.bufferedAmount > REPLY_QUEUE_BYTES_MAX) {
      this.#link.abort('the peer does not read the replies on its own link');
      return 'down';
    }
    const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    encodeFrameHeader(header, this.#incarnation, bytes);
    this.#socket.send(bytes);
    return 'queued';
  }

  close(code: LinkCloseCode, reason: string): void {
    this.#link.close(code, reason);
  }
}

/** A dial that failed before there was a socket. */
class UndialledConnection implements DialledConnection {
  #closed = false;

  constructor(scheduler: Scheduler, end: DialledEnd, closure: Closure) {
    scheduler.soon(() => {
      if (!this.#closed) end.closed(closure);
    });
  }

  reply(): SendOutcome {
    return 'down';
  }

  close(): void {
    this.#closed = true;
  }
}

/**
 * Where peers dial: an HTTP server that does nothing but upgrade `/link`, and that checks version,
 * token and names before it accepts.
 */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { assert } from '../../common/assert.ts';
import { type ErrorCode, HlsimError, messageOf } from '../../common/errors.ts';
import { AcceptedWebSocket } from './accepted-websocket.ts';
import { FRAME_HEADER_BYTES, FRAME_VERSION } from './frame.ts';
import { checkDial, type HandshakeInit, LINK_HEADERS } from './link-handshake.ts';
import { formatLinkAddress, type LinkDoor, type Refusal } from './link-medium.ts';
import { CLOSE_GRACE_MS } from './link-socket.ts';
import { CONNECT_MS, type LinkAddress } from './transport.ts';

/** Sockets of all kinds that the listener serves at a time. */
export const CONNECTIONS_MAX = 4096;
/** Requests that are not even a whole HTTP header are cut off after `CONNECT_MS`, checked this often. */
const REQUEST_CHECK_MS = 1_000;
/** A reply is 64 bytes; nobody needs more fragments or socket reads than this for it. */
const REPLY_FRAGMENTS_MAX = 64;
const REPLY_CHUNKS_MAX = 1024;

/** Options of `ws` that its type declarations do not know yet. */
const RESOURCE_LIMITS = {
  maxFragments: REPLY_FRAGMENTS_MAX,
  maxBufferedChunks: REPLY_CHUNKS_MAX,
  closeTimeout: CLOSE_GRACE_MS,
};

const NOT_READY: Refusal = { status: 503, reason: 'Expected a dial after the host is ready' };

export class WebSocketListener {
  readonly #handshake: HandshakeInit;
  readonly #server: Server;
  /** Replies are all that a dialler may send, so nothing longer than a header is read. */
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: FRAME_HEADER_BYTES,
    ...RESOURCE_LIMITS,
  });
  /** Sockets that are not (yet) links. */
  readonly #strangers = new Set<Socket>();
  #door: LinkDoor | undefined;

  constructor(handshake: HandshakeInit) {
    this.#handshake = handshake;
    this.#server = createServer({
      headersTimeout: CONNECT_MS,
      requestTimeout: CONNECT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('connection', (socket) => this.#track(socket));
    this.#server.on('request', (_request, response) => {
      response.writeHead(426, { connection: 'close', upgrade: 'websocket' });
      response.end('Expected a WebSocket upgrade\n');
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('clientError', (error: Error & { code?: string }, socket) => {
      if (error.code?.startsWith('HPE_')) {
        this.#door?.turnedAway(`Expected HTTP on the link port but found: ${error.message}`);
      }
      socket.destroy();
    });
  }

  /** Binds, and returns the address with the port that was found. */
  async bind(address: LinkAddress): Promise<LinkAddress> {
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(bindError(address, error));
      this.#server.once('error', failed);
      this.#server.listen(address.port, address.host, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
    const bound = this.#server.address();
    assert(bound !== null && typeof bound === 'object', 'Expected a bound TCP address');
    return { host: address.host, port: (bound satisfies AddressInfo).port };
  }

  /** From now on dials are let in. */
  open(door: LinkDoor): void {
    this.#door = door;
  }

  /** Resolves when the port and every accepted socket, links included, are gone. */
  close(): Promise<void> {
    this.#door = undefined;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#upgrader.close();
    for (const socket of this.#strangers) socket.destroy();
    return closed;
  }

  #track(socket: Socket): void {
    this.#strangers.add(socket);
    socket.on('close', () => this.#strangers.delete(socket));
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const door = this.#door;
    const checked = checkDial(this.#handshake, request.url, request.headers);
    if (checked.refusal !== undefined) {
      const from = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
      const { status, reason } = checked.refusal;
      door?.turnedAway(`Refused a dial from ${from} (HTTP ${status}): ${reason}`);
      refuseUpgrade(stream, checked.refusal);
      return;
    }
    const refusal = door === undefined ? NOT_READY : door.admit(checked.ok);
    if (refusal !== undefined || door === undefined) {
      refuseUpgrade(stream, refusal ?? NOT_READY);
      return;
    }
    this.#upgrader.handleUpgrade(request, stream, head, (socket) => {
      this.#strangers.delete(request.socket);
      door.accepted(new AcceptedWebSocket(socket, stream, checked.ok));
    });
  }
}

/** Answers an upgrade request with an error and closes the connection. */
function refuseUpgrade(stream: Duplex, refusal: Refusal): void {
  const body = `${refusal.reason}\n`;
  // The connection is being given up: its errors change nothing.
  stream.on('error', () => stream.destroy());
  stream.once('finish', () => stream.destroy());
  stream.end(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? 'Refused'}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `${LINK_HEADERS.version}: ${FRAME_VERSION}`,
      ...(refusal.status === 401 ? ['WWW-Authenticate: Bearer'] : []),
      '',
      body,
    ].join('\r\n'),
  );
}

function bindError(address: LinkAddress, error: NodeJS.ErrnoException): HlsimError {
  const where = formatLinkAddress(address);
  const code: ErrorCode = error.code === 'EADDRINUSE' ? 'HLSIM_PORT_IN_USE' : 'HLSIM_CONFIG';
  return new HlsimError(
    code,
    `Expected to listen for links on ${where} but found ${error.code ?? 'an error'}: ${messageOf(error)}; choose another address, or port 0 for any`,
    { cause: error, fields: { host: address.host, port: address.port } },
  );
}

/**
 * Where peers dial: an HTTP server that does nothing but upgrade `/link` and `/wire`, and that checks version,
 * token and names before it accepts.
 */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert } from '../../common/assert.ts';
import { type ErrorCode, HlsimError, messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { AcceptedWebSocket } from './accepted-websocket.ts';
import { FRAME_VERSION } from './frame.ts';
import {
  checkDial,
  checkWireDial,
  type HandshakeInit,
  LINK_HEADERS,
  WIRE_PATH,
} from './link-handshake.ts';
import { formatLinkAddress, type LinkDoor, type Refusal } from './link-medium.ts';
import { CONNECT_MS, type LinkAddress } from './transport.ts';
import { unixSocketPath } from './unix-socket-path.ts';
import { acceptUpgrade } from './websocket-upgrade.ts';
import { WireDoor } from './wire-door.ts';

/** Sockets of all kinds that the listener serves at a time. */
export const CONNECTIONS_MAX = 4096;
/** Requests that are not even a whole HTTP header are cut off after `CONNECT_MS`, checked this often. */
const REQUEST_CHECK_MS = 1_000;
const NOT_READY: Refusal = { status: 503, reason: 'Expected a dial after the host is ready' };

export class WebSocketListener {
  /** Who may dial for a wire. */
  readonly wires: WireDoor;
  readonly #handshake: HandshakeInit;
  readonly #scheduler: Scheduler;
  readonly #tcp: Server;
  /** For diallers on this machine. */
  #unix: Server | undefined;
  /** Sockets that are not (yet) links. */
  readonly #strangers = new Set<Socket>();
  #door: LinkDoor | undefined;

  constructor(handshake: HandshakeInit, scheduler: Scheduler) {
    this.#handshake = handshake;
    this.#scheduler = scheduler;
    this.wires = new WireDoor(scheduler);
    this.#tcp = this.#server('tcp');
  }

  /** Binds, and returns the address with the port that was found. */
  async bind(address: LinkAddress): Promise<LinkAddress> {
    await listening(this.#tcp, (bound) =>
      this.#tcp.listen(address.port, address.host, bound),
    ).catch((error) => {
      throw bindError(address, error);
    });
    const bound = this.#tcp.address();
    assert(bound !== null && typeof bound === 'object', 'Expected a bound TCP address');
    return { host: address.host, port: (bound satisfies AddressInfo).port };
  }

  /** Listens on a Unix socket too, once it is bound. Rejects where there are no such sockets. */
  async bindUnix(bound: LinkAddress): Promise<void> {
    const path = unixSocketPath(this.#handshake.nodeId, bound);
    const server = this.#server('unix');
    await listening(server, (done) => server.listen(path, done));
    this.#unix = server;
  }

  /** From now on dials are let in. */
  open(door: LinkDoor): void {
    this.#door = door;
  }

  /** Resolves when the port and every accepted socket, links included, are gone. */
  async close(): Promise<void> {
    this.#door = undefined;
    this.wires.close();
    const servers = this.#unix === undefined ? [this.#tcp] : [this.#tcp, this.#unix];
    const closed = servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const socket of this.#strangers) socket.destroy();
    await Promise.all(closed);
  }

  #server(kind: 'tcp' | 'unix'): Server {
    const server = createServer({
      headersTimeout: CONNECT_MS,
      requestTimeout: CONNECT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.on('connection', (socket) => this.#track(socket));
    server.on('request', (_request, response) => {
      response.writeHead(426, { connection: 'close', upgrade: 'websocket' });
      response.end('Expected a WebSocket upgrade\n');
    });
    server.on('upgrade', (request, socket, head) => this.#upgrade(kind, request, socket, head));
    server.on('clientError', (error: Error & { code?: string }, socket) => {
      if (error.code?.startsWith('HPE_')) {
        this.#door?.turnedAway(`Expected HTTP on the link port but found: ${error.message}`);
      }
      socket.destroy();
    });
    return server;
  }

  #track(socket: Socket): void {
    this.#strangers.add(socket);
    socket.on('close', () => this.#strangers.delete(socket));
  }

  #upgrade(kind: 'tcp' | 'unix', request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const refusal =
      request.url === WIRE_PATH
        ? this.#openWire(kind, request, head)
        : this.#openLink(kind, request, head);
    if (refusal !== undefined) refuseUpgrade(stream, refusal);
  }

  #openLink(kind: 'tcp' | 'unix', request: IncomingMessage, head: Buffer): Refusal | undefined {
    const door = this.#door;
    const checked = checkDial(this.#handshake, request.url, request.headers);
    if (checked.refusal !== undefined) return this.#turnAway(kind, request, checked.refusal);
    if (door === undefined) return NOT_READY;
    const refusal = door.admit(checked.ok);
    if (refusal !== undefined) return refusal;
    const response = acceptUpgrade(request);
    if (typeof response !== 'string') return response;
    const { socket } = request;
    this.#strangers.delete(socket);
    socket.write(response);
    if (head.byteLength > 0) socket.unshift(head);
    door.accepted(new AcceptedWebSocket(socket, kind, checked.ok, this.#scheduler));
    return undefined;
  }

  #openWire(kind: 'tcp' | 'unix', request: IncomingMessage, head: Buffer): Refusal | undefined {
    const checked = checkWireDial(this.#handshake, request.headers);
    if (checked.refusal !== undefined) return this.#turnAway(kind, request, checked.refusal);
    if (this.#door === undefined) return NOT_READY;
    const response = acceptUpgrade(request);
    if (typeof response !== 'string') return response;
    if (head.byteLength > 0) {
      const refusal = { status: 400, reason: 'Expected nothing before the answer to the dial' };
      return this.#turnAway(kind, request, refusal);
    }
    const { socket } = request;
    const refusal = this.wires.enter(checked.ok, socket, response);
    if (refusal === undefined) this.#strangers.delete(socket);
    return refusal;
  }

  /** Reports who broke the protocol; returns the refusal. */
  #turnAway(kind: 'tcp' | 'unix', request: IncomingMessage, refusal: Refusal): Refusal {
    const { remoteAddress, remotePort } = request.socket;
    const from = kind === 'unix' ? 'this machine' : `${remoteAddress}:${remotePort}`;
    const { status, reason } = refusal;
    this.#door?.turnedAway(`Refused a dial from ${from} (HTTP ${status}): ${reason}`);
    return refusal;
  }
}

/** Resolves when `listen` has bound the server. */
function listening(server: Server, listen: (bound: () => void) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    listen(() => {
      server.off('error', reject);
      resolve();
    });
  });
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

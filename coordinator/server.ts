/**
 * The coordinator's port: one HTTP server with `/healthz`, `/status`, and WebSockets at `/host` and
 * `/client`. A connection that misbehaves is closed by itself; the others do not notice.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { deferred } from '../common/deferred.ts';
import { type ErrorCode, HlsimError } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { type Coordinator, createCoordinator, HELLO_TIMEOUT_MS } from './coordinator.ts';
import { coordinatorClientEnd, coordinatorHostEnd } from './hlcp/codec.ts';
import { HLCP_MESSAGE_BYTES_MAX } from './hlcp/messages.ts';
import { refusedMessage } from './hlcp/refusal.ts';
import { CLOSE_TIMEOUT_MS, overWebSocket } from './hlcp/websocket-connection.ts';
import type { Log } from './log.ts';
import { decideUpgrade, refuseUpgrade, type UpgradeRole } from './upgrade.ts';

/** Connections beyond one per expected host: clients, health checks, hosts that are replaced. */
export const SPARE_CONNECTIONS = 64;
/** Longest head of an HTTP request. */
const HEADER_BYTES_MAX = 8 * 1024;

export interface CoordinatorServerOptions {
  readonly host: string;
  readonly port: number;
  readonly token?: string | undefined;
  readonly expectedHosts: number;
  readonly scheduler: Scheduler;
  readonly log: Log;
  /** Bounds a connection's first request and first message. */
  readonly helloTimeoutMs?: number;
  readonly connectionsMax?: number;
}

export interface CoordinatorServer {
  /** `ws://address:port`, for hosts and clients on this machine. */
  readonly url: string;
  readonly port: number;
  /** Takes the cluster down, then the port; resolves when both are. */
  close(): Promise<void>;
  /** Resolves when the port is closed, whoever asked for it. */
  readonly closed: Promise<void>;
}

/** @throws HlsimError `HLSIM_PORT_IN_USE`, `HLSIM_CONFIG` */
export async function startCoordinatorServer(
  options: CoordinatorServerOptions,
): Promise<CoordinatorServer> {
  const { log, scheduler, expectedHosts, helloTimeoutMs = HELLO_TIMEOUT_MS } = options;
  const closed = deferred<void>();
  const sockets = new Set<Socket>();
  const server = createHttpServer(helloTimeoutMs);
  server.maxConnections = options.connectionsMax ?? expectedHosts + SPARE_CONNECTIONS;
  const coordinator = createCoordinator({
    expectedHosts,
    scheduler,
    log,
    helloTimeoutMs,
    onShutdown: () => closeServer(server, sockets, scheduler, () => closed.resolve()),
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('drop', () => log.warn({ max: server.maxConnections }, 'connection refused: too many'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    log.warn({ code: error.code, reason: error.message }, 'bad HTTP request');
    if (socket.writable) refuseUpgrade(socket, 400, 'Expected an HTTP request');
    else socket.destroy();
  });
  server.on('request', (request, response) => answer(coordinator, request, response));
  acceptUpgrades(server, coordinator, options);
  await listen(server, options);
  server.on('error', (error) => log.error({ reason: error.message }, 'server error'));
  const port = portOf(server);
  return {
    url: `ws://${dialAddress(options.host)}:${port}`,
    port,
    closed: closed.promise,
    close: () => {
      coordinator.shutdown('The coordinator is ending');
      return closed.promise;
    },
  };
}

/** `headersTimeout` bounds a connection that is opened and then says nothing. */
function createHttpServer(helloTimeoutMs: number): Server {
  return createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: helloTimeoutMs,
    requestTimeout: helloTimeoutMs,
    keepAliveTimeout: helloTimeoutMs,
    connectionsCheckingInterval: Math.ceil(helloTimeoutMs / 2),
  });
}

function listen(server: Server, { host, port }: CoordinatorServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): HlsimError {
  if (error.code === 'EADDRINUSE') {
    return new HlsimError(
      'HLSIM_PORT_IN_USE',
      `Expected port ${port} on ${host} to be free but found it in use: choose another, or 0 for any free one`,
      { cause: error, fields: { host, port } },
    );
  }
  return new HlsimError(
    'HLSIM_CONFIG',
    `Expected to listen on ${host} port ${port} but found ${error.message}: check the address`,
    { cause: error, fields: { host, port } },
  );
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An address to dial for one to listen on. */
function dialAddress(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function answer(coordinator: Coordinator, request: IncomingMessage, response: ServerResponse) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD', connection: 'close' }).end();
  } else if (request.url === '/healthz') {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  } else if (request.url === '/status') {
    const body = `${JSON.stringify(coordinator.status())}\n`;
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('Expected /healthz or /status\n');
  }
}

function acceptUpgrades(
  server: Server,
  coordinator: Coordinator,
  { token, log, scheduler }: CoordinatorServerOptions,
): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: HLCP_MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
  });
  webSockets.on('wsClientError', (error, socket, request) => {
    log.warn({ url: request.url, reason: error.message }, 'bad upgrade');
    refuseUpgrade(socket, 400, error.message);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const decision = decideUpgrade(request, token);
    const { remoteAddress, localAddress } = request.socket;
    if (!decision.accept) {
      const { status, reason } = decision;
      log.warn({ remoteAddress, url: request.url, status, reason }, 'upgrade refused');
      refuseUpgrade(socket, status, reason);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      acceptPeer(coordinator, webSocket, decision.role, scheduler, localAddress ?? '');
    });
  });
}

function acceptPeer(
  coordinator: Coordinator,
  webSocket: WebSocket,
  role: UpgradeRole,
  scheduler: Scheduler,
  localAddress: string,
): void {
  const common = { scheduler, localAddress, peer: `a ${role}`, refusal: refusedMessage };
  if (role === 'host') {
    const lost = ended('HLSIM_HOST_LOST');
    coordinator.acceptHost(
      overWebSocket(webSocket, { ...common, lost, codec: coordinatorHostEnd }),
    );
  } else {
    const lost = ended('HLSIM_JOB_CANCELLED');
    coordinator.acceptClient(
      overWebSocket(webSocket, { ...common, lost, codec: coordinatorClientEnd }),
    );
  }
}

function ended(code: ErrorCode): (detail: string) => HlsimError {
  return (detail) => new HlsimError(code, `its control connection ended (${detail})`);
}

/** Lets the last messages out, then destroys what is still open. */
function closeServer(
  server: Server,
  sockets: ReadonlySet<Socket>,
  scheduler: Scheduler,
  done: () => void,
): void {
  const cancel = scheduler.after(CLOSE_TIMEOUT_MS, () => {
    for (const socket of sockets) socket.destroy();
  });
  server.close(() => {
    cancel();
    done();
  });
  server.closeIdleConnections();
}

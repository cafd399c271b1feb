/** The coordinator in the test's own process, with a record of every heartbeat that reaches it. */
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { HlsimError } from '../../common/errors.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import { type AcceptedHost, createCoordinator } from '../../coordinator/coordinator.ts';
import { coordinatorHostEnd } from '../../coordinator/hlcp/codec.ts';
import { controlPair } from '../../coordinator/hlcp/memory-connection.ts';
import { HLCP_VERSION, type HostToCoordinator } from '../../coordinator/hlcp/messages.ts';
import { overWebSocket } from '../../coordinator/hlcp/websocket-connection.ts';
import { recordingLog } from '../coordinator/peers.ts';

type RankData = Extract<HostToCoordinator, { type: 'HLCP_RANK_DATA' }>;

export interface Heartbeat {
  readonly hostname: string;
  readonly sequence: number;
  /** When it came, as `Date.now()`. */
  readonly atMs: number;
}

export interface JobEnd {
  readonly exitCode: number;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly output: string;
}

export class TappedCoordinator {
  readonly heartbeats: Heartbeat[] = [];
  readonly log = recordingLog();
  readonly #coordinator;
  readonly #server: WebSocketServer;
  /** The cluster is down. */
  readonly #down: Promise<void>;

  private constructor(server: WebSocketServer, expectedHosts: number) {
    this.#server = server;
    let down: () => void = () => undefined;
    this.#down = new Promise((resolve) => {
      down = resolve;
    });
    this.#coordinator = createCoordinator({
      expectedHosts,
      scheduler: wallScheduler,
      log: this.log,
      onShutdown: () => down(),
    });
    server.on('connection', (socket) => this.#coordinator.acceptHost(this.#tapped(socket)));
  }

  static async start(expectedHosts: number): Promise<TappedCoordinator> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await new Promise((resolve) => server.once('listening', resolve));
    return new TappedCoordinator(server, expectedHosts);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Runs a job on every rank of the cluster, to its end. */
  run(program: string, args: readonly string[]): Promise<JobEnd> {
    const { dialled, accepted } = controlPair(wallScheduler, 'client');
    this.#coordinator.acceptClient(accepted);
    let output = '';
    const ended = new Promise<JobEnd>((resolve, reject) => {
      dialled.listen({
        message: (message) => {
          if (message.type === 'HLCP_JOB_OUTPUT') output += message.text;
          if (message.type === 'HLCP_REFUSED') reject(new Error(message.failure.message));
          if (message.type !== 'HLCP_JOB_DONE') return;
          const { exitCode, failure } = message;
          resolve({ exitCode, output, ...(failure && { failure }) });
          dialled.close();
        },
        closed: (reason) => reject(reason ?? new Error('The client has closed')),
      });
    });
    dialled.send({ type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION });
    const spec = { program, arguments: [...args], environment: {} };
    dialled.send({ type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: 30_000 });
    return ended;
  }

  /** Takes the cluster down. */
  async close(): Promise<void> {
    this.#coordinator.shutdown('The test is over');
    await this.#down;
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The connection of a host, whose heartbeats are written down on their way. */
  #tapped(socket: WebSocket): AcceptedHost {
    const connection: AcceptedHost = overWebSocket(socket, {
      codec: coordinatorHostEnd,
      scheduler: wallScheduler,
      localAddress: '127.0.0.1',
      peer: 'a host',
      lost: (detail) => new HlsimError('HLSIM_HOST_LOST', `its connection ended (${detail})`),
    });
    let joined: RankData | undefined;
    return {
      localAddress: connection.localAddress,
      send: (message) => connection.send(message),
      close: () => connection.close(),
      listen: (events) =>
        connection.listen({
          closed: (reason) => events.closed(reason),
          message: (message) => {
            if (message.type === 'HLCP_RANK_DATA') joined = message;
            if (message.type === 'HLCP_HEARTBEAT') {
              const hostname = joined?.hostname ?? '';
              this.heartbeats.push({ hostname, sequence: message.sequence, atMs: Date.now() });
            }
            events.message(message);
          },
        }),
    };
  }
}

/**
 * Provider `ws`: links are WebSocket connections (RFC 6455) between hosts. Every frame is valid
 * RFC 6455; an ordinary client that knows the handshake can read a link.
 */
import type { Socket } from 'node:net';
import { assert } from '../../common/assert.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { HlsimError, messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { type HandshakeInit, NODE_ID_PATTERN, TOKEN_PATTERN } from './link-handshake.ts';
import type {
  DialledConnection,
  DialledEnd,
  DialRequest,
  LinkDoor,
  LinkMedium,
  WireMedium,
} from './link-medium.ts';
import { LinkTransport } from './link-transport.ts';
import type { LinkAddress, LinkChoice, Peer, Transport } from './transport.ts';
import { unixSocketPath } from './unix-socket-path.ts';
import { dialWebSocket } from './websocket-dialer.ts';
import { WebSocketListener } from './websocket-listener.ts';
import { WireDialler } from './wire-dial.ts';

export interface WebSocketTransportInit {
  /** Unique over all hosts and all lives of a host; letters, digits, `_ . : -`. */
  readonly nodeId: string;
  /** Where to listen; port 0 takes any free one. */
  readonly bind: LinkAddress;
  /** Host name or address that peers dial; needed if `bind.host` is a wildcard. */
  readonly advertiseHost?: string;
  /** Shared by the cluster; a dial without it is refused. Without one, everybody is let in. */
  readonly token?: string;
  readonly scheduler: Scheduler;
  /** Default `tcp`. */
  readonly links?: LinkChoice;
  /** Default `LINK_HIGH_WATER_BYTES`. */
  readonly highWaterBytes?: number;
}

const WILDCARD_HOSTS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/**
 * Listens for links. Throws `HLSIM_PORT_IN_USE` if the port is taken, `HLSIM_CONFIG` if the address
 * cannot be bound, or advertised, if the token cannot travel in a header, or if there has to be a Unix
 * socket and there cannot be one.
 */
export async function createWebSocketTransport(init: WebSocketTransportInit): Promise<Transport> {
  const { nodeId, bind, token, scheduler, highWaterBytes, links = 'tcp' } = init;
  assert(NODE_ID_PATTERN.test(nodeId), `Expected a node id like ${NODE_ID_PATTERN}`);
  if (token !== undefined && !TOKEN_PATTERN.test(token)) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      'Expected a cluster token of 1 to 1024 visible ASCII characters but found others: choose another token',
    );
  }
  const advertiseHost = advertisedHost(init);
  const handshake: HandshakeInit = { nodeId, token };
  const listener = new WebSocketListener(handshake, scheduler);
  const bound = await listener.bind(bind);
  const hasUnix = links !== 'tcp' && (await bindUnix(listener, bound, links));
  const address = { host: advertiseHost, port: bound.port };
  return new LinkTransport({
    nodeId,
    scheduler,
    medium: new WebSocketMedium({ address, listener, handshake, scheduler, hasUnix }),
    ...(highWaterBytes === undefined ? {} : { highWaterBytes }),
  });
}

/** Whether there is a Unix socket. */
async function bindUnix(
  listener: WebSocketListener,
  bound: LinkAddress,
  links: 'auto' | 'unix',
): Promise<boolean> {
  try {
    await listener.bindUnix(bound);
    return true;
  } catch (error) {
    if (links === 'auto') return false;
    await listener.close();
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected to listen for links on a Unix socket but found: ${messageOf(error)}; choose tcp or auto`,
      { cause: error },
    );
  }
}

function advertisedHost(init: WebSocketTransportInit): string {
  const host = init.advertiseHost ?? init.bind.host;
  if (!WILDCARD_HOSTS.has(host)) return host;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected an address that peers can dial but found ${host === '' ? 'none' : host}: name a host to advertise`,
  );
}

interface WebSocketMediumInit {
  readonly address: LinkAddress;
  readonly listener: WebSocketListener;
  readonly handshake: HandshakeInit;
  readonly scheduler: Scheduler;
  readonly hasUnix: boolean;
}

class WebSocketMedium implements LinkMedium {
  readonly provider = 'ws';
  readonly address: LinkAddress;
  readonly wires: WireMedium;
  readonly #init: WebSocketMediumInit;
  readonly #wireDialler: WireDialler;
  /** Sockets of dials, until they are gone. */
  readonly #dialled = new Set<Socket>();
  #lastReleased: Deferred<void> | undefined;

  constructor(init: WebSocketMediumInit) {
    this.address = init.address;
    this.#init = init;
    const { listener, handshake, scheduler } = init;
    const unixPathOf = (peer: Peer) => this.#unixPathOf(peer);
    const dialler = new WireDialler({ handshake, scheduler, unixPathOf });
    this.#wireDialler = dialler;
    this.wires = {
      offer: () => listener.wires.offer(),
      dial: (peer, ticket) => dialler.dial(peer, ticket),
    };
  }

  listen(door: LinkDoor): void {
    this.#init.listener.open(door);
  }

  dial(request: DialRequest, end: DialledEnd): DialledConnection {
    const { handshake, scheduler } = this.#init;
    return dialWebSocket(
      {
        handshake,
        scheduler,
        unixPathOf: ({ peer }) => this.#unixPathOf(peer),
        opening: (socket) => this.#dialled.add(socket),
        released: (socket) => this.#released(socket),
      },
      request,
      end,
    );
  }

  async close(): Promise<void> {
    const gone = Promise.all([this.#init.listener.close(), this.#wireDialler.close()]);
    if (this.#dialled.size > 0) {
      this.#lastReleased = deferred<void>();
      await this.#lastReleased.promise;
    }
    await gone;
  }

  #unixPathOf({ nodeId, address }: Peer): string | undefined {
    return this.#init.hasUnix ? unixSocketPath(nodeId, address) : undefined;
  }

  #released(socket: Socket): void {
    this.#dialled.delete(socket);
    if (this.#dialled.size === 0) this.#lastReleased?.resolve();
  }
}

/**
 * Dials a link: connects to a peer, over a Unix socket if it is on this machine and that is allowed, else
 * over TCP, and asks for the upgrade.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { DialledWebSocket, WINDOW_BYTES } from './dialled-websocket.ts';
import type { FrameHeader } from './frame.ts';
import { closureOfRefusal, dialHeaders, type HandshakeInit, LINK_PATH } from './link-handshake.ts';
import {
  type Closure,
  type DialledConnection,
  type DialledEnd,
  type DialRequest,
  formatLinkAddress,
  type LinkCloseCode,
} from './link-medium.ts';
import type { SendOutcome } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';
import {
  newUpgradeKey,
  RESPONSE_BYTES_MAX,
  readUpgradeResponse,
  upgradeRequest,
} from './websocket-upgrade.ts';

export interface WebSocketDialInit {
  readonly handshake: HandshakeInit;
  readonly scheduler: Scheduler;
  /** Path of the Unix socket where the peer would listen on this machine, if it may be used. */
  readonly unixPathOf: (request: DialRequest) => string | undefined;
  /** There is a socket now. */
  readonly opening: (socket: Socket) => void;
  /** The socket is gone, whoever closed it. */
  readonly released: (socket: Socket) => void;
}

type SocketKind = 'tcp' | 'unix';

const HEAD_END = '\r\n\r\n';
const NOTHING_FILLED = new ViewLedger();

/** Dials `request.peer`. An address that cannot even be dialled is reported like any refusal. */
export function dialWebSocket(
  init: WebSocketDialInit,
  request: DialRequest,
  end: DialledEnd,
): DialledConnection {
  return new WebSocketDial(init, request, end);
}

class WebSocketDial implements DialledConnection {
  readonly #init: WebSocketDialInit;
  readonly #request: DialRequest;
  readonly #end: DialledEnd;
  readonly #key = newUpgradeKey();
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  /** Bytes of the answer that are in the window. */
  #held = 0;
  #kind: SocketKind = 'tcp';
  #socket: Socket | undefined;
  #open: DialledWebSocket | undefined;
  #isOver = false;

  constructor(init: WebSocketDialInit, request: DialRequest, end: DialledEnd) {
    this.#init = init;
    this.#request = request;
    this.#end = end;
    const fault = faultOfAddress(request);
    if (fault !== undefined) {
      init.scheduler.soon(() => this.#fail({ kind: 'ended', reason: fault }));
      return;
    }
    const path = init.unixPathOf(request);
    if (path === undefined) this.#connectTcp();
    else this.#connectUnix(path);
  }

  get kind(): SocketKind | undefined {
    return this.#open === undefined ? undefined : this.#kind;
  }

  get filling(): ViewLedger {
    return this.#open?.filling ?? NOTHING_FILLED;
  }

  reply(header: FrameHeader): SendOutcome {
    return this.#open?.reply(header) ?? 'down';
  }

  recall(): void {
    this.#open?.recall();
  }

  abort(reason: string): void {
    if (this.#open !== undefined) this.#open.abort(reason);
    else this.#fail({ kind: 'broken', reason });
  }

  close(code: LinkCloseCode, reason: string): void {
    this.#isOver = true;
    if (this.#open === undefined) this.#socket?.destroy();
    else this.#open.close(code, reason);
  }

  #connectTcp(): void {
    const { host, port } = this.#request.peer.address;
    this.#kind = 'tcp';
    const socket = connect({ host, port, noDelay: true, onread: this.#onread() });
    this.#watch(socket, (reason) => this.#fail({ kind: 'broken', reason }));
  }

  /** Nobody listens there if the peer is on another machine, or in another container. */
  #connectUnix(path: string): void {
    this.#kind = 'unix';
    const socket = connect({ path, onread: this.#onread() });
    this.#watch(socket, (reason) => {
      if (socket.connecting || !wasConnected) this.#connectTcp();
      else this.#fail({ kind: 'broken', reason });
    });
    let wasConnected = false;
    socket.once('connect', () => {
      wasConnected = true;
    });
  }

  /** Has the socket ask for the upgrade; `failed` is called once if it ends before the answer. */
  #watch(socket: Socket, failed: (reason: string) => void): void {
    const { init, request } = { init: this.#init, request: this.#request };
    const { nodeId, address } = request.peer;
    this.#socket = socket;
    init.opening(socket);
    let failure = 'it closed the connection';
    socket.on('error', (error) => {
      failure = messageOf(error);
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      init.released(socket);
      if (this.#isOver || this.#open !== undefined) return;
      failed(`${nodeId} at ${formatLinkAddress(address)} does not answer: ${failure}`);
    });
    socket.once('connect', () => {
      const headers = dialHeaders(init.handshake, request);
      socket.write(upgradeRequest(formatLinkAddress(address), LINK_PATH, this.#key, headers));
    });
  }

  #onread(): OnReadOpts {
    return {
      buffer: () => this.#open?.window() ?? this.#window.subarray(this.#held),
      callback: (count) => {
        if (this.#open === undefined) this.#answered(count);
        else this.#open.read(count);
        return true;
      },
    };
  }

  #answered(count: number): void {
    this.#held += count;
    const end = this.#window.subarray(0, this.#held).indexOf(HEAD_END);
    if (end < 0) {
      if (this.#held < RESPONSE_BYTES_MAX) return;
      this.#fail({ kind: 'broken', reason: 'Expected a shorter answer to a dial' });
      return;
    }
    const answer = readUpgradeResponse(this.#window.toString('latin1', 0, end), this.#key);
    if (answer.error !== undefined) {
      const { nodeId, address } = this.#request.peer;
      const where = `${nodeId} at ${formatLinkAddress(address)}`;
      this.#fail({ kind: 'broken', reason: `${where} answered a dial wrongly: ${answer.error}` });
    } else if (answer.status !== 101) {
      this.#fail(closureOfRefusal(this.#request, answer.status));
    } else {
      this.#upgraded(end + HEAD_END.length);
    }
  }

  /** What is behind the head of the answer belongs to the link. */
  #upgraded(headBytes: number): void {
    const socket = this.#socket;
    if (socket === undefined || this.#isOver) return;
    this.#window.copyWithin(0, headBytes, this.#held);
    const open = new DialledWebSocket({
      socket,
      scheduler: this.#init.scheduler,
      request: this.#request,
      end: this.#end,
      window: this.#window,
    });
    this.#open = open;
    this.#end.opened();
    open.parse(this.#held - headBytes);
  }

  #fail(closure: Closure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket?.destroy();
    this.#end.closed(closure);
  }
}

/** What keeps an address from being dialled at all. */
function faultOfAddress(request: DialRequest): string | undefined {
  const url = `ws://${formatLinkAddress(request.peer.address)}${LINK_PATH}`;
  try {
    new URL(url);
    return undefined;
  } catch (error) {
    return `Expected an address to dial but found ${url}: ${messageOf(error)}`;
  }
}

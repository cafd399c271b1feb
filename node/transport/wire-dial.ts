/**
 * Dials wires: connects to a host, over a Unix socket if it is on this machine and that is allowed, else
 * over TCP, and asks for the upgrade with a ticket. Of the connection not a byte more is read than the head
 * of the answer: what is behind it is for whoever takes the connection.
 */
import { connect, type NetConnectOpts, type OnReadOpts, type Socket } from 'node:net';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { type ErrorCode, HlsimError, messageOf } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import { type HandshakeInit, meaningOfRefusal, WIRE_PATH, wireHeaders } from './link-handshake.ts';
import { formatLinkAddress } from './link-medium.ts';
import { type Peer, WIRE_TIMEOUT_MS } from './transport.ts';
import {
  newUpgradeKey,
  RESPONSE_BYTES_MAX,
  readUpgradeResponse,
  upgradeRequest,
} from './websocket-upgrade.ts';

export interface WireDiallerInit {
  readonly handshake: HandshakeInit;
  readonly scheduler: Scheduler;
  /** Path of the Unix socket where the peer would listen on this machine, if it may be used. */
  readonly unixPathOf: (peer: Peer) => string | undefined;
}

const HEAD_END = '\r\n\r\n';

/** What refusals are that are not the protocol's fault. */
const REFUSAL_CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'HLSIM_TOKEN_REFUSED',
  404: 'HLSIM_RENDEZVOUS',
  409: 'HLSIM_HOST_LOST',
  426: 'HLSIM_PROTOCOL_VERSION',
  503: 'HLSIM_HOST_LOST',
};

export class WireDialler {
  readonly #init: WireDiallerInit;
  readonly #dials = new Set<WireDial>();
  /** Connected or about to be, and not closed yet. */
  readonly #sockets = new Set<Socket>();
  #lastReleased: Deferred<void> | undefined;

  constructor(init: WireDiallerInit) {
    this.#init = init;
  }

  async dial(peer: Peer, ticket: string): Promise<Socket> {
    if (this.#lastReleased !== undefined) throw goingAway();
    const dial = new WireDial(this.#init, peer, ticket, (socket) => this.#track(socket));
    this.#dials.add(dial);
    try {
      return await dial.start();
    } finally {
      this.#dials.delete(dial);
    }
  }

  /** Rejects all dials and destroys what was connected, whoever has it. Resolves when no socket is left. */
  async close(): Promise<void> {
    this.#lastReleased ??= deferred<void>();
    for (const dial of this.#dials) dial.fail(goingAway());
    for (const socket of this.#sockets) socket.destroy();
    if (this.#sockets.size > 0) await this.#lastReleased.promise;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#lastReleased?.resolve();
    });
  }
}

class WireDial {
  readonly #init: WireDiallerInit;
  readonly #peer: Peer;
  readonly #ticket: string;
  readonly #opening: (socket: Socket) => void;
  readonly #key = newUpgradeKey();
  readonly #answer = deferred<Socket>();
  readonly #window = Buffer.allocUnsafeSlow(RESPONSE_BYTES_MAX + HEAD_END.length);
  /** Bytes of the answer that are in the window, and how many of them may be the start of its end. */
  #held = 0;
  #endHeld = 0;
  #socket: Socket | undefined;
  #cancelExpiry: CancelTimer = () => undefined;
  #isOver = false;

  constructor(
    init: WireDiallerInit,
    peer: Peer,
    ticket: string,
    opening: (socket: Socket) => void,
  ) {
    this.#init = init;
    this.#peer = peer;
    this.#ticket = ticket;
    this.#opening = opening;
  }

  async start(): Promise<Socket> {
    this.#cancelExpiry = this.#init.scheduler.after(WIRE_TIMEOUT_MS, () => this.#expire());
    try {
      const path = this.#init.unixPathOf(this.#peer);
      // Nobody listens there if the peer is on another machine, or in another container.
      if (path === undefined) this.#connectTcp();
      else this.#connect({ path }, () => this.#connectTcp());
      return await this.#answer.promise;
    } finally {
      this.#isOver = true;
      this.#cancelExpiry();
    }
  }

  fail(reason: HlsimError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket?.destroy();
    this.#answer.reject(reason);
  }

  #connectTcp(): void {
    const { host, port } = this.#peer.address;
    this.#connect({ host, port, noDelay: true }, (failure) => this.#lose(failure));
  }

  /** `unreachable` is called once if there is no connection. */
  #connect(where: NetConnectOpts, unreachable: (failure: string) => void): void {
    const socket = connect({ ...where, onread: this.#onread() });
    this.#socket = socket;
    this.#opening(socket);
    let failure = 'it closed the connection';
    let isConnected = false;
    socket.on('error', (error) => {
      failure = messageOf(error);
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      if (this.#isOver) return;
      if (isConnected) this.#lose(failure);
      else unreachable(failure);
    });
    socket.once('connect', () => {
      isConnected = true;
      const headers = wireHeaders(this.#init.handshake, this.#peer, this.#ticket);
      const authority = formatLinkAddress(this.#peer.address);
      socket.write(upgradeRequest(authority, WIRE_PATH, this.#key, headers));
    });
  }

  /** Never asks for more bytes than the head has at least left. */
  #onread(): OnReadOpts {
    return {
      buffer: () => this.#window.subarray(this.#held, this.#held + HEAD_END.length - this.#endHeld),
      callback: (count) => {
        this.#received(count);
        return !this.#isOver;
      },
    };
  }

  #received(count: number): void {
    for (const end = this.#held + count; this.#held < end; this.#held++) {
      this.#endHeld = endAfter(this.#endHeld, this.#window[this.#held]);
    }
    if (this.#endHeld === HEAD_END.length) this.#answered();
    else if (this.#held >= RESPONSE_BYTES_MAX) {
      this.fail(this.#wrong('Expected a shorter answer to a dial'));
    }
  }

  #answered(): void {
    const head = this.#window.toString('latin1', 0, this.#held - HEAD_END.length);
    const { status, error } = readUpgradeResponse(head, this.#key);
    if (error !== undefined) this.fail(this.#wrong(error));
    else if (status !== 101) this.fail(this.#refused(status));
    else if (this.#socket !== undefined && !this.#isOver) this.#handOver(this.#socket);
  }

  #handOver(socket: Socket): void {
    this.#isOver = true;
    socket.pause();
    socket.removeAllListeners('end');
    this.#answer.resolve(socket);
  }

  get #where(): string {
    return `${this.#peer.nodeId} at ${formatLinkAddress(this.#peer.address)}`;
  }

  #lose(failure: string): void {
    const message = `Expected a wire to ${this.#where} but it does not answer: ${failure}; look at that host`;
    this.fail(new HlsimError('HLSIM_HOST_LOST', message));
  }

  #expire(): void {
    const message = `Expected a wire to ${this.#where} within ${WIRE_TIMEOUT_MS} ms but it has not answered: look at that host`;
    this.fail(new HlsimError('HLSIM_TIMEOUT', message));
  }

  #wrong(error: string): HlsimError {
    const message = `Expected a wire to ${this.#where} but it answered wrongly: ${error}`;
    return new HlsimError('HLSIM_PROTOCOL_ERROR', message);
  }

  #refused(status: number): HlsimError {
    return new HlsimError(
      REFUSAL_CODES[status] ?? 'HLSIM_PROTOCOL_ERROR',
      `Expected a wire to ${this.#where} but it refused (HTTP ${status}): ${meaningOf(status)}`,
    );
  }
}

function meaningOf(status: number): string {
  if (status === 404) return 'the ticket is unknown, used, or out of time';
  return status === 503 ? 'it is not ready' : meaningOfRefusal(status);
}

/** Bytes of `HEAD_END` that have been found once `byte` follows `found` of them. */
function endAfter(found: number, byte: number | undefined): number {
  if (byte === HEAD_END.charCodeAt(found)) return found + 1;
  return byte === HEAD_END.charCodeAt(0) ? 1 : 0;
}

function goingAway(): HlsimError {
  return new HlsimError('HLSIM_HOST_LOST', 'Expected an open wire but this host is going away');
}

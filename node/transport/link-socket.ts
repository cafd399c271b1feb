/**
 * What both ends of a WebSocket connection have in common once it is open: closing, control frames,
 * and that its end is told once. Anything that is not a frame of the protocol closes it.
 */
import type { Socket } from 'node:net';
import { messageOf } from '../../common/errors.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import { type Closure, LINK_CLOSE_CODES, type LinkCloseCode } from './link-medium.ts';
import { closePayload, NO_STATUS, OPCODES, readClosePayload } from './websocket-frames.ts';
import type { WebSocketWriter } from './websocket-writer.ts';

/** How long a closing handshake may take until the socket is destroyed. */
export const CLOSE_GRACE_MS = 250;
/**
 * Unsent bytes of replies and answered pings above which the peer is taken for dead: it does not read
 * its own link.
 */
export const REPLY_QUEUE_BYTES_MAX = 4 * 1024 * 1024;

/** The peer says with this that it will not come back, or that this host broke the protocol. */
const FINAL_CODES: ReadonlySet<number> = new Set([
  LINK_CLOSE_CODES.DISCONNECTED,
  LINK_CLOSE_CODES.GOING_AWAY,
  LINK_CLOSE_CODES.GAVE_UP,
  LINK_CLOSE_CODES.PROTOCOL_ERROR,
  1003,
  1007,
  1008,
  1009,
]);

export interface LinkSocketInit {
  readonly socket: Socket;
  readonly scheduler: Scheduler;
  /** Names the other end in reasons. */
  readonly label: string;
  readonly writer: WebSocketWriter;
  /** Whether a payload that is under way is being stored. */
  readonly isFilling: () => boolean;
  /** No frame may be read any more: the connection is over, or going to be. */
  readonly stopReading: () => void;
  /** Nothing is read from or written to memory any more. */
  readonly released: () => void;
  /** Once, but not after `close` or `terminate`. */
  readonly closed: (closure: Closure) => void;
}

export class LinkSocket {
  readonly #init: LinkSocketInit;
  readonly #socket: Socket;
  #state: 'open' | 'closing' | 'destroyed' = 'open';
  #isTold = false;
  #failure: string | undefined;
  #cancelGrace: CancelTimer = () => undefined;

  constructor(init: LinkSocketInit) {
    this.#init = init;
    this.#socket = init.socket;
    this.#socket.on('error', (error) => {
      this.#failure ??= messageOf(error);
    });
    this.#socket.on('end', () => this.#destroy());
    this.#socket.on('close', () => {
      this.#destroy();
      this.#cancelGrace();
      const failure = this.#failure === undefined ? '' : `: ${this.#failure}`;
      this.#tell({
        kind: 'broken',
        reason: `The connection to ${init.label} broke${failure}`,
      });
    });
  }

  /** Nothing has ended the connection yet, from either side. */
  get open(): boolean {
    return this.#state === 'open';
  }

  /** Destroys the connection; its end is told later that it broke, and why. */
  abort(failure: string): void {
    this.#failure ??= failure;
    this.#destroy();
  }

  /**
   * Closes it without telling its end; destroys it if the handshake takes `CLOSE_GRACE_MS`, and at once
   * with frames queued or a payload being stored: the memory may belong to somebody else by then.
   */
  close(code: LinkCloseCode, reason: string): void {
    this.#isTold = true;
    if (this.#state === 'open') this.#finish(LINK_CLOSE_CODES[code], reason);
  }

  /** The other end broke the protocol. */
  violated(error: string): void {
    if (this.#state === 'open') this.#finish(LINK_CLOSE_CODES.PROTOCOL_ERROR, error);
    this.#tell({
      kind: 'violated',
      reason: `${this.#init.label} broke the link protocol: ${error}`,
    });
  }

  /** A control frame has arrived. */
  control(opcode: number, payload: Uint8Array): void {
    if (opcode === OPCODES.CLOSE) this.#closedByPeer(payload);
    else if (opcode === OPCODES.PING) this.#pong(payload);
  }

  /** A ping behind a long queue is not answered: one of the later ones is. */
  #pong(payload: Uint8Array): void {
    const { writer } = this.#init;
    if (this.#state !== 'open' || writer.queuedBytes > REPLY_QUEUE_BYTES_MAX) return;
    writer.control(OPCODES.PONG, payload);
  }

  #closedByPeer(payload: Uint8Array): void {
    const said = readClosePayload(payload);
    if (typeof said === 'string') {
      this.violated(said);
      return;
    }
    if (this.#state === 'open') this.#finish(said.code, '');
    else this.#destroy();
    this.#tell(closureOf(this.#init.label, said.code, said.reason));
  }

  /** Says goodbye and waits for the other end to do the same. */
  #finish(code: number, reason: string): void {
    const { writer, scheduler, isFilling, stopReading } = this.#init;
    const wasFilling = isFilling();
    this.#state = 'closing';
    stopReading();
    writer.flush();
    if (writer.queuedBytes > 0) {
      this.#destroy();
      return;
    }
    writer.control(
      OPCODES.CLOSE,
      code === NO_STATUS ? new Uint8Array(0) : closePayload(code, reason),
    );
    if (wasFilling) {
      this.#destroy();
      return;
    }
    this.#socket.end();
    this.#cancelGrace = scheduler.after(CLOSE_GRACE_MS, () => this.#destroy());
  }

  #destroy(): void {
    if (this.#state === 'destroyed') return;
    this.#state = 'destroyed';
    this.#init.stopReading();
    this.#socket.destroy();
    this.#init.released();
  }

  #tell(closure: Closure): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#init.closed(closure);
  }
}

function closureOf(label: string, code: number, reason: string): Closure {
  const detail = reason === '' ? '' : `: ${reason}`;
  if (FINAL_CODES.has(code)) {
    return { kind: 'ended', reason: `${label} closed the link (code ${code})${detail}` };
  }
  return { kind: 'broken', reason: `The connection to ${label} broke${detail}` };
}

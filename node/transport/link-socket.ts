/**
 * What both ends of a WebSocket connection have in common: messages go to a reader, anything that is
 * not a whole binary message of the protocol closes the connection, and its end is told once.
 */
import type { WebSocket } from 'ws';
import {
  type Closure,
  LINK_CLOSE_CODES,
  type LinkCloseCode,
  type MessageReader,
} from './link-medium.ts';

/** How long a closing handshake may take until the socket is destroyed. */
export const CLOSE_GRACE_MS = 250;

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

/** A close frame's reason has at most 123 bytes (RFC 6455 section 5.5). */
const CLOSE_REASON_BYTES = 123;

export interface LinkSocketEnd {
  readonly reader: MessageReader;
  closed(closure: Closure): void;
}

export class LinkSocket {
  readonly #socket: WebSocket;
  readonly #label: string;
  #end: LinkSocketEnd;
  #settled = false;
  #failure: string | undefined;

  /** `label` names the other end in reasons. */
  constructor(socket: WebSocket, label: string, end: LinkSocketEnd) {
    this.#socket = socket;
    this.#label = label;
    this.#end = end;
    socket.binaryType = 'fragments';
    socket.on('message', (data, isBinary) => {
      if (!this.#settled) this.#message(data as Buffer[], isBinary);
    });
    socket.on('error', (error: Error & { code?: string }) => {
      this.#failure = error.message;
      if (error.code?.startsWith('WS_ERR_')) this.#violated(error.message);
    });
    socket.on('close', (code, text) => this.#settle(this.#closureOf(code, text.toString())));
  }

  /** Nothing has ended the connection yet, from either side. */
  get open(): boolean {
    return !this.#settled && this.#socket.readyState === this.#socket.OPEN;
  }

  bind(end: LinkSocketEnd): void {
    this.#end = end;
  }

  /** Destroys the connection; its end is told later that it broke, and why. */
  abort(failure: string): void {
    this.#failure = failure;
    this.#socket.terminate();
  }

  /** Destroys the connection with this result. */
  fail(closure: Closure): void {
    this.#socket.terminate();
    this.#settle(closure);
  }

  /** Closes it without telling the end; destroys it if the handshake takes `CLOSE_GRACE_MS`. */
  close(code: LinkCloseCode, reason: string): void {
    this.#settled = true;
    if (this.#socket.readyState === this.#socket.CONNECTING) this.#socket.terminate();
    else this.#socket.close(LINK_CLOSE_CODES[code], closeReason(reason));
  }

  /** Destroys it without telling the end. */
  terminate(): void {
    this.#settled = true;
    this.#socket.terminate();
  }

  #message(data: Buffer[], isBinary: boolean): void {
    const error = isBinary
      ? this.#end.reader.message(data)
      : 'Expected a binary message but found text';
    if (error !== undefined) this.#violated(error);
  }

  #violated(error: string): void {
    this.#socket.close(LINK_CLOSE_CODES.PROTOCOL_ERROR, closeReason(error));
    this.#settle({ kind: 'violated', reason: `${this.#label} broke the link protocol: ${error}` });
  }

  #settle(closure: Closure): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#end.closed(closure);
  }

  #closureOf(code: number, text: string): Closure {
    const detail = text === '' ? '' : `: ${text}`;
    if (FINAL_CODES.has(code)) {
      return { kind: 'ended', reason: `${this.#label} closed the link (code ${code})${detail}` };
    }
    const failure = this.#failure === undefined ? detail : `: ${this.#failure}`;
    return { kind: 'broken', reason: `The connection to ${this.#label} broke${failure}` };
  }
}

/** `reason` cut to what a close frame holds; never in the middle of a character. */
function closeReason(reason: string): string {
  let cut = reason.slice(0, CLOSE_REASON_BYTES);
  while (Buffer.byteLength(cut) > CLOSE_REASON_BYTES) cut = cut.slice(0, -1);
  return cut;
}

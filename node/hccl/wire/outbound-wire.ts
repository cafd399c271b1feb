/** The end of a wire that sends. It never waits: what the socket has no room for is sent by the next `flush`. */

import type { ProgramSockets } from './program-sockets.ts';
import { CALL_BYTES, type DataFrame, writeCall, writeDataHead } from './wire-frames.ts';

export interface OutboundWireInit {
  readonly sockets: ProgramSockets;
  readonly memory: SharedArrayBuffer;
  readonly fd: number;
  /** Of `CALL_BYTES` and a head, in the device's memory. */
  readonly area: number;
}

export class OutboundWire {
  readonly fd: number;
  readonly #sockets: ProgramSockets;
  readonly #area: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Of the call of the last message. */
  #digest = 0;
  /** What is left of the message under way. */
  #head = 0;
  #headBytes = 0;
  #body = 0;
  #bodyBytes = 0;
  #state: 'open' | 'broken' = 'open';

  constructor({ sockets, memory, fd, area }: OutboundWireInit) {
    this.fd = fd;
    this.#sockets = sockets;
    this.#area = area;
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
  }

  get isBroken(): boolean {
    return this.#state === 'broken';
  }

  /** Something is left to send. */
  get isBlocked(): boolean {
    return this.#headBytes + this.#bodyBytes > 0;
  }

  /** Begins a message whose payload is `frame.bytes` bytes at `payload` of the device's memory. */
  begin(frame: DataFrame, text: string, payload: number): void {
    const head = this.#area + CALL_BYTES;
    const isNew = this.#isNew(frame.digest, text);
    this.#head = isNew ? this.#area : head;
    this.#headBytes = writeDataHead(this.#view, head, frame) + (isNew ? CALL_BYTES : 0);
    this.#body = payload;
    this.#bodyBytes = frame.bytes;
  }

  /** As `begin` of a message that is written out at `start`, head and all. */
  beginWhole(digest: number, text: string, start: number, bytes: number): void {
    this.#head = this.#area;
    this.#headBytes = this.#isNew(digest, text) ? CALL_BYTES : 0;
    this.#body = start;
    this.#bodyBytes = bytes;
  }

  /** Sends what there is room for; true when nothing is left. Nothing goes on where the wire is broken. */
  flush(): boolean {
    while (this.#headBytes + this.#bodyBytes > 0) {
      if (this.#state === 'broken') return false;
      const sent = this.#sockets.transmit(
        this.fd,
        this.#head,
        this.#headBytes,
        this.#body,
        this.#bodyBytes,
      );
      if (sent < 0) this.#state = 'broken';
      if (sent <= 0) return false;
      const ofHead = Math.min(sent, this.#headBytes);
      this.#head += ofHead;
      this.#headBytes -= ofHead;
      this.#body += sent - ofHead;
      this.#bodyBytes -= sent - ofHead;
    }
    return true;
  }

  #isNew(digest: number, text: string): boolean {
    if (digest === this.#digest) return false;
    this.#digest = digest;
    writeCall(this.#bytes, this.#area, text);
    return true;
  }
}

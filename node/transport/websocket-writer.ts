/**
 * Writes a link's frames to a socket, each as one WebSocket frame. Small ones are put one behind the
 * other and go out in one write when the running task is done; a large payload goes at once, in one
 * write with its header and the small ones before it, from the memory that it is in.
 */
import type { Socket } from 'node:net';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { encodeFrameHeader } from './frame-codec.ts';
import { HEAD_BYTES_MAX, headBytes, OPCODES, writeHead } from './websocket-frames.ts';

/** Payloads up to this size are copied behind their header: cheaper than a piece of a write. */
export const COPIED_PAYLOAD_BYTES = 8 * 1024;
/** Payloads whose pieces are smaller than this, on average, are copied too. */
export const PIECE_BYTES_MIN = 4 * 1024;
/** Pieces that one write may have (IOV_MAX of Linux is 1024, with room for a header). */
export const PIECES_MAX = 64;
/** Where headers and small frames are put together. */
const SLAB_BYTES = 64 * 1024;

export interface WriterInit {
  readonly socket: Socket;
  /** Whether this end is the WebSocket client, and so masks. */
  readonly isMasking: boolean;
  readonly scheduler: Scheduler;
  /** The socket has taken something, which may have had views. */
  readonly written: (hadViews: boolean) => void;
}

export class WebSocketWriter {
  readonly #init: WriterInit;
  readonly #socket: Socket;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** What is in the slab and has not been written. */
  #start = 0;
  #end = 0;
  /** Writes that still need what is in the slab before it. */
  #writing = 0;
  #isFlushDue = false;
  readonly #flushDue = () => {
    this.#isFlushDue = false;
    this.flush();
  };
  readonly #runWritten = () => {
    this.#writing--;
    this.#init.written(false);
  };
  readonly #viewsWritten = () => {
    this.#writing--;
    this.#init.written(true);
  };

  constructor(init: WriterInit) {
    this.#init = init;
    this.#socket = init.socket;
  }

  /** Bytes that the socket has not taken. */
  get queuedBytes(): number {
    return this.#socket.writableLength + this.#end - this.#start;
  }

  /** Queues a frame. True: the payload is read later, where it is; else it has been copied. */
  frame(header: FrameHeader, incarnation: number, payload: readonly Uint8Array[]): boolean {
    const { payloadLength } = header;
    const isCopied = isCheaperCopied(payloadLength, payload.length);
    const length = FRAME_HEADER_BYTES + payloadLength;
    this.#reserve(HEAD_BYTES_MAX + FRAME_HEADER_BYTES + (isCopied ? payloadLength : 0));
    const { isMasking } = this.#init;
    const body = writeHead(this.#slab, this.#end, OPCODES.BINARY, length, isMasking);
    encodeFrameHeader(header, incarnation, this.#slab, body);
    this.#end = body + FRAME_HEADER_BYTES;
    if (isCopied) {
      for (const piece of payload) {
        this.#slab.set(piece, this.#end);
        this.#end += piece.byteLength;
      }
      this.#flushSoon();
    } else {
      this.#writeViews(payload);
    }
    return !isCopied;
  }

  /** Writes a control frame at once, behind what is queued. */
  control(opcode: number, payload: Uint8Array): void {
    const { isMasking } = this.#init;
    this.#reserve(headBytes(payload.byteLength, isMasking) + payload.byteLength);
    const body = writeHead(this.#slab, this.#end, opcode, payload.byteLength, isMasking);
    this.#slab.set(payload, body);
    this.#end = body + payload.byteLength;
    this.flush();
  }

  /** Writes what has been put together. */
  flush(): void {
    if (this.#end === this.#start) return;
    this.#socket.write(this.#run(), this.#runWritten);
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#init.scheduler.soon(this.#flushDue);
  }

  #writeViews(payload: readonly Uint8Array[]): void {
    const last = payload.length - 1;
    this.#socket.cork();
    this.#socket.write(this.#run());
    for (let index = 0; index < last; index++) this.#socket.write(payload[index] as Uint8Array);
    this.#socket.write(payload[last] as Uint8Array, this.#viewsWritten);
    this.#socket.uncork();
  }

  /** What has been put together, now in a write of its own. */
  #run(): Uint8Array {
    const run = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#writing++;
    return run;
  }

  /** Makes room for `bytes` in a row; the slab is used again from its start once nothing needs it. */
  #reserve(bytes: number): void {
    if (this.#start === this.#end && this.#writing === 0) {
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#end + bytes <= this.#slab.byteLength) return;
    this.flush();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.#end = 0;
  }
}

function isCheaperCopied(payloadBytes: number, pieces: number): boolean {
  if (payloadBytes <= COPIED_PAYLOAD_BYTES) return true;
  return pieces > PIECES_MAX || payloadBytes < pieces * PIECE_BYTES_MIN;
}

/**
 * The end of a wire that receives. It never waits, and never reads more than the message that is expected:
 * what comes behind it stays in the socket, and the peer has to wait when that is full.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { ProgramFault } from '../program/program-fault.ts';
import { digestOf } from '../program/ready-call.ts';
import type { ProgramSockets } from './program-sockets.ts';
import {
  CALL_BYTES,
  CALL_OPCODE,
  checkDataHead,
  DATA_OPCODE,
  type DataFrame,
  dataHeadBytes,
  readCall,
} from './wire-frames.ts';

export interface InboundWireInit {
  readonly peer: Rank;
  readonly sockets: ProgramSockets;
  readonly memory: SharedArrayBuffer;
  readonly fd: number;
  /** Of `CALL_BYTES`, in the device's memory. */
  readonly area: number;
}

export class InboundWire {
  readonly fd: number;
  readonly #peer: Rank;
  readonly #sockets: ProgramSockets;
  readonly #area: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The last call that the peer has named. */
  #text = 'nothing';
  #digest = 0;
  /** Bytes of the CALL, head or message under way that are there. */
  #held = 0;
  #state: 'open' | 'ended' = 'open';

  constructor({ peer, sockets, memory, fd, area }: InboundWireInit) {
    this.fd = fd;
    this.#peer = peer;
    this.#sockets = sockets;
    this.#area = area;
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
  }

  /** Nothing comes any more, in good order or not. */
  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /**
   * True when a message is there, its payload at `payload` of the device's memory, with room for a head
   * before it. Throws a fault if another one is.
   */
  message(frame: DataFrame, payload: number): boolean {
    if (!this.#named(frame.digest)) return false;
    const headBytes = dataHeadBytes(frame.bytes);
    const start = payload - headBytes;
    const isThere = this.#fill(start, headBytes + frame.bytes);
    if (this.#held === 0) return false;
    if (this.#isCall(start)) return this.#otherCall(start);
    if (this.#held >= headBytes) this.#check(frame, start);
    if (isThere) this.#held = 0;
    return isThere;
  }

  /** True when the head of a message is there: its payload is what `take` reads next. Throws as `message`. */
  head(frame: DataFrame): boolean {
    if (!this.#named(frame.digest)) return false;
    const isThere = this.#fill(this.#area, dataHeadBytes(frame.bytes));
    if (this.#held === 0) return false;
    if (this.#isCall(this.#area)) return this.#otherCall(this.#area);
    if (!isThere) return false;
    this.#check(frame, this.#area);
    this.#held = 0;
    return true;
  }

  /** Reads up to `bytes` bytes of a payload to `offset` of the device's memory; how many. */
  take(offset: number, bytes: number): number {
    const found = this.#sockets.receive(this.fd, offset, bytes);
    if (found >= 0) return found;
    this.#state = 'ended';
    return 0;
  }

  /** True once the peer has named the call with this digest. Throws a fault if it has named another. */
  #named(digest: number): boolean {
    if (this.#digest === digest) return true;
    const isThere = this.#fill(this.#area, CALL_BYTES);
    // Without a new name it goes on with the call before.
    if (this.#held > 0 && !this.#isCall(this.#area))
      throw this.#digest === 0 ? this.#wrong('no call') : this.#mismatch();
    if (!isThere) return false;
    this.#readName(this.#area);
    if (this.#digest !== digest) throw this.#mismatch();
    return true;
  }

  /** Whether what comes is a CALL; a DATA if not. Throws a fault if it is neither. */
  #isCall(start: number): boolean {
    const opcode = this.#bytes[start];
    if (opcode !== CALL_OPCODE && opcode !== DATA_OPCODE) throw this.#wrong('another frame');
    return opcode === CALL_OPCODE;
  }

  /** The peer names another call where it was to go on with this one. */
  #otherCall(start: number): false {
    if (!this.#fill(start, CALL_BYTES)) return false;
    this.#readName(start);
    throw this.#mismatch();
  }

  #readName(start: number): void {
    const text = readCall(this.#bytes, start);
    if (text === undefined) throw this.#wrong('a text that is no call');
    this.#text = text;
    this.#digest = digestOf(text);
    this.#held = 0;
  }

  #check(frame: DataFrame, start: number): void {
    const found = checkDataHead(this.#view, start, frame);
    if (found === 'other') throw this.#mismatch();
    if (found === 'wrong') throw this.#wrong('another frame');
  }

  /** True when `bytes` bytes are held at `start`. */
  #fill(start: number, bytes: number): boolean {
    while (this.#held < bytes) {
      const found = this.take(start + this.#held, bytes - this.#held);
      if (found === 0) return false;
      this.#held += found;
    }
    return true;
  }

  #mismatch(): ProgramFault {
    return new ProgramFault({ kind: 'mismatch', peer: this.#peer, theirs: this.#text });
  }

  #wrong(found: string): ProgramFault {
    return new ProgramFault({ kind: 'frame', peer: this.#peer, found });
  }
}

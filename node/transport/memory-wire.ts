/**
 * One direction of a connection in memory: a queue, a rate, a latency, and faults. Frames are
 * serialised when the wire takes them (the payload, that is: a header is encoded at once), not when they are queued, as a socket does it.
 */
import { totalLength } from '../../common/bytes.ts';
import type { Prng } from '../../common/prng.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { encodeFrameHeader } from './frame-codec.ts';
import { scatter } from './frame-receiver.ts';
import type { Closure } from './link-medium.ts';
import { ViewLedger } from './view-ledger.ts';

/** How the wires of one network behave. */
export interface MemoryWireProperties {
  readonly scheduler: Scheduler;
  readonly latencyMs: number;
  /** `Infinity`: a frame takes no time of its own. */
  readonly bandwidthBytesPerMs: number;
  /** Probability that a frame vanishes; no real link does this while it is up. */
  readonly dropRate: number;
  /** Probability that a frame arrives twice; no real link does this. */
  readonly duplicateRate: number;
  readonly prng: Prng | undefined;
}

/** A whole message, or the end of the connection. */
export type Arrival = Uint8Array | Closure;

export interface MemoryWireEnds {
  /** At the far end. */
  arrived(arrival: Arrival): void;
  /** At the near end: a frame has left the queue. */
  taken(): void;
}

interface QueuedFrame {
  /** Encoded. */
  readonly header: Uint8Array;
  readonly payload: readonly Uint8Array[];
}

export class MemoryWire {
  readonly #properties: MemoryWireProperties;
  readonly #ends: MemoryWireEnds;
  readonly views = new ViewLedger();
  readonly #queue: QueuedFrame[] = [];
  /** On the wire, in order; a timer releases the oldest, so that order never hangs on timers. */
  readonly #inFlight: Arrival[] = [];
  #queuedBytes = 0;
  #freeAtMs = 0;
  #isBusy = false;
  #isCut = false;

  constructor(properties: MemoryWireProperties, ends: MemoryWireEnds) {
    this.#properties = properties;
    this.#ends = ends;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  send(header: FrameHeader, incarnation: number, payload: readonly Uint8Array[]): void {
    if (this.#isCut) return;
    const bytes = new Uint8Array(FRAME_HEADER_BYTES);
    encodeFrameHeader(header, incarnation, bytes);
    this.#queue.push({ header: bytes, payload });
    this.#queuedBytes += FRAME_HEADER_BYTES + header.payloadLength;
    this.views.handOver();
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#properties.scheduler.soon(() => this.#take());
  }

  /** Drops what is queued and has the far end told, behind what is in flight. */
  end(closure: Closure): void {
    if (this.#isCut) return;
    this.#drop();
    const { clock } = this.#properties.scheduler;
    this.#launch(closure, Math.max(0, this.#freeAtMs - clock.now()));
  }

  /** Drops what is queued and what is in flight: nothing arrives any more. */
  cut(): void {
    this.#isCut = true;
    this.#drop();
  }

  #drop(): void {
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.views.clear();
  }

  #take(): void {
    const frame = this.#queue.shift();
    if (frame === undefined) {
      this.#isBusy = false;
      return;
    }
    const message = serialise(frame);
    this.views.take();
    this.#queuedBytes -= message.byteLength;
    const wireMs = message.byteLength / this.#properties.bandwidthBytesPerMs;
    this.#freeAtMs = this.#properties.scheduler.clock.now() + wireMs;
    const copies = this.#copies();
    for (let copy = 0; copy < copies; copy++) this.#launch(message, wireMs);
    runAfter(this.#properties.scheduler, wireMs, () => this.#take());
    this.#ends.taken();
  }

  #launch(arrival: Arrival, wireMs: number): void {
    this.#inFlight.push(arrival);
    runAfter(this.#properties.scheduler, wireMs + this.#properties.latencyMs, () => {
      const oldest = this.#inFlight.shift();
      if (oldest !== undefined && !this.#isCut) this.#ends.arrived(oldest);
    });
  }

  /** How often a frame arrives: once, unless the network is a bad one. */
  #copies(): number {
    const { prng, dropRate, duplicateRate } = this.#properties;
    if (prng === undefined) return 1;
    if (prng.float() < dropRate) return 0;
    return prng.float() < duplicateRate ? 2 : 1;
  }
}

/** `soon` for no delay: a timer would cost at least a millisecond of wall time. */
export function runAfter(scheduler: Scheduler, delayMs: number, task: () => void): void {
  if (delayMs > 0) scheduler.after(delayMs, task);
  else scheduler.soon(task);
}

function serialise(frame: QueuedFrame): Uint8Array {
  const message = new Uint8Array(FRAME_HEADER_BYTES + totalLength(frame.payload));
  message.set(frame.header);
  scatter(frame.payload, 0, [message.subarray(FRAME_HEADER_BYTES)]);
  return message;
}

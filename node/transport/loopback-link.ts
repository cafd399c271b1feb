/**
 * Both links of a host to itself. No socket, no bytes of a header: a frame is copied from the source
 * views into the placed views one turn later, with the outcomes and the bound of a real link.
 */
import { assert } from '../../common/assert.ts';
import { totalLength } from '../../common/bytes.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from './frame.ts';
import { scatter } from './frame-receiver.ts';
import { assertFrameHeader, isReply } from './frame-rules.ts';
import type { FrameSink, LinkCounters, SendOutcome } from './transport.ts';
import { ViewLedger } from './view-ledger.ts';

/** Frames that are delivered in one turn; others of the event loop get theirs between two turns. */
const LOOPBACK_BURST_FRAMES = 64;
/** Delivered frames that stay in the queue until they are taken out together. */
const DELIVERED_FRAMES_MAX = 1024;

export interface LoopbackLinkInit {
  readonly nodeId: string;
  readonly scheduler: Scheduler;
  readonly highWaterBytes: number;
  readonly sink: FrameSink;
  readonly counters: LinkCounters;
}

interface QueuedFrame {
  readonly header: FrameHeader;
  readonly payload: readonly Uint8Array[];
}

const NO_VIEWS: readonly Uint8Array[] = [];

export class LoopbackLink {
  readonly kind = 'memory';
  readonly #init: LoopbackLinkInit;
  readonly #views = new ViewLedger();
  readonly #deliverSoon = () => this.#deliverBurst();
  #state: 'opening' | 'up' | 'closed' = 'opening';
  #queue: QueuedFrame[] = [];
  /** How much of the queue has been delivered. */
  #head = 0;
  #isScheduled = false;
  #queuedBytes = 0;
  #full = false;

  constructor(init: LoopbackLinkInit) {
    this.#init = init;
    init.scheduler.soon(() => {
      if (this.#state === 'closed') return;
      this.#state = 'up';
      init.sink.linkUp(init.nodeId);
    });
  }

  /** As `Transport.send`. */
  send(header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    assert(!isReply(header.type), 'Expected an ACK or NAK to go through reply()');
    assert(
      totalLength(payload) === header.payloadLength,
      'Expected a payload as long as its header says',
    );
    if (this.#state !== 'up') return 'down';
    if (this.#queuedBytes >= this.#init.highWaterBytes) {
      this.#full = true;
      return 'full';
    }
    this.#enqueue(header, payload);
    return 'queued';
  }

  /** As `Transport.reply`. */
  reply(header: FrameHeader): SendOutcome {
    assert(isReply(header.type), 'Expected only ACK and NAK to go through reply()');
    if (this.#state !== 'up') return 'down';
    this.#enqueue(header, NO_VIEWS);
    return 'queued';
  }

  /** As `Transport.isQuiet`. */
  get isQuiet(): boolean {
    return this.#views.isQuiet;
  }

  /** As `Transport.quiesce`, without a deadline: the queue empties by itself, turn by turn. */
  quiesce(): Promise<void> {
    return this.#views.quiet();
  }

  /** Drops what is queued, silently. */
  close(): void {
    this.#state = 'closed';
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#views.clear();
  }

  #enqueue(header: FrameHeader, payload: readonly Uint8Array[]): void {
    assertFrameHeader(header);
    this.#init.counters.framesSent++;
    this.#init.counters.payloadBytesSent += header.payloadLength;
    this.#queue.push({ header, payload });
    this.#queuedBytes += FRAME_HEADER_BYTES + header.payloadLength;
    this.#views.handOver();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#init.scheduler.soon(this.#deliverSoon);
  }

  #deliverBurst(): void {
    this.#isScheduled = false;
    // What is queued from here on is of the next turn.
    const burst = Math.min(this.#queue.length - this.#head, LOOPBACK_BURST_FRAMES);
    for (let count = 0; count < burst; count++) this.#deliver();
    if (this.#head === this.#queue.length || this.#head >= DELIVERED_FRAMES_MAX) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#queue.length > 0) this.#schedule();
  }

  #deliver(): void {
    const frame = this.#queue[this.#head];
    if (frame === undefined) return;
    this.#head++;
    const { header, payload } = frame;
    const { nodeId, sink, counters } = this.#init;
    this.#queuedBytes -= FRAME_HEADER_BYTES + header.payloadLength;
    counters.framesReceived++;
    counters.payloadBytesReceived += header.payloadLength;
    const views = header.payloadLength === 0 ? NO_VIEWS : sink.place(nodeId, header);
    if (views !== null && this.#state === 'up') {
      assert(
        totalLength(views) === header.payloadLength,
        'Expected views from place() as long as the payload',
      );
      scatter(payload, 0, views);
      this.#views.take();
      sink.landed(nodeId, header);
    } else {
      this.#views.take();
    }
    this.#tellWritable();
  }

  /** Half the mark, as a real link does it. */
  #tellWritable(): void {
    if (!this.#full || this.#state !== 'up') return;
    if (this.#queuedBytes > this.#init.highWaterBytes / 2) return;
    this.#full = false;
    this.#init.sink.writable(this.#init.nodeId);
  }
}

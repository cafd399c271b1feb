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

export class LoopbackLink {
  readonly #init: LoopbackLinkInit;
  #state: 'opening' | 'up' | 'closed' = 'opening';
  readonly #queue: QueuedFrame[] = [];
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
    assert(!isReply(header.type), `Expected a ${header.type} to go through reply()`);
    assert(
      totalLength(payload) === header.payloadLength,
      `Expected a payload of ${header.payloadLength} bytes but found ${totalLength(payload)}`,
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
    assert(isReply(header.type), `Expected a ${header.type} to go through send()`);
    if (this.#state !== 'up') return 'down';
    this.#enqueue(header, []);
    return 'queued';
  }

  /** Drops what is queued, silently. */
  close(): void {
    this.#state = 'closed';
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }

  #enqueue(header: FrameHeader, payload: readonly Uint8Array[]): void {
    assertFrameHeader(header);
    this.#init.counters.framesSent++;
    this.#init.counters.payloadBytesSent += header.payloadLength;
    this.#queue.push({ header, payload });
    this.#queuedBytes += FRAME_HEADER_BYTES + header.payloadLength;
    this.#init.scheduler.soon(() => this.#deliver());
  }

  #deliver(): void {
    const frame = this.#queue.shift();
    if (frame === undefined) return;
    const { header, payload } = frame;
    const { nodeId, sink, counters, highWaterBytes } = this.#init;
    this.#queuedBytes -= FRAME_HEADER_BYTES + header.payloadLength;
    counters.framesReceived++;
    counters.payloadBytesReceived += header.payloadLength;
    const views = header.payloadLength === 0 ? [] : sink.place(nodeId, header);
    if (views !== null && this.#state === 'up') {
      assert(
        totalLength(views) === header.payloadLength,
        `Expected views of ${header.payloadLength} bytes from place()`,
      );
      scatter(payload, 0, views);
      sink.landed(nodeId, header);
    }
    if (this.#full && this.#state === 'up' && this.#queuedBytes <= highWaterBytes / 2) {
      this.#full = false;
      sink.writable(nodeId);
    }
  }
}

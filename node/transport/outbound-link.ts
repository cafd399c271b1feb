/**
 * The link here -> peer: the accepting end, which sends data and takes replies. It waits for the
 * peer's dial, first for `CONNECT_MS`, after a loss for as long as the peer redials.
 */
import { assert } from '../../common/assert.ts';
import { totalLength } from '../../common/bytes.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from './frame.ts';
import { FrameReceiver } from './frame-receiver.ts';
import { isReply } from './frame-rules.ts';
import type { AcceptedConnection, Closure, LinkCloseCode } from './link-medium.ts';
import {
  CONNECT_MS,
  type FrameSink,
  type LinkCounters,
  type LinkKind,
  REDIAL_MS,
  type SendOutcome,
} from './transport.ts';

/**
 * The peer may notice a loss later than this host, and its last dial takes a while: this much longer
 * than `REDIAL_MS` is waited before the link is lost.
 */
export const REDIAL_MARGIN_MS = 250;

export interface OutboundLinkInit {
  readonly nodeId: string;
  readonly scheduler: Scheduler;
  readonly highWaterBytes: number;
  readonly sink: FrameSink;
  readonly counters: LinkCounters;
  /** The link cannot come up any more. */
  readonly lost: (reason: string) => void;
}

export class OutboundLink {
  readonly #init: OutboundLinkInit;
  #state: 'waiting' | 'up' | 'closed' = 'waiting';
  #connection: AcceptedConnection | undefined;
  #receiver: FrameReceiver | undefined;
  #cancelWait: CancelTimer = () => undefined;
  #newestIncarnation = 0;
  #full = false;

  constructor(init: OutboundLinkInit) {
    this.#init = init;
    this.#wait(CONNECT_MS, `Expected a dial from ${init.nodeId} within ${CONNECT_MS} ms`);
  }

  /** A dial must have a higher incarnation than this to be let in. */
  get newestIncarnation(): number {
    return this.#newestIncarnation;
  }

  /** The peer has dialled. A connection that is still up is a dead one and is replaced. */
  adopt(connection: AcceptedConnection): void {
    const { nodeId, sink, counters } = this.#init;
    assert(this.#state !== 'closed', 'Expected to adopt a connection on an open link');
    if (this.#state === 'up') {
      this.#release('The peer has dialled again');
      this.#state = 'waiting';
      sink.linkDown(nodeId);
      if (this.#isClosed()) {
        connection.close('DISCONNECTED', 'The link is not wanted');
        return;
      }
    }
    this.#cancelWait();
    if (this.#newestIncarnation > 0) counters.reconnects++;
    this.#newestIncarnation = connection.incarnation;
    this.#connection = connection;
    this.#receiver = new FrameReceiver({
      nodeId,
      incarnation: connection.incarnation,
      takes: 'replies',
      sink,
      counters,
    });
    connection.bind({
      reader: this.#receiver,
      drained: () => this.#drained(connection),
      closed: (closure) => this.#closed(connection, closure),
    });
    this.#state = 'up';
    sink.linkUp(nodeId);
  }

  /** As `Transport.send`. */
  send(header: FrameHeader, payload: readonly Uint8Array[]): SendOutcome {
    assertData(header, payload);
    const connection = this.#connection;
    if (connection === undefined || !connection.open) return 'down';
    if (connection.queuedBytes >= this.#init.highWaterBytes) {
      this.#full = true;
      return 'full';
    }
    connection.write(header, payload);
    this.#init.counters.framesSent++;
    this.#init.counters.payloadBytesSent += header.payloadLength;
    return 'queued';
  }

  /** What carries it; `undefined` if it is down. */
  get kind(): LinkKind | undefined {
    return this.#connection?.open === true ? this.#connection.kind : undefined;
  }

  /** As `Transport.isQuiet`, of what is sent. */
  get isQuiet(): boolean {
    return this.#connection?.views.isQuiet ?? true;
  }

  /** As `Transport.quiesce`, of what is sent. */
  async quiesce(deadlineMs: number): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || connection.views.isQuiet) return;
    const cancel = this.#init.scheduler.after(deadlineMs, () =>
      connection.abort(`Expected the link to take what was queued within ${deadlineMs} ms`),
    );
    await connection.views.quiet();
    cancel();
  }

  /** Gives the link up, silently. */
  close(code: LinkCloseCode, reason: string): void {
    this.#state = 'closed';
    this.#cancelWait();
    this.#release(reason, code);
  }

  #release(reason: string, code: LinkCloseCode = 'DISCONNECTED'): void {
    this.#receiver?.stop();
    this.#connection?.close(code, reason);
    this.#receiver = undefined;
    this.#connection = undefined;
    this.#full = false;
  }

  /** Half the mark, so that a sender does not bounce between `full` and `writable` per frame. */
  #drained(connection: AcceptedConnection): void {
    if (connection !== this.#connection || !this.#full || !connection.open) return;
    if (connection.queuedBytes > this.#init.highWaterBytes / 2) return;
    this.#full = false;
    this.#init.sink.writable(this.#init.nodeId);
  }

  #closed(connection: AcceptedConnection, closure: Closure): void {
    if (connection !== this.#connection) return;
    const { nodeId, sink, lost } = this.#init;
    this.#receiver?.stop();
    this.#receiver = undefined;
    this.#connection = undefined;
    this.#full = false;
    if (closure.kind === 'ended') {
      lost(closure.reason);
      return;
    }
    const waitMs = REDIAL_MS + REDIAL_MARGIN_MS;
    this.#state = 'waiting';
    this.#wait(
      waitMs,
      `Expected ${nodeId} to dial again within ${waitMs} ms of: ${closure.reason}`,
    );
    if (closure.kind === 'violated') sink.protocolError(nodeId, closure.reason);
    if (!this.#isClosed()) sink.linkDown(nodeId);
  }

  #wait(waitMs: number, reason: string): void {
    this.#cancelWait = this.#init.scheduler.after(waitMs, () => this.#init.lost(reason));
  }

  /** A method, because callbacks of the sink may have closed the link since the last look. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

/** The sentences are made only if they are needed: this runs for every frame. */
function assertData({ type, payloadLength }: FrameHeader, payload: readonly Uint8Array[]): void {
  if (isReply(type)) assert(false, `Expected a ${type} to go through reply()`);
  const found = totalLength(payload);
  if (found === payloadLength) return;
  assert(false, `Expected a payload of ${payloadLength} bytes but found ${found}`);
}

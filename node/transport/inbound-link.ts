/**
 * The link peer -> here: the dialling end, which takes data and sends replies. It dials until the
 * link is up, first for `CONNECT_MS`, after a loss for `REDIAL_MS`, and then gives up.
 */
import { assert } from '../../common/assert.ts';
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from './frame.ts';
import { FrameReceiver } from './frame-receiver.ts';
import { isReply } from './frame-rules.ts';
import {
  type Closure,
  type DialledConnection,
  formatLinkAddress,
  type LinkCloseCode,
  type LinkMedium,
} from './link-medium.ts';
import {
  CONNECT_MS,
  type FrameSink,
  type LinkCounters,
  type LinkKind,
  type Peer,
  REDIAL_MS,
  type SendOutcome,
} from './transport.ts';

/** Between two dials: short against `REDIAL_MS`, long against the cost of a refused connection. */
export const REDIAL_PAUSE_MS = 20;

export interface InboundLinkInit {
  readonly peer: Peer;
  readonly medium: Pick<LinkMedium, 'dial'>;
  readonly scheduler: Scheduler;
  readonly sink: FrameSink;
  readonly counters: LinkCounters;
  /** A number above all that this host has dialled with before. */
  readonly nextIncarnation: () => number;
  /** The link cannot come up any more. */
  readonly lost: (reason: string) => void;
}

interface Attempt {
  readonly receiver: FrameReceiver;
  readonly connection: DialledConnection;
}

export class InboundLink {
  readonly #init: InboundLinkInit;
  #state: 'dialling' | 'up' | 'closed' = 'dialling';
  #attempt: Attempt | undefined;
  #wasUp = false;
  #lastFailure = 'no answer';
  #cancelWindow: CancelTimer = () => undefined;
  #cancelPause: CancelTimer = () => undefined;

  constructor(init: InboundLinkInit) {
    this.#init = init;
    this.#openWindow(CONNECT_MS);
    this.#dial();
  }

  /** As `Transport.reply`. */
  reply(header: FrameHeader): SendOutcome {
    if (!isReply(header.type)) assert(false, `Expected a ${header.type} to go through send()`);
    if (this.#state !== 'up' || this.#attempt === undefined) return 'down';
    const outcome = this.#attempt.connection.reply(header);
    if (outcome === 'queued') this.#init.counters.framesSent++;
    return outcome;
  }

  /** What carries it; `undefined` if it is down. */
  get kind(): LinkKind | undefined {
    return this.#state === 'up' ? this.#attempt?.connection.kind : undefined;
  }

  /** Whether no view that `place` answered is still filled. */
  get isQuiet(): boolean {
    return this.#attempt?.connection.filling.isQuiet ?? true;
  }

  /** As `Transport.quiesce`, of what arrives. */
  async quiesce(deadlineMs: number): Promise<void> {
    const connection = this.#attempt?.connection;
    if (connection === undefined || connection.filling.isQuiet) return;
    connection.recall();
    const cancel = this.#init.scheduler.after(deadlineMs, () =>
      connection.abort(`Expected the rest of a payload within ${deadlineMs} ms`),
    );
    await connection.filling.quiet();
    cancel();
  }

  /** Gives the link up, silently. */
  close(code: LinkCloseCode, reason: string): void {
    this.#state = 'closed';
    this.#cancelWindow();
    this.#cancelPause();
    this.#attempt?.receiver.stop();
    this.#attempt?.connection.close(code, reason);
    this.#attempt = undefined;
  }

  #openWindow(windowMs: number): void {
    const { peer, scheduler, lost } = this.#init;
    const target = `${peer.nodeId} at ${formatLinkAddress(peer.address)}`;
    this.#cancelWindow = scheduler.after(windowMs, () =>
      lost(
        `Expected a link from ${target} within ${windowMs} ms but found none: ${this.#lastFailure}`,
      ),
    );
  }

  #dial(): void {
    const { peer, medium, sink, counters, nextIncarnation } = this.#init;
    const incarnation = nextIncarnation();
    const receiver = new FrameReceiver({
      nodeId: peer.nodeId,
      incarnation,
      takes: 'data',
      sink,
      counters,
    });
    const connection = medium.dial(
      { peer, incarnation },
      {
        reader: receiver,
        opened: () => this.#opened(),
        closed: (closure) => this.#closed(closure),
      },
    );
    this.#attempt = { receiver, connection };
  }

  #opened(): void {
    this.#state = 'up';
    this.#cancelWindow();
    if (this.#wasUp) this.#init.counters.reconnects++;
    this.#wasUp = true;
  }

  #closed(closure: Closure): void {
    const { peer, scheduler, sink, lost } = this.#init;
    const wasUp = this.#state === 'up';
    this.#attempt?.receiver.stop();
    this.#attempt = undefined;
    this.#lastFailure = closure.reason;
    this.#state = 'dialling';
    if (closure.kind === 'violated') {
      sink.protocolError(peer.nodeId, closure.reason);
      if (this.#isClosed()) return;
    }
    if (closure.kind !== 'broken') {
      lost(closure.reason);
      return;
    }
    if (wasUp) this.#openWindow(REDIAL_MS);
    this.#cancelPause = scheduler.after(REDIAL_PAUSE_MS, () => this.#dial());
  }

  /** A method, because callbacks of the sink may have closed the link since the last look. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

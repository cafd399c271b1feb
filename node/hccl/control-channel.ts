/**
 * The control messages of one communicator, both ways: a few posted receives, and per peer a short
 * queue of messages that waits out FI_EAGAIN. Credits are not queued: the newest state is sent.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import { type FiAddr, type FiErrno, isFiErrno } from '../fabric/fabric.ts';
import { fi_tinject, fi_trecv, fi_tsend } from '../fabric/tagged.ts';
import {
  CONTROL_BYTES_MAX,
  CONTROL_SOURCE_ANY,
  CONTROL_TAG,
  type ControlMessage,
  readControl,
  writeControl,
} from './control-message.ts';
import { WINDOWS_MAX } from './program/control-page.ts';

/**
 * Messages that may wait for one peer: a hello, a header per operation under way, a bye; and of every
 * window that is shared with it an offer, an answer and a withdrawal.
 */
const QUEUED_MAX = 8 + 3 * WINDOWS_MAX;
/** Receives posted per peer. */
const RECEIVES_PER_PEER = 4;

/** Context of a control send or receive in the completion queue, with its buffer: used again and again. */
export class ControlContext {
  readonly kind: 'send' | 'recv';
  readonly buffer = new Uint8Array(CONTROL_BYTES_MAX);
  readonly view = new DataView(this.buffer.buffer);
  /** Of a message to send. */
  length = 0;
  /** Somebody waits for its acknowledgement. */
  isAwaited = false;

  constructor(kind: 'send' | 'recv') {
    this.kind = kind;
  }
}

export interface ControlChannelInit {
  readonly endpoint: FiEndpoint;
  /** Addresses of all peers by rank. */
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  /** Posting failed for good. */
  failed(peer: Rank | undefined, error: FiErrno): void;
}

export class ControlChannel {
  readonly #init: ControlChannelInit;
  readonly #queues = new Map<Rank, ControlContext[]>();
  /** Those of messages that have been sent. */
  readonly #spare: ControlContext[] = [];
  #unacknowledged = 0;
  #turnedAway = 0;
  /** Receives that were turned away. */
  readonly #unposted: ControlContext[] = [];

  constructor(init: ControlChannelInit) {
    this.#init = init;
    for (const rank of init.addresses.keys()) this.#queues.set(rank, []);
  }

  /** Posts that were answered FI_EAGAIN. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** Posts the receives. */
  open(): void {
    const total = this.#init.addresses.size * RECEIVES_PER_PEER;
    for (let index = 0; index < total; index++) this.#post(new ControlContext('recv'));
  }

  /** Sends a message, now or as soon as the peer takes one. */
  send(peer: Rank, message: ControlMessage): void {
    const queue = this.#queues.get(peer);
    assert(queue !== undefined, `Expected rank ${peer} to be a peer`);
    assert(
      queue.length < QUEUED_MAX,
      `Expected at most ${QUEUED_MAX} messages to wait for rank ${peer}`,
    );
    queue.push(this.#written(message));
    this.#flush(peer, queue);
  }

  /** Sends a message only if it can go now; `false` if it cannot. */
  trySend(peer: Rank, message: ControlMessage): boolean {
    const queue = this.#queues.get(peer);
    if (queue === undefined || queue.length > 0) return false;
    queue.push(this.#written(message));
    this.#flush(peer, queue);
    const left = queue.pop();
    if (left !== undefined) this.#spare.push(left);
    return left === undefined;
  }

  /** Tries what waits. */
  resume(): void {
    for (const context of this.#unposted.splice(0)) this.#post(context);
    for (const [peer, queue] of this.#queues) this.#flush(peer, queue);
  }

  /** Forgets what waits for a peer that has left. */
  forget(peer: Rank): void {
    this.#queues.delete(peer);
  }

  /** True once every message has been handed over and acknowledged. */
  get idle(): boolean {
    if (this.#unacknowledged > 0) return false;
    for (const queue of this.#queues.values()) if (queue.length > 0) return false;
    return true;
  }

  /** A control send has completed, well or not. */
  sent(context: ControlContext): void {
    this.#unacknowledged--;
    this.#spare.push(context);
  }

  /** A control receive has completed: its message, in the buffer; `undefined`: it is none. */
  read(context: ControlContext, length: number): ControlMessage | undefined {
    return readControl(context.view, length);
  }

  /** Posts a receive that has been read again. */
  expect(context: ControlContext): void {
    this.#post(context);
  }

  #written(message: ControlMessage): ControlContext {
    const context = this.#spare.pop() ?? new ControlContext('send');
    context.length = writeControl(message, context.view);
    context.isAwaited = message.kind === 'BYE' || message.kind === 'HELLO';
    return context;
  }

  #post(context: ControlContext): void {
    const { endpoint } = this.#init;
    const { buffer } = context;
    const error = fi_trecv(endpoint, buffer, CONTROL_SOURCE_ANY, CONTROL_TAG, 0n, context);
    if (error === 'FI_EAGAIN') {
      this.#turnedAway++;
      this.#unposted.push(context);
    } else if (error !== undefined && isFiErrno(error)) {
      this.#init.failed(undefined, error);
    }
  }

  #flush(peer: Rank, queue: ControlContext[]): void {
    for (let context = queue[0]; context !== undefined; context = queue[0]) {
      const address = this.#init.addresses.get(peer);
      assert(address !== undefined, 'Expected a peer to have an address');
      const error = this.#hand(context, address);
      if (error === 'FI_EAGAIN') {
        this.#turnedAway++;
        return;
      }
      queue.shift();
      if (error !== undefined && isFiErrno(error)) {
        this.#init.failed(peer, error);
        return;
      }
      if (context.isAwaited) this.#unacknowledged++;
      else this.#spare.push(context);
    }
  }

  #hand(context: ControlContext, address: FiAddr): FiErrno | undefined {
    const { endpoint } = this.#init;
    const bytes = context.buffer.subarray(0, context.length);
    if (!context.isAwaited) return fi_tinject(endpoint, bytes, address, CONTROL_TAG);
    return fi_tsend(endpoint, { kind: 'host', bytes }, address, CONTROL_TAG, context);
  }
}

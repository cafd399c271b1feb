/**
 * The control messages of one communicator, both ways: a few posted receives, and per peer a short
 * queue of messages that waits out FI_EAGAIN. Credits are not queued: the newest state is sent.
 */

import type { Rank } from '../../collectives/schedule.ts';
import { assert } from '../../common/assert.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import { type FiAddr, type FiErrno, isFiErrno } from '../fabric/fabric.ts';
import { fi_trecv, fi_tsend } from '../fabric/tagged.ts';
import {
  CONTROL_BYTES_MAX,
  CONTROL_SOURCE_ANY,
  CONTROL_TAG,
  type ControlMessage,
  decodeControl,
  encodeControl,
} from './control-message.ts';

/** Messages that may wait for one peer: a hello, a header per operation under way, a bye. */
const QUEUED_MAX = 8;
/** Receives posted per peer. */
const RECEIVES_PER_PEER = 4;

/** Context of a control send or receive in the completion queue. */
export class ControlContext {
  readonly kind: 'send' | 'recv';
  readonly buffer: Uint8Array;

  constructor(kind: 'send' | 'recv', buffer: Uint8Array) {
    this.kind = kind;
    this.buffer = buffer;
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
  readonly #queues = new Map<Rank, Uint8Array[]>();
  #unacknowledged = 0;
  #turnedAway = 0;
  /** Buffers of receives that were turned away. */
  readonly #unposted: Uint8Array[] = [];

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
    for (let index = 0; index < total; index++) this.#post(new Uint8Array(CONTROL_BYTES_MAX));
  }

  /** Sends a message, now or as soon as the peer takes one. */
  send(peer: Rank, message: ControlMessage): void {
    const queue = this.#queues.get(peer);
    assert(queue !== undefined, `Expected rank ${peer} to be a peer`);
    assert(
      queue.length < QUEUED_MAX,
      `Expected at most ${QUEUED_MAX} messages to wait for rank ${peer}`,
    );
    queue.push(encodeControl(message));
    this.#flush(peer, queue);
  }

  /** Sends a message only if it can go now; `false` if it cannot. */
  trySend(peer: Rank, message: ControlMessage): boolean {
    const queue = this.#queues.get(peer);
    if (queue === undefined || queue.length > 0) return false;
    queue.push(encodeControl(message));
    this.#flush(peer, queue);
    return queue.pop() === undefined;
  }

  /** Tries what waits. */
  resume(): void {
    for (const buffer of this.#unposted.splice(0)) this.#post(buffer);
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
  sent(): void {
    this.#unacknowledged--;
  }

  /** A control receive has completed: its message (`undefined`: not one), and a new receive is posted. */
  received(context: ControlContext, length: number): ControlMessage | undefined {
    const message = decodeControl(context.buffer.subarray(0, length));
    this.#post(context.buffer);
    return message;
  }

  #post(buffer: Uint8Array): void {
    const context = new ControlContext('recv', buffer);
    const { endpoint } = this.#init;
    const error = fi_trecv(endpoint, buffer, CONTROL_SOURCE_ANY, CONTROL_TAG, 0n, context);
    if (error === 'FI_EAGAIN') {
      this.#turnedAway++;
      this.#unposted.push(buffer);
    } else if (error !== undefined && isFiErrno(error)) {
      this.#init.failed(undefined, error);
    }
  }

  #flush(peer: Rank, queue: Uint8Array[]): void {
    const address = this.#init.addresses.get(peer);
    assert(address !== undefined, `Expected rank ${peer} to have an address`);
    for (;;) {
      const bytes = queue[0];
      if (bytes === undefined) return;
      const context = new ControlContext('send', bytes);
      const error = fi_tsend(
        this.#init.endpoint,
        { kind: 'host', bytes },
        address,
        CONTROL_TAG,
        context,
      );
      if (error === 'FI_EAGAIN') {
        this.#turnedAway++;
        return;
      }
      queue.shift();
      if (error !== undefined && isFiErrno(error)) {
        this.#init.failed(peer, error);
        return;
      }
      this.#unacknowledged++;
    }
  }
}

/**
 * Which message goes into which receive (fi_tagged(3), fi_msg(3)). A receive takes the oldest message
 * whose tag is equal in all bits outside of its `ignore` mask, from its source if it names one;
 * receives are searched in the order they were posted, messages in the order they came.
 */
import { FI_ADDR_UNSPEC, type FiAddr } from './fabric.ts';

/** Receives that one endpoint may have posted. */
export const POSTED_RECEIVES_MAX = 4_096;
/** Messages that one endpoint keeps for receives yet to come. */
export const UNEXPECTED_MESSAGES_MAX = 1_024;

export interface PostedReceive {
  readonly bytes: Uint8Array;
  readonly tagged: boolean;
  readonly source: FiAddr;
  readonly tag: bigint;
  readonly ignore: bigint;
  readonly context: unknown;
}

export interface ArrivedMessage {
  readonly source: FiAddr;
  readonly tagged: boolean;
  readonly tag: bigint;
  /** A copy, or valid only until the call returns: see the caller. */
  readonly payload: Uint8Array;
}

export class MatchQueue {
  readonly #posted: PostedReceive[] = [];
  readonly #unexpected: ArrivedMessage[] = [];

  get isFull(): boolean {
    return this.#posted.length >= POSTED_RECEIVES_MAX;
  }

  get hasRoomForUnexpected(): boolean {
    return this.#unexpected.length < UNEXPECTED_MESSAGES_MAX;
  }

  /** Takes the oldest message out that a new receive may have. */
  take(receive: PostedReceive): ArrivedMessage | undefined {
    const index = this.#unexpected.findIndex((message) => matches(receive, message));
    return index < 0 ? undefined : this.#unexpected.splice(index, 1)[0];
  }

  /** Lets a receive wait. */
  post(receive: PostedReceive): void {
    this.#posted.push(receive);
  }

  /** Takes the receive for a new message out, if one waits. */
  receiveFor(message: ArrivedMessage): PostedReceive | undefined {
    const index = this.#posted.findIndex((receive) => matches(receive, message));
    return index < 0 ? undefined : this.#posted.splice(index, 1)[0];
  }

  /** Keeps a message that no receive waits for. */
  keep(message: ArrivedMessage): void {
    this.#unexpected.push(message);
  }

  /** Takes the oldest receive with this context out. */
  cancel(context: unknown): PostedReceive | undefined {
    const index = this.#posted.findIndex((receive) => receive.context === context);
    return index < 0 ? undefined : this.#posted.splice(index, 1)[0];
  }

  /** Takes out every receive that waits for `source` and nobody else. */
  cancelFrom(source: FiAddr): PostedReceive[] {
    const cancelled = this.#posted.filter((receive) => receive.source === source);
    for (const receive of cancelled) this.#posted.splice(this.#posted.indexOf(receive), 1);
    return cancelled;
  }

  /** Drops what came from `source`: its address may be given to another. */
  forget(source: FiAddr): void {
    for (let index = this.#unexpected.length - 1; index >= 0; index--) {
      if (this.#unexpected[index]?.source === source) this.#unexpected.splice(index, 1);
    }
  }
}

function matches(receive: PostedReceive, message: ArrivedMessage): boolean {
  if (receive.tagged !== message.tagged) return false;
  if (receive.source !== FI_ADDR_UNSPEC && receive.source !== message.source) return false;
  return (receive.tag & ~receive.ignore) === (message.tag & ~receive.ignore);
}

/**
 * Which message goes into which receive (fi_tagged(3), fi_msg(3)). A receive takes the oldest message
 * whose tag is equal in all bits outside of its `ignore` mask, from its source if it names one;
 * receives are searched in the order they were posted, messages in the order they came.
 */
import { FI_ADDR_UNSPEC, type FiAddr, type FiReceiveBuffer } from './fabric.ts';
import type { RemoteMessage } from './message-header.ts';

/** Receives that one endpoint may have posted. */
export const POSTED_RECEIVES_MAX = 4_096;
/** Messages that one endpoint keeps for receives yet to come. */
export const UNEXPECTED_MESSAGES_MAX = 1_024;

/** Which messages are meant. */
export interface Match {
  readonly tagged: boolean;
  readonly source: FiAddr;
  readonly tag: bigint;
  readonly ignore: bigint;
}

export interface PostedReceive extends Match {
  readonly buffer: FiReceiveBuffer;
  readonly context: unknown;
  /** An entry is wanted if it goes well. */
  readonly isReported: boolean;
}

export interface ArrivedMessage {
  readonly source: FiAddr;
  readonly tagged: boolean;
  readonly tag: bigint;
  /** Immediate data, if it came with some. */
  readonly data: number | undefined;
  readonly length: number;
  /** Its number at the sender, who wants to hear of its end if `wantsAck`. */
  readonly sequence: number;
  readonly wantsAck: boolean;
  /** The bytes: here (a copy, or valid only until the call returns: see the caller), or at the sender. */
  readonly payload: Uint8Array;
  readonly remote: RemoteMessage | undefined;
}

export class MatchQueue {
  readonly #posted: PostedReceive[] = [];
  readonly #unexpected: ArrivedMessage[] = [];
  /** Messages that a peek has claimed, by the context of the claim. */
  readonly #claimed = new Map<unknown, ArrivedMessage>();

  get isFull(): boolean {
    return this.#posted.length >= POSTED_RECEIVES_MAX;
  }

  get hasRoomForUnexpected(): boolean {
    return this.#unexpected.length + this.#claimed.size < UNEXPECTED_MESSAGES_MAX;
  }

  /** The oldest message that a new receive may have. */
  peek(match: Match): ArrivedMessage | undefined {
    return this.#unexpected.find((message) => matches(match, message));
  }

  /** Takes the oldest message out that a new receive may have. */
  take(match: Match): ArrivedMessage | undefined {
    const index = this.#unexpected.findIndex((message) => matches(match, message));
    return index < 0 ? undefined : this.#unexpected.splice(index, 1)[0];
  }

  /** Takes the oldest message for whoever asks with this context later. */
  claim(match: Match, context: unknown): ArrivedMessage | undefined {
    const message = this.take(match);
    if (message !== undefined) this.#claimed.set(context, message);
    return message;
  }

  hasClaimed(context: unknown): boolean {
    return this.#claimed.has(context);
  }

  takeClaimed(context: unknown): ArrivedMessage | undefined {
    const message = this.#claimed.get(context);
    this.#claimed.delete(context);
    return message;
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
    for (const [context, message] of this.#claimed) {
      if (message.source === source) this.#claimed.delete(context);
    }
  }
}

function matches(receive: Match, message: ArrivedMessage): boolean {
  if (receive.tagged !== message.tagged) return false;
  if (receive.source !== FI_ADDR_UNSPEC && receive.source !== message.source) return false;
  return (receive.tag & ~receive.ignore) === (message.tag & ~receive.ignore);
}

/** First in, first out, as the connections between ranks are. */
import { assert } from '../common/assert.ts';

/** The messages of a connection under way. */
export class Fifo<M> {
  /** Processes at its ends. */
  readonly sender: number;
  readonly receiver: number;
  readonly #messages: M[] = [];
  #taken = 0;

  constructor(sender: number, receiver: number) {
    this.sender = sender;
    this.receiver = receiver;
  }

  get size(): number {
    return this.#messages.length - this.#taken;
  }

  put(message: M): void {
    this.#messages.push(message);
  }

  take(): M {
    assert(this.size > 0, 'Expected a message to take');
    const message = this.#messages[this.#taken++] as M;
    if (this.#taken === this.#messages.length) {
      this.#messages.length = 0;
      this.#taken = 0;
    }
    return message;
  }
}

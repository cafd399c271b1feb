/** Which message of a pair of ranks a call is: both count their calls, in the order of their making. */
import type { Rank } from '../../collectives/schedule.ts';
import type { MessageCall, NumberedCall } from './message.ts';

export class MessageNumbers {
  readonly #next = { send: new Map<Rank, number>(), recv: new Map<Rank, number>() };

  /** The call with its number, which is used up. */
  number(call: MessageCall): NumberedCall {
    const next = this.#next[call.kind];
    const number = next.get(call.peer) ?? 0;
    next.set(call.peer, number + 1);
    return { ...call, number };
  }
}

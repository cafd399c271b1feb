/** One hcclSend or hcclRecv under way. */
import type { Rank } from '../../collectives/schedule.ts';
import { type Deferred, deferred } from '../../common/deferred.ts';
import { HCCL_DATA_TYPES } from './hccl.ts';
import type { LocalBuffer } from './operation.ts';

/** Arguments of a checked hcclSend or hcclRecv. */
export interface MessageCall {
  readonly kind: 'send' | 'recv';
  readonly peer: Rank;
  readonly count: number;
  readonly dataType: number;
  readonly address: number;
  readonly bytes: number;
}

/** A call with its place among the messages from the one rank to the other. */
export interface NumberedCall extends MessageCall {
  readonly number: number;
}

export class Message {
  readonly call: NumberedCall;
  readonly buffer: LocalBuffer;
  /** `waiting`: for the peer's call. `moving`: bytes may be on their way. `landed`: they are here. */
  state: 'waiting' | 'moving' | 'landed' = 'waiting';
  readonly #ended: Deferred<void> = deferred();

  constructor(call: NumberedCall, buffer: LocalBuffer) {
    this.call = call;
    this.buffer = buffer;
    this.#ended.promise.catch(() => undefined);
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    this.#ended.resolve();
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }

  /** `hcclSend (1000 x float32) to rank 3, message 7`. */
  describe(): string {
    const { kind, peer, number } = this.call;
    const [name, towards] = kind === 'send' ? ['hcclSend', 'to'] : ['hcclRecv', 'from'];
    return `${name} (${elementsOf(this.call)}) ${towards} rank ${peer}, message ${number}`;
  }
}

/** `1000 x float32`. */
export function elementsOf({
  count,
  dataType,
}: {
  readonly count: number;
  readonly dataType: number;
}): string {
  return `${count} x ${HCCL_DATA_TYPES.get(dataType)?.name ?? `data type ${dataType}`}`;
}

/** Context of a message's bytes in the completion queue. */
export class MessageContext {
  readonly message: Message;

  constructor(message: Message) {
    this.message = message;
  }
}

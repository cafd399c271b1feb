/**
 * The SENDs of one peer, put together to messages. Every message has a number. After the peer had to
 * replace its queue pair it may send some again: those that were complete here are dropped.
 */
import { assert } from '../../common/assert.ts';
import { psnDistance } from '../verbs/psn.ts';
import {
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  type RemoteMessage,
  readRemoteMessage,
} from './message-header.ts';

/** What a peer has sent: bytes that are here, or that wait at the peer. */
export interface IncomingMessage {
  readonly header: MessageHeader;
  /** Valid only until the call returns. */
  readonly payload: Uint8Array;
  readonly remote: RemoteMessage | undefined;
}

/** The message whose segments are arriving. */
interface Partial {
  readonly header: MessageHeader;
  readonly bytes: Uint8Array;
  filled: number;
}

export class MessageStream {
  /** Of the last message that has come completely, and of the one whose segments come now. */
  #lastSequence: number | undefined;
  #incoming: { readonly sequence: number; readonly isNew: boolean; missing: number } | undefined;
  #partial: Partial | undefined;

  /** The rest of the message that is arriving will not come. */
  interrupt(): void {
    this.#incoming = undefined;
  }

  /** Whether a SEND is the next of its message, and its message a new one. */
  judge(header: MessageHeader, length: number): 'new' | 'repeated' | 'violation' {
    const { kind, sequence } = header;
    const bytes = length - MESSAGE_HEADER_BYTES;
    if (kind !== 'SEGMENT') {
      const last = this.#lastSequence;
      const isNew = last === undefined || psnDistance(sequence, last) > 0;
      const missing = kind === 'EAGER' ? header.length : bytes;
      this.#incoming = { sequence, isNew, missing };
    }
    const incoming = this.#incoming;
    if (incoming === undefined || incoming.sequence !== sequence) return 'violation';
    if (bytes > incoming.missing) return 'violation';
    incoming.missing -= bytes;
    if (incoming.missing === 0 && incoming.isNew) this.#lastSequence = sequence;
    return incoming.isNew ? 'new' : 'repeated';
  }

  /** Takes the next SEND; the message, if it is complete by it. */
  assemble(header: MessageHeader, bytes: Uint8Array): IncomingMessage | 'violation' | undefined {
    const body = bytes.subarray(MESSAGE_HEADER_BYTES);
    if (header.kind === 'RTS') {
      const remote = readRemoteMessage(body);
      return remote === undefined ? 'violation' : { header, payload: new Uint8Array(), remote };
    }
    if (header.kind === 'EAGER') {
      this.#partial = undefined;
      if (body.byteLength === header.length) return { header, payload: body, remote: undefined };
      this.#partial = { header, bytes: new Uint8Array(header.length), filled: 0 };
    }
    const partial = this.#partial;
    assert(partial !== undefined, 'Expected the first segment before the others');
    partial.bytes.set(body, partial.filled);
    partial.filled += body.byteLength;
    if (partial.filled < partial.bytes.byteLength) return undefined;
    this.#partial = undefined;
    return { header: partial.header, payload: partial.bytes, remote: undefined };
  }
}

/**
 * Messages to one peer. Short ones are sent at once, in segments, out of bounce slots; long ones are
 * announced (RTS) and wait until the peer has read them. A message that the peer has to acknowledge
 * is kept here, by its number, until it does.
 */
import type { IbvWcStatus } from '../verbs/wc.ts';
import { BounceSlots } from './bounce-slots.ts';
import type { FiDomain } from './domain.ts';
import type { FiBuffer, FiErrno } from './fabric.ts';
import type { CompletionLevel } from './flags.ts';
import type { HostRegion, HostRegions } from './host-region.ts';
import {
  type AckOutcome,
  EAGER_BYTES,
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  type MessageKind,
  type RemoteMessage,
  RTS_BODY_BYTES,
  SEGMENT_BYTES,
  writeMessageHeader,
  writeRemoteMessage,
} from './message-header.ts';
import { verbsOf } from './mr.ts';
import { CONTROL_CREDITS, type Outbound } from './outbound.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { RECV_DEPTH } from './queue-pair.ts';
import { type PlainWr, type Repeat, SendOperation } from './send-operation.ts';

/** Messages that one peer may owe an acknowledgement for. */
export const AWAITED_MAX = 64;

/** How a message ended for its sender, by what the receiver says. */
export const OUTCOME_OF_ACK: Readonly<Record<AckOutcome, Outcome>> = {
  DONE: undefined,
  UNREADABLE: { err: 'FI_ECANCELED', prov_errno: 'IBV_WC_REM_ACCESS_ERR' },
  FAILED: { err: 'FI_EIO', prov_errno: 'IBV_WC_REM_OP_ERR' },
};

export interface OutgoingMessage {
  readonly tagged: boolean;
  readonly tag: bigint;
  readonly data: number | undefined;
  readonly buffer: FiBuffer;
  readonly level: CompletionLevel;
  /** Nobody waits for its end: the peer may take its time to acknowledge it. */
  readonly isInjected: boolean;
  /** Called once. */
  readonly ended: (outcome: Outcome) => void;
}

/** How all messages but answers are posted. */
export const DATA = { reserve: CONTROL_CREDITS, repeat: 'numbered' } as const;
/** How answers are posted. The peer waits for them: they get through even if the peer starts anew. */
export const ANSWER = { reserve: 0, repeat: 'harmless' } as const;
const NOTHING = new Uint8Array();

/** A message of the endpoints themselves. */
export interface ControlMessage {
  readonly kind: 'ACK' | 'WRITTEN' | 'WINDOW_WANTED' | 'WINDOW';
  readonly data: number;
  readonly outcome?: AckOutcome;
  readonly length?: number;
  readonly body?: Uint8Array;
}

/** How requests are posted. */
interface PostingRules {
  /** Credits that they must leave. */
  readonly reserve: number;
  readonly repeat: Repeat;
}

interface ControlPosting extends PostingRules {
  readonly ended?: (status: IbvWcStatus) => void;
}

interface Posting {
  readonly requests: readonly PlainWr[];
  readonly slots: readonly number[];
  readonly rules: PostingRules;
  readonly isOrdered: boolean;
  readonly isBeside: boolean;
  readonly ended: ((status: IbvWcStatus) => void) | undefined;
}

interface Awaited {
  readonly message: OutgoingMessage;
  /** Memory that is registered for this message alone. */
  readonly region: HostRegion | undefined;
}

export class OutgoingMessages {
  readonly #regions: HostRegions;
  readonly #outbound: Outbound;
  readonly #slots: BounceSlots;
  readonly #awaited = new Map<number, Awaited>();
  #sequence: number;

  constructor({ pd }: FiDomain, regions: HostRegions, outbound: Outbound, firstSequence: number) {
    this.#regions = regions;
    this.#outbound = outbound;
    this.#sequence = firstSequence;
    this.#slots = new BounceSlots(pd, RECV_DEPTH, []);
  }

  get isIdle(): boolean {
    return this.#awaited.size === 0;
  }

  /** Number of the next message. */
  get sequence(): number {
    return this.#sequence;
  }

  /** FI_EAGAIN: nothing has happened. FI_EMSGSIZE is the caller's to check. */
  post(message: OutgoingMessage): FiErrno | undefined {
    const length = bufferLength(message.buffer);
    return length > EAGER_BYTES ? this.#announce(message, length) : this.#send(message, length);
  }

  /** Tells the sender of message `about` how it ended here. */
  acknowledge(about: number, outcome: AckOutcome): FiErrno | undefined {
    return this.control({ kind: 'ACK', data: about, outcome }, ANSWER);
  }

  /** Posts a header that stands for itself, with what follows it. FI_EAGAIN: nothing has happened. */
  control(message: ControlMessage, rules: ControlPosting): FiErrno | undefined {
    const { kind, data, outcome = 'DONE', length = 0, body = NOTHING } = message;
    if (this.#slots.free === 0) return this.#outbound.turnAway();
    const slot = this.#writeHeader({
      kind,
      tagged: false,
      tag: 0n,
      data,
      wantsAck: false,
      outcome,
      length,
      sequence: this.#sequence,
    });
    const bytes = MESSAGE_HEADER_BYTES + body.byteLength;
    this.#slots.bytes(slot, bytes).set(body, MESSAGE_HEADER_BYTES);
    return this.#post({
      requests: [this.#request(slot, bytes, false)],
      slots: [slot],
      rules,
      isOrdered: false,
      isBeside: kind === 'WINDOW' || kind === 'WINDOW_WANTED',
      ended: rules.ended,
    });
  }

  /** The peer has acknowledged a message. */
  acknowledged(sequence: number, outcome: AckOutcome): void {
    this.#settle(sequence, OUTCOME_OF_ACK[outcome]);
  }

  /** The peer will acknowledge nothing any more. */
  fail(outcome: Outcome): void {
    for (const sequence of [...this.#awaited.keys()]) this.#settle(sequence, outcome);
  }

  close(): void {
    for (const { region } of this.#awaited.values()) region?.close();
    this.#awaited.clear();
    this.#slots.close();
  }

  #send(message: OutgoingMessage, length: number): FiErrno | undefined {
    const count = Math.max(1, Math.ceil(length / SEGMENT_BYTES));
    const { level } = message;
    if (this.#slots.free < count) return this.#outbound.turnAway();
    const wantsAck = level === 'delivery';
    if (wantsAck && this.#awaited.size >= AWAITED_MAX) return this.#outbound.turnAway();
    const requests: PlainWr[] = [];
    const slots: number[] = [];
    for (let index = 0; index < count; index++) {
      const kind = index === 0 ? 'EAGER' : 'SEGMENT';
      const slot = this.#writeHeader(this.#headerOf(kind, message, length, wantsAck));
      slots.push(slot);
      requests.push(this.#segment(slot, message, index * SEGMENT_BYTES, length));
    }
    const isDoneAtOnce = level === 'inject' && message.buffer.kind === 'host';
    const sequence = this.#sequence;
    const ended = (status: IbvWcStatus) => {
      // Delivered is more than sent: only a failure is news.
      if (wantsAck && status !== 'IBV_WC_SUCCESS') this.#settle(sequence, outcomeOf(status));
      else if (!wantsAck && !isDoneAtOnce) message.ended(outcomeOf(status));
    };
    const error = this.#postData(requests, slots, ended);
    if (error !== undefined) return error;
    if (wantsAck) this.#awaited.set(sequence, { message, region: undefined });
    if (isDoneAtOnce) message.ended(undefined);
    return undefined;
  }

  #announce(message: OutgoingMessage, length: number): FiErrno | undefined {
    const isFull = this.#awaited.size >= AWAITED_MAX;
    if (isFull || this.#slots.free === 0) return this.#outbound.turnAway();
    const { buffer } = message;
    const region =
      buffer.kind === 'host'
        ? this.#regions.register(buffer.bytes, 'IBV_ACCESS_REMOTE_READ')
        : undefined;
    const sequence = this.#sequence;
    const remote = region === undefined ? remoteOf(buffer) : { address: 0, key: region.mr.rkey };
    const slot = this.#writeHeader(this.#headerOf('RTS', message, length, true));
    writeRemoteMessage(remote, this.#slots.bytes(slot).subarray(MESSAGE_HEADER_BYTES));
    const requests = [this.#request(slot, MESSAGE_HEADER_BYTES + RTS_BODY_BYTES, false)];
    const ended = (status: IbvWcStatus) => {
      if (status !== 'IBV_WC_SUCCESS') this.#settle(sequence, outcomeOf(status));
    };
    const error = this.#postData(requests, [slot], ended);
    if (error === undefined) this.#awaited.set(sequence, { message, region });
    else region?.close();
    return error;
  }

  #settle(sequence: number, outcome: Outcome): void {
    const awaited = this.#awaited.get(sequence);
    if (awaited === undefined) return;
    this.#awaited.delete(sequence);
    awaited.region?.close();
    awaited.message.ended(outcome);
    this.#outbound.wakeTurnedAway();
  }

  #postData(
    requests: readonly PlainWr[],
    slots: readonly number[],
    ended: (status: IbvWcStatus) => void,
  ): FiErrno | undefined {
    return this.#post({ requests, slots, rules: DATA, isOrdered: true, isBeside: false, ended });
  }

  /** Posts what makes up one message, and gives it its number if that works. */
  #post({ requests, slots, rules, isOrdered, isBeside, ended }: Posting): FiErrno | undefined {
    const operation = new SendOperation({
      requests,
      repeat: rules.repeat,
      isOrdered,
      isBeside,
      ended: (status) => {
        // Frames of a request that failed may still stand in a link's queue, and be read there.
        if (status === 'IBV_WC_SUCCESS') this.#free(slots);
        else this.#outbound.onceReopened(() => this.#free(slots));
        ended?.(status);
      },
    });
    const error = this.#outbound.post(operation, rules.reserve);
    if (error === undefined) this.#sequence = (this.#sequence + 1) >>> 0;
    else this.#free(slots);
    return error;
  }

  #free(slots: readonly number[]): void {
    for (const slot of slots) this.#slots.give(slot);
  }

  /** The header of the next message, or of a segment of it. */
  #headerOf(
    kind: MessageKind,
    { tagged, tag, data }: OutgoingMessage,
    length: number,
    wantsAck: boolean,
  ): MessageHeader {
    const sequence = this.#sequence;
    return { kind, tagged, tag, data, wantsAck, outcome: 'DONE', length, sequence };
  }

  /** Takes a slot and writes a header into it. */
  #writeHeader(header: MessageHeader): number {
    const slot = this.#slots.take();
    writeMessageHeader(header, this.#slots.bytes(slot, MESSAGE_HEADER_BYTES));
    return slot;
  }

  /** The request for one segment: header and bytes from the slot, or the bytes from where they lie. */
  #segment(
    slot: number,
    { buffer, isInjected }: OutgoingMessage,
    offset: number,
    length: number,
  ): PlainWr {
    const count = Math.min(SEGMENT_BYTES, length - offset);
    if (buffer.kind === 'host') {
      const { bytes } = buffer;
      const part = length <= SEGMENT_BYTES ? bytes : bytes.subarray(offset, offset + count);
      this.#slots.bytes(slot).set(part, MESSAGE_HEADER_BYTES);
      return this.#request(slot, MESSAGE_HEADER_BYTES + count, isInjected);
    }
    const { lkey } = verbsOf(buffer.mr);
    const header = this.#slots.sge(slot, MESSAGE_HEADER_BYTES);
    const body = { lkey, address: buffer.address + offset, length: count };
    return { opcode: 'IBV_WR_SEND', sg_list: [header, body], ack_later: isInjected };
  }

  #request(slot: number, length: number, isAckedLater: boolean): PlainWr {
    const sge = this.#slots.sge(slot, length);
    return { opcode: 'IBV_WR_SEND', sg_list: [sge], ack_later: isAckedLater };
  }
}

export function bufferLength(buffer: FiBuffer): number {
  return buffer.kind === 'host' ? buffer.bytes.byteLength : buffer.length;
}

/** Where the peer reads a message that lies in a region. */
function remoteOf(buffer: FiBuffer): RemoteMessage {
  if (buffer.kind === 'host') return { address: 0, key: 0 };
  return { address: buffer.address, key: verbsOf(buffer.mr).rkey };
}

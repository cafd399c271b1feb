/**
 * The receiving side of an endpoint: receives and messages find each other here, and messages get
 * into their buffers. Bytes that are here are copied; into a region, the NIC copies them. Bytes that
 * wait at their sender are read from there, straight into the buffer.
 */
import { assert } from '../../common/assert.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { Completing } from './completion-port.ts';
import type { Connection } from './connection.ts';
import type { FiDomain } from './domain.ts';
import { FI_ADDR_UNSPEC, type FiAddr, type FiErrno, type FiReceiveBuffer } from './fabric.ts';
import type { HostRegions } from './host-region.ts';
import { LocalCopies } from './local-copy.ts';
import { type ArrivedMessage, type Match, MatchQueue, type PostedReceive } from './match-queue.ts';
import type { AckOutcome, RemoteMessage } from './message-header.ts';
import type { IncomingMessage } from './message-stream.ts';
import { verbsOf } from './mr.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { SendOperation } from './send-operation.ts';

/** What a receiver needs of its endpoint. */
export interface ReceiverOwner {
  readonly domain: FiDomain;
  readonly epoch: number;
  readonly regions: HostRegions;
  connection(peer: FiAddr): Connection | undefined;
  complete(completing: Completing, outcome: Outcome): void;
}

/** What fi_trecvmsg with FI_PEEK or FI_CLAIM is asked for. */
export interface PeekRequest extends Match {
  readonly context: unknown;
  /** `peek` only looks; `discard` also drops it; `claim` keeps it for a later claim by this context. */
  readonly action: 'peek' | 'discard' | 'claim';
}

/** Of the outcome of a message here, what its sender is told. */
function ackOutcome(outcome: Outcome): AckOutcome {
  if (outcome === undefined || outcome.err === 'FI_ETRUNC') return 'DONE';
  return outcome.prov_errno === 'IBV_WC_REM_ACCESS_ERR' ? 'UNREADABLE' : 'FAILED';
}

export class Receiver {
  readonly #owner: ReceiverOwner;
  readonly #queue = new MatchQueue();
  readonly #copies: LocalCopies;
  #isClosed = false;

  constructor(owner: ReceiverOwner) {
    this.#owner = owner;
    this.#copies = new LocalCopies(owner);
  }

  /** Posts a receive. FI_EAGAIN: too many are posted. Else why it can never get a message. */
  post(receive: PostedReceive): FiErrno | undefined {
    if (this.#queue.isFull) return 'FI_EAGAIN';
    const { source } = receive;
    const connection = source === FI_ADDR_UNSPEC ? undefined : this.#owner.connection(source);
    if (source !== FI_ADDR_UNSPEC && connection === undefined) return 'FI_EINVAL';
    const message = this.#queue.take(receive);
    if (message !== undefined) this.#deliver(message, receive);
    else if (connection?.isLost) return connection.error;
    else this.#queue.post(receive);
    return undefined;
  }

  /** Looks for a message; the answer is a completion, FI_ENOMSG if there is none. */
  peek({ action, context, ...match }: PeekRequest): void {
    const message = this.#find(action, match, context);
    if (message === undefined) {
      const outcome = { err: 'FI_ENOMSG', prov_errno: '' } as const;
      this.#end({ ...match, context }, match.source, outcome);
      return;
    }
    this.#reportWhole(message, context);
    if (action === 'discard') this.#acknowledge(message, undefined);
  }

  /** Receives a message that this context has claimed. FI_EINVAL: it has claimed none. */
  receiveClaimed(receive: PostedReceive): FiErrno | undefined {
    const message = this.#queue.takeClaimed(receive.context);
    if (message === undefined) return 'FI_EINVAL';
    this.#deliver(message, receive);
    return undefined;
  }

  /** Drops a message that this context has claimed. FI_EINVAL: it has claimed none. */
  discardClaimed(context: unknown): FiErrno | undefined {
    const message = this.#queue.takeClaimed(context);
    if (message === undefined) return 'FI_EINVAL';
    this.#reportWhole(message, context);
    this.#acknowledge(message, undefined);
    return undefined;
  }

  hasClaimed(context: unknown): boolean {
    return this.#queue.hasClaimed(context);
  }

  /** Ends the oldest receive with this context, if one still waits. */
  cancel(context: unknown): void {
    const receive = this.#queue.cancel(context);
    if (receive === undefined) return;
    this.#end(receive, receive.source, { err: 'FI_ECANCELED', prov_errno: '' });
  }

  /** A message has come. False: no receive waits for it and there is no room to keep it. */
  arrived(incoming: IncomingMessage, source: FiAddr): boolean {
    const { payload } = incoming;
    const message = arrivedMessage(incoming, source, payload);
    const receive = this.#queue.receiveFor(message);
    if (receive !== undefined) {
      this.#deliver(message, receive);
      return true;
    }
    if (!this.#queue.hasRoomForUnexpected) return false;
    // The payload lies in a slot that is about to be posted again.
    this.#queue.keep(arrivedMessage(incoming, source, payload.slice()));
    return true;
  }

  /** A peer is lost: receives that wait for it alone will never complete. */
  lost(peer: FiAddr, outcome: NonNullable<Outcome>): void {
    for (const receive of this.#queue.cancelFrom(peer)) this.#end(receive, peer, outcome);
  }

  /** Drops what came from a peer whose address may be given to another. */
  forget(peer: FiAddr): void {
    this.#queue.forget(peer);
  }

  close(): void {
    this.#isClosed = true;
    this.#copies.close();
  }

  #find(action: PeekRequest['action'], match: Match, context: unknown) {
    if (action === 'peek') return this.#queue.peek(match);
    return action === 'claim' ? this.#queue.claim(match, context) : this.#queue.take(match);
  }

  /** The completion of a look at a message: what it is, without its bytes. */
  #reportWhole(message: ArrivedMessage, context: unknown): void {
    this.#owner.complete(
      received(message, { context, isReported: true }, message.length),
      undefined,
    );
  }

  #deliver(message: ArrivedMessage, receive: PostedReceive): void {
    const { buffer } = receive;
    const { payload, remote } = message;
    const length = Math.min(message.length, receiveLength(buffer));
    if (length === 0) {
      this.#finish(message, receive, length, undefined);
    } else if (remote !== undefined) {
      const finish = (outcome: Outcome) => this.#finish(message, receive, length, outcome);
      this.#fetch(message, remote, buffer, finish);
    } else if (buffer instanceof Uint8Array) {
      buffer.set(length === payload.byteLength ? payload : payload.subarray(0, length));
      this.#finish(message, receive, length, undefined);
    } else {
      const target = { lkey: verbsOf(buffer.mr).lkey, address: buffer.address };
      const finish = (status: IbvWcStatus) =>
        this.#finish(message, receive, length, outcomeOf(status));
      this.#copies.copy(payload.slice(0, length), target, finish);
    }
  }

  /** `length` bytes of a message are in its buffer, or what went wrong. */
  #finish(message: ArrivedMessage, receive: PostedReceive, length: number, outcome: Outcome): void {
    if (this.#isClosed) return;
    const cut = message.length > length ? TRUNCATED : undefined;
    this.#owner.complete(received(message, receive, length), outcome ?? cut);
    this.#acknowledge(message, outcome);
  }

  /** Reads a message that waits at its sender, as far as the buffer has room. */
  #fetch(
    { source, length: total }: ArrivedMessage,
    remote: RemoteMessage,
    buffer: FiReceiveBuffer,
    finish: (outcome: Outcome) => void,
  ): void {
    const connection = this.#owner.connection(source);
    assert(connection !== undefined, 'Expected messages of a peer to be forgotten with it');
    const length = Math.min(total, receiveLength(buffer));
    const { sge, release } = this.#owner.regions.sink(buffer, length);
    const opcode = 'IBV_WR_RDMA_READ';
    const request = {
      opcode,
      sg_list: [sge],
      remote_addr: remote.address,
      rkey: remote.key,
    } as const;
    const ended = (status: IbvWcStatus) => {
      release();
      finish(outcomeOf(status));
    };
    const how = { repeat: 'harmless', isOrdered: false } as const;
    connection.fetch(new SendOperation({ requests: [request], ...how, ended }));
  }

  /** A receive ends without a message. */
  #end(
    { tagged, tag, context }: Pick<PostedReceive, 'tagged' | 'tag' | 'context'>,
    peer: FiAddr,
    outcome: NonNullable<Outcome>,
  ): void {
    const completing = {
      kind: 'recv',
      isTagged: tagged,
      context,
      peer,
      isReported: true,
      length: 0,
      tag,
      data: undefined,
      olen: 0,
    } as const;
    this.#owner.complete(completing, outcome);
  }

  #acknowledge({ source, sequence, wantsAck }: ArrivedMessage, outcome: Outcome): void {
    if (!wantsAck) return;
    this.#owner.connection(source)?.acknowledge(sequence, ackOutcome(outcome));
  }
}

const TRUNCATED: NonNullable<Outcome> = { err: 'FI_ETRUNC', prov_errno: '' };

function arrivedMessage(
  { header, remote }: IncomingMessage,
  source: FiAddr,
  payload: Uint8Array,
): ArrivedMessage {
  const { tagged, tag, data, length, sequence, wantsAck } = header;
  return { source, tagged, tag, data, length, sequence, wantsAck, payload, remote };
}

/** The completion of a receive that has got `length` bytes, or of a look at a message. */
function received(
  { source, tagged, tag, data, length: total }: ArrivedMessage,
  { context, isReported }: Pick<PostedReceive, 'context' | 'isReported'>,
  length: number,
): Completing {
  return {
    kind: 'recv',
    isTagged: tagged,
    context,
    peer: source,
    isReported,
    length,
    tag,
    data,
    olen: total - length,
  };
}

function receiveLength(buffer: FiReceiveBuffer): number {
  return buffer instanceof Uint8Array ? buffer.byteLength : buffer.length;
}

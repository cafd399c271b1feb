/**
 * The posts of hcclSend and hcclRecv: per peer a queue, in which what was answered FI_EAGAIN waits.
 *
 * Receives of messages never take the last of what an endpoint may have posted: two ranks whose receives
 * have left no place for a READY would wait for each other for ever. Each peer has its share; what is
 * beyond waits, and its sender is not told.
 */
import type { Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import { FI_ADDR_UNSPEC, type FiAddr, type FiBuffer, type FiErrno } from '../fabric/fabric.ts';
import { POSTED_RECEIVES_MAX } from '../fabric/match-queue.ts';
import { fi_trecv, fi_tsend, fi_tsendmsg } from '../fabric/tagged.ts';
import { type Message, MessageContext } from './message.ts';
import {
  bytesTag,
  decodeReady,
  encodeReady,
  READY_BYTES,
  READY_TAG,
  type Ready,
} from './ready-message.ts';

/** READYs that are expected per peer at once; the next are taken as soon as one has been read. */
const RECEIVES_PER_PEER = 4;
/** Receives per peer that are not of messages: READYs, and HCCL's control messages. */
const OTHER_RECEIVES_PER_PEER = 2 * RECEIVES_PER_PEER;
/** Queue of posts that concern no peer in particular. */
const ANY = -1;

/** Context of a READY in the completion queue: its sender's, or the receive for one. */
export class ReadyContext {
  readonly kind: 'send' | 'recv';
  readonly bytes: Uint8Array;

  constructor(kind: 'send' | 'recv', bytes: Uint8Array) {
    this.kind = kind;
    this.bytes = bytes;
  }
}

export interface MessageWireInit {
  readonly endpoint: FiEndpoint;
  /** Addresses of all peers by rank. */
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  /** Posting failed for good. */
  failed(what: string, peer: Rank | undefined, error: FiErrno): void;
}

/** Receives of messages of one peer. */
interface Receives {
  posted: number;
  readonly waiting: Message[];
}

interface Post {
  readonly what: () => string;
  /** What libfabric answers. */
  readonly attempt: () => FiErrno | undefined;
}

export class MessageWire {
  readonly #init: MessageWireInit;
  /** What waits, by peer: none of them is empty. */
  readonly #queues = new Map<Rank, Post[]>();
  readonly #receives = new Map<Rank, Receives>();
  /** Receives of messages that one peer may have posted. */
  readonly #share: number;
  #turnedAway = 0;
  #state: 'open' | 'closed' = 'open';

  constructor(init: MessageWireInit) {
    this.#init = init;
    const peers = init.addresses.size;
    const share = Math.floor(POSTED_RECEIVES_MAX / Math.max(1, peers)) - OTHER_RECEIVES_PER_PEER;
    this.#share = Math.max(1, share);
    const receives = peers * RECEIVES_PER_PEER;
    for (let index = 0; index < receives; index++) this.#expectReady(new Uint8Array(READY_BYTES));
  }

  /** Posts that were answered FI_EAGAIN. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** Nothing is posted any more. */
  close(): void {
    this.#state = 'closed';
    this.#queues.clear();
    this.#receives.clear();
  }

  /** Posts the receive of a message, as soon as its peer's share allows, then tells its sender. */
  receive(message: Message): void {
    const { peer } = message.call;
    const receives = this.#receives.get(peer) ?? { posted: 0, waiting: [] };
    this.#receives.set(peer, receives);
    receives.waiting.push(message);
    this.#postReceives(receives);
  }

  /** A receive of a message from `peer` is used up. */
  receiveEnded(peer: Rank): void {
    const receives = this.#receives.get(peer);
    if (receives === undefined) return;
    receives.posted--;
    this.#postReceives(receives);
  }

  #postReceives(receives: Receives): void {
    while (receives.posted < this.#share) {
      const message = receives.waiting.shift();
      if (message === undefined) return;
      receives.posted++;
      this.#postReceive(message);
    }
  }

  #postReceive(message: Message): void {
    const { peer, number, count, dataType } = message.call;
    const { endpoint } = this.#init;
    const address = this.#address(peer);
    const what = () => message.describe();
    const into = bufferOf(message);
    const buffer = into.kind === 'host' ? into.bytes : into;
    this.#post(peer, {
      what,
      attempt: () =>
        fi_trecv(endpoint, buffer, address, bytesTag(number), 0n, new MessageContext(message)),
    });
    const bytes = encodeReady({ number, count, dataType });
    this.#post(peer, {
      what,
      attempt: () =>
        fi_tsend(
          endpoint,
          { kind: 'host', bytes },
          address,
          READY_TAG,
          new ReadyContext('send', bytes),
        ),
    });
  }

  /** Sends the bytes of a message whose receiver is ready; complete once they are delivered. */
  send(message: Message): void {
    const { peer, number } = message.call;
    const dest = this.#address(peer);
    const context = new MessageContext(message);
    const request = { buffer: bufferOf(message), dest, tag: bytesTag(number), context };
    this.#post(peer, {
      what: () => message.describe(),
      attempt: () => fi_tsendmsg(this.#init.endpoint, request, ['FI_DELIVERY_COMPLETE']),
    });
  }

  /** A READY has come: what it says (`undefined`: it is not one), and the next is expected. */
  received({ bytes }: ReadyContext, length: number): Ready | undefined {
    const ready = decodeReady(bytes.subarray(0, length));
    this.#expectReady(bytes);
    return ready;
  }

  /** Tries what waits. */
  resume(): void {
    if (this.#queues.size === 0) return;
    for (const [peer, queue] of [...this.#queues]) this.#flush(peer, queue);
  }

  #expectReady(bytes: Uint8Array): void {
    const { endpoint } = this.#init;
    const context = new ReadyContext('recv', bytes);
    this.#post(ANY, {
      what: () => 'A receive',
      attempt: () => fi_trecv(endpoint, bytes, FI_ADDR_UNSPEC, READY_TAG, 0n, context),
    });
  }

  #post(peer: Rank, post: Post): void {
    const queue = this.#queues.get(peer);
    if (queue !== undefined) queue.push(post);
    else this.#flush(peer, [post]);
  }

  /** Posts what it can; what is left is the peer's queue. */
  #flush(peer: Rank, queue: Post[]): void {
    this.#queues.delete(peer);
    for (let post = queue[0]; post !== undefined; post = queue[0]) {
      if (this.#state === 'closed') return;
      const error = post.attempt();
      if (error === 'FI_EAGAIN') {
        this.#turnedAway++;
        this.#queues.set(peer, queue);
        return;
      }
      queue.shift();
      if (error !== undefined) {
        this.#init.failed(post.what(), peer === ANY ? undefined : peer, error);
        return;
      }
    }
  }

  #address(peer: Rank): FiAddr {
    return defined(this.#init.addresses.get(peer), 'the address of a peer');
  }
}

/** Where the bytes of a message lie; one without any still is a message. */
function bufferOf({ buffer, call }: Message): FiBuffer {
  const { mr, address } = buffer;
  if (mr === undefined) return { kind: 'host', bytes: new Uint8Array() };
  return { kind: 'mr', mr, address, length: call.bytes };
}

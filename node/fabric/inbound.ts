/**
 * The half of a connection that the peer posts to: a queue pair with receives, in which messages and
 * the news of writes land. What the endpoint has no room for stays in its slot; then the peer runs
 * out of credits and is turned away with FI_EAGAIN. Acknowledgements never wait.
 */
import { assert, defined } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import type { CancelTimer } from '../../common/scheduler.ts';
import type { CmConnection, CmPeer } from '../verbs/cm.ts';
import { ibv_poll_cq } from '../verbs/cq.ts';
import { type IbvQp, ibv_post_recv } from '../verbs/qp.ts';
import type { IbvQpCounters } from '../verbs/qp-attributes.ts';
import type { IbvWc } from '../verbs/wc.ts';
import type { IbvRecvWr } from '../verbs/work-request.ts';
import { BounceSlots } from './bounce-slots.ts';
import type { FiDomain } from './domain.ts';
import {
  type AckOutcome,
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  readMessageHeader,
} from './message-header.ts';
import { type IncomingMessage, MessageStream } from './message-stream.ts';
import type { PeerService } from './peer-service.ts';
import { closeQueuePair, openQueuePair, RECV_DEPTH } from './queue-pair.ts';
import { isOfOneRequest } from './send-ledger.ts';
import { readWindowGrant, WINDOW_BODY_BYTES, type WindowGrant } from './window-message.ts';

/**
 * How long a queue pair that has refused a request waits for the peer to replace its own, ms. A peer
 * that misses an answer from before the refusal never hears of it: then this side begins.
 */
export const REPLACE_MS = 1_000;

export interface InboundInit {
  readonly domain: FiDomain;
  readonly service: PeerService;
  /** The peer's `Outbound`. */
  readonly peer: CmPeer;
  /** Completions that may be passed on now. */
  room(): number;
  onCompletion(): void;
  onChange(): void;
  /** False: no receive waits for it and there is no room to keep it. */
  arrived(message: IncomingMessage): boolean;
  /** A write with data has landed. */
  remoteWriteData(data: number, length: number): void;
  acknowledged(sequence: number, outcome: AckOutcome): void;
  /** Whether so many bytes may have been written through a window. */
  mayHaveWritten(length: number): boolean;
  /** The peer would like to map the region with this key. */
  windowWanted(key: number): void;
  /** The peer lets this side map the region with this key, or does not. */
  windowAnswered(key: number, grant: WindowGrant | undefined): void;
  /** The peer does not speak this protocol. */
  violated(): void;
  /** It could not be connected. */
  failed(): void;
}

/** A receive that has completed. */
type Landed =
  | { readonly slot: number; readonly header: MessageHeader; readonly length: number }
  | { readonly slot: number; readonly header: undefined; readonly data: number; length: number };

export class Inbound {
  readonly #init: InboundInit;
  readonly #slots: BounceSlots;
  /** By slot. */
  readonly #receives: readonly IbvRecvWr[];
  readonly #posted = new Set<number>();
  #qp: IbvQp;
  #cm: CmConnection | undefined;
  #state: 'open' | 'closed' = 'open';
  readonly #landed: Landed[] = [];
  /** Complete, and without room. */
  #held: { readonly message: IncomingMessage; readonly slot: number } | undefined;
  readonly #stream = new MessageStream();
  readonly #past: IbvQpCounters[] = [];
  #cancelReplace: CancelTimer | undefined;

  constructor(init: InboundInit) {
    this.#init = init;
    const slots = new BounceSlots(init.domain.pd, RECV_DEPTH, ['IBV_ACCESS_LOCAL_WRITE']);
    this.#slots = slots;
    this.#receives = Array.from({ length: RECV_DEPTH }, (_, slot) => ({
      wr_id: slot,
      sg_list: [slots.sge(slot)],
    }));
    init.service.watch(init.peer, () => this.#restart());
    this.#qp = this.#open();
  }

  /** Of every queue pair that it has had. */
  get counters(): readonly Readonly<IbvQpCounters>[] {
    return [...this.#past, this.#qp.counters];
  }

  get isOpen(): boolean {
    return this.#cm?.state === 'connected';
  }

  /** Nothing that has landed waits for room. */
  get isEmpty(): boolean {
    return this.#landed.length === 0 && this.#held === undefined && this.#qp.recv_cq.length === 0;
  }

  /** A message waits for room among the unexpected ones. */
  get isHeldUp(): boolean {
    return this.#held !== undefined;
  }

  /** Passes on what has landed, as far as there is room. */
  progress(): void {
    if (this.#state === 'closed') return;
    this.#collect();
    while (this.#state === 'open' && this.#init.room() > 0 && this.#passOnNext()) {
      // One message, or one part, per turn.
    }
  }

  /** No frame is accepted from here on. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#cancelReplace?.();
    this.#init.service.unwatch(this.#init.peer);
    this.#closeQueuePair();
    this.#slots.close();
  }

  #open(): IbvQp {
    const { domain, service, peer, onCompletion, onChange, failed } = this.#init;
    const qp = openQueuePair(domain, 'inbound', {
      epoch: service.epoch,
      onCompletion,
      onEvent: (event) => {
        if (event === 'fatal') this.#replaceLater();
        onChange();
      },
    });
    this.#qp = qp;
    while (this.#slots.free > 0) this.#postReceive(this.#slots.take());
    const onSettled = (outcome: 'connected' | 'failed') => {
      if (outcome === 'failed') failed();
    };
    this.#cm = service.connect({ peer, qp, onSettled });
    return qp;
  }

  #replaceLater(): void {
    const { domain, service, peer } = this.#init;
    this.#cancelReplace = domain.nic.scheduler.after(REPLACE_MS, () => {
      if (!isOfOneRequest(this.#qp.failure)) return;
      service.expectReplacement(peer);
      this.#restart();
    });
  }

  /** The peer has replaced its queue pair, or has to. What has landed stays. */
  #restart(): void {
    this.#cancelReplace?.();
    this.#collect();
    this.#past.push({ ...this.#qp.counters });
    this.#closeQueuePair();
    this.#stream.interrupt();
    this.#open();
  }

  #closeQueuePair(): void {
    this.#cm?.close();
    closeQueuePair(this.#qp);
    for (const slot of this.#posted) this.#slots.give(slot);
    this.#posted.clear();
  }

  /** Takes every completion out of verbs, in order. */
  #collect(): void {
    const completions = ibv_poll_cq(this.#qp.recv_cq, RECV_DEPTH);
    assert(!isErrno(completions), 'Expected a queue as long as the receive queue');
    for (const wc of completions) {
      // A flushed receive stays among the posted ones: the next queue pair takes its slot.
      if (wc.status === 'IBV_WC_SUCCESS' && this.#state === 'open') this.#collectOne(wc);
    }
  }

  #collectOne({ wr_id, opcode, byte_len: length, imm_data: data = 0 }: IbvWc): void {
    const slot = Number(wr_id);
    this.#posted.delete(slot);
    if (opcode === 'IBV_WC_RECV_RDMA_WITH_IMM') {
      this.#landed.push({ slot, header: undefined, data, length });
      return;
    }
    const header = readMessageHeader(this.#slots.bytes(slot, length));
    const verdict = header === undefined ? 'violation' : this.#judge(header, length);
    if (header === undefined || verdict === 'violation') {
      this.#slots.give(slot);
      this.#init.violated();
    } else if (verdict === 'repeated') {
      this.#postReceive(slot);
    } else if (header.kind === 'WRITTEN') {
      this.#landed.push({ slot, header: undefined, data: header.data ?? 0, length: header.length });
    } else if (header.kind === 'ACK') {
      this.#postReceive(slot);
      this.#init.acknowledged(header.data ?? 0, header.outcome);
    } else if (header.kind === 'WINDOW' || header.kind === 'WINDOW_WANTED') {
      this.#collectWindow(slot, header);
    } else {
      this.#landed.push({ slot, header, length });
    }
  }

  #judge(header: MessageHeader, length: number): 'new' | 'repeated' | 'violation' {
    const isLie = header.kind === 'WRITTEN' && !this.#init.mayHaveWritten(header.length);
    return isLie ? 'violation' : this.#stream.judge(header, length);
  }

  #collectWindow(slot: number, { kind, data: key = 0, outcome }: MessageHeader): void {
    const isOpen = kind === 'WINDOW' && outcome === 'DONE';
    const length = MESSAGE_HEADER_BYTES + WINDOW_BODY_BYTES;
    const body = this.#slots.bytes(slot, length).subarray(MESSAGE_HEADER_BYTES);
    const grant = isOpen ? readWindowGrant(body) : undefined;
    this.#postReceive(slot);
    if (kind === 'WINDOW_WANTED') this.#init.windowWanted(key);
    else if (isOpen && grant === undefined) this.#init.violated();
    else this.#init.windowAnswered(key, grant);
  }

  /** False: nothing is left, or it has to wait. */
  #passOnNext(): boolean {
    if (this.#held === undefined && !this.#takeNext()) return false;
    if (this.#held === undefined) return true;
    const { message, slot } = this.#held;
    if (!this.#init.arrived(message)) return false;
    this.#held = undefined;
    this.#postReceive(slot);
    return true;
  }

  /** Takes the next receive; it may complete a message. False: there is none. */
  #takeNext(): boolean {
    const landed = this.#landed.shift();
    if (landed === undefined) return false;
    const { slot } = landed;
    if (landed.header === undefined) {
      this.#init.remoteWriteData(landed.data, landed.length);
      this.#postReceive(slot);
      return true;
    }
    const message = this.#stream.assemble(landed.header, this.#slots.bytes(slot, landed.length));
    if (typeof message === 'object') this.#held = { message, slot };
    else this.#postReceive(slot);
    if (message === 'violation') this.#init.violated();
    return true;
  }

  #postReceive(slot: number): void {
    if (this.#state === 'closed') return;
    this.#posted.add(slot);
    const errno = ibv_post_recv(this.#qp, defined(this.#receives[slot], 'the receive of a slot'));
    if (errno !== undefined) {
      assert(false, `Expected room for ${RECV_DEPTH} receives but found ${errno}`);
    }
  }
}

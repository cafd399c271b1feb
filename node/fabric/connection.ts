/**
 * What one endpoint has for one peer: a queue pair, its completion queues, and slots for eager
 * messages. Verbs completions become fabric completions here, as fast as the fabric queue takes them;
 * until then they wait in verbs, where everything is bounded: receives are not posted again, so the
 * peer runs out of credits and is turned away with FI_EAGAIN.
 */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import type { CmConnection, CmPeer, CmService } from '../verbs/cm.ts';
import { ibv_poll_cq } from '../verbs/cq.ts';
import { type IbvQp, ibv_modify_qp, ibv_post_recv, ibv_post_send } from '../verbs/qp.ts';
import type { IbvQpCounters, IbvQpEvent } from '../verbs/qp-attributes.ts';
import type { IbvWc } from '../verbs/wc.ts';
import type { IbvSendWr } from '../verbs/work-request.ts';
import { BounceSlots, SLOT_BYTES } from './bounce-slots.ts';
import type { FiCq } from './cq.ts';
import type { FiDomain } from './domain.ts';
import { FI_ERRNO_OF_ERRNO, fiErrnoOfStatus } from './error-map.ts';
import type { FiAddr, FiBuffer, FiErrno } from './fabric.ts';
import type { ArrivedMessage } from './match-queue.ts';
import {
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  readMessageHeader,
  writeMessageHeader,
} from './message-header.ts';
import { lkeyOf } from './mr.ts';
import { closeQueuePair, openQueuePair, RECV_DEPTH, SEND_DEPTH } from './queue-pair.ts';
import { SendOperation } from './send-operation.ts';

/** Messages under way to one peer: more than its receives are of no use. */
const SEND_SLOTS = RECV_DEPTH;
const SIGNALED = ['IBV_SEND_SIGNALED'] as const;

/** What a connection needs of its endpoint. */
export interface ConnectionOwner {
  readonly domain: FiDomain;
  readonly service: CmService;
  readonly cq: FiCq;
  completed(operation: SendOperation, wc: IbvWc, peer: FiAddr): void;
  remoteWriteData(data: number, length: number, peer: FiAddr): void;
  /** False: no receive waits for it and there is no room to keep it. */
  arrived(message: ArrivedMessage): boolean;
  failed(peer: FiAddr, status: string, error: FiErrno): void;
  /** Whoever was turned away may try again. */
  wake(): void;
}

export interface ConnectionInit {
  readonly owner: ConnectionOwner;
  readonly address: FiAddr;
  readonly peer: CmPeer;
}

type RmaWr = Omit<IbvSendWr, 'wr_id' | 'send_flags'>;

export class Connection {
  readonly address: FiAddr;
  readonly #owner: ConnectionOwner;
  readonly #qp: IbvQp;
  readonly #sendSlots: BounceSlots;
  readonly #receiveSlots: BounceSlots;
  readonly #cm: CmConnection;
  #state: 'open' | 'failed' | 'closed' = 'open';
  /** Posted operations whose completion has not been passed on. */
  #pending = 0;
  #turnedAway = false;
  /** A message that the endpoint had no room for; the next ones wait behind it. */
  #held: IbvWc | undefined;

  constructor({ owner, address, peer }: ConnectionInit) {
    const { domain, service } = owner;
    this.#owner = owner;
    this.address = address;
    this.#qp = openQueuePair(domain, {
      epoch: service.epoch,
      onCompletion: () => this.progress(),
      onEvent: (event) => this.#onQpEvent(event),
    });
    this.#sendSlots = new BounceSlots(domain.pd, SEND_SLOTS, []);
    this.#receiveSlots = new BounceSlots(domain.pd, RECV_DEPTH, ['IBV_ACCESS_LOCAL_WRITE']);
    for (let count = 0; count < RECV_DEPTH; count++) this.#postReceive(this.#receiveSlots.take());
    this.#cm = service.connect({
      peer,
      qp: this.#qp,
      onSettled: (outcome) => {
        if (outcome === 'failed') this.#qp.fail('IBV_WC_RETRY_EXC_ERR');
        this.#turnedAway = true;
        this.progress();
        this.#wake();
      },
    });
  }

  get counters(): Readonly<IbvQpCounters> {
    return this.#qp.counters;
  }

  /** Why the peer is lost, if it is: posting is of no use any more. */
  get error(): FiErrno | undefined {
    const { failure } = this.#qp;
    return failure === undefined ? undefined : fiErrnoOfStatus(failure);
  }

  /** The peer is lost, and everything that came from it before has been passed on. */
  get isLost(): boolean {
    return this.#state === 'failed';
  }

  /** Posts a message. FI_EAGAIN: not connected yet, no credit, or too much is under way. */
  postMessage(header: MessageHeader, buffer: FiBuffer, context: unknown): FiErrno | undefined {
    const refusal = this.#refusal(true, this.#sendSlots.hasFree);
    if (refusal !== undefined) return refusal;
    const slot = this.#sendSlots.take();
    writeMessageHeader(header, this.#sendSlots.bytes(slot));
    const eager = buffer.kind === 'host';
    if (eager) {
      this.#sendSlots.bytes(slot).set(buffer.bytes, MESSAGE_HEADER_BYTES);
    }
    const own = MESSAGE_HEADER_BYTES + (eager ? header.length : 0);
    const sg_list = [this.#sendSlots.sge(slot, own)];
    if (!eager) {
      const { mr, address, length } = buffer;
      sg_list.push({ lkey: lkeyOf(mr), address, length });
    }
    const operation = new SendOperation({ kind: 'send', context, length: 0, slot });
    const error = this.#post(operation, { opcode: 'IBV_WR_SEND', sg_list });
    if (error !== undefined) this.#sendSlots.give(slot);
    return error;
  }

  /** Posts a write or read. FI_EAGAIN as for messages; a credit is needed for data only. */
  postRma(operation: SendOperation, wr: RmaWr): FiErrno | undefined {
    const refusal = this.#refusal(wr.opcode === 'IBV_WR_RDMA_WRITE_WITH_IMM', true);
    return refusal ?? this.#post(operation, wr);
  }

  /** Passes on what has completed, as far as there is room. */
  progress(): void {
    if (this.#state === 'closed') return;
    this.#passOnSends(this.#owner.cq.room);
    this.#passOnReceives();
    this.#settleFailure();
  }

  /** Whether a message waits for room among the unexpected ones. */
  get isHeldUp(): boolean {
    return this.#held !== undefined;
  }

  /** Ends every operation with FI_ECANCELED, then closes. */
  cancel(): void {
    ibv_modify_qp(this.#qp, { qp_state: 'IBV_QPS_ERR' });
    this.#passOnSends(SEND_DEPTH);
    this.close();
  }

  /** Operations vanish; no buffer is touched and no frame accepted from here on. */
  close(): void {
    this.#state = 'closed';
    this.#cm.close();
    closeQueuePair(this.#qp);
    this.#sendSlots.close();
    this.#receiveSlots.close();
  }

  #refusal(needsCredit: boolean, hasSlot: boolean): FiErrno | undefined {
    if (this.error !== undefined) return this.error;
    const { credits } = this.#qp.requester;
    const lacksCredit = needsCredit && credits.available <= 0;
    const connected = this.#cm.state === 'connected';
    if (connected && !lacksCredit && hasSlot && this.#pending < SEND_DEPTH) return undefined;
    if (connected && lacksCredit) credits.want();
    this.#turnedAway = true;
    return 'FI_EAGAIN';
  }

  #post(operation: SendOperation, wr: RmaWr): FiErrno | undefined {
    const errno = ibv_post_send(this.#qp, { ...wr, wr_id: operation, send_flags: SIGNALED });
    if (errno !== undefined) return FI_ERRNO_OF_ERRNO[errno];
    this.#pending++;
    return undefined;
  }

  #passOnSends(limit: number): void {
    const completions = ibv_poll_cq(this.#qp.send_cq, limit);
    assert(!isErrno(completions), 'Expected a queue as long as the send queue');
    for (const wc of completions) {
      const operation = wc.wr_id;
      assert(operation instanceof SendOperation, 'Expected an operation of this connection');
      if (operation.slot !== undefined) this.#sendSlots.give(operation.slot);
      this.#pending--;
      this.#owner.completed(operation, wc, this.address);
    }
    if (completions.length > 0) this.#wake();
  }

  #passOnReceives(): void {
    while (this.#owner.cq.room > 0) {
      const wc = this.#held ?? this.#nextReceive();
      if (wc === undefined) return;
      this.#held = undefined;
      if (!this.#passOnReceive(wc)) {
        this.#held = wc;
        return;
      }
    }
  }

  #nextReceive(): IbvWc | undefined {
    const completions = ibv_poll_cq(this.#qp.recv_cq, 1);
    assert(!isErrno(completions), 'Expected a queue as long as the receive queue');
    return completions[0];
  }

  /** False: the message has to wait. */
  #passOnReceive(wc: IbvWc): boolean {
    if (wc.status !== 'IBV_WC_SUCCESS') return true;
    const slot = Number(wc.wr_id);
    if (wc.opcode === 'IBV_WC_RECV_RDMA_WITH_IMM') {
      this.#owner.remoteWriteData(wc.imm_data ?? 0, wc.byte_len, this.address);
    } else if (!this.#passOnMessage(slot, wc.byte_len)) {
      return false;
    }
    this.#postReceive(slot);
    return true;
  }

  #passOnMessage(slot: number, length: number): boolean {
    const bytes = this.#receiveSlots.bytes(slot, length);
    const header = readMessageHeader(bytes);
    if (header === undefined) {
      // Not an endpoint that speaks this protocol: the connection is of no use.
      this.#qp.fail('IBV_WC_REM_INV_REQ_ERR');
      return true;
    }
    const { tagged, tag } = header;
    const payload = bytes.subarray(MESSAGE_HEADER_BYTES);
    return this.#owner.arrived({ source: this.address, tagged, tag, payload });
  }

  /** The peer is lost, and everything that came before has been passed on. */
  #settleFailure(): void {
    const { failure } = this.#qp;
    if (this.#state !== 'open' || failure === undefined) return;
    if (this.#held !== undefined || this.#qp.send_cq.length + this.#qp.recv_cq.length > 0) return;
    this.#state = 'failed';
    this.#owner.failed(this.address, failure, fiErrnoOfStatus(failure) ?? 'FI_EOTHER');
    this.#owner.wake();
  }

  #wake(): void {
    if (!this.#turnedAway) return;
    this.#turnedAway = false;
    this.#owner.wake();
  }

  #onQpEvent(event: IbvQpEvent): void {
    if (event !== 'fatal') this.#wake();
    else this.#owner.domain.nic.scheduler.soon(() => this.progress());
  }

  #postReceive(slot: number): void {
    const sg_list = [this.#receiveSlots.sge(slot, SLOT_BYTES)];
    const errno = ibv_post_recv(this.#qp, { wr_id: slot, sg_list });
    assert(errno === undefined, `Expected room for ${RECV_DEPTH} receives but found ${errno}`);
  }
}

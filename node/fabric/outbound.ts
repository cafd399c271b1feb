/**
 * The half of a connection that this endpoint posts to: one queue pair toward the peer's `Inbound`.
 * Verbs completions become outcomes of operations here, as fast as the fabric queue has room; until
 * then they wait in verbs, where everything is bounded.
 *
 *   connecting -> open -> (one request fails) -> connecting, on a new queue pair -> open ...
 *   any -> failed (the peer is lost) -> closed
 *
 * A request that fails takes its queue pair out of use, and verbs flush those behind it. Here only the
 * operation that failed ends with an error: the others are posted again, on a new queue pair, unless
 * the peer may have executed them and they must not run twice; those end with FI_ECANCELED.
 */
import { assert } from '../../common/assert.ts';
import { isErrno } from '../../common/errno.ts';
import type { CmConnection, CmPeer } from '../verbs/cm.ts';
import { ibv_poll_cq } from '../verbs/cq.ts';
import { type IbvQp, ibv_modify_qp } from '../verbs/qp.ts';
import type { IbvQpCounters, IbvQpEvent } from '../verbs/qp-attributes.ts';
import type { IbvWcStatus } from '../verbs/wc.ts';
import type { FiDomain } from './domain.ts';
import { fiErrnoOfStatus } from './error-map.ts';
import type { FiErrno } from './fabric.ts';
import { PeerProbe } from './peer-probe.ts';
import type { PeerService } from './peer-service.ts';
import { closeQueuePair, openQueuePair, QUEUE_DEPTH } from './queue-pair.ts';
import { isOfOneRequest, type RepeatScope, SendLedger } from './send-ledger.ts';
import type { SendOperation } from './send-operation.ts';

/** Credits that only acknowledgements of messages may use: they get through when all else waits. */
export const CONTROL_CREDITS = 4;
/** How often in a row a peer may start anew without any operation having ended in between. */
const RESTARTS_MAX = 8;

export interface OutboundInit {
  readonly domain: FiDomain;
  readonly service: PeerService;
  /** Where the peer's `Inbound` is served. */
  readonly peer: CmPeer;
  /** False: posts without credits, and lets the peer be overrun (FI_RM_DISABLED). */
  readonly isManaged: boolean;
  /** Completions that may be passed on now. */
  room(): number;
  /** The peer owes an answer. */
  isAwaiting(): boolean;
  /** Something has completed, outside of any verbs call. */
  onCompletion(): void;
  /** Something has moved, perhaps inside of a verbs call: `progress` is worth calling, later. */
  onChange(): void;
  /** The peer has started anew: it knows nothing of what it was sent. */
  onPeerRestart(): void;
  /** Whoever was turned away may try again. */
  wake(): void;
}

export class Outbound {
  readonly #init: OutboundInit;
  #qp: IbvQp;
  #cm: CmConnection | undefined;
  #state: 'connecting' | 'open' | 'failed' | 'closed' = 'connecting';
  #failure: { readonly status: IbvWcStatus; readonly error: FiErrno } | undefined;
  readonly #ledger = new SendLedger();
  #restarts = 0;
  #isTurnedAway = false;
  #isStarved = false;
  readonly #probe: PeerProbe;
  readonly #past: IbvQpCounters[] = [];
  readonly #whenReopened: (() => void)[] = [];

  constructor(init: OutboundInit) {
    this.#init = init;
    this.#probe = new PeerProbe({
      scheduler: init.domain.nic.scheduler,
      isOwed: () => this.#state === 'open' && (this.#isStarved || init.isAwaiting()),
      post: (probe) => {
        const isIdle = this.#ledger.pending === 0;
        if (isIdle && this.#canPost(probe, 0)) this.#ledger.post(this.#qp, probe);
      },
    });
    init.service.watch(init.peer, () => this.#onPeerRestart());
    this.#qp = this.#open();
  }

  /** Of every queue pair that it has had. */
  get counters(): readonly Readonly<IbvQpCounters>[] {
    return [...this.#past, this.#qp.counters];
  }

  /** Why the peer is lost, if it is. */
  get failure(): { readonly status: IbvWcStatus; readonly error: FiErrno } | undefined {
    return this.#failure;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#ledger.isIdle;
  }

  /** The peer has executed everything that nothing may overtake, and would take more. */
  get isClear(): boolean {
    const { nic } = this.#init.domain;
    if (this.#state !== 'open' || this.#qp.failure !== undefined) return false;
    return this.#ledger.isClear && nic.linkKind(this.#init.peer.nodeId) !== undefined;
  }

  /**
   * Posts an operation. FI_EAGAIN, and nothing has happened: not connected, no credit, or too much is
   * under way. FI_EINVAL: an address that is none.
   */
  post(operation: SendOperation, reserve = CONTROL_CREDITS): FiErrno | undefined {
    if (this.#failure !== undefined) return this.#failure.error;
    const isNext = this.#ledger.again === undefined;
    if (!isNext || !this.#canPost(operation, reserve)) return this.turnAway();
    return this.#ledger.post(this.#qp, operation);
  }

  /** `FI_EAGAIN`; `wake` follows when trying again makes sense. */
  turnAway(): 'FI_EAGAIN' {
    this.#isTurnedAway = true;
    return 'FI_EAGAIN';
  }

  /** Something that others were turned away for has changed. */
  wakeTurnedAway(): void {
    if (!this.#isTurnedAway) return;
    this.#isTurnedAway = false;
    this.#init.onChange();
    this.#init.wake();
  }

  /** Calls `task` when the next queue pair is connected: then no frame of the present one is left. */
  onceReopened(task: () => void): void {
    this.#whenReopened.push(task);
  }

  /** Passes on what has ended, as far as there is room; posts again what has to be. */
  progress(): void {
    if (this.#state === 'closed' || this.#state === 'failed') return;
    // Not everything that ends makes an entry: there may be room for more.
    while (this.#init.room() > 0 && this.#passOn(this.#init.room()) > 0) {
      // As many per turn as there was room for.
    }
    const cause = this.#qp.failure;
    if (cause !== undefined && this.#ledger.pending === 0) {
      if (isOfOneRequest(cause)) this.#restart();
      else this.fail(cause, fiErrnoOfStatus(cause) ?? 'FI_EOTHER');
    }
    this.#postAgain();
    this.#probe.watch();
  }

  /** The peer is lost: every operation ends. */
  fail(status: IbvWcStatus, error: FiErrno): void {
    if (this.#failure !== undefined || this.#state === 'closed') return;
    this.#failure = { status, error };
    this.#flush(status, 'nothing');
    this.#state = 'failed';
    this.#probe.stop();
    this.wakeTurnedAway();
  }

  /** Ends every operation with FI_ECANCELED, then closes. */
  cancel(): void {
    if (this.#state === 'closed') return;
    this.#flush('IBV_WC_WR_FLUSH_ERR', 'nothing');
    this.close();
  }

  /** Operations vanish; no buffer is touched from here on. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#probe.stop();
    this.#init.service.unwatch(this.#init.peer);
    this.#cm?.close();
    closeQueuePair(this.#qp);
  }

  #open(): IbvQp {
    const { domain, service, peer, onCompletion, onChange } = this.#init;
    const qp = openQueuePair(domain, 'outbound', {
      epoch: service.epoch,
      onCompletion,
      onEvent: (event) => this.#onQpEvent(event),
    });
    this.#qp = qp;
    this.#ledger.restart();
    this.#state = 'connecting';
    this.#cm = service.connect({
      peer,
      qp,
      onSettled: (outcome) => {
        if (outcome === 'failed') this.fail('IBV_WC_RETRY_EXC_ERR', 'FI_EHOSTUNREACH');
        else this.#opened();
        this.#isTurnedAway = true;
        onChange();
        this.wakeTurnedAway();
      },
    });
    return qp;
  }

  #opened(): void {
    this.#state = 'open';
    for (const task of this.#whenReopened.splice(0)) task();
  }

  #replaceQueuePair(): void {
    this.#probe.stop();
    this.#cm?.close();
    this.#past.push({ ...this.#qp.counters });
    closeQueuePair(this.#qp);
    this.#open();
  }

  #restart(): void {
    this.#init.service.expectReplacement(this.#init.peer);
    this.#replaceQueuePair();
  }

  /** Whether the peer has executed what is under way cannot be known any more. */
  #onPeerRestart(): void {
    if (this.#restarts === RESTARTS_MAX) {
      this.fail('IBV_WC_RETRY_EXC_ERR', 'FI_ECONNABORTED');
      return;
    }
    this.#restarts++;
    this.#flush('IBV_WC_WR_FLUSH_ERR', 'harmless');
    this.#init.onPeerRestart();
    this.#replaceQueuePair();
  }

  /** Ends every operation outside of `scope`; the first that should be posted again with `status`. */
  #flush(status: IbvWcStatus, scope: RepeatScope): void {
    if (this.#qp.state !== 'IBV_QPS_ERR') ibv_modify_qp(this.#qp, { qp_state: 'IBV_QPS_ERR' });
    this.#passOn(QUEUE_DEPTH, scope);
    let cause = status;
    for (const operation of this.#ledger.takeAgain(scope)) {
      operation.ended(cause);
      cause = 'IBV_WC_WR_FLUSH_ERR';
    }
  }

  #canPost(operation: SendOperation, reserve: number): boolean {
    if (this.#state !== 'open' || this.#qp.failure !== undefined) return false;
    if (!this.#ledger.hasRoom(operation)) return false;
    const { receives } = operation;
    return receives === 0 || !this.#init.isManaged || this.#hasCredits(receives + reserve);
  }

  #hasCredits(needed: number): boolean {
    const { credits } = this.#qp.requester;
    if (credits.available >= needed) return true;
    this.#isStarved = true;
    this.#probe.watch();
    return false;
  }

  #postAgain(): void {
    for (let next = this.#ledger.again; next !== undefined; next = this.#ledger.again) {
      if (!this.#canPost(next, 0)) return;
      const error = this.#ledger.post(this.#qp, next);
      assert(error === undefined, `Expected what was posted once to be taken but found ${error}`);
    }
  }

  /** Takes up to `limit` completions; how many there were. */
  #passOn(limit: number, scope: RepeatScope = 'afterFailure'): number {
    const completions = ibv_poll_cq(this.#qp.send_cq, Math.min(limit, QUEUE_DEPTH));
    assert(!isErrno(completions), 'Expected a queue as long as the send queue');
    for (const completion of completions) {
      const operation = this.#ledger.complete(this.#qp, completion, scope);
      if (operation === undefined) continue;
      if (operation.status !== 'IBV_WC_WR_FLUSH_ERR') this.#restarts = 0;
      operation.ended(operation.status);
    }
    if (completions.length > 0) this.wakeTurnedAway();
    return completions.length;
  }

  /** From inside the NIC: no verbs call here. */
  #onQpEvent(event: IbvQpEvent): void {
    if (event === 'credits') this.#isStarved = false;
    if (event === 'fatal') this.#init.onChange();
    else this.wakeTurnedAway();
  }
}

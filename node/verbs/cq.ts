/**
 * Completion queues (`struct ibv_cq`; ibv_create_cq(3), ibv_poll_cq(3), ibv_resize_cq(3),
 * ibv_req_notify_cq(3)). First in, first out.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { IbvContext } from './context.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvQp } from './qp.ts';
import type { IbvWc } from './wc.ts';

/**
 * When a reader is told: `automatic`, whenever the queue has become non-empty; `armed`, once after
 * each ibv_req_notify_cq, by the next completion.
 */
export type IbvCqNotify = 'automatic' | 'armed';

export class IbvCq {
  readonly context: IbvContext;
  /** Queue pairs that complete here; each once per direction. */
  readonly users = new Set<IbvQp>();
  readonly #onCompletion: () => void;
  readonly #notifyMode: IbvCqNotify;
  #cqe: number;
  #entries: IbvWc[] = [];
  #state: 'live' | 'overrun' = 'live';
  /** Automatic: the reader has been told. Armed: nobody asked to be told. */
  #silent: boolean;

  constructor(
    context: IbvContext,
    cqe: number,
    onCompletion: () => void,
    notify: IbvCqNotify = 'automatic',
  ) {
    this.context = context;
    this.#cqe = cqe;
    this.#onCompletion = onCompletion;
    this.#notifyMode = notify;
    this.#silent = notify === 'armed';
  }

  /** How many completions it holds. One more is an overrun, which ends the queue. */
  get cqe(): number {
    return this.#cqe;
  }

  get state(): 'live' | 'overrun' {
    return this.#state;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Appends a completion. Overrun: the queue is dead, and its queue pairs with it. */
  push(completion: IbvWc): void {
    if (this.#state === 'overrun') return;
    if (this.#entries.length < this.#cqe) {
      this.#entries.push(completion);
    } else {
      this.#state = 'overrun';
      this.context.asyncEvents.push({ event_type: 'IBV_EVENT_CQ_ERR', element: this });
      for (const qp of [...this.users]) {
        qp.raise('IBV_EVENT_QP_FATAL');
        qp.fail('IBV_WC_LOC_QP_OP_ERR');
      }
    }
    this.#notify();
  }

  take(max: number): IbvWc[] {
    const all = max >= this.#entries.length;
    const taken = all ? this.#entries : this.#entries.splice(0, max);
    if (all) this.#entries = [];
    this.#rearm();
    return taken;
  }

  /** Drops the completions of a queue pair that is gone. */
  purge(qpn: number): void {
    this.#entries = this.#entries.filter((entry) => entry.qp_num !== qpn);
    this.#rearm();
  }

  resize(cqe: number): void {
    this.#cqe = cqe;
  }

  /** The next completion is told. */
  arm(): void {
    assert(this.#notifyMode === 'armed', 'Expected a queue whose reader asks to be told');
    this.#silent = false;
  }

  #rearm(): void {
    if (this.#notifyMode === 'automatic' && this.#entries.length === 0) this.#silent = false;
  }

  #notify(): void {
    if (this.#silent) return;
    this.#silent = true;
    this.context.nic.scheduler.soon(() => {
      if (this.context.cqs.has(this)) this.#onCompletion();
    });
  }
}

/**
 * Makes a queue for `cqe` completions. `onCompletion` is called, outside of any verbs call, when it
 * has become non-empty (or has died), and not again until a reader has emptied it; with `armed`, as
 * often as ibv_req_notify_cq asks for it. EINVAL: `cqe` is not in 1..max_cqe.
 */
export function ibv_create_cq(
  context: IbvContext,
  cqe: number,
  onCompletion: () => void,
  notify: IbvCqNotify = 'automatic',
): IbvCq | Errno {
  if (!isSize(cqe)) return 'EINVAL';
  assert(context.nic.contexts.has(context), 'Expected an open device');
  const cq = new IbvCq(context, cqe, onCompletion, notify);
  context.cqs.add(cq);
  return cq;
}

/** Takes up to `max` completions. EIO: the queue has been overrun; entries may have been lost. */
export function ibv_poll_cq(cq: IbvCq, max: number): IbvWc[] | Errno {
  return cq.state === 'overrun' ? 'EIO' : cq.take(max);
}

/**
 * Has the reader of an `armed` queue told of the next completion, once. Completions that are there
 * already do not count: poll after arming.
 */
export function ibv_req_notify_cq(cq: IbvCq): void {
  cq.arm();
}

/** EINVAL: not in 1..max_cqe, or fewer than the completions that wait in it; nothing has changed. */
export function ibv_resize_cq(cq: IbvCq, cqe: number): Errno | undefined {
  if (!isSize(cqe) || cqe < cq.length) return 'EINVAL';
  cq.resize(cqe);
  return undefined;
}

/** EBUSY: a queue pair still completes here. */
export function ibv_destroy_cq(cq: IbvCq): Errno | undefined {
  if (cq.users.size > 0) return 'EBUSY';
  assert(cq.context.cqs.delete(cq), 'Expected the completion queue to be there');
  cq.context.asyncEvents.purge(cq);
  return undefined;
}

function isSize(cqe: number): boolean {
  return Number.isInteger(cqe) && cqe >= 1 && cqe <= NIC_LIMITS.max_cqe;
}

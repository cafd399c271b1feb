/** Completion queues (`struct ibv_cq`; ibv_create_cq(3), ibv_poll_cq(3)). First in, first out. */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { IbvContext } from './context.ts';
import { NIC_LIMITS } from './limits.ts';
import type { IbvQp } from './qp.ts';
import type { IbvWc } from './wc.ts';

export class IbvCq {
  readonly context: IbvContext;
  /** How many completions it holds. One more is an overrun, which ends the queue. */
  readonly cqe: number;
  /** Queue pairs that complete here; each once per direction. */
  readonly users = new Set<IbvQp>();
  readonly #onCompletion: () => void;
  #entries: IbvWc[] = [];
  #state: 'live' | 'overrun' = 'live';
  #notified = false;

  constructor(context: IbvContext, cqe: number, onCompletion: () => void) {
    this.context = context;
    this.cqe = cqe;
    this.#onCompletion = onCompletion;
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
    if (this.#entries.length < this.cqe) {
      this.#entries.push(completion);
    } else {
      this.#state = 'overrun';
      for (const qp of [...this.users]) qp.fail('IBV_WC_LOC_QP_OP_ERR');
    }
    this.#notify();
  }

  take(max: number): IbvWc[] {
    const taken = this.#entries.splice(0, max);
    if (this.#entries.length === 0) this.#notified = false;
    return taken;
  }

  /** Drops the completions of a queue pair that is gone. */
  purge(qpn: number): void {
    this.#entries = this.#entries.filter((entry) => entry.qp_num !== qpn);
    if (this.#entries.length === 0) this.#notified = false;
  }

  #notify(): void {
    if (this.#notified) return;
    this.#notified = true;
    this.context.nic.scheduler.soon(() => {
      if (this.context.cqs.has(this)) this.#onCompletion();
    });
  }
}

/**
 * Makes a queue for `cqe` completions. `onCompletion` is called, outside of any verbs call, when it
 * has become non-empty (or has died), and not again until a reader has emptied it. EINVAL: `cqe` is
 * not in 1..max_cqe.
 */
export function ibv_create_cq(
  context: IbvContext,
  cqe: number,
  onCompletion: () => void,
): IbvCq | Errno {
  if (!Number.isInteger(cqe) || cqe < 1 || cqe > NIC_LIMITS.max_cqe) return 'EINVAL';
  assert(context.nic.contexts.has(context), 'Expected an open device');
  const cq = new IbvCq(context, cqe, onCompletion);
  context.cqs.add(cq);
  return cq;
}

/** Takes up to `max` completions. EIO: the queue has been overrun; entries may have been lost. */
export function ibv_poll_cq(cq: IbvCq, max: number): IbvWc[] | Errno {
  return cq.state === 'overrun' ? 'EIO' : cq.take(max);
}

/** EBUSY: a queue pair still completes here. */
export function ibv_destroy_cq(cq: IbvCq): Errno | undefined {
  if (cq.users.size > 0) return 'EBUSY';
  assert(cq.context.cqs.delete(cq), 'Expected the completion queue to be there');
  return undefined;
}

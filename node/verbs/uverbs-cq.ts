/** A completion queue of a user process: polling it may wait. */
import { type Errno, isErrno } from '../../common/errno.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { IbvContext } from './context.ts';
import { type IbvCq, ibv_create_cq, ibv_destroy_cq, ibv_poll_cq } from './cq.ts';
import { WaitQueue } from './uverbs-wait.ts';
import type { IbvWc } from './wc.ts';

export class UverbsCq {
  readonly cq: IbvCq;
  readonly #waiting: WaitQueue;

  constructor(cq: IbvCq, waiting: WaitQueue) {
    this.cq = cq;
    this.#waiting = waiting;
  }

  /**
   * Takes up to `max` completions; while there is none, waits for one at most `timeoutMs`. EAGAIN:
   * too many wait already; EINTR: the caller has ended or the queue is gone; EIO: overrun.
   */
  async poll(caller: SimProcess, max: number, timeoutMs: number): Promise<IbvWc[] | Errno> {
    const { scheduler } = this.cq.context.nic;
    const deadlineMs = scheduler.clock.now() + timeoutMs;
    for (;;) {
      const taken = ibv_poll_cq(this.cq, max);
      const leftMs = deadlineMs - scheduler.clock.now();
      if (isErrno(taken) || taken.length > 0 || leftMs <= 0) return taken;
      if (this.#waiting.isFull) return 'EAGAIN';
      const end = await this.#waiting.wait(caller, scheduler, leftMs);
      if (end === 'interrupted') return 'EINTR';
      if (end === 'timedOut') return ibv_poll_cq(this.cq, max);
    }
  }

  /** EBUSY: a queue pair completes here, or a call waits. */
  destroy(): Errno | undefined {
    return this.#waiting.isEmpty ? ibv_destroy_cq(this.cq) : 'EBUSY';
  }

  /** Ends every wait: the file is about to close. */
  interrupt(): void {
    this.#waiting.close();
  }
}

/** EINVAL: `cqe` is not in 1..max_cqe. */
export function createUverbsCq(context: IbvContext, cqe: number): UverbsCq | Errno {
  const waiting = new WaitQueue();
  const cq = ibv_create_cq(context, cqe, () => waiting.wake());
  return isErrno(cq) ? cq : new UverbsCq(cq, waiting);
}

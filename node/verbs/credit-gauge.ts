/**
 * End-to-end credits as the requester sees them: how many messages that consume a receive the peer
 * has room for (InfiniBand: the credit count of an AETH). The peer reports the number of receives it
 * has posted in all, so a lost report is made good by the next one; whoever waits for credits while
 * nothing else flows asks for a report from time to time.
 */
import type { CancelTimer } from '../../common/scheduler.ts';
import { psnAdd, psnDistance } from './psn.ts';
import type { IbvQp } from './qp.ts';

/** How often a requester without credits asks for a report. */
export const CREDIT_PROBE_MS = 100;

export class CreditGauge {
  readonly #qp: IbvQp;
  readonly #probe: () => void;
  #granted = 0;
  #consumed = 0;
  #cancelProbe: CancelTimer | undefined;

  constructor(qp: IbvQp, probe: () => void) {
    this.#qp = qp;
    this.#probe = probe;
  }

  /** How many more messages may be sent. */
  get available(): number {
    return psnDistance(this.#granted, this.#consumed);
  }

  /** A message that consumes a receive has been posted. */
  consume(): void {
    this.#consumed = psnAdd(this.#consumed, 1);
  }

  /** The peer says that it has posted `total` receives since the start, modulo 2^32. */
  grant(total: number): void {
    if (psnDistance(total, this.#granted) <= 0) return;
    this.#granted = total;
    this.#stop();
    this.#qp.event('credits');
  }

  /** Someone was turned away for want of a credit: asks until there is one. */
  want(): void {
    if (this.available > 0 || this.#cancelProbe !== undefined) return;
    this.#cancelProbe = this.#qp.context.nic.scheduler.after(CREDIT_PROBE_MS, () => {
      this.#cancelProbe = undefined;
      if (this.#qp.state !== 'IBV_QPS_RTS' && this.#qp.state !== 'IBV_QPS_SQD') return;
      this.#probe();
      this.want();
    });
  }

  linkUp(): void {
    if (this.#cancelProbe !== undefined) this.#probe();
  }

  reset(): void {
    this.#stop();
    this.#granted = 0;
    this.#consumed = 0;
  }

  #stop(): void {
    this.#cancelProbe?.();
    this.#cancelProbe = undefined;
  }
}

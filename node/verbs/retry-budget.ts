/** How often a requester may still try again since it last heard something (`retry_cnt`, `rnr_retry`). */
import type { QpAttributes } from './qp-attributes.ts';

/** `rnr_retry` without end. */
const RNR_RETRY_FOR_EVER = 7;

export class RetryBudget {
  #left = 0;
  #rnrLeft = 0;

  /** Something was heard. */
  refill({ retry_cnt, rnr_retry }: QpAttributes): void {
    this.#left = retry_cnt;
    this.#rnrLeft = rnr_retry === RNR_RETRY_FOR_EVER ? Number.POSITIVE_INFINITY : rnr_retry;
  }

  /** After a loss. False: none is left. */
  take(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }

  /** After the peer was not ready. False: none is left. */
  takeRnr(): boolean {
    if (this.#rnrLeft === 0) return false;
    this.#rnrLeft--;
    return true;
  }
}

/**
 * Signs of life of a peer that owes something: an acknowledgement of a message, or credits. It is asked
 * now and then, by an empty write: that reaches nothing and needs no key, but the peer's queue pair
 * must answer. The answer brings the peer's credits; none at all means that the peer is lost.
 */
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import { SendOperation } from './send-operation.ts';

/** How often it is asked, ms. */
export const PROBE_MS = 250;

const EMPTY_WRITE = {
  opcode: 'IBV_WR_RDMA_WRITE',
  sg_list: [],
  remote_addr: 0,
  rkey: 0,
} as const;

export interface PeerProbeInit {
  readonly scheduler: Scheduler;
  /** The peer owes something. */
  isOwed(): boolean;
  /** Posts the probe, if nothing is under way anyway. */
  post(probe: SendOperation): void;
}

export class PeerProbe {
  readonly #init: PeerProbeInit;
  #cancel: CancelTimer | undefined;

  constructor(init: PeerProbeInit) {
    this.#init = init;
  }

  /** Asks from now on, for as long as something is owed. */
  watch(): void {
    if (this.#cancel !== undefined || !this.#init.isOwed()) return;
    this.#cancel = this.#init.scheduler.after(PROBE_MS, () => {
      this.#cancel = undefined;
      if (!this.#init.isOwed()) return;
      const ended = () => undefined;
      this.#init.post(new SendOperation({ requests: [EMPTY_WRITE], repeat: 'harmless', ended }));
      this.watch();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

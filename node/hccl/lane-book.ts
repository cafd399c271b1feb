/** The kept lanes of one communicator, and which lanes have a credit to announce. */
import type { Rank } from '../../collectives/schedule.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { InboundLane, LANES_MAX, OutboundLane } from './lanes.ts';

export class LaneBook {
  readonly #inbound = new Map<number, InboundLane>();
  readonly #outbound = new Map<number, OutboundLane>();
  readonly #dirty = new Set<number>();
  readonly #scheduler: Scheduler;
  readonly #flush: () => void;
  #flushing: 'idle' | 'scheduled' = 'idle';

  /** `flush` is called once per turn in which lanes became dirty. */
  constructor(scheduler: Scheduler, flush: () => void) {
    this.#scheduler = scheduler;
    this.#flush = flush;
  }

  inbound(peer: Rank, lane: number): InboundLane {
    const key = peer * LANES_MAX + lane;
    const known = this.#inbound.get(key) ?? new InboundLane();
    this.#inbound.set(key, known);
    return known;
  }

  outbound(peer: Rank, lane: number): OutboundLane {
    const key = peer * LANES_MAX + lane;
    const known = this.#outbound.get(key) ?? new OutboundLane();
    this.#outbound.set(key, known);
    return known;
  }

  /** The lane's sender has something new to learn. */
  markDirty(peer: Rank, lane: number): void {
    this.#dirty.add(peer * LANES_MAX + lane);
    if (this.#flushing === 'scheduled') return;
    this.#flushing = 'scheduled';
    this.#scheduler.soon(() => {
      this.#flushing = 'idle';
      this.#flush();
    });
  }

  /** Hands each dirty lane to `announce`; it stays dirty if that answers `false`. */
  announceDirty(announce: (peer: Rank, lane: number) => boolean): void {
    for (const key of this.#dirty) {
      const lane = key % LANES_MAX;
      if (announce((key - lane) / LANES_MAX, lane)) this.#dirty.delete(key);
    }
  }
}

/** All lanes of one communicator, and which of them have a credit to announce. */
import type { Rank } from '../../collectives/schedule.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import { CHANNELS_MAX, InboundLane, OutboundLane } from './lanes.ts';

export interface LaneId {
  readonly peer: Rank;
  readonly channel: number;
}

export class LaneBook {
  readonly #inbound = new Map<number, InboundLane>();
  readonly #outbound = new Map<number, OutboundLane>();
  readonly #dirty = new Map<number, LaneId>();
  readonly #scheduler: Scheduler;
  readonly #flush: () => void;
  #flushing: 'idle' | 'scheduled' = 'idle';

  /** `flush` is called once per turn in which lanes became dirty. */
  constructor(scheduler: Scheduler, flush: () => void) {
    this.#scheduler = scheduler;
    this.#flush = flush;
  }

  inbound(id: LaneId): InboundLane {
    return laneOf(this.#inbound, id, () => new InboundLane());
  }

  outbound(id: LaneId): OutboundLane {
    return laneOf(this.#outbound, id, () => new OutboundLane());
  }

  /** The lane's sender has something new to learn. */
  markDirty(id: LaneId): void {
    this.#dirty.set(keyOf(id), id);
    if (this.#flushing === 'scheduled') return;
    this.#flushing = 'scheduled';
    this.#scheduler.soon(() => {
      this.#flushing = 'idle';
      this.#flush();
    });
  }

  /** Hands each dirty lane to `announce`; it stays dirty if that answers `false`. */
  announceDirty(announce: (id: LaneId, lane: InboundLane) => boolean): void {
    for (const [key, id] of [...this.#dirty]) {
      if (announce(id, this.inbound(id))) this.#dirty.delete(key);
    }
  }
}

function keyOf({ peer, channel }: LaneId): number {
  return peer * CHANNELS_MAX + channel;
}

function laneOf<T>(lanes: Map<number, T>, id: LaneId, make: () => T): T {
  const key = keyOf(id);
  let lane = lanes.get(key);
  if (lane === undefined) {
    lane = make();
    lanes.set(key, lane);
  }
  return lane;
}

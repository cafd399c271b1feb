/** How long each host has been silent: the failure detector, once per connection. */
import { defined } from '../common/assert.ts';
import type { PeerId } from './effect.ts';
import {
  colour,
  heard,
  type Liveness,
  look,
  nextLookMs,
  startWatching,
} from './failure-detector.ts';

export class HostWatch {
  readonly #hosts = new Map<PeerId, Liveness>();

  start(peer: PeerId, now: number): void {
    this.#hosts.set(peer, startWatching(now));
  }

  stop(peer: PeerId): void {
    this.#hosts.delete(peer);
  }

  /** A message of the host has arrived. */
  heard(peer: PeerId, now: number): void {
    this.#hosts.set(peer, heard(this.of(peer), now));
  }

  /** Looks at the host; whether its silence means death. */
  isDead(peer: PeerId, now: number): boolean {
    const liveness = look(this.of(peer), now);
    this.#hosts.set(peer, liveness);
    return colour(liveness, now) === 'red';
  }

  of(peer: PeerId): Liveness {
    return defined(this.#hosts.get(peer), `the liveness of ${peer}`);
  }

  /** When to look next at each. */
  deadlinesMs(): number[] {
    return [...this.#hosts.values()].map(nextLookMs);
  }
}

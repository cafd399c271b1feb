/**
 * How all ranks of a communicator come to the same about a path for their programs' threads: each says at its
 * hello whether it can take it, and once it has made, or could not make, what the path needs. It is taken if
 * every rank has.
 */
import type { Rank } from '../../../collectives/schedule.ts';
import { type Deferred, deferred } from '../../../common/deferred.ts';

export class PathAgreement {
  readonly peers: readonly Rank[];
  readonly #rank: Rank;
  readonly #able = new Set<Rank>();
  /** By rank, whether it has made what the path needs. */
  readonly #verdicts = new Map<Rank, 'made' | 'refused'>();
  readonly #settled: Deferred<void> = deferred();

  constructor(rank: Rank, nranks: number) {
    this.#rank = rank;
    const ranks = Array.from({ length: nranks }, (_, one) => one);
    this.peers = ranks.filter((one) => one !== rank);
  }

  /** A peer can take the path. */
  able(peer: Rank): void {
    this.#able.add(peer);
  }

  /** Peers that have not said that they can. */
  get unable(): readonly Rank[] {
    return this.peers.filter((peer) => !this.#able.has(peer));
  }

  /** This rank has said its word. */
  get isSaid(): boolean {
    return this.#verdicts.has(this.#rank);
  }

  verdict(rank: Rank, verdict: 'made' | 'refused'): void {
    this.#verdicts.set(rank, verdict);
    if (this.#verdicts.size === this.peers.length + 1) this.#settled.resolve();
  }

  /** Resolves to whether the path is taken, when every rank has said its word, or nobody waits any more. */
  async outcome(): Promise<'made' | 'refused'> {
    await this.#settled.promise;
    const isUnanimous = [...this.#verdicts.values()].every((verdict) => verdict === 'made');
    return isUnanimous ? 'made' : 'refused';
  }

  /** Nobody waits for the others any more. */
  end(): void {
    this.#settled.resolve();
  }
}

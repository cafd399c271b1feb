/**
 * What peers sent for an operation that this rank has not started yet. A peer can be one operation
 * ahead, because it ends one only after our header for it; so every store here is bounded.
 */
import type { Rank } from '../../collectives/schedule.ts';
import type { Credit } from './control-message.ts';
import { LANES_MAX, SLOTS_PER_LANE } from './lanes.ts';
import type { Header } from './operation-header.ts';

/** Headers of one peer that may wait. */
const HEADERS_MAX = 2;

export interface EarlyData {
  readonly peer: Rank;
  readonly lane: number;
  /** Low bits of the operation's number. */
  readonly sequence: number;
}

interface From<T> {
  readonly peer: Rank;
  readonly message: T;
}

export class EarlyArrivals {
  #headers: From<Header>[] = [];
  /** The newest credit of each lane. */
  readonly #credits = new Map<number, From<Credit>>();
  #data: EarlyData[] = [];

  /** `false`: more than a peer that keeps the protocol can send. */
  keepHeader(peer: Rank, message: Header): boolean {
    const kept = this.#headers.filter((one) => one.peer === peer).length;
    if (kept >= HEADERS_MAX) return false;
    this.#headers.push({ peer, message });
    return true;
  }

  /** Headers of operation `sequence`, in the order in which they came. */
  takeHeaders(sequence: number): readonly From<Header>[] {
    if (this.#headers.length === 0) return this.#headers;
    const found = this.#headers.filter(({ message }) => message.sequence === sequence);
    this.#headers = this.#headers.filter(({ message }) => message.sequence !== sequence);
    return found;
  }

  keepCredit(peer: Rank, message: Credit): void {
    this.#credits.set(peer * LANES_MAX + message.lane, { peer, message });
  }

  /** Credits that grant places of operation `sequence`. */
  takeCredits(sequence: number): readonly From<Credit>[] {
    const found: From<Credit>[] = [];
    for (const [lane, credit] of this.#credits) {
      if (credit.message.sequence !== sequence) continue;
      found.push(credit);
      this.#credits.delete(lane);
    }
    return found;
  }

  /** `false`: more than there are slots. */
  keepData(data: EarlyData): boolean {
    const { peer, lane } = data;
    const kept = this.#data.filter((one) => one.peer === peer && one.lane === lane).length;
    if (kept >= SLOTS_PER_LANE) return false;
    this.#data.push(data);
    return true;
  }

  /** All data that waits, in order of arrival; what is still early must be kept again. */
  takeData(): readonly EarlyData[] {
    const all = this.#data;
    if (all.length > 0) this.#data = [];
    return all;
  }
}

/**
 * What peers sent for an operation that this rank has not started yet. A peer can be one operation
 * ahead, because it ends one only after our header for it; so every store here is bounded.
 */
import type { Rank } from '../../collectives/schedule.ts';
import type { ControlMessage } from './control-message.ts';
import { CHANNELS_MAX, SLOTS_PER_LANE } from './lanes.ts';

export type Header = ControlMessage & { readonly kind: 'HEADER' };
export type Credit = ControlMessage & { readonly kind: 'CREDIT' };

/** Headers of one peer that may wait. */
const HEADERS_MAX = 2;

export interface EarlyData {
  readonly peer: Rank;
  readonly channel: number;
  /** Low bits of the operation's number. */
  readonly sequence: number;
}

export class EarlyArrivals {
  readonly #headers = new Map<Rank, Header[]>();
  /** The newest credit of each lane. */
  readonly #credits = new Map<number, { readonly peer: Rank; readonly credit: Credit }>();
  readonly #data = new Map<number, EarlyData[]>();

  /** `false`: more than a peer that keeps the protocol can send. */
  keepHeader(peer: Rank, header: Header): boolean {
    const kept = this.#headers.get(peer) ?? [];
    if (kept.length >= HEADERS_MAX) return false;
    this.#headers.set(peer, [...kept, header]);
    return true;
  }

  takeHeader(peer: Rank, sequence: number): Header | undefined {
    const kept = this.#headers.get(peer) ?? [];
    const header = kept.find((one) => one.sequence === sequence);
    this.#headers.set(
      peer,
      kept.filter((one) => one !== header),
    );
    return header;
  }

  keepCredit(peer: Rank, credit: Credit): void {
    this.#credits.set(peer * CHANNELS_MAX + credit.channel, { peer, credit });
  }

  /** Credits that grant places of operation `sequence`. */
  takeCredits(sequence: number): { readonly peer: Rank; readonly credit: Credit }[] {
    const found = [...this.#credits].filter(([, { credit }]) => credit.sequence === sequence);
    for (const [lane] of found) this.#credits.delete(lane);
    return found.map(([, credit]) => credit);
  }

  /** `false`: more than there are slots. */
  keepData(data: EarlyData): boolean {
    const lane = data.peer * CHANNELS_MAX + data.channel;
    const kept = this.#data.get(lane) ?? [];
    if (kept.length >= SLOTS_PER_LANE) return false;
    this.#data.set(lane, [...kept, data]);
    return true;
  }

  /** All data that waits, in order of arrival per lane; what is still early must be kept again. */
  takeData(): EarlyData[] {
    const all = [...this.#data.values()].flat();
    this.#data.clear();
    return all;
  }
}

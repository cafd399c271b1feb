/** What the verifier finds wrong. */
import type { StepAddress } from '../interpret.ts';

export type FindingKind =
  /** A program or step is not one: missing fields, unknown ranks, places outside a buffer. */
  | 'malformed'
  /** A connection's ends differ in what or how many messages they exchange. */
  | 'disagreement'
  /** A message that nobody takes, or a receive that nobody sends to. */
  | 'unmatched'
  /** Two chunks of different size, or of different data, meet. */
  | 'mismatch'
  /** A step takes what nobody has stored. */
  | 'uninitialised'
  /** Two steps touch a place, one writes, and nothing orders them. */
  | 'race'
  /** Steps wait for each other. */
  | 'deadlock'
  /** The end is not what the collective promises. */
  | 'postcondition';

export interface Finding {
  readonly kind: FindingKind;
  /** One sentence with everything below. */
  readonly message: string;
  readonly rank?: number;
  readonly channel?: number;
  readonly step?: number;
  /** Chunk of the buffer that the message names. */
  readonly chunk?: number;
}

/** Findings kept; one mistake can show at every later step, and the first ones tell. */
export const FINDINGS_MAX = 100;

/** Where a finding is: a step and a chunk, or less. */
export type Where = Partial<StepAddress> & { readonly chunk?: number };

export class Findings {
  readonly list: Finding[] = [];

  add(kind: FindingKind, where: Where, sentence: string): void {
    if (this.list.length >= FINDINGS_MAX) return;
    const { rank, channel, step, chunk } = where;
    const words = Object.entries({ rank, channel, step, chunk })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} ${value}`);
    const place = words.join(' ');
    const text = place === '' ? sentence : `${place}: ${sentence}`;
    const message = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
    this.list.push({
      kind,
      message,
      ...(rank === undefined ? {} : { rank }),
      ...(channel === undefined ? {} : { channel }),
      ...(step === undefined ? {} : { step }),
      ...(chunk === undefined ? {} : { chunk }),
    });
  }
}

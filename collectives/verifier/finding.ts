/** What the verifier finds wrong. */
import type { StepAddress } from '../interpret.ts';

export type FindingKind =
  /** A program or step is not one: missing fields, unknown ranks, places outside a buffer, a shared connection. */
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
  /** Of a file, what its thread block has as `chan`. */
  readonly channel?: number;
  /** Of a file, the number that the step has there. */
  readonly step?: number;
  /** Only of a file: the thread block that the step is in. */
  readonly threadBlock?: number;
  /** Only of a file, from 1. */
  readonly line?: number;
  /** Chunk of the buffer that the message names. */
  readonly chunk?: number;
}

/** Findings kept, others are counted; one mistake can show at every later step, and the first ones tell. */
export const FINDINGS_MAX = 100;

/** Where a finding is: a step and a chunk, or less. */
export type Where = Partial<StepAddress> & { readonly chunk?: number };

/** What people know a step by. */
export type StepLabel = Pick<Finding, 'channel' | 'step' | 'threadBlock' | 'line'> & {
  /** `rank 0 channel 1 step 2`, or in the words of the file that it is from. */
  readonly text: string;
};

/** `undefined` for what is no step. */
export type LabelOf = (at: StepAddress) => StepLabel | undefined;

export class Findings {
  readonly #labelOf: LabelOf;
  readonly list: Finding[] = [];
  /** Findings that came after `FINDINGS_MAX` others. */
  omitted = 0;

  /** `labelOf` is for programs whose channels and steps people do not see. */
  constructor(labelOf: LabelOf = () => undefined) {
    this.#labelOf = labelOf;
  }

  get isFull(): boolean {
    return this.list.length >= FINDINGS_MAX;
  }

  /** What a sentence calls a step. */
  nameOf(at: StepAddress): string {
    const { text, line } = this.#label(at);
    return line === undefined ? text : `${text} (line ${line})`;
  }

  add(kind: FindingKind, where: Where, sentence: string): void {
    if (this.isFull) {
      this.omitted++;
      return;
    }
    const { rank, channel, step, chunk } = where;
    const isStep = rank !== undefined && channel !== undefined && step !== undefined;
    const { text, line, ...known } = isStep
      ? this.#label({ rank, channel, step })
      : { ...where, text: rank === undefined ? '' : `rank ${rank}`, line: undefined };
    const words = [text, chunk === undefined ? '' : `chunk ${chunk}`].filter((word) => word !== '');
    if (line !== undefined) words.push(`(line ${line})`);
    const place = words.length === 0 ? '' : `${words.join(' ')}: `;
    const message = `${place}${sentence}`;
    const fields = Object.entries({ rank, ...known, chunk, line });
    this.list.push({
      kind,
      message: `${message.charAt(0).toUpperCase()}${message.slice(1)}`,
      ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)),
    });
  }

  #label(at: StepAddress): StepLabel {
    const { rank, channel, step } = at;
    const text = `rank ${rank} channel ${channel} step ${step}`;
    return this.#labelOf(at) ?? { text, channel, step };
  }
}

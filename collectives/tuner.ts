/** Which algorithm to use for which call. Pure, so that all ranks come to the same answer. */
import { defined } from '../common/assert.ts';
import { KiB } from '../common/bytes.ts';
import type { CollectiveName } from './collective.ts';

/** Up to this size all-reduces are mostly latency: fewer rounds beat fewer bytes. */
export const LATENCY_BOUND_BYTES = 32 * KiB;

/** Messages below this size cost about as much as empty ones, so a ring must not cut finer. */
export const RING_MESSAGE_BYTES_MIN = 1 * KiB;

export interface SelectionRequest {
  readonly collective: CollectiveName;
  /** Of the vector (`allReduce`, `broadcast`), or of all that is gathered (`allGather`). */
  readonly bytes: number;
  readonly nranks: number;
}

interface Rule {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly applies: (request: SelectionRequest) => boolean;
}

const always = (): boolean => true;

/** The first rule that applies decides. */
const RULES: readonly Rule[] = [
  {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    applies: ({ bytes, nranks }) =>
      bytes <= LATENCY_BOUND_BYTES || bytes < nranks * RING_MESSAGE_BYTES_MIN,
  },
  { collective: 'allReduce', algorithm: 'ring', applies: always },
  { collective: 'allGather', algorithm: 'ring', applies: always },
  { collective: 'broadcast', algorithm: 'binomialTree', applies: always },
];

/** The name of an algorithm in `table.ts` that does the collective for any number of ranks. */
export function selectAlgorithm(request: SelectionRequest): string {
  const rule = RULES.find(
    ({ collective, applies }) => collective === request.collective && applies(request),
  );
  return defined(rule, `a rule for ${request.collective}`).algorithm;
}

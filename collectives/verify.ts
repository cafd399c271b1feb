/**
 * Proves programs correct, or says why they are not. It knows what collectives promise and what steps
 * do, but no algorithm: programs that were lowered, read from a file or written by hand are all alike.
 *
 * Proved means, for every element count, every order of execution that `program.ts` allows, and any
 * associative and commutative reduction: every output has every contribution it should, exactly once
 * (of a barrier, at least once); nothing is read before it is stored; no two channels race; every
 * message is taken, and as it was meant; with `depth` messages per connection nobody waits for ever.
 * Of `custom` programs, whose outputs nobody promised anything about, all but the first.
 */
import { interpretWired } from './interpret.ts';
import type { Program } from './program.ts';
import { checkConnections } from './verifier/connections.ts';
import { checkExecution } from './verifier/execution.ts';
import { type Finding, Findings, type LabelOf } from './verifier/finding.ts';
import { checkWellFormed } from './verifier/well-formed.ts';
import { type Wiring, wire } from './wiring.ts';

export interface VerifyOptions {
  /** Whether input and output are one memory. The two placements are proved separately. */
  readonly inPlace: boolean;
  /** Messages that a connection holds, at least 1; unbounded if absent. See `interpret.ts`. */
  readonly depth?: number;
  /** Proves it only for counts that make all chunks the same size. Default: for any counts. */
  readonly equalChunks?: boolean;
  /**
   * What orders steps of different channels of a rank. `program` (if absent): `depends` alone, as for
   * an executor that overlaps the steps of a channel. `messages`: also messages that go by way of other
   * ranks, as for MSCCL's thread blocks, which finish every step before the next. See `explicit-order.ts`.
   */
  readonly order?: 'program' | 'messages';
  /** What findings call the steps. Absent: by rank, channel and step of the program. */
  readonly labelOf?: LabelOf;
}

export interface Verdict {
  readonly proved: boolean;
  /** Empty if proved. Later checks run only if earlier ones found nothing. */
  readonly findings: readonly Finding[];
  /** How many findings more there are; absent if none. */
  readonly omitted?: number;
}

/** `programs` are those of all ranks, by rank. */
export function verify(programs: readonly Program[], options: VerifyOptions): Verdict {
  const { inPlace, depth, equalChunks = false, order = 'program', labelOf } = options;
  const findings = new Findings(labelOf);
  const wiring = checkedWiring(programs, { inPlace, equalChunks }, findings);
  if (wiring !== undefined) {
    const execution = { inPlace, messages: order === 'messages' };
    const bounded = depth === undefined ? execution : { ...execution, depth };
    checkExecution(programs, wiring, bounded, findings);
  }
  const { list, omitted } = findings;
  return { proved: list.length === 0, findings: list, ...(omitted === 0 ? {} : { omitted }) };
}

/**
 * The smallest `depth` (messages that a connection holds) with which no step waits for ever, up to
 * `limit`. `undefined` if there is none: it takes more, there is a deadlock with any, or the programs
 * are malformed or disagree about messages.
 */
export function smallestDepth(
  programs: readonly Program[],
  limit = Number.POSITIVE_INFINITY,
): number | undefined {
  const lenient = { inPlace: false, equalChunks: true };
  const wiring = checkedWiring(programs, lenient, new Findings());
  if (wiring === undefined) return undefined;
  const most = wiring.connections.reduce((max, { sends }) => Math.max(max, sends.length), 1);
  const ends = (depth: number): boolean => interpretWired(wiring, () => 0, { depth }).length === 0;
  // More room never hurts, so that doubling and then halving the distance finds the least.
  let tooLittle = 0;
  let enough = 1;
  while (!ends(enough)) {
    if (enough >= Math.min(most, limit)) return undefined;
    tooLittle = enough;
    enough = Math.min(enough * 2, most, limit);
  }
  while (enough - tooLittle > 1) {
    const middle = Math.floor((enough + tooLittle) / 2);
    if (ends(middle)) enough = middle;
    else tooLittle = middle;
  }
  return enough;
}

/** `undefined` if something was found. */
function checkedWiring(
  programs: readonly Program[],
  options: { readonly inPlace: boolean; readonly equalChunks: boolean },
  findings: Findings,
): Wiring | undefined {
  checkWellFormed(programs, options, findings);
  if (findings.list.length > 0) return undefined;
  const wiring = wire(programs);
  checkConnections(programs, wiring, options, findings);
  return findings.list.length === 0 ? wiring : undefined;
}
